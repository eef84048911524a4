//! The master as process 1 of a container: a process id namespace of its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::process::Command;

use openctrl_tests::keeper::{find, wait_other_than};
use openctrl_tests::process::{has_program, is_alive, send, skip, status_field, wait_gone};
use openctrl_tests::script::Step;
use openctrl_tests::{Master, Script, Shell, binary, eventually, together, until};
use rustix::process::Signal;

together!(
    the_first_process_ends_everything_and_then_itself,
    the_first_process_reaps_what_others_leave_behind,
    the_first_process_reaps_what_its_children_leave_behind,
    a_lost_keeper_costs_no_child,
    nothing_outlives_the_first_process,
    the_first_process_becomes_another_program,
);

const WRAPPER: [&str; 5] = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// A master that is process 1, and its process id outside; `None` if that is not possible here.
fn contained(test: &str) -> Option<(Master, i32)> {
    let tried = Command::new(WRAPPER[0]).args(&WRAPPER[1..]).arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        skip(test, "it needs the right to use 'unshare --pid'");
        return None;
    }
    let master = Master::builder().through(&WRAPPER).start();
    let first = first(&master);
    Some((master, first))
}

fn first(master: &Master) -> i32 {
    let [first] = children(master.pid())[..] else { panic!("the wrapper has one child") };
    let inside = status_field(first, "NSpid").unwrap();
    assert_eq!(inside.split_whitespace().last(), Some("1"));
    first
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

/// Ended children of a process that it has not reaped.
fn zombies(parent: i32) -> Vec<i32> {
    let state = |pid: &i32| status_field(*pid, "State").unwrap_or_default();
    children(parent).into_iter().filter(|pid| state(pid).starts_with('Z')).collect()
}

/// Both signals that container engines send, from outside and from a shell in the container.
fn the_first_process_ends_everything_and_then_itself() {
    let test = "the_first_process_ends_everything_and_then_itself";
    if !has_program("nsenter", test) {
        return;
    }
    for (signal, name, is_inside) in [
        (Signal::TERM, "TERM", false),
        (Signal::INT, "INT", false),
        (Signal::TERM, "TERM", true),
        (Signal::INT, "INT", true),
    ] {
        let Some((mut master, first)) = contained(test) else { return };
        let (up, asked) = (master.mark("up"), master.mark("asked"));
        let polite = Script::new().on_term(Script::new().mark(&asked).exit(0)).mark(&up).wait();
        let family = Script::new().mark(&up).step(Step::Orphan(Script::new().mark(&up).wait()));
        master.api().run(&polite);
        master.api().run(&family.wait());
        up.wait(3);
        let keeper = find(&master).unwrap();
        if is_inside {
            enter(first, &["sh", "-c", &format!("kill -{name} 1")]);
        } else {
            send(first, signal);
        }
        assert!(master.wait_exit().success(), "{name}: {}", master.output().tail());
        assert_eq!(asked.count(), 1, "its children are asked to end");
        assert!(!is_alive(keeper));
        assert_eq!(master.descendants(), [0; 0]);
    }
}

/// Runs a command in the container.
fn enter(first: i32, command: &[&str]) {
    let mut entering = Command::new("nsenter");
    let status = entering.args(["--target", &first.to_string(), "--pid", "--mount"]).args(command);
    assert!(status.status().unwrap().success());
}

/// As a health check or a shell of the container engine does.
fn the_first_process_reaps_what_others_leave_behind() {
    let test = "the_first_process_reaps_what_others_leave_behind";
    if !has_program("nsenter", test) {
        return;
    }
    let Some((master, first)) = contained(test) else { return };
    let cue = master.cue("end");
    let path = cue.path().to_str().unwrap().to_owned();
    let text = format!("(while [ ! -e {path} ]; do sleep 0.01; done) &");
    enter(first, &["sh", "-c", &text]);
    let keeper = find(&master).unwrap();
    let orphan = eventually("the orphan", || {
        children(first).into_iter().find(|child| *child != keeper && is_alive(*child))
    });
    cue.give();
    wait_gone(orphan);
    until("it is reaped", || !children(first).contains(&orphan));
}

fn the_first_process_reaps_what_its_children_leave_behind() {
    let test = "the_first_process_reaps_what_its_children_leave_behind";
    let Some((master, first)) = contained(test) else { return };
    let (up, cue) = (master.mark("up"), master.cue("end"));
    let orphan = Script::new().mark(&up).cue(&cue).exit(3);
    let parent = Script::new().step(Step::Orphan(orphan)).exit(0);
    let leader = (0..10).fold(Script::new(), |s, _| s.step(Step::Grandchild(parent.clone())));
    let id = master.api().run(&leader.wait());
    up.wait(10);
    let keeper = find(&master).unwrap();
    until("they are adopted", || children(keeper).len() == 11);
    cue.give();
    until("they are reaped", || children(keeper).len() == 1);
    until("none is left", || zombies(first).is_empty() && zombies(keeper).is_empty());
    assert_eq!(master.api().status(&id), "running");
}

fn a_lost_keeper_costs_no_child() {
    let Some((master, first)) = contained("a_lost_keeper_costs_no_child") else { return };
    let (up, end) = (master.mark("up"), master.cue("end"));
    let id = master.api().run_once(&Script::new().mark(&up).cue(&end).print("bye").exit(3));
    up.wait(1);
    let keeper = find(&master).unwrap();
    send(keeper, Signal::KILL);
    wait_other_than(&master, keeper);
    end.give();
    until("its exit", || !master.api().process(&id)["lastExit"].is_null());
    assert_eq!(master.api().process(&id)["lastExit"]["code"], 3);
    until("none is left", || zombies(first).is_empty());
}

/// The system ends the container with its first process. The next container starts with the same
/// state, where processes have other ids.
fn nothing_outlives_the_first_process() {
    let Some((mut master, first)) = contained("nothing_outlives_the_first_process") else { return };
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    up.wait(1);
    let keeper = find(&master).unwrap();
    send(first, Signal::KILL);
    assert!(!master.wait_exit().success());
    wait_gone(keeper);
    assert_eq!(master.descendants(), [0; 0]);
    master.restart();
    up.wait(2);
    until("it runs", || master.api().status(&id) == "running");
    assert_eq!(up.count(), 2);
    assert!(find(&master).is_some());
}

fn the_first_process_becomes_another_program() {
    let test = "the_first_process_becomes_another_program";
    let Some((master, process)) = contained(test) else { return };
    let up = master.mark("up");
    let id = master.api().run(&Script::new().mark(&up).wait());
    let child = i64::from(up.wait(1)[0].pid);
    let keeper = find(&master).unwrap();
    let (path, new) = (master.folder().join("openctrl"), master.folder().join("openctrl.new"));
    fs::copy(binary::openctrl(), &new).unwrap();
    fs::rename(&new, &path).unwrap();
    let shell = Shell::new(binary::openctrl(), master.folder());
    let ran = shell.run(&["upgrade", "--state", master.state().to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.ends_with(", process 1\n"), "{}", ran.stdout);
    assert_eq!(first(&master), process);
    assert_eq!(find(&master), Some(keeper));
    assert_eq!(master.api().process(&id)["pid"].as_i64(), Some(child));
    assert_eq!(up.count(), 1);
}
