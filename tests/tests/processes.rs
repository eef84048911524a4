//! Facts about processes: `GET /instances/{id}/process` and `GET /processes`.

use openctrl_tests::rfc3339::unix_nanos;
use openctrl_tests::script::Step;
use openctrl_tests::{Api, Master, Script, eventually, until};
use serde_json::{Value, json};

const FIELDS: [&str; 20] = [
    "id",
    "pid",
    "started",
    "uptime",
    "starts",
    "failures",
    "restarts",
    "exits",
    "lastExit",
    "nextRestart",
    "nextRun",
    "backoffMs",
    "reason",
    "ready",
    "waitsFor",
    "cpuSeconds",
    "cpuPercent",
    "memoryBytes",
    "processes",
    "sampled",
];

fn check(process: &Value) {
    let mut names: Vec<&str> =
        process.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = FIELDS.to_vec();
    names.sort_unstable();
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(process["pid"].is_null(), process["started"].is_null(), "{process}");
    assert_eq!(process["nextRestart"].is_null(), process["backoffMs"].is_null(), "{process}");
}

fn process(api: &Api, id: &str) -> Value {
    let process = api.process(id);
    check(&process);
    assert_eq!(process["id"], id);
    process
}

#[test]
fn a_process_is_told_of_from_its_start_to_its_end() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().step(Step::Report).wait());
    let shown = process(&api, &id);
    let pid = shown["pid"].as_i64().expect("a pid");
    let report = format!("report pid={pid}");
    events.wait_log(&id, &report);
    let started = unix_nanos(shown["started"].as_str().expect("a time")).expect("RFC 3339");
    assert!(started > 0 && shown["uptime"].as_u64().expect("seconds") < 60, "{shown}");
    assert_eq!((&shown["starts"], &shown["exits"]), (&json!(1), &json!(0)));
    assert_eq!((&shown["lastExit"], &shown["nextRestart"]), (&Value::Null, &Value::Null));
    assert_eq!(shown["reason"], "", "it runs well");

    api.act(&id, "stop");
    events.wait_status(&id, "stopped");
    let shown = process(&api, &id);
    assert_eq!((&shown["pid"], &shown["exits"]), (&Value::Null, &json!(1)));
    assert_eq!(shown["lastExit"]["signal"], 15);
    assert_eq!(shown["lastExit"]["reason"], "stopped on request");
    assert_eq!(shown["reason"], "stopped on request");
    assert_eq!(shown["restarts"], 0);
    assert!(shown["sampled"].is_null(), "nothing runs: {shown}");
}

#[test]
fn a_failure_says_how_and_when_it_goes_on() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let id = api.run(&Script::new().exit(3));
    events.wait_status(&id, "error");
    let shown = process(&api, &id);
    assert_eq!(
        (&shown["lastExit"]["code"], &shown["lastExit"]["signal"]),
        (&json!(3), &Value::Null)
    );
    assert_eq!(shown["lastExit"]["reason"], "exited with code 3");
    let due = shown["nextRestart"].as_str().expect("a time");
    assert_eq!(shown["reason"], format!("exited with code 3; restart due at {due}"));
    let delay_ms = i128::from(shown["backoffMs"].as_u64().expect("a restart is due"));
    let at = |value: &Value| unix_nanos(value.as_str().expect("a time")).expect("RFC 3339");
    let waited = at(&shown["nextRestart"]) - at(&shown["lastExit"]["time"]);
    assert_eq!(waited, delay_ms * 1_000_000);
    until("a restart", || process(&api, &id)["restarts"] == 1);
    let shown = eventually("the second end", || {
        Some(process(&api, &id)).filter(|shown| shown["exits"] == 2)
    });
    assert_eq!(shown["starts"], 2);
    api.patch(&id, &json!({"restart": false})).expect(200);
    let shown = process(&api, &id);
    assert!(shown["nextRestart"].is_null());
    assert_eq!(shown["reason"], "exited with code 3");

    let killed = api.run_once(&Script::new().step(Step::Die(9)));
    until("its end", || process(&api, &killed)["lastExit"]["reason"] == "killed by SIGKILL");
    assert_eq!(process(&api, &killed)["lastExit"]["signal"], 9);
}

#[test]
fn a_line_with_an_error_is_the_reason() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let id = api.run_once(&Script::new().print("ERROR no route to host").wait());
    events.wait_status(&id, "error");
    assert_eq!(process(&api, &id)["reason"], "printed an error: ERROR no route to host");
    api.act(&id, "stop");
    events.wait_status(&id, "stopped");
    assert_eq!(process(&api, &id)["reason"], "stopped on request");
}

#[test]
fn a_start_that_fails_says_why() {
    let master = Master::builder().query("bin", "/no/such/runtime").start();
    let api = master.api();
    let id = openctrl_tests::api::id_of(&api.create("a:b"));
    let shown = eventually("the failure", || {
        Some(process(&api, &id)).filter(|shown| shown["failures"] != 0)
    });
    let exit = &shown["lastExit"];
    let reason = exit["reason"].as_str().expect("words");
    assert!(reason.starts_with("could not be started: /no/such/runtime"), "{reason}");
    assert!(exit["code"].is_null() && exit["signal"].is_null());
    assert!(shown["reason"].as_str().is_some_and(|why| why.starts_with(reason)), "{shown}");
    assert_eq!((&shown["starts"], &shown["exits"]), (&json!(0), &json!(0)));
}

#[cfg(target_os = "linux")]
#[test]
fn cpu_and_memory_are_those_of_the_whole_group() {
    let master = Master::builder().without_bin().start();
    let api = master.api();
    let mut events = master.events();
    // A child that computes, and its parent, which waits for it.
    let url = "exec:sh?arg=-c&arg=sh+-c+'while+:;do+:;done'%20%26+wait";
    let id = openctrl_tests::api::id_of(&api.create(url));
    events.wait_status(&id, "running");
    let shown = eventually("two looks", || {
        let shown = process(&api, &id);
        let busy = shown["cpuPercent"].as_f64().is_some_and(|percent| percent > 0.0);
        (busy && shown["processes"] == 2).then_some(shown)
    });
    assert!(shown["cpuSeconds"].as_f64().expect("a figure") > 0.0, "{shown}");
    assert!(shown["cpuPercent"].as_f64().expect("a figure") < 1_000.0, "{shown}");
    assert!(shown["memoryBytes"].as_u64().expect("a figure") > 100_000, "{shown}");
    assert!(unix_nanos(shown["sampled"].as_str().expect("a time")).is_some());

    let all = api.get("/processes").expect(200).json();
    all.as_array().expect("an array").iter().for_each(check);
    assert_eq!(all[0]["id"], id);
}

#[test]
fn all_of_them_are_an_array_by_id() {
    let master = Master::start();
    let api = master.api();
    assert_eq!(api.get("/processes").expect(200).json(), json!([]));
    let mut ids: Vec<String> = (0..3).map(|_| api.run(&Script::new().wait())).collect();
    ids.sort();
    let listed = || {
        let all = api.get("/processes").expect(200).json();
        let id = |process: &Value| process["id"].as_str().expect("an id").to_owned();
        all.as_array().expect("an array").iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(listed(), ids);
    api.delete(&ids.remove(0)).expect(204);
    assert_eq!(listed(), ids);
}

#[test]
fn what_is_no_process_is_refused() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    let path = format!("/instances/{id}/process");
    api.get("/instances/00000000/process").expect_error(404);
    api.get("/instances/********/process").expect_error(404);
    api.get("/instances//process").expect_error(400);
    api.request("DELETE", &path).send().expect_error(405);
    api.request("POST", "/processes").send().expect_error(405);
    api.without_key().get(&path).expect_error(401);
    api.without_key().get("/processes").expect_error(401);
    api.without_key().request("OPTIONS", &path).send().expect(204);
}

#[test]
fn counts_begin_anew_with_the_master() {
    let mut master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().wait());
    drop(events);
    master.stop();
    master.restart();
    let api = master.api();
    let shown =
        eventually("the start", || Some(process(&api, &id)).filter(|shown| shown["starts"] == 1));
    assert!(shown["lastExit"].is_null(), "{shown}");
}
