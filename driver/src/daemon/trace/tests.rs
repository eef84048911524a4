//! Tests of the recorder with real files: everything written can be replayed, whatever happens to
//! the loop, to the queue or to the disk.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::{fs, thread};

use openctrl_core::command::{self, Caller};
use openctrl_core::engine::{Contradiction, Effect, Engine, Input};
use openctrl_core::ids::{BootId, KeyEpoch, ProcessRef, RecordSeq, RequestId};
use openctrl_core::master::MasterIdentity;
use openctrl_core::output::OutputParser;
use openctrl_core::store::Image;
use openctrl_core::time::{Now, Time, Wall};
use openctrl_core::trace::{EndReason, Ending, Replay};
use openctrl_core::url::InstanceUrl;
use tempfile::TempDir;

use super::files::segments;
use super::writer::Writer;
use super::{Destination, Recorder};

/// Tells a child process of this test that it is one, and where to record.
const CHILD: &str = "OPENCTRL_TEST_TRACE";

pub(super) fn destination(directory: &Path, size_kib: u64) -> Destination {
    Destination {
        directory: directory.to_owned(),
        total_bytes: size_kib * 1024,
        has_text: false,
        boot: BootId(7),
        product: "test".to_owned(),
    }
}

/// A loop as the reactor's, around an engine with one running process.
pub(super) struct Loop {
    pub(super) engine: Engine,
    pub(super) recorder: Recorder,
    pub(super) now: Now,
    pub(super) process: Option<ProcessRef>,
}

impl Loop {
    pub(super) fn new(recorder: Recorder) -> Self {
        let wall = Wall::from_micros(1_781_000_000_000_000);
        let now = Now { mono: Time::ZERO, wall };
        let image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
        let engine = Engine::new(image, [3; 32], now);
        let mut looped = Self { engine, recorder, now, process: None };
        looped.drain();
        let url = InstanceUrl::parse("demo://host/?x=hush").expect("a URL");
        let caller = Caller::v2(KeyEpoch(0));
        let command = command::Command::Create { url, alias: String::new() };
        looped.tell(Input::RequestArrived { request: RequestId(1), caller, command });
        looped.tell(Input::RecordsPersisted { upto: RecordSeq(1) });
        let process = looped.process.expect("it is spawned at once");
        looped.tell(Input::ProcessStarted { process });
        looped
    }

    pub(super) fn tell(&mut self, input: Input) {
        self.now.mono = Time::from_micros(self.now.mono.as_micros() + 1_000);
        self.recorder.input(&self.engine, None, self.now, &input);
        self.engine.handle(self.now, input);
        self.drain();
    }

    pub(super) fn hand_over(&mut self) {
        self.recorder.hand_over(&self.engine, None, self.now);
    }

    fn drain(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            self.recorder.effect(&effect);
            if let Effect::Spawn { process, .. } = effect {
                self.process = Some(process);
            }
        }
    }

    /// The process prints this many checkpoints in one read.
    pub(super) fn print(&mut self, checkpoints: usize) {
        let line = "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5\
                    |TCPRX=123456|TCPTX=234567|UDPRX=345678|UDPTX=456789\n";
        let batch = Arc::new(OutputParser::default().push(line.repeat(checkpoints).as_bytes()));
        let process = self.process.expect("it was spawned");
        self.tell(Input::OutputRead { process, batch });
    }
}

/// The end of a segment, and the number of its inputs; all of them must replay unchanged.
fn replayed(path: &Path) -> (EndReason, u64) {
    let bytes = fs::read(path).expect("a segment");
    let mut replay = Replay::new(&bytes).expect("a header");
    while replay.step().is_some() {}
    assert_eq!(replay.summary().difference, None, "{}", path.display());
    let Some(Ending::Marked(end)) = replay.ending() else {
        panic!("{}: {:?}", path.display(), replay.ending())
    };
    (end.why, replay.summary().inputs)
}

#[test]
fn the_segment_of_a_contradiction_is_kept_when_the_trace_is_full() {
    let home = TempDir::new().expect("a directory");
    let mut looped = Loop::new(Recorder::start(destination(home.path(), 1024)).expect("a thread"));
    let what = "for a test".to_owned();
    looped.recorder.contradicted(Contradiction { part: "table", what });
    let begun = home.path().join("20260609T101320Z-00000007-000001.trace");
    let oldest = || all(home.path()).into_iter().next().unwrap_or_default();
    // Names sort by time: the first is removed once the trace is full.
    while oldest() <= begun {
        looped.print(300);
        looped.hand_over();
        looped.recorder.wait_until_idle();
    }
    let Loop { engine, recorder, .. } = looped;
    recorder.finish(&engine);
    let (why, inputs) = replayed(&begun.with_extension("trace.kept"));
    assert_eq!(why, EndReason::Continued);
    assert!(inputs > 4, "{inputs} inputs");
}

#[test]
fn at_most_four_segments_are_kept() {
    let home = TempDir::new().expect("a directory");
    for number in 0..5 {
        let segment = home.path().join(format!("20260609T10132{number}Z-00000007-000001.trace"));
        fs::write(&segment, "").expect("a file");
        let kept = super::files::keep(&segment).map_err(|error| error.to_string());
        if number < 4 {
            assert!(kept.expect("a second name").exists());
        } else {
            assert_eq!(kept, Err("4 segments are kept already".to_owned()));
        }
    }
    assert_eq!(all(home.path()).len(), 5, "the kept ones are not segments of the trace");
}

fn all(directory: &Path) -> Vec<PathBuf> {
    segments(directory).expect("a directory")
}

#[test]
fn what_the_loop_was_told_can_be_told_again() {
    let home = TempDir::new().expect("a directory");
    let directory = home.path().join("new").join("trace");
    let recorder = Recorder::start(destination(&directory, 1024)).expect("a thread");
    let mut looped = Loop::new(recorder);
    looped.print(3);
    looped.hand_over();
    looped.print(4);
    let Loop { engine, recorder, .. } = looped;
    recorder.finish(&engine);
    let [segment] = &all(&directory)[..] else { panic!("one segment") };
    assert_eq!(replayed(segment), (EndReason::Finished, 5));
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(segment)), (0o700, 0o600));
    assert!(segment.ends_with("20260609T101320Z-00000007-000001.trace"), "{segment:?}");
}

#[test]
fn a_flood_stays_within_its_bound_and_loses_only_the_oldest() {
    let home = TempDir::new().expect("a directory");
    let others = ["notes.trace", "20260609T101320Z-00000007-00001.trace"];
    for other in others {
        fs::write(home.path().join(other), vec![0; 4096]).expect("written");
    }
    let recorder = Recorder::start(destination(home.path(), 1024)).expect("a thread");
    let mut looped = Loop::new(recorder);
    let total = || -> u64 {
        let sizes = all(home.path()).into_iter().filter_map(|path| fs::metadata(path).ok());
        sizes.map(|file| file.len()).sum()
    };
    let newest = || all(home.path()).pop().unwrap_or_default();
    let mut rounds = 0;
    while newest() < home.path().join("20260609T101320Z-00000007-000030.trace") {
        looped.print(20);
        looped.hand_over();
        rounds += 1;
        if rounds % 50 == 0 {
            assert!(total() <= 1024 * 1024, "{}", total());
        }
    }
    let Loop { engine, recorder, .. } = looped;
    recorder.finish(&engine);
    assert!(total() <= 1024 * 1024, "{}", total());
    let segments = all(home.path());
    assert!((4..=12).contains(&segments.len()), "{segments:?}");
    let inputs: u64 = segments.iter().map(|path| replayed(path).1).sum();
    assert!(inputs > 100, "{inputs}");
    assert!(others.iter().all(|other| home.path().join(other).exists()), "not ours to remove");
}

#[test]
fn segments_follow_each_other_without_a_gap() {
    let home = TempDir::new().expect("a directory");
    let mut looped = Loop::new(Recorder::start(destination(home.path(), 1024)).expect("a thread"));
    let newest = || all(home.path()).pop().unwrap_or_default();
    while newest() < home.path().join("20260609T101320Z-00000007-000004.trace") {
        // Enough to wake the thread up, which takes more only when it is done with it.
        looped.print(300);
        looped.hand_over();
        looped.recorder.wait_until_idle();
    }
    let Loop { engine, recorder, .. } = looped;
    recorder.finish(&engine);
    let ends: Vec<EndReason> = all(home.path()).iter().map(|path| replayed(path).0).collect();
    let (last, others) = ends.split_last().expect("there are some");
    assert!(others.iter().all(|end| *end == EndReason::Continued), "{ends:?}");
    assert_eq!((others.len() >= 3, *last), (true, EndReason::Finished));
}

#[test]
fn a_segment_follows_a_gap() {
    let home = TempDir::new().expect("a directory");
    let to = destination(home.path(), 64 * 1024);
    // The thread is late: it runs only when there is no room any more.
    let queue = Writer::queue(&to);
    let mut looped = Loop::new(Recorder::onto(Arc::clone(&queue)));
    while !looped.recorder.has_lost() {
        looped.print(300);
        looped.hand_over();
    }
    looped.print(1);
    Writer::start(to, queue).expect("a thread");
    while looped.recorder.has_lost() {
        looped.print(1);
        looped.hand_over();
        thread::yield_now();
    }
    looped.print(1);
    let Loop { engine, recorder, .. } = looped;
    recorder.finish(&engine);
    let ends: Vec<EndReason> = all(home.path()).iter().map(|path| replayed(path).0).collect();
    let [EndReason::Lost(lost), EndReason::Finished] = ends[..] else { panic!("{ends:?}") };
    assert!(lost >= 2, "what found no room, and what came after it: {lost}");
}

#[test]
fn a_directory_that_cannot_be_made_costs_the_trace_only() {
    let home = TempDir::new().expect("a directory");
    let file = home.path().join("file");
    fs::write(&file, "in the way").expect("written");
    let recorder = Recorder::start(destination(&file.join("trace"), 1024)).expect("a thread");
    let mut looped = Loop::new(recorder);
    for _ in 0..100 {
        looped.print(10);
        looped.hand_over();
    }
    let Loop { engine, recorder, .. } = looped;
    recorder.finish(&engine);
    assert_eq!(fs::read_to_string(file).expect("still there"), "in the way");
}

#[test]
fn a_panic_of_the_loop_writes_what_led_to_it() {
    if let Some(directory) = std::env::var_os(CHILD) {
        let recorder = Recorder::start(destination(Path::new(&directory), 1024));
        let mut looped = Loop::new(recorder.expect("a thread"));
        looped.hand_over();
        looped.print(2);
        panic!("as the engine would");
    }
    let home = TempDir::new().expect("a directory");
    let (_, module) = module_path!().split_once("::").expect("a crate and a module");
    let test = format!("{module}::a_panic_of_the_loop_writes_what_led_to_it");
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", &test, "--nocapture"]).env(CHILD, home.path());
    let output = child.output().expect("it runs");
    assert!(!output.status.success());
    let [segment] = &all(home.path())[..] else { panic!("one segment") };
    assert_eq!(replayed(segment), (EndReason::Panicked, 4), "the last input is there");
    let line = format!("REPRODUCE: openctrl replay '{}'\n", segment.display());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&line), "{stderr}");
}
