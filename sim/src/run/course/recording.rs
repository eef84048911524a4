//! A run as a trace: what the engine is told, written down as the master does it.

use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::time::Now;
use openctrl_core::trace::{Digest, Encoder, End, EndReason, Header};

/// A segment under way.
#[derive(Debug)]
pub(super) struct Recording {
    encoder: Encoder,
    effects: Digest,
}

impl Recording {
    /// Begins one with the engine as it stands.
    pub(super) fn begin(header: &Header, engine: &Engine) -> Self {
        Self { encoder: Encoder::begin(header, engine), effects: Digest::default() }
    }

    /// The engine is about to be told this.
    pub(super) fn input(&mut self, now: Now, input: &Input) {
        self.encoder.input(now, self.effects, input);
    }

    /// It ordered this.
    pub(super) fn effect(&mut self, effect: &Effect) {
        self.effects.effect(effect);
    }

    /// The segment. All effects of the last input have to have been seen for it to tell how the
    /// engine came out; else it only ends.
    pub(super) fn end(self, engine: Option<&Engine>) -> Vec<u8> {
        let Self { encoder, effects } = self;
        let state = engine.map(Engine::fingerprint);
        let effects = state.map(|_| effects);
        encoder.end(&End { why: EndReason::Continued, effects, state })
    }
}
