//! A wall clock that is set while the master runs: times continue, stay in order, and come back to the
//! wall clock within twice the step.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openctrl_tests::rfc3339::unix_nanos;
use openctrl_tests::script::Step;
use openctrl_tests::{Master, Script, until, wait};

/// Adds the seconds in a file to the wall clock of a program that loads it.
const SHIFT: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, id, time);
    const char *path = getenv("CLOCK_SHIFT_FILE");
    if (result == 0 && id == CLOCK_REALTIME && path != NULL) {
        char text[32] = {0};
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file >= 0) {
            if (read(file, text, sizeof text - 1) > 0) time->tv_sec += atol(text);
            close(file);
        }
    }
    return result;
}
"#;

/// A wall clock that can be set.
struct Shift {
    folder: tempfile::TempDir,
}

impl Shift {
    fn new(seconds: i64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let source = folder.path().join("shift.c");
        fs::write(&source, SHIFT).expect("written");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.path().join("shift.so"))
            .arg(&source)
            .status();
        assert!(status.expect("a C compiler, as linking needs").success());
        let shift = Self { folder };
        shift.set(seconds);
        shift
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Sets the clock, at once.
    fn set(&self, seconds: i64) {
        let fresh = self.path("fresh");
        fs::write(&fresh, seconds.to_string()).expect("written");
        fs::rename(fresh, self.path("seconds")).expect("renamed");
    }

    fn start(&self) -> Master {
        Master::builder()
            .variable("LD_PRELOAD", &self.path("shift.so"))
            .variable("CLOCK_SHIFT_FILE", &self.path("seconds"))
            .query("logs", "LOGS")
            .start()
    }
}

fn real_nanos() -> i128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i128::try_from(now.as_nanos()).expect("not so late")
}

const SECOND: i128 = 1_000_000_000;

fn count(master: &Master, part: &str) -> usize {
    let text = master.output().text(openctrl_tests::output::Source::Stderr);
    text.lines().filter(|line| line.contains(part)).count()
}

/// Prints a line for each of some cues.
fn printing(folder: &Path, lines: usize) -> Script {
    (0..lines).fold(Script::new(), |script, number| {
        script.step(Step::Cue(folder.join(format!("{number}.cue")))).print(number.to_string())
    })
}

#[test]
fn a_clock_that_was_ahead_and_is_put_right_goes_on_in_order() {
    let shift = Shift::new(8 * 3_600);
    let master = shift.start();
    let mut events = master.events();
    let cues = tempfile::tempdir().expect("a temporary directory");
    let id = master.run(&mut events, &printing(cues.path(), 5).step(Step::Exit(1)));
    let cue = |number: usize| fs::write(cues.path().join(format!("{number}.cue")), "");
    cue(0).expect("written");
    let mut times = vec![events.wait_log(&id, "0").unix_nanos];
    assert!(times[0] > real_nanos() + 7 * 3_600 * SECOND, "the clock is ahead");
    shift.set(0);
    for number in 1..5 {
        // Two moments that differ by what a person would see.
        wait::holds_for("the pause", Duration::from_millis(300), || true);
        cue(number).expect("written");
        times.push(events.wait_log(&id, &number.to_string()).unix_nanos);
    }
    let apart = times.windows(2).all(|pair| pair[1] - pair[0] >= SECOND / 10);
    assert!(apart, "lines 300 ms apart show it: {times:?}");
    let shown = times[4] - times[0];
    assert!(shown < 60 * SECOND, "it continues from where it was: {times:?}");

    // The same in the history, in files and for processes.
    let api = master.api();
    let page = api.get(&format!("/instances/{id}/logs")).json();
    let lines = page["lines"].as_array().expect("lines");
    let of_line = |index: usize| unix_nanos(lines[index]["time"].as_str().expect("a time"));
    assert!((0..5).all(|index| of_line(index) == Some(times[index])), "{page}");
    let log = master.folder().join(format!("cwd/LOGS/{id}.log"));
    until("the file", || fs::read_to_string(&log).is_ok_and(|text| text.lines().count() >= 5));
    events.wait_status(&id, "error");
    until("the plan to restart", || {
        let process = api.get(&format!("/instances/{id}/process")).json();
        let due = process["nextRestart"].as_str().and_then(unix_nanos);
        due.is_some_and(|due| due > times[4] && due < times[4] + 120 * SECOND)
    });
    assert_eq!(count(&master, "the wall clock was set back by 28800"), 1, "it is said once");
}

#[test]
fn shown_time_is_back_at_the_wall_clock_after_twice_the_step() {
    let shift = Shift::new(3);
    let master = shift.start();
    let api = master.api();
    let mut events = master.events();
    let mut change = |alias: &str| {
        let before = real_nanos();
        let id = api.run_once(&Script::new());
        api.patch(&id, &serde_json::json!({ "alias": alias })).expect(200);
        let event = events.wait_for(alias, |event| event.instance["alias"] == alias);
        (event.unix_nanos, before, real_nanos())
    };
    let (ahead, _, after) = change("ahead");
    assert!(ahead > after + 2 * SECOND);
    shift.set(0);
    let set = real_nanos();
    let (held, _, _) = change("held");
    assert!(held > ahead, "it never goes backwards");
    let mut last = held;
    until("the wall clock", || {
        let (time, before, after) = change(&real_nanos().to_string());
        assert!(time > last, "it goes on");
        last = time;
        if before < set + 6 * SECOND + SECOND / 10 {
            return false;
        }
        // Twice the step is over: from now on it is the wall clock, which is asked in between.
        let is_wall = before <= time + SECOND / 1_000_000 && time <= after;
        assert!(is_wall, "{time} is not between {before} and {after}");
        true
    });
    assert_eq!(count(&master, "the wall clock was set back by 3.0 s"), 1);
}

#[test]
fn a_clock_that_is_set_forward_is_followed_at_once_and_said_once() {
    let shift = Shift::new(0);
    let master = shift.start();
    let mut events = master.events();
    shift.set(3_600);
    let id = master.run(&mut events, &Script::new().print("later").wait());
    let time = events.wait_log(&id, "later").unix_nanos;
    assert!(time > real_nanos() + 3_500 * SECOND);
    assert_eq!(count(&master, "the wall clock went forward by 3600.0 s"), 1);
}
