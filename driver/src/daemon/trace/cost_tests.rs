//! What recording costs, measured: `cargo test --release -p openctrl --lib cost -- --ignored --nocapture`.
//! `docs/operators/TRACE.md` quotes it.

use std::sync::Arc;
use std::time::Duration;

use openctrl_core::engine::{Effect, Input};
use openctrl_core::event::{Event, EventKind, Object};
use openctrl_core::ids::{BootId, EventId, KeyEpoch};
use openctrl_core::master::{MasterFace, MasterIdentity};
use openctrl_core::output::OutputParser;
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, Encoder, Header};
use tempfile::TempDir;

use super::Recorder;
use super::tests::{Loop, destination};
use crate::daemon::hub::{Hub, Publisher};

/// Inputs between two readings of the clock.
const ROUND: usize = 64;

#[test]
#[ignore = "a measurement; says nothing in a debug build"]
fn cost_of_recording_a_flood_of_checkpoints() {
    // The last two are a flood: reads of 32 KiB.
    let cases = [(1, 1, 3000, 300), (1, 64, 3000, 300), (280, 1, 60, 2), (280, 8, 60, 2)];
    for (checkpoints, inputs_per_step, rounds, pause_after) in cases {
        let (mut plain, mut recording) = (Side::new(false), Side::new(true));
        for round in 0..rounds {
            for side in [&mut plain, &mut recording] {
                side.round(checkpoints, inputs_per_step, round);
            }
            if round % pause_after == 0 {
                recording.looped.recorder.wait_until_idle();
            }
        }
        assert!(!recording.looped.recorder.has_lost(), "what is lost costs nothing");
        let per_input = |time: Duration| time.as_nanos() as f64 / (rounds * ROUND) as f64;
        let (with, without) = (per_input(recording.spent), per_input(plain.spent));
        let (encode, bytes) = encode(checkpoints);
        println!(
            "{checkpoints:>3} checkpoints an input, {inputs_per_step:>2} inputs a step: \
             loop {without:>7.0} ns an input, recording {:>5.0} ns more ({:.1} %); \
             in the thread {encode:>6.0} ns, {bytes:>5} bytes",
            with - without,
            100.0 * (with - without) / with,
        );
    }
}

/// A loop that publishes to a hub, as the reactor does, and the time it was on a processor.
struct Side {
    _home: TempDir,
    looped: Loop,
    hub: Publisher,
    spent: Duration,
}

impl Side {
    fn new(is_recording: bool) -> Self {
        let home = TempDir::new().expect("a directory");
        let to = destination(home.path(), 256 * 1024);
        let recorder = is_recording.then(|| Recorder::start(to).expect("a thread"));
        let looped = Loop::new(recorder.unwrap_or_default());
        let identity = MasterIdentity::from_random([1; 8], [2; 16]);
        let face = MasterFace { identity: identity.clone(), key_epoch: KeyEpoch(0) };
        let mut hub = Publisher::new(Hub::new(BootId(7), face));
        // Events that the engine published before: the hub counts them.
        for number in 1..=2 {
            hub.publish(Event {
                id: EventId(number),
                time: looped.now.wall,
                kind: EventKind::Update,
                object: Object::Key(identity.clone()),
            });
        }
        Self { _home: home, looped, hub, spent: Duration::ZERO }
    }

    fn round(&mut self, checkpoints: usize, inputs_per_step: usize, round: usize) {
        let looped = &mut self.looped;
        let inputs: Vec<(Now, Input)> =
            (0..ROUND).map(|index| input(looped, checkpoints, round * ROUND + index)).collect();
        let begun = time_on_processor();
        for (index, (now, input)) in inputs.into_iter().enumerate() {
            looped.recorder.input(&looped.engine, None, now, &input);
            looped.engine.handle(now, input);
            while let Some(effect) = looped.engine.poll_effect() {
                looped.recorder.effect(&effect);
                if let Effect::Publish(event) = effect {
                    self.hub.publish(event);
                }
            }
            if (index + 1) % inputs_per_step == 0 {
                looped.recorder.hand_over(&looped.engine, None, now);
                self.hub.wake(now.mono);
            }
        }
        self.spent += time_on_processor().saturating_sub(begun);
    }
}

/// The time to encode an input, in ns, and its size in bytes.
fn encode(checkpoints: usize) -> (f64, usize) {
    let mut looped = Loop::new(Recorder::default());
    let header = Header {
        product: "test".to_owned(),
        boot: BootId(7),
        sequence: 1,
        started: looped.now,
        has_text: false,
    };
    let mut encoder = Encoder::begin(&header, &looped.engine);
    encoder.take();
    let inputs: Vec<_> = (0..ROUND).map(|index| input(&mut looped, checkpoints, index)).collect();
    let (begun, mut bytes) = (time_on_processor(), 0);
    for _ in 0..100 {
        for (now, input) in &inputs {
            encoder.input(*now, Digest::default(), input);
        }
        bytes += encoder.take().len();
    }
    let spent = time_on_processor().saturating_sub(begun);
    (spent.as_nanos() as f64 / (100 * ROUND) as f64, bytes / (100 * ROUND))
}

/// Of this thread: what else runs on the machine does not matter.
fn time_on_processor() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().expect("not negative"), time.tv_nsec as u32)
}

/// A read of output with this many checkpoints, a millisecond after the last.
fn input(looped: &mut Loop, checkpoints: usize, number: usize) -> (Now, Input) {
    looped.now.mono = looped.now.mono.after_ms(1);
    let line = |count: usize| {
        format!(
            "CHECK_POINT|MODE=1|PING={}ms|POOL=3|TCPS=4|UDPS=5|TCPRX={}|TCPTX={}|UDPRX=0|UDPTX=0\n",
            count % 90,
            count * 1024,
            count * 4096
        )
    };
    let text: String = (0..checkpoints).map(|index| line(number * checkpoints + index)).collect();
    let batch = Arc::new(OutputParser::default().push(text.as_bytes()));
    let process = looped.process.expect("it was spawned");
    (looped.now, Input::OutputRead { process, batch })
}
