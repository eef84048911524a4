//! The history of what instances printed: `GET /instances/{id}/logs`, and log files.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use openctrl_tests::script::Step;
use openctrl_tests::signpost::Mark;
use openctrl_tests::wait::holds_for;
use openctrl_tests::{Api, Master, Script, until};
use rustix::fs::Mode;
use serde_json::{Value, json};

/// A page of the history; checks its form.
fn page(api: &Api, id: &str, query: &str) -> Value {
    let page = api.get(&format!("/instances/{id}/logs?{query}")).expect(200).json();
    let mut names: Vec<&String> = page.as_object().expect("an object").keys().collect();
    names.sort();
    assert_eq!(names, ["lines", "missed", "more", "next"]);
    for line in page["lines"].as_array().expect("an array") {
        let mut names: Vec<&String> = line.as_object().expect("an object").keys().collect();
        names.sort();
        assert_eq!(names, ["cut", "id", "text", "time"]);
        openctrl_tests::rfc3339::unix_nanos(line["time"].as_str().expect("a string"))
            .expect("a time of RFC 3339");
    }
    page
}

fn texts(page: &Value) -> Vec<String> {
    let lines = page["lines"].as_array().expect("an array");
    lines.iter().map(|line| line["text"].as_str().expect("a string").to_owned()).collect()
}

fn next(page: &Value) -> &str {
    page["next"].as_str().expect("a cursor")
}

#[test]
fn what_was_printed_before_anybody_watched_is_there() {
    let master = Master::start();
    let api = master.api();
    let cue = master.cue("more");
    let script = Script::new().print("first").print("second").cue(&cue).print("third").wait();
    let id = api.run(&script);
    until("two lines", || texts(&page(&api, &id, "")) == ["first", "second"]);
    let before = page(&api, &id, "");
    assert_eq!((&before["missed"], &before["more"]), (&json!(0), &json!(false)));

    let mut events = master.events();
    cue.give();
    let event = events.wait_log(&id, "third");
    let after = page(&api, &id, &format!("cursor={}", next(&before)));
    assert_eq!(texts(&after), ["third"]);
    assert_eq!(after["lines"][0]["id"].as_str(), event.id.as_deref(), "one id for one line");
    let from_event = page(&api, &id, &format!("before={}", event.id.expect("an id")));
    assert_eq!(texts(&from_event), ["first", "second"]);
    assert_eq!(texts(&page(&api, &id, "limit=1")), ["third"]);
    assert_eq!(texts(&page(&api, &id, "grep=^.(i%7Ce)")), ["first", "second"]);
}

#[test]
fn notes_of_the_master_and_odd_bytes_are_lines_too() {
    let master = Master::start();
    let api = master.api();
    let script = Script::new().raw(*b"\xff<script>\x1b[31m\r\n\n").wait();
    let id = api.run(&script);
    until("two lines", || texts(&page(&api, &id, "")).len() == 2);
    assert_eq!(texts(&page(&api, &id, "")), ["\u{fffd}<script>\u{1b}[31m", ""]);

    let broken = Master::builder().query("bin", "/no/such/runtime").start();
    let id = openctrl_tests::api::id_of(&broken.api().create("a:b"));
    until("a note", || {
        let lines = texts(&page(&broken.api(), &id, ""));
        lines.first().is_some_and(|line| line.starts_with("cannot start: /no/such/runtime"))
    });
}

#[test]
fn a_long_line_is_kept_as_far_as_lines_are() {
    let master = Master::start();
    let api = master.api();
    let script = Script::new().step(Step::Fill(27, 1_000_000)).print("").wait();
    let id = api.run(&script);
    until("a line", || texts(&page(&api, &id, "")).len() == 1);
    let line = &page(&api, &id, "")["lines"][0];
    assert_eq!(line["text"].as_str().map(str::len), Some(64 * 1024));
    assert_eq!(line["cut"], 1_000_000 - 64 * 1024);
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    for (query, word) in [
        ("limit=0", "limit"),
        ("limit=5001", "limit"),
        ("cursor=x", "cursor"),
        ("before=1", "before"),
        ("cursor=00000000-1&before=00000000-1", "both"),
        ("grep=(", "unclosed group"),
        ("grep=%28a%7B1000%7D%29%7B1000%7D", "exceeds"),
    ] {
        let answer = api.get(&format!("/instances/{id}/logs?{query}")).expect_error(400).json();
        let message = answer["error"].as_str().expect("a message");
        assert!(message.contains(word), "{query}: {message}");
    }
    api.get("/instances/00000000/logs").expect_error(404);
    api.get("/instances/********/logs").expect_error(404);
    api.get("/instances//logs").expect_error(400);
    api.request("POST", &format!("/instances/{id}/logs")).send().expect_error(405);
    api.without_key().get(&format!("/instances/{id}/logs")).expect_error(401);
}

#[test]
fn a_flood_is_bounded_and_takes_nothing_from_the_others() {
    let master = Master::builder().query("log_lines", "100").query("log_memory", "1").start();
    let api = master.api();
    let quiet = api.run(&Script::new().print("I was here").wait());
    until("the quiet line", || texts(&page(&api, &quiet, "")).len() == 1);
    let cue = master.cue("flood");
    let flood = Script::new().print("begin").cue(&cue).step(Step::Flood(20_000, 200));
    let id = api.run(&flood.print("the end").wait());
    until("the beginning", || texts(&page(&api, &id, "")) == ["begin"]);
    let begun = page(&api, &id, "");
    cue.give();
    until("the end of the flood", || texts(&page(&api, &id, "limit=1")) == ["the end"]);
    assert_eq!(texts(&page(&api, &id, "limit=5000")).len(), 100);
    let rest = page(&api, &id, &format!("limit=5000&cursor={}", next(&begun)));
    assert_eq!(rest["missed"], 20_001 - 100);
    assert_eq!(texts(&page(&api, &quiet, "")), ["I was here"]);
}

#[test]
fn a_deleted_instance_is_forgotten() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let master = Master::builder().query("logs", folder.path().to_str().unwrap()).start();
    let api = master.api();
    let id = api.run(&Script::new().print("a line").wait());
    until("the line", || texts(&page(&api, &id, "")).len() == 1);
    api.delete(&id).expect(204);
    api.get(&format!("/instances/{id}/logs")).expect_error(404);
    until("its file, which stays", || {
        read(folder.path(), &id).is_some_and(|t| t.ends_with(" a line\n"))
    });
}

fn read(folder: &Path, id: &str) -> Option<String> {
    fs::read_to_string(folder.join(format!("{id}.log"))).ok()
}

#[test]
fn files_keep_the_history_over_a_restart() {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let folder = parent.path().join("logs");
    let mut master = Master::builder().query("logs", folder.to_str().unwrap()).start();
    let api = master.api();
    let id = api.run_once(&Script::new().print("one").print("two").exit(0));
    until("two lines", || texts(&page(&api, &id, "")).len() == 2);
    let old = page(&api, &id, "");
    master.stop();
    let text = read(&folder, &id).expect("a file");
    let lines: Vec<&str> = text.lines().collect();
    let time = |index: usize| old["lines"][index]["time"].as_str().expect("a time");
    assert_eq!(lines, [format!("{} one", time(0)), format!("{} two", time(1))]);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(format!("{id}.log")))), (0o700, 0o600));

    master.restart();
    let api = master.api();
    let again = page(&api, &id, "");
    assert_eq!(texts(&again), ["one", "two"]);
    assert_eq!(again["lines"][0]["time"], old["lines"][0]["time"]);
    api.act(&id, "start");
    let after = format!("cursor={}", next(&again));
    until("two more", || texts(&page(&api, &id, &after)) == ["one", "two"]);
    let elsewhere = page(&api, &id, &format!("cursor={}", next(&old)));
    assert_eq!((texts(&elsewhere).len(), &elsewhere["missed"]), (4, &Value::Null));
}

#[test]
fn files_are_rotated_by_size() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let master = Master::builder()
        .query("logs", folder.path().to_str().unwrap())
        .query("log_size", "1")
        .query("log_keep", "2")
        .start();
    let api = master.api();
    let id = api.run(&Script::new().step(Step::Flood(40_000, 100)).print("the end").wait());
    until("the end in a file", || {
        read(folder.path(), &id).is_some_and(|text| text.ends_with(" the end\n"))
    });
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .expect("readable")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["", ".1", ".2"].map(|end| format!("{id}.log{end}")));
    for name in names {
        let size = fs::metadata(folder.path().join(name)).expect("it is there").len();
        assert!(size <= 1024 * 1024 + 300_000, "{size}");
    }
}

#[test]
fn a_disk_that_takes_nothing_is_told_of_once() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let logs = folder.path().join("logs");
    let master = Master::builder().query("logs", logs.to_str().unwrap()).start();
    let api = master.api();
    fs::remove_dir(&logs).expect("nothing is in it");
    fs::write(&logs, "in the way").expect("written");
    let cue = master.cue("more");
    let id = api.run(&Script::new().print("lost").print("lost").cue(&cue).print("kept").wait());
    let warned = "warning: Master.logs: cannot write log files in";
    master.output().wait_for_line(warned, |line| line.text.contains(warned));
    fs::remove_file(&logs).expect("removed");
    fs::create_dir(&logs).expect("made");
    cue.give();
    let mended = "Master.logs: the log files can be written again";
    master.output().wait_for_line(mended, |line| line.text.contains(mended));
    until("the line", || read(&logs, &id).is_some_and(|text| text.ends_with(" kept\n")));
    assert_eq!(texts(&page(&api, &id, "")).len(), 3, "in memory is all of it");
}

/// A log file on a disk that is slow: a FIFO. The thread that writes is held up as it opens it, until
/// the time of a first line is there, and then whenever it is full.
struct SlowFile(fs::File);

impl SlowFile {
    fn create(logs: &Path, id: &str) -> Self {
        let path = logs.join(format!("{id}.log"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).expect("made");
        // For writing, too: nothing read from it is its end.
        let mut options = fs::File::options();
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        Self(options.read(true).write(true).custom_flags(nonblocking).open(path).expect("there"))
    }

    /// Lets the writer continue, and reads until a line ends like this.
    fn read_to(mut self, last: &str) -> String {
        let time = b"2026-06-09T10:00:00.000000Z";
        self.0.write_all(time).expect("a FIFO takes a little");
        // It writes as soon as it has the time.
        let unread = || rustix::io::ioctl_fionread(&self.0).expect("a FIFO says it");
        until("the writer to take the time", || unread() != time.len() as u64);
        let (end, mut text, mut part) = (format!(" {last}\n"), Vec::new(), vec![0; 64 * 1024]);
        until("the last line", || {
            while let Ok(count) = self.0.read(&mut part) {
                text.extend_from_slice(&part[..count]);
            }
            text.ends_with(end.as_bytes())
        });
        String::from_utf8(text).expect("text")
    }
}

/// Lines of 100 bytes, more of them than may wait for the files.
const FLOOD_LINES: usize = 200_000;

/// A master, an instance that floods as soon as its file is slow, and marks that it has printed all of
/// it before it continues with `rest`.
struct Flood {
    master: Master,
    id: String,
    file: SlowFile,
    printed: Mark,
    _folder: tempfile::TempDir,
}

impl Flood {
    fn begin(full: &str, rest: Step) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let logs = folder.path().to_str().expect("UTF-8");
        let builder = Master::builder().query("logs", logs).query("log_size", "1000");
        let master = builder.query("log_age", "0").query("logs_full", full).start();
        let (begin, printed) = (master.cue("begin"), master.mark("printed"));
        let script = Script::new().cue(&begin).step(Step::Flood(FLOOD_LINES, 100)).mark(&printed);
        let id = master.api().run(&script.step(rest).wait());
        let file = SlowFile::create(folder.path(), &id);
        begin.give();
        Self { master, id, file, printed, _folder: folder }
    }
}

#[test]
fn only_a_process_that_floods_waits_for_a_slow_disk_and_no_line_is_lost() {
    let Flood { master, file, printed, _folder, .. } =
        Flood::begin("wait", Step::Print("end".into()));
    let mut events = master.events();
    let quiet = master.run(&mut events, &Script::new().print("heard").wait());
    events.wait_log(&quiet, "heard");
    holds_for("it waits", Duration::from_secs(1), || printed.count() == 0);
    let text = file.read_to("end");
    assert_eq!(text.matches("lines are missing").count(), 0);
    assert_eq!(text.lines().count(), FLOOD_LINES + 1);
    printed.wait(1);
}

#[test]
fn a_process_that_waits_for_a_slow_disk_can_be_stopped() {
    let Flood { master, id, file, printed, _folder } =
        Flood::begin("wait", Step::Print("end".into()));
    let mut events = master.events();
    holds_for("it waits", Duration::from_secs(1), || printed.count() == 0);
    master.api().act(&id, "stop");
    events.wait_status(&id, "stopped");
    drop(file);
}

#[test]
fn lines_are_dropped_and_counted_if_no_process_may_wait() {
    let last = Script::new().print("last").step(Step::SleepMs(50));
    let Flood { master: _master, file, printed, _folder, .. } =
        Flood::begin("drop", Step::Repeat(0, last));
    printed.wait(1);
    let text = file.read_to("last");
    let missing = |line: &str| -> Option<usize> {
        let note = line.strip_suffix(" lines are missing here: the disk is slow)")?;
        note.rsplit_once('(')?.1.parse().ok()
    };
    let missing: usize = text.lines().filter_map(missing).sum();
    let written = text.lines().filter(|line| line.contains(" flood-")).count();
    // Some of the last lines may be missing, too.
    assert!(missing + written >= FLOOD_LINES, "{missing} and {written}");
}

#[test]
fn a_directory_that_cannot_be_made_is_no_start() {
    let finished =
        openctrl_tests::master::run_to_end(&["master://127.0.0.1:0?logs=/dev/null/logs"]);
    assert!(!finished.status.success());
    assert!(finished.stderr.contains("cannot keep log files"), "{}", finished.stderr);
}
