//! Contract §6: the life cycle, as far as it needs no watching of clocks (see `slow.rs`).

use openctrl_tests::process::{is_alive, wait_gone};
use openctrl_tests::script::Step;
use openctrl_tests::{Event, Master, Script, until};
use serde_json::json;
use std::os::unix::fs::symlink;

const BUSY: [u64; 9] = [7, 12, 3, 10, 2, 1000, 2000, 3000, 4000];

/// Live metrics are reset; mode and totals are kept.
fn assert_idle_with_totals(event: &Event) {
    for metric in ["ping", "pool", "tcps", "udps"] {
        assert_eq!(event.instance[metric], 0, "{metric}");
    }
    assert_eq!(event.instance["mode"], 7);
    for (counter, value) in [("tcprx", 1000), ("tcptx", 2000), ("udprx", 3000), ("udptx", 4000)] {
        assert_eq!(event.instance[counter], value, "{counter}");
    }
}

#[test]
fn a_new_instance_is_started() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print("hello").wait());
    events.wait_log(&id, "hello");
    assert_eq!(master.api().status(&id), "running");
    assert_eq!(master.descendants().len(), 1);
}

#[test]
fn a_start_that_fails_is_an_error() {
    let folder = tempfile::TempDir::new().unwrap();
    let text = folder.path().join("not executable");
    std::fs::write(&text, "just text").unwrap();
    for runtime in ["/no/such/runtime", text.to_str().unwrap(), "/"] {
        let master = Master::builder().query("bin", runtime).start();
        let mut events = master.events();
        let id = master.api().run(&Script::new().wait());
        events.wait_status(&id, "error");
        assert_eq!(master.api().status(&id), "error", "{runtime}");
        master.api().act(&id, "stop");
        events.wait_status(&id, "stopped");
    }
}

#[test]
fn without_bin_the_executable_runs_itself() {
    let master = Master::builder().without_bin().start();
    let mut events = master.events();
    // It has no business with this scheme, says so and fails.
    let id = master.api().run_once(&Script::new().wait());
    events.wait_status(&id, "error");
    assert!(!events.logs(&id).is_empty(), "its reason is an ordinary log line");
}

#[test]
fn a_clean_exit_is_stopped() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().checkpoint(BUSY).exit(0));
    events.wait_value(&id, "udptx", 4000);
    assert_idle_with_totals(&events.wait_status(&id, "stopped"));
}

#[test]
fn a_failure_or_a_signal_is_an_error() {
    let master = Master::start();
    let mut events = master.events();
    let script = || Script::new().checkpoint(BUSY);
    for script in [
        script().exit(3),
        script().exit(255),
        script().step(Step::Die(9)),
        script().step(Step::Die(15)),
    ] {
        let id = master.api().run_once(&script);
        events.wait_value(&id, "udptx", 4000);
        assert_idle_with_totals(&events.wait_status(&id, "error"));
    }
}

#[test]
fn a_line_with_error_is_an_error_and_the_process_goes_on() {
    let master = Master::start();
    let mut events = master.events();
    let (first, second, pid) = (master.cue("first"), master.cue("second"), master.mark("pid"));
    let script = Script::new()
        .mark(&pid)
        .print("an error in small letters, an Error, an ERR OR")
        .checkpoint(BUSY)
        .cue(&first)
        .print("this is an ERRORneous line")
        .cue(&second)
        .checkpoint([8, 13, 4, 11, 3, 1001, 2001, 3001, 4001])
        .wait();
    let id = master.run(&mut events, &script);
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    let busy = events.wait_value(&id, "udptx", 4000);
    assert_eq!(busy.instance["status"], "running", "ERROR is written in capitals");
    first.give();
    let failed = events.wait_for("the line or the error", |event| {
        event.is_log_of(&id) || (event.is_change_of(&id) && event.instance["status"] == "error")
    });
    if failed.kind == "log" {
        assert_eq!(failed.logs, "this is an ERRORneous line");
        assert_idle_with_totals(&events.wait_status(&id, "error"));
    } else {
        assert_idle_with_totals(&failed);
        events.wait_log(&id, "this is an ERRORneous line");
    }
    assert!(is_alive(pid.wait(1)[0].pid), "the process goes on");
    second.give();
    let again = events.wait_value(&id, "udptx", 4001);
    assert_eq!(again.instance["status"], "running", "a checkpoint ends the error");
    assert_eq!((&again.instance["mode"], &again.instance["ping"]), (&json!(8), &json!(13)));
}

#[test]
fn error_on_stderr_counts_too() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.api().run_once(&Script::new().step(Step::PrintError("ERROR".into())).wait());
    events.wait_status(&id, "error");
}

#[test]
fn an_error_with_a_live_process_can_be_stopped() {
    let master = Master::start();
    let mut events = master.events();
    let pid = master.mark("pid");
    let id = master.api().run_once(&Script::new().mark(&pid).print("ERROR").wait());
    events.wait_status(&id, "error");
    master.api().act(&id, "stop");
    events.wait_status(&id, "stopped");
    wait_gone(pid.wait(1)[0].pid);
    master.api().act(&id, "start");
    events.wait_status(&id, "running");
}

#[test]
fn a_stop_terms_the_whole_group_and_ignores_the_exit_status() {
    let master = Master::start();
    let mut events = master.events();
    let (up, down) = (master.mark("up"), master.mark("down"));
    let inner = Script::new().on_term(Script::new().mark(&down).exit(0)).mark(&up).wait();
    let outer = Script::new()
        .on_term(Script::new().print("bye").mark(&down).exit(3))
        .step(Step::Grandchild(inner))
        .mark(&up)
        .checkpoint(BUSY)
        .wait();
    let id = master.run(&mut events, &outer);
    let pids = up.wait(2);
    events.wait_value(&id, "udptx", 4000);
    master.api().act(&id, "stop");
    assert_idle_with_totals(&events.wait_status(&id, "stopped"));
    down.wait(2);
    pids.iter().for_each(|entry| wait_gone(entry.pid));
    until("the last words", || events.logs(&id).contains(&"bye".to_owned()));
    let statuses = events.events();
    let failed =
        statuses.iter().any(|e| e.instance["id"] == *id && e.instance["status"] == "error");
    assert!(!failed, "the exit that a stop brings about is no error");
}

/// Whichever comes first, the exit or the signal: it was to be stopped, and stopped it is.
#[test]
fn an_exit_that_races_a_stop_counts_as_the_stop() {
    let master = Master::start();
    let mut events = master.events();
    for _ in 0..10 {
        let id = master.run(&mut events, &Script::new().on_term(Script::new().exit(1)).wait());
        master.api().act(&id, "stop");
        let after = events.wait_for("the end", |event| {
            event.is_change_of(&id) && event.instance["status"] != "running"
        });
        assert_eq!(after.instance["status"], "stopped");
    }
}

#[test]
fn a_grandchild_that_holds_the_pipe_keeps_no_stop_from_ending() {
    let master = Master::start();
    let mut events = master.events();
    let up = master.mark("up");
    let holder = Script::new().ignore_term().mark(&up).wait();
    let script = Script::new().step(Step::Orphan(holder)).mark(&up).wait();
    let id = master.run(&mut events, &script);
    let pids = up.wait(2);
    master.api().act(&id, "stop");
    events.wait_status(&id, "stopped");
    assert_eq!(pids.iter().filter(|entry| is_alive(entry.pid)).count(), 1, "the holder lives");
    master.api().act(&id, "start");
    events.wait_status(&id, "running");
    master.api().delete(&id).expect(204);
}

#[test]
fn a_grandchild_that_holds_the_pipe_does_not_hide_an_exit() {
    let master = Master::start();
    let mut events = master.events();
    let holder = Script::new().ignore_term().wait();
    let clean = master.api().run(&Script::new().step(Step::Orphan(holder.clone())).exit(0));
    events.wait_status(&clean, "stopped");
    let failed = master.api().run_once(&Script::new().step(Step::Orphan(holder)).exit(1));
    events.wait_status(&failed, "error");
}

#[test]
fn a_child_that_closes_its_output_still_runs() {
    let master = Master::start();
    let mut events = master.events();
    let (closed, end) = (master.mark("closed"), master.cue("end"));
    let script = Script::new().step(Step::CloseOutput).mark(&closed).cue(&end).exit(0);
    let id = master.run(&mut events, &script);
    closed.wait(1);
    assert_eq!(master.api().status(&id), "running");
    end.give();
    events.wait_status(&id, "stopped");
}

#[test]
fn output_of_an_earlier_process_does_not_touch_the_current_one() {
    let master = Master::start();
    let mut events = master.events();
    let (late, said, talk, up) =
        (master.cue("late"), master.mark("said"), master.cue("talk"), master.mark("up"));
    let ghost = Script::new()
        .mark(&up)
        .cue(&late)
        .checkpoint([9, 9, 9, 9, 9, 9_000_000, 9, 9, 9])
        .print("a late ERROR")
        .mark(&said)
        .wait();
    let first = Script::new().step(Step::Orphan(ghost)).mark(&up).wait();
    let id = master.run(&mut events, &first);
    let pids = up.wait(2);
    let second = Script::new().checkpoint(BUSY).cue(&talk).print("well").wait();
    master.api().put(&id, &second.url()).expect(200);
    events.wait_value(&id, "tcprx", 1000);
    late.give();
    // The master may have closed the pipe, on which the ghost dies instead.
    until("the ghost to have spoken", || {
        said.count() == 1 || pids.iter().all(|entry| !is_alive(entry.pid))
    });
    talk.give();
    events.wait_log(&id, "well");
    let now = master.api().instance(&id);
    assert_eq!(
        (&now["status"], &now["tcprx"], &now["mode"]),
        (&json!("running"), &json!(1000), &json!(7))
    );
    let touched = events.events().into_iter().any(|event| {
        event.instance["id"] == *id
            && (event.instance["status"] == "error" || event.instance["mode"] == 9)
    });
    assert!(!touched, "a ghost was heard");
}

#[test]
fn the_child_gets_environment_user_and_two_arguments_and_an_empty_stdin() {
    let folder = tempfile::TempDir::new().unwrap();
    let runtime = folder.path().join("my runtime");
    symlink(openctrl_tests::binary::stub_runtime(), &runtime).unwrap();
    let runtime = runtime.to_str().unwrap();
    let master =
        Master::builder().query("bin", runtime).variable("A_VARIABLE", "its value").start();
    let mut events = master.events();
    let script = Script::new().step(Step::Report).step(Step::Env("A_VARIABLE".into())).wait();
    let url = script.url_at("Stub://User@Host/a%20b");
    let id = openctrl_tests::api::id_of(&master.api().create(&url));
    events.wait_log(&id, "A_VARIABLE=its value");
    let logs = events.logs(&id);
    let uid = rustix::process::getuid().as_raw();
    for fact in [
        "argc=2".to_owned(),
        format!("argv0={runtime}"),
        format!("argv1={}", url.replacen("Stub", "stub", 1)),
        "stdin=empty".into(),
        "group=own".into(),
        format!("uid={uid}"),
    ] {
        assert!(logs.contains(&format!("report {fact}")), "{fact} is not in {logs:?}");
    }
}

#[test]
fn hasty_clients_leave_one_process_or_none() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let started = master.mark("started");
    let id = master.run(&mut events, &Script::new().mark(&started).wait());
    std::thread::scope(|scope| {
        for action in ["start", "stop", "restart", "restart"] {
            let (api, id) = (&api, &id);
            scope.spawn(move || (0..10).for_each(|_| drop(api.act(id, action))));
        }
    });
    let alive = || started.entries().into_iter().filter(|entry| is_alive(entry.pid)).count();
    api.act(&id, "stop");
    until("the last stop to be done", || api.status(&id) == "stopped" && alive() == 0);
    api.act(&id, "start");
    until("one process", || api.status(&id) == "running" && alive() == 1);
    let mut live: Vec<i32> = master.descendants();
    live.dedup();
    assert_eq!(live.len(), 1, "at most one process an instance");
}
