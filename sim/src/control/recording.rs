//! The run as a trace of segments, each of which has to replay to the same events.

use openctrl_core::control::{Attached, Control, ControlEffect, ControlInput};
use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::ids::{BootId, ProcessRef};
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, Encoder, End, EndReason, Header, Replay};

/// Inputs of a segment.
const INPUTS: usize = 300;

/// A segment that is being recorded.
#[derive(Debug)]
pub(super) struct Recording {
    encoder: Encoder,
    effects: Digest,
    control: Digest,
    followed: Digest,
    inputs: usize,
    /// Whether the input at hand of the machine of the control API is recorded.
    is_following: bool,
}

impl Recording {
    /// Begins a segment. Neither has pending effects.
    pub(super) fn begin(now: Now, engine: &Engine, control: &Control) -> Self {
        let header = Header {
            product: "simulation".to_owned(),
            boot: BootId(1),
            sequence: 1,
            started: now,
            has_text: false,
        };
        Self {
            encoder: Encoder::begin_beside(&header, engine, Some(control)),
            effects: Digest::default(),
            control: Digest::default(),
            followed: Digest::default(),
            inputs: 0,
            is_following: false,
        }
    }

    /// Whether the segment is long enough.
    pub(super) const fn is_long(&self) -> bool {
        self.inputs >= INPUTS
    }

    pub(super) fn input(&mut self, now: Now, input: &Input) {
        self.is_following = true;
        self.inputs += 1;
        self.encoder.input(now, self.effects, input);
    }

    pub(super) fn control(&mut self, now: Now, input: &ControlInput) {
        self.is_following = !input.only_asks();
        self.inputs += 1;
        self.encoder.control(now, self.effects, input);
    }

    pub(super) fn effect(&mut self, effect: &Effect) {
        self.effects.effect(effect);
    }

    pub(super) fn attached(&mut self, attached: &[Attached]) {
        attached.iter().for_each(|attached| attached.digest(&mut self.control));
    }

    pub(super) fn control_effect(&mut self, effect: &ControlEffect) {
        if self.is_following {
            effect.digest(&mut self.control);
        }
    }

    /// The step is over.
    pub(super) fn followed(&mut self, pids: &[(ProcessRef, i32)]) {
        if self.control != self.followed || !pids.is_empty() {
            self.followed = self.control;
            self.encoder.followed(self.control, pids);
        }
    }

    /// Ends the segment, and replays it.
    ///
    /// # Errors
    /// The first difference.
    pub(super) fn check(mut self, engine: &Engine, control: &Control) -> Result<u64, String> {
        self.encoder.control_state(control.fingerprint());
        let (effects, state) = (Some(self.effects), Some(engine.fingerprint()));
        let bytes = self.encoder.end(&End { why: EndReason::Continued, effects, state });
        let mut replay = Replay::new(&bytes).map_err(|error| format!("a trace: {error}"))?;
        while let Some(step) = replay.step() {
            if let Some(difference) = &replay.summary().difference {
                return Err(format!("INV-10: a replay differs: {difference:?}: {step:?}"));
            }
        }
        let checked = replay.summary().control_checked;
        match replay.control().map(Control::fingerprint) {
            Some(print) if print == control.fingerprint() => Ok(checked),
            other => Err(format!("INV-10: a replay ends in another state: {other:?}")),
        }
    }
}
