//! Patrol contract §2 and §10: what ticks change, and times in the local zone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_tests::patrol::{Builder, Folder, Patrol};
use openctrl_tests::{Mark, eventually, until};
use serde_json::json;

/// Three ticks at least, which show by the CAS of an app with a pid file.
fn wait_three_ticks(patrol: &Patrol, id: &str) {
    let cas = || patrol.app(id)["cas"].as_u64().expect("a CAS");
    let before = cas();
    until("three ticks", || cas() >= before + 3);
}

fn mark_word(mark: &Mark) -> String {
    format!("mark:{}", mark.path().display())
}

fn pid_file_word(folder: &Folder, name: &str) -> String {
    format!("pidfile:{}", folder.path(name))
}

/// §10: a running app with keep-alive 1 never moves its CAS; with keep-alive 2, each tick does.
#[test]
fn ticks_move_the_cas_of_a_pid_file_and_never_that_of_keep_alive_1() {
    let folder = Folder::default();
    let awaited = folder.app(1, &["wait"]);
    let found = folder.app(2, &[&pid_file_word(&folder, "app.pid"), "wait"]);
    let apps = json!({"awaited": awaited, "found": found});
    let patrol = folder.start_with(Builder::new(apps, json!({})).quick());
    let before = patrol.wait_app("awaited", "a pid", |app| app["pid"].is_number());
    patrol.wait_app("found", "a pid", |app| app["pid"].is_number());
    wait_three_ticks(&patrol, "found");
    let after = patrol.app("awaited");
    assert_eq!(
        [&after["cas"], &after["instance-id"], &after["pid"]],
        [&before["cas"], &before["instance-id"], &before["pid"]]
    );
}

/// §8.8: a number above 65535 is no reason for another copy at every tick; the app is found as
/// soon as its file has its own number.
#[test]
fn a_pid_file_above_65535_starts_no_second_copy() {
    let folder = Folder::default();
    let (up, cue) = (folder.mark("up"), folder.cue("write"));
    fs::write(folder.path("large.pid"), "70000\n").expect("the folder is writable");
    let write = pid_file_word(&folder, "large.pid");
    let words = [&mark_word(&up), &format!("cue:{}", cue.path().display()), &write, "wait"];
    let mut large = folder.app(2, &words);
    large["pid-path"] = json!("large.pid");
    let clock = folder.app(2, &[&pid_file_word(&folder, "app.pid"), "wait"]);
    let apps = json!({"clock": clock, "large": large});
    let patrol = folder.start_with(Builder::new(apps, json!({})).quick());
    let own = up.wait(1)[0].pid;
    patrol.wait_app("clock", "a pid", |app| app["pid"].is_number());
    wait_three_ticks(&patrol, "clock");
    assert_eq!(up.count(), 1, "one copy");
    assert!(patrol.app("large")["pid"] != 70_000);
    cue.give();
    let found = patrol.wait_app("large", "seen", |app| app["lastseen"].is_string());
    assert_eq!((&found["pid"], up.count()), (&json!(own), 1));
}

/// `date`, which knows time zones by itself.
fn date(zone: &str, arguments: &[&str]) -> String {
    let output = Command::new("date").args(arguments).env("TZ", zone).env("LC_ALL", "C").output();
    let output = output.expect("there is date");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// The first file below a folder.
fn file_below(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.into_iter().find_map(|path| if path.is_dir() { file_below(&path) } else { Some(path) })
}

/// §2.7, §10: timestamps have the numeric zone, and logs go to the folder of the local day.
#[test]
fn times_and_log_folders_are_in_the_local_zone() {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    // A zone where it is another day than in UTC. The signs of POSIX are the other way round.
    let is_morning = since_1970.as_secs() / 3_600 % 24 < 12;
    let (zone, offset) = if is_morning { ("WST12", "-1200") } else { ("EST-13:45", "+1345") };
    let folder = Folder::default();
    let apps = json!({"web": folder.app(1, &["print:x", "wait"])});
    let patrol = folder.start_with(Builder::new(apps, json!({})).variable("TZ", zone));
    let app = patrol.wait_instance("web", "");
    let status = patrol.status();
    for time in [&app["started"], &app["lastseen"], &status["started"]] {
        let time = time.as_str().expect("a time");
        assert!(time.ends_with(offset), "{time}");
        let seconds = date("UTC", &["-d", time, "+%s"]);
        assert_eq!(time, date(zone, &["-d", &format!("@{seconds}"), "+%a, %d %b %Y %H:%M:%S %z"]));
        assert!(seconds.parse::<u64>().is_ok_and(|at| at >= since_1970.as_secs()), "{time}");
    }
    let logs = patrol.folder().join("logs");
    let file = eventually("a log file", || file_below(&logs));
    let name = file.file_name().and_then(|name| name.to_str()).expect("UTF-8").to_owned();
    let nanos: u64 = name.split('.').next().and_then(|nanos| nanos.parse().ok()).expect("a number");
    let day = date(zone, &["-d", &format!("@{}", nanos / 1_000_000_000), "+%Y/%B/%-d"]);
    assert_eq!(file, logs.join(day.to_lowercase()).join(&name));
}
