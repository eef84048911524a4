//! Traces (docs/operators/TRACE.md): a recording of the real master with real children replays to
//! the same digests, stays within its limit, and holds no secret.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::Path;

use openctrl_tests::api::id_of;
use openctrl_tests::master::{Builder, Finished, run_to_end};
use openctrl_tests::script::Step;
use openctrl_tests::state::segments;
use openctrl_tests::{KEY_ID, Master, Script, until};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Part of every text that must not be found.
const SECRET: &str = "hush";

fn total_bytes(directory: &Path) -> u64 {
    segments(directory)
        .iter()
        .filter_map(|path| fs::metadata(path).ok())
        .map(|file| file.len())
        .sum()
}

fn replay(path: &Path, options: &[&str]) -> Finished {
    let words = [&["replay", path.to_str().unwrap()], options].concat();
    run_to_end(&words)
}

/// Replays everything; the timelines, without their heads and last lines.
fn assert_equal(path: &Path) -> String {
    let replayed = replay(path, &[]);
    assert_eq!(replayed.status.code(), Some(0), "{}\n{}", replayed.stdout, replayed.stderr);
    let verdicts = replayed.stdout.lines().filter(|line| line.contains("digests of effects"));
    let mut inputs = 0;
    for verdict in verdicts {
        assert!(verdict.ends_with(": all equal"), "{verdict}");
        inputs += verdict.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    assert!(inputs > 0 && !replayed.stdout.contains("DIFFERS"), "{}", replayed.stdout);
    replayed.stdout
}

fn stub(name: &str, script: &Script) -> String {
    script.url_at(&format!("stub://me:{SECRET}@{name}"))
}

/// Everything that a master does in a day, in some seconds.
fn live(master: &mut Master) -> Vec<String> {
    let mut events = master.events();
    let api = master.api();
    let cue = master.cue("go-on");
    let point = |n| [1, 2, 3, 4, 5, n, n, n, n];
    let script = Script::new()
        .print(format!("{SECRET} starts"))
        .checkpoint(point(7))
        .cue(&cue)
        .print(format!("an ERROR {SECRET}"))
        .checkpoint(point(9))
        .step(Step::Fill(b'x', 70_000))
        .raw("\n")
        .wait();
    let alias = format!("{SECRET} alias");
    let created = api.post("/instances", &json!({"url": stub("a", &script), "alias": alias}));
    let id = id_of(&created.expect(201).json());
    until("the first checkpoint", || api.instance(&id)["tcprx"] == 7);
    cue.give();
    until("the second checkpoint", || api.instance(&id)["tcprx"] == 9);
    let tags = json!({"note": SECRET, "empty": "", "quoted": "hu\"sh"});
    let peer = json!({"sid": SECRET, "type": SECRET, "alias": SECRET});
    api.patch(&id, &json!({"alias": SECRET, "meta": {"peer": peer, "tags": tags}})).expect(200);
    api.act(&id, "reset");
    api.act(&id, "restart");

    let crashing = api.create(&stub("b", &Script::new().print(SECRET).exit(3)));
    let crashing = id_of(&crashing);
    events.wait_status(&crashing, "error");
    events.wait_status(&crashing, "running");
    let silent = Script::new().ignore_term().step(Step::Grandchild(Script::new().wait())).wait();
    let other = id_of(&api.create(&stub("c", &silent)));

    // A URL that differs in a secret only is another one; the same is refused.
    let url = |secret: &str| format!("stub://u:{secret}@d/?token={secret}#{secret}");
    api.put(&id, &url("hush1")).expect(200);
    api.put(&id, &url("hush2")).expect(200);
    api.put(&id, &url("hush2")).expect_error(409);
    api.post("/info", &json!({"alias": format!("{SECRET} master")})).expect(200);
    api.get(&format!("/tcping?target=u:{SECRET}@127.0.0.1:1")).expect(200);
    api.post("/instances", &json!({"url": format!("stub://h/?x={}", SECRET.repeat(9000))}))
        .expect_error(400);
    api.delete(&crashing).expect(204);
    api.act(&other, "stop");
    let answer = api.patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    let renewed = answer["url"].as_str().unwrap().to_owned();
    vec![master.key().to_owned(), renewed]
}

#[test]
fn what_was_recorded_replays_and_holds_no_secret() {
    let mut master = Master::start();
    let trace = master.folder().join("gob").join("trace");
    let keys = live(&mut master);
    master.stop();
    master.restart();
    let api = master.api();
    until("the instances are back", || api.list().iter().any(|one| one["status"] == "running"));
    master.stop();

    let files = segments(&trace);
    assert_eq!(files.len(), 2, "one for each run: {files:?}");
    let shown = assert_equal(&trace);
    for telling in [
        "> request 1 with key 1: create stub://",
        "1 with ERROR",
        "spawn p",
        "the master stopped here",
    ] {
        assert!(shown.contains(telling), "{telling}\n{shown}");
    }
    let json = replay(&trace, &["--json"]);
    assert_eq!(json.status.code(), Some(0), "{}", json.stderr);
    let lines: Vec<Value> =
        json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["verdict"] == "equal" && line["what"] != ""));

    let mut seen: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    seen.extend([shown.into_bytes(), json.stdout.into_bytes()]);
    for (text, secret) in seen.iter().flat_map(|text| {
        keys.iter().map(String::as_str).chain([SECRET]).map(move |secret| (text, secret))
    }) {
        let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret:?} in {:?}", String::from_utf8_lossy(text));
    }
}

#[test]
fn a_timeline_can_be_cut_and_filtered() {
    let mut master = Master::start();
    let trace = master.folder().join("gob").join("trace");
    let api = master.api();
    let (first, second) = (api.run(&Script::new().wait()), api.run(&Script::new().wait()));
    until("both run", || [&first, &second].into_iter().all(|id| api.status(id) == "running"));
    master.stop();
    let [file] = &segments(&trace)[..] else { panic!("one segment") };

    let all = replay(file, &[]).stdout;
    let one = replay(file, &["--instance", &first]).stdout;
    assert!(one.contains(&first) && one.len() < all.len(), "{one}");
    assert!(!one.contains(&format!(" update {second}")) || one.contains("shutdown"), "{one}");
    let nothing = replay(file, &["--until", "0"]);
    assert_eq!(nothing.status.code(), Some(0));
    assert!(nothing.stdout.contains("\n0 inputs"), "{}", nothing.stdout);
    let everything = replay(file, &["--until", "9999-12-31"]);
    assert_eq!(everything.stdout, all);

    // What cannot be read, and what was tampered with.
    let mut bytes = fs::read(file).unwrap();
    let text = master.folder().join("notes.txt");
    fs::write(&text, "no trace").unwrap();
    for (path, reason) in [(&text, "not a trace"), (&master.folder().join("gone"), "No such file")]
    {
        let refused = replay(path, &[]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    }
    assert_eq!(replay(file, &["--soon"]).status.code(), Some(2));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    let damaged = master.folder().join("damaged");
    fs::write(&damaged, bytes).unwrap();
    assert_eq!(replay(&damaged, &[]).status.code(), Some(2));
}

#[test]
fn text_is_recorded_only_when_asked_for_and_can_do_nothing_to_a_terminal() {
    let line = "the \u{1b}[2J line";
    let run = |builder: Builder| {
        let mut master = builder.start();
        let mut events = master.events();
        let id = master.api().run(&Script::new().print(line).wait());
        events.wait_log(&id, line);
        master.stop();
        assert_equal(&master.folder().join("gob").join("trace"))
    };
    let shown = run(Master::builder().query("trace_text", "on"));
    assert!(shown.contains("\"the \\u{1b}[2J line\""), "{shown}");
    let shown = run(Master::builder());
    assert!(!shown.contains("line\"") && shown.contains("1 lines of 13 bytes"), "{shown}");
}

#[test]
fn nothing_is_recorded_when_it_is_off() {
    let mut master = Master::builder().query("trace", "off").start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    until("it runs", || api.status(&id) == "running");
    master.stop();
    assert!(!master.folder().join("gob").join("trace").exists());
}

#[test]
fn a_directory_of_ones_own() {
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("deep").join("er");
    let mut master = Master::builder().query("trace", trace.to_str().unwrap()).start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    until("it runs", || api.status(&id) == "running");
    master.stop();
    assert!(!master.folder().join("gob").join("trace").exists());
    assert_equal(&trace);
}

#[test]
fn a_master_that_cannot_record_does_all_the_rest() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let trace = file.join("trace");
    let mut master = Master::builder().query("trace", trace.to_str().unwrap()).start();
    let api = master.api();
    let ids = [api.run(&Script::new().wait()), api.run(&Script::new().wait())];
    until("they run", || ids.iter().all(|id| api.status(id) == "running"));
    let warning = |line: &str| line.contains("warning: Master.trace: cannot record in");
    master.output().wait_for_line("a warning", |line| warning(&line.text));
    master.stop();
    assert_eq!(master.output().count(|line| warning(&line.text)), 1);
}

#[test]
fn a_flood_stays_within_the_size_and_a_kill_leaves_what_can_be_read() {
    let mut master = Master::builder().query("trace_size", "1").start();
    let trace = master.folder().join("gob").join("trace");
    let flood = Script::new().step(Step::Repeat(
        0,
        Script::new().checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]).print("a line"),
    ));
    master.api().run(&flood);
    until("segments come and go", || {
        // What is listed may be gone and followed by others before it is looked at.
        assert!(total_bytes(&trace) <= 1024 * (1024 + 256), "{}", total_bytes(&trace));
        segments(&trace)
            .first()
            .is_some_and(|path| !path.to_str().unwrap().ends_with("000001.trace"))
    });
    master.kill9();
    assert!(total_bytes(&trace) <= 1024 * 1024);
    assert!(segments(&trace).len() >= 4, "{:?}", segments(&trace));
    assert_equal(&trace);

    // The segments of the run that was killed are the oldest of the next one.
    let before = segments(&trace);
    master.restart();
    let api = master.api();
    until("it runs", || api.list().iter().any(|one| one["status"] == "running"));
    master.stop();
    let after = segments(&trace);
    assert!(before.iter().any(|path| after.contains(path)), "{after:?}");
    assert!(total_bytes(&trace) <= 1024 * 1024);
    assert_equal(&trace);
}
