//! Schedules of commands, from outside.

use std::fs;
use std::time::{Duration, Instant};

use openctrl_tests::{Master, Shell, wait};
use serde_json::{Value, json};

fn create(master: &Master, url: &str) -> String {
    let created = master.api().post("/instances", &json!({"url": url})).expect(201).json();
    created["id"].as_str().expect("an id").to_owned()
}

fn next_run(master: &Master, id: &str) -> Value {
    let shown = || Some(master.api().process(id)).filter(|it| it["nextRun"] != Value::Null);
    wait::eventually("the next time is known", shown)
}

#[test]
fn a_command_runs_when_its_time_comes() {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    let id = create(&master, "exec:echo?arg=ran&schedule=*+*+*+*+*&schedule_tz=UTC");
    let process = next_run(&master, &id);
    let next = process["nextRun"].as_str().expect("a time").to_owned();
    assert!(next.ends_with(":00.000000Z"), "{next}");
    let shown = next[..16].replace('T', " ");
    // The minute may end meanwhile.
    let is_shown = process["reason"] == format!("waits for {shown} UTC") || process["starts"] != 0;
    assert!(is_shown, "{process}");
    let listed = shell.ok(&["list"]);
    assert!(listed.contains("waits for"), "{listed}");
    let begun = Instant::now();
    let ran = || Some(master.api().process(&id)).filter(|it| it["exits"] != 0);
    for part in 1..=3 {
        let is_over = || begun.elapsed() > Duration::from_secs(part * 22);
        wait::until("a part of the minute", || is_over() || ran().is_some());
    }
    let process = ran().expect("it ran within a minute");
    assert_eq!((&process["starts"], &process["restarts"]), (&process["exits"], &json!(0)));
    assert_eq!(process["lastExit"]["code"], 0);
    assert!(process["nextRun"].as_str().expect("a time") > &*next);
}

#[test]
fn a_schedule_is_not_started_with_the_master() {
    let mut master = Master::builder().without_bin().start();
    let mark = master.folder().join("ran");
    let url = format!("exec:touch?arg={}&schedule=0+0+29+2+*", mark.display());
    let id = create(&master, &url);
    next_run(&master, &id);
    master.crash();
    master.restart();
    next_run(&master, &id);
    assert!(fs::metadata(&mark).is_err());
    // A request starts it at once.
    master.api().act(&id, "start");
    wait::eventually("it ran", || fs::metadata(&mark).is_ok().then_some(()));
    let process = wait::eventually("its time is shown again", || {
        Some(master.api().process(&id)).filter(|it| it["exits"] == 1)
    });
    assert!(process["nextRun"].as_str().is_some_and(|it| it.contains("-02-29T")), "{process}");
    master.api().act(&id, "stop");
    wait::eventually("it is suspended", || {
        (master.api().process(&id)["nextRun"] == Value::Null).then_some(())
    });
}

#[test]
fn what_is_wrong_with_a_schedule_is_named() {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    for (parameters, reason) in [
        ("schedule=0+0+30+2+*", "never comes"),
        ("schedule=61+*+*+*+*", "as the minute"),
        ("schedule=@reboot", "boot=always"),
        ("schedule=@daily&schedule_tz=Mars/Base", "this machine has no time zone"),
        ("schedule_tz=UTC", "schedule_tz has no effect without schedule"),
        ("schedule=@daily&restart=always", "contradict"),
        ("schedule=@daily&schedule=@daily", "twice"),
    ] {
        let body = json!({"url": format!("exec:true?{parameters}")});
        let error =
            master.api().post("/instances", &body).expect_error(400).json()["error"].clone();
        assert!(error.as_str().is_some_and(|it| it.contains(reason)), "{parameters}: {error}");
    }
    let run = ["run", "--name", "n", "--schedule", "0 0 31 6 *", "--", "true"];
    let told = shell.fails(2, &run);
    assert!(told.contains("never comes"), "{told}");
    shell.ok(&["run", "--name", "n", "--schedule", "@yearly", "--", "true"]);
    let exported = shell.ok(&["export", "n"]);
    assert!(exported.contains("schedule = \"@yearly\""), "{exported}");
}
