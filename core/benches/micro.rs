//! `cargo bench -p openctrl-core --bench micro [-- --quick]`: what the pure parts take by
//! themselves, in nanoseconds, the least of several runs: whatever else the machine does only adds.
//! No I/O and no threads: what is over in the figures of the whole program is the system's.

use std::hint::black_box;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use openctrl_core::counters::SavedTotals;
use openctrl_core::doors::v2::{InstanceObject, LogFrames, Secrets, write_event};
use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::event::{EventKind, EventName, Window, WindowLimits};
use openctrl_core::ids::{BootId, EventId, InstanceId, ProcessRef};
use openctrl_core::instance::{Definition, Instance};
use openctrl_core::line::LineSplitter;
use openctrl_core::master::MasterIdentity;
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::store::{Image, StoredInstance};
use openctrl_core::time::{Now, Time, Wall};
use openctrl_core::url::InstanceUrl;

const CHECKPOINT: &str = "CHECK_POINT|MODE=1|PING=12ms|POOL=4|TCPS=10|UDPS=2\
    |TCPRX=123456|TCPTX=654321|UDPRX=2048|UDPTX=4096\n";
/// As many lines as fit in what the driver reads at a time.
const LINES: usize = 300;

fn main() -> io::Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let runs = if quick { 3 } else { 15 };
    let mut out = io::stdout().lock();
    let log_text = format!("{:x<100}\n", "2026-06-09 listening ").repeat(LINES);
    let checkpoint_text = CHECKPOINT.repeat(LINES);
    let mut told = |name: &str, ns: f64| writeln!(out, "{name}: {ns:.1} ns");

    told("split, a line of 100 bytes", least_ns(runs, LINES, split(log_text.as_bytes())))?;
    told("split and parse, a log line", least_ns(runs, LINES, parse(log_text.as_bytes())))?;
    told(
        "split and parse, a checkpoint",
        least_ns(runs, LINES, parse(checkpoint_text.as_bytes())),
    )?;
    for (what, text) in [("checkpoint", &checkpoint_text), ("log line", &log_text)] {
        let batch = OutputParser::default().push(text.as_bytes());
        let name = format!("engine: a {what}, {LINES} a batch");
        told(&name, least_ns(runs, LINES, engine_step(batch)))?;
        let line = text.split_inclusive('\n').next().unwrap_or_default();
        let batch = OutputParser::default().push(line.as_bytes());
        let name = format!("engine: a {what} by itself");
        told(&name, least_ns(runs, 1, engine_step(batch)))?;
    }
    told("render an instance", least_ns(runs, 1, render()))?;
    told("encode an event", least_ns(runs, 1, encode_event()))?;
    told("encode a log line of 100 bytes", least_ns(runs, 1, encode_log()))?;
    told("window: push into a full one", least_ns(runs, 1, push()))?;
    told("window: read an event, 100 a read", least_ns(runs, 100, read()))?;
    Ok(())
}

/// Nanoseconds that `work` takes for one of the `units` that it does: the least of so many runs.
fn least_ns(runs: usize, units: usize, mut work: impl FnMut()) -> f64 {
    let mut rounds = 1_u32;
    let mut time = |rounds: u32| {
        let begun = Instant::now();
        (0..rounds).for_each(|_| work());
        begun.elapsed()
    };
    // A run is long enough for the clock not to matter.
    while time(rounds) < Duration::from_millis(10) {
        rounds = rounds.saturating_mul(2);
    }
    let per_unit = |took: Duration| took.as_nanos() as f64 / f64::from(rounds) / units as f64;
    (0..runs).map(|_| per_unit(time(rounds))).fold(f64::INFINITY, f64::min)
}

fn split(text: &[u8]) -> impl FnMut() {
    let mut splitter = LineSplitter::new();
    move || {
        splitter.push(text, &mut |line| {
            black_box(line);
        });
    }
}

fn parse(text: &[u8]) -> impl FnMut() {
    let mut parser = OutputParser::default();
    move || {
        black_box(parser.push(text));
    }
}

/// What the engine takes for a batch of output and for its effects.
fn engine_step(batch: OutputBatch) -> impl FnMut() {
    let (mut engine, process, now) = engine_with_a_process();
    let batch = Arc::new(batch);
    move || {
        engine.handle(now, Input::OutputRead { process, batch: Arc::clone(&batch) });
        while let Some(effect) = engine.poll_effect() {
            black_box(effect);
        }
    }
}

fn engine_with_a_process() -> (Engine, ProcessRef, Now) {
    let mut image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
    let stored = StoredInstance::new(definition());
    image.instances.insert(stored.definition.id, stored);
    let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_780_999_200_000_000) };
    let mut engine = Engine::new(image, [7; 32], now);
    let mut spawned = None;
    while let Some(effect) = engine.poll_effect() {
        if let Effect::Spawn { process, .. } = effect {
            spawned = Some(process);
        }
    }
    let process = spawned.expect("a stored instance is started");
    engine.handle(now, Input::ProcessStarted { process });
    while engine.poll_effect().is_some() {}
    (engine, process, now)
}

fn definition() -> Arc<Definition> {
    let url = InstanceUrl::parse("managed://edge.example.net:8443/in?token=abcdef&mode=2");
    let url = url.expect("it is a URL");
    Arc::new(Definition::new(InstanceId(0xabcd), url, "edge-a".to_owned()))
}

fn instance() -> Instance {
    let saved = SavedTotals::default();
    Instance::new(definition(), saved.mode, saved.totals())
}

fn render() -> impl FnMut() {
    let object = InstanceObject::new(instance().view());
    move || {
        black_box(object.json(Secrets::Shown));
    }
}

fn name(id: u64) -> EventName {
    EventName { boot: BootId(1), id: EventId(id) }
}

fn encode_event() -> impl FnMut() {
    let object = InstanceObject::new(instance().view());
    let time = Wall::default().to_string();
    let mut frame = Vec::new();
    move || {
        frame.clear();
        let object = |out: &mut Vec<u8>| object.write(Secrets::Shown, out);
        write_event(&mut frame, Some(name(7)), EventKind::Update, &time, object);
        black_box(&frame);
    }
}

fn encode_log() -> impl FnMut() {
    let object = InstanceObject::new(instance().view());
    let line = [b'x'; 100];
    let frames =
        LogFrames::new(&Wall::default().to_string(), |out| object.write(Secrets::Shown, out));
    let mut frame = Vec::new();
    move || {
        frame.clear();
        frames.write(&mut frame, name(7), &line, 0);
        black_box(&frame);
    }
}

fn full_window() -> (Window<Bytes>, Bytes) {
    let frame = Bytes::from(vec![b'x'; 600]);
    let mut window = Window::new(WindowLimits { max_events: 10_000, max_bytes: 64 << 20 });
    for _ in 0..10_000 {
        window.push(frame.clone(), frame.len());
    }
    (window, frame)
}

fn push() -> impl FnMut() {
    let (mut window, frame) = full_window();
    move || {
        black_box(window.push(frame.clone(), frame.len()));
    }
}

fn read() -> impl FnMut() {
    let (window, frame) = full_window();
    let last = window.next_id().0 - 101;
    move || {
        let mut cursor = window.cursor_after(EventId(last)).expect("it was issued");
        let bytes = 100 * frame.len();
        window.read(&mut cursor, bytes, |_, frame| {
            black_box(frame.clone());
        });
    }
}
