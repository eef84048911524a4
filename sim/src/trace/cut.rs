//! The beginning of a trace, with the digests that were recorded.

use openctrl_core::trace::{Digest, Encoder, End, EndReason};

use super::steps::Steps;

/// The trace up to the end of this many steps.
pub(super) fn cut_after(trace: &Steps, steps: usize) -> Vec<u8> {
    let mut header = trace.header.clone();
    header.has_text = false;
    let mut encoder = Encoder::begin(&header, &trace.engine);
    let mut states = trace.states.iter().peekable();
    for (index, step) in trace.steps.iter().enumerate().take(steps) {
        encoder.input(step.now, whole(step.effects), &step.input);
        while let Some((_, state)) = states.next_if(|(after, _)| *after <= index + 1) {
            encoder.state(*state);
        }
    }
    let next = trace.steps.get(steps).map(|next| whole(next.effects));
    let why = EndReason::Continued;
    encoder.end(&match (next, &trace.end) {
        (None, Some(end)) => *end,
        (effects, _) => End { why, effects, state: None },
    })
}

/// A digest of which the upper half is known.
fn whole(short: u32) -> Digest {
    Digest(u64::from(short) << 32)
}
