//! What recording costs, measured: `cargo test --release -p openctrl --lib cost -- --ignored --nocapture`.
//! `docs/TRACE.md` quotes it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use openctrl_core::engine::{Effect, Event, Input, MasterFace, Subject};
use openctrl_core::events::{EventId, EventKind};
use openctrl_core::ids::{BootId, KeyEpoch};
use openctrl_core::master::MasterIdentity;
use openctrl_core::output::OutputParser;
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, Encoder, Header};
use tempfile::TempDir;

use super::Recorder;
use super::tests::{Loop, destination};
use crate::hub::Hub;

/// Inputs between two pauses, in which the thread may catch up: what is lost costs nothing.
const ROUND: usize = 64;

#[test]
#[ignore = "a measurement; says nothing in a debug build"]
fn cost_of_recording_a_flood_of_checkpoints() {
    for (checkpoints, rounds, inputs_per_step) in [(1, 60, 1), (1, 60, 64), (280, 60, 8)] {
        let cost = measure(checkpoints, rounds, inputs_per_step);
        let per_input = |time: Duration| time.as_nanos() as f64 / (rounds * ROUND) as f64;
        let (work, hand_over, encode) =
            (per_input(cost.work), per_input(cost.hand_over), per_input(cost.encode));
        let share = 100.0 * hand_over / (work + hand_over);
        println!(
            "{checkpoints:>4} checkpoints an input, {inputs_per_step:>2} inputs a step: \
                 loop {work:>8.0} ns, hand over {hand_over:>5.0} ns ({share:.2} %), \
                 encode in the thread {encode:>7.0} ns, {:>6.1} bytes an input",
            cost.bytes as f64 / (rounds * ROUND) as f64
        );
        assert!(!cost.has_lost, "the figures are of inputs that were recorded");
    }
}

struct Cost {
    /// The engine and the hub: what the loop does for an input in any case.
    work: Duration,
    hand_over: Duration,
    encode: Duration,
    bytes: usize,
    has_lost: bool,
}

fn measure(checkpoints: usize, rounds: usize, inputs_per_step: usize) -> Cost {
    let home = TempDir::new().expect("a directory");
    let mut looped = Loop::new(Recorder::default());
    let mut recorder = Recorder::start(destination(home.path(), 256 * 1024)).expect("a thread");
    let identity = MasterIdentity::from_random([1; 8], [2; 16]);
    let hub = Hub::new(BootId(7), MasterFace { identity, key_epoch: KeyEpoch(0) });
    // What the engine published before: the hub counts along.
    for number in 1..=2 {
        hub.publish(&Event {
            id: EventId(number),
            time: looped.now.wall,
            kind: EventKind::Update,
            subject: Subject::Key,
            json: Bytes::from_static(b"{}"),
        });
    }
    let header = Header {
        product: "test".to_owned(),
        boot: BootId(7),
        sequence: 1,
        started: looped.now,
        has_text: false,
    };
    let mut encoder = Encoder::begin(&header, &looped.engine);
    let mut cost = Cost {
        work: Duration::ZERO,
        hand_over: Duration::ZERO,
        encode: Duration::ZERO,
        bytes: 0,
        has_lost: false,
    };
    let mut effects: Vec<Vec<Effect>> = Vec::new();
    for round in 0..rounds {
        let inputs: Vec<(Now, Input)> = (0..ROUND)
            .map(|index| input(&mut looped, checkpoints, round * ROUND + index))
            .collect();

        effects.clear();
        let begun = Instant::now();
        for (now, input) in &inputs {
            looped.engine.handle(*now, input.clone());
            let mut drained = Vec::new();
            while let Some(effect) = looped.engine.poll_effect() {
                if let Effect::Publish(event) = &effect {
                    hub.publish(event);
                }
                drained.push(effect);
            }
            effects.push(drained);
        }
        cost.work += begun.elapsed();

        let begun = Instant::now();
        for (index, ((now, input), effects)) in inputs.iter().zip(&effects).enumerate() {
            recorder.input(&looped.engine, *now, input);
            effects.iter().for_each(|effect| recorder.effect(effect));
            if (index + 1) % inputs_per_step == 0 {
                recorder.hand_over(&looped.engine, *now);
            }
        }
        cost.hand_over += begun.elapsed();
        cost.has_lost |= recorder.has_lost();
        recorder.wait_until_idle();

        let begun = Instant::now();
        for (now, input) in &inputs {
            encoder.input(*now, Digest::default(), input);
        }
        cost.bytes += encoder.take().len();
        cost.encode += begun.elapsed();
    }
    recorder.finish(&looped.engine);
    cost
}

/// A read of output with so many checkpoints, a millisecond after the last.
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
