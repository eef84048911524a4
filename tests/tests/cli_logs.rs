//! `openctrl logs` of several instances and of spans of time.

use std::fs;

use openctrl_tests::{Master, Script, Shell, until};
use serde_json::Value;

/// Two instances that have printed `one of NAME` and `two of NAME`.
fn pair(master: &Master, shell: &Shell) -> [String; 2] {
    ["a", "longer"].map(|name| {
        let mut events = master.events();
        let script = Script::new().print(format!("one of {name}")).print(format!("two of {name}"));
        let id = master.run(&mut events, &script.wait());
        events.wait_log(&id, &format!("two of {name}"));
        shell.ok(&["set", &id, "--alias", name, "--tag", "pair=1"]);
        id
    })
}

#[test]
fn lines_of_several_have_their_names() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let [a, _] = pair(&master, &shell);
    let all =
        "a      | one of a\na      | two of a\nlonger | one of longer\nlonger | two of longer\n";
    assert_eq!(shell.ok(&["logs", "a", "longer"]), all);
    assert_eq!(shell.ok(&["logs", "--all"]), all);
    assert_eq!(shell.ok(&["logs", "--tag", "pair"]), all);
    let last = "a      | two of a\nlonger | two of longer\n";
    assert_eq!(shell.ok(&["logs", "--all", "-n", "1"]), last);
    assert_eq!(shell.ok(&["logs", "--all", "--grep", "two"]), last);
    let json = shell.ok(&["logs", "--all", "-o", "json"]);
    let first: Value = serde_json::from_str(json.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["instance"], &first["text"]), (&Value::from(a), &Value::from("one of a")));
    assert_eq!(shell.ok(&["logs", "a"]), "one of a\ntwo of a\n", "one alone has no name before it");
}

#[test]
fn lines_that_memory_has_no_more_come_from_the_files() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let logs = folder.path().to_str().expect("UTF-8");
    let master = Master::builder().query("logs", logs).query("log_lines", "5").start();
    let shell = Shell::beside(&master);
    let script = (0..30).fold(Script::new(), |script, number| script.print(format!("no {number}")));
    let mut events = master.events();
    let id = master.run(&mut events, &script.wait());
    let file = folder.path().join(format!("{id}.log"));
    until("all lines in the file", || {
        fs::read_to_string(&file).is_ok_and(|text| text.lines().count() == 30)
    });
    let kept = master.api().get(&format!("/instances/{id}/logs")).expect(200).json();
    assert_eq!(kept["lines"].as_array().map(Vec::len), Some(5), "{kept}");
    let numbers = |range: std::ops::Range<u32>| -> String {
        range.map(|number| format!("no {number}\n")).collect()
    };
    assert_eq!(shell.ok(&["logs", &id]), numbers(0..30));
    assert_eq!(shell.ok(&["logs", &id, "-n", "12"]), numbers(18..30));
    assert_eq!(shell.ok(&["logs", &id, "-n", "3"]), numbers(27..30));
    assert_eq!(shell.ok(&["logs", &id, "--grep", "o 1.$"]), numbers(10..20));
    assert_eq!(shell.ok(&["logs", &id, "--since", "1h"]), numbers(0..30));
    assert_eq!(shell.ok(&["logs", &id, "--stream", "stderr"]), "");
    assert_eq!(shell.ok(&["logs", "--all"]).lines().count(), 30);

    fs::create_dir(folder.path().join(format!("{id}.log.1"))).expect("made");
    let ran = shell.run(&["logs", &id]);
    assert_eq!((ran.code, &*ran.stdout), (Some(0), &*numbers(25..30)));
    let note = format!("openctrl: older lines are in {}, not shown: ", file.display());
    assert!(ran.stderr.starts_with(&note) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
}

#[test]
fn several_are_followed() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let (first, second) = (master.cue("first"), master.cue("second"));
    let mut events = master.events();
    for (name, cue) in [("a", &first), ("b", &second)] {
        let script = Script::new().print("begun").cue(cue).print(format!("more of {name}")).wait();
        let id = master.run(&mut events, &script);
        events.wait_log(&id, "begun");
        shell.ok(&["set", &id, "--alias", name]);
    }
    let mut following = shell.start(&["logs", "--all", "--follow"]);
    following.wait_for("a | begun\nb | begun\n");
    second.give();
    following.wait_for("b | more of b\n");
    shell.ok(&["delete", "b"]);
    first.give();
    following.wait_for("a | more of a\n");
}

#[test]
fn lines_are_bounded_by_times() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    pair(&master, &shell);
    let lines = shell.ok(&["logs", "a", "-o", "json"]);
    let times: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).expect("JSON")["time"]
                .as_str()
                .expect("a time")
                .to_owned()
        })
        .collect();
    let second = times[1].trim_end_matches('Z');
    assert!(shell.ok(&["logs", "a", "--since", second]).ends_with("two of a\n"));
    assert!(shell.ok(&["logs", "a", "--until", second]).starts_with("one of a\n"));
    assert_eq!(shell.ok(&["logs", "a", "--since", "1h"]), "one of a\ntwo of a\n");
    assert_eq!(shell.ok(&["logs", "a", "--until", "2020-01-01"]), "");
    assert_eq!(shell.ok(&["logs", "a", "--since", "2999-01-01"]), "");
    let bad = shell.fails(2, &["logs", "a", "--since", "soon"]);
    assert!(bad.contains("10m") && bad.contains("2026-06-09T10:13"), "{bad}");
    shell.fails(2, &["logs", "a", "--until", "1h", "--follow"]);
    shell.fails(2, &["logs"]);
}
