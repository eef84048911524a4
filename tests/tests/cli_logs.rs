//! `openctrl logs` of several instances and of spans of time.

use openctrl_tests::{Master, Script, Shell};
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
