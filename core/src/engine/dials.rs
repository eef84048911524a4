//! Admission of TCP pings (Contract §9): ten at a time, the others wait a second for their turn.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};

use super::Engine;
use super::effect::Effect;
use super::outbox::Outbox;
use super::timers::{TimerReason, Timers};
use crate::command::{DialOutcome, DialReport, Outcome};
use crate::ids::RequestId;
use crate::limits::{DIAL_WAIT_MS, DIALS_MAX};
use crate::time::Now;

/// Dials under way and pings that wait for one.
#[derive(Clone, Debug, Default)]
pub(super) struct Dials {
    pub(super) under_way: BTreeMap<RequestId, String>,
    pub(super) waiting: VecDeque<(RequestId, String)>,
}

impl Dials {
    /// Takes a ping in: it is dialled at once, or waits.
    pub(super) fn ask(
        &mut self,
        now: Now,
        request: RequestId,
        target: String,
        timers: &mut Timers,
        out: &mut Outbox,
    ) {
        if self.under_way.len() < DIALS_MAX {
            self.dial(request, target, out);
        } else {
            timers.arm(TimerReason::DialWait(request), now.mono.after_ms(DIAL_WAIT_MS));
            self.waiting.push_back((request, target));
        }
    }

    /// Answers a ping that waited too long.
    pub(super) fn give_up(&mut self, request: RequestId, out: &mut Outbox) {
        let position = self.waiting.iter().position(|(waiting, _)| *waiting == request);
        if let Some((request, target)) = position.and_then(|index| self.waiting.remove(index)) {
            fail(request, target, "too many requests", out);
        }
    }

    /// Answers all pings; how their dials end does not matter any more.
    pub(super) fn abandon(&mut self, timers: &mut Timers, out: &mut Outbox) {
        for (request, target) in core::mem::take(&mut self.under_way) {
            fail(request, target, "the master is shutting down", out);
        }
        for (request, target) in core::mem::take(&mut self.waiting) {
            timers.cancel(TimerReason::DialWait(request));
            fail(request, target, "the master is shutting down", out);
        }
    }

    fn dial(&mut self, request: RequestId, target: String, out: &mut Outbox) {
        out.push(Effect::Dial { request, target: target.clone() });
        self.under_way.insert(request, target);
    }
}

fn fail(request: RequestId, target: String, error: &str, out: &mut Outbox) {
    let outcome = DialOutcome::Failed(error.to_string());
    out.respond(request, Outcome::Dialed(DialReport { target, outcome }));
}

impl Engine {
    pub(super) fn on_dialled(&mut self, request: RequestId, outcome: DialOutcome) {
        let Some(target) = self.dials.under_way.remove(&request) else { return };
        self.out.respond(request, Outcome::Dialed(DialReport { target, outcome }));
        if let Some((next, target)) = self.dials.waiting.pop_front() {
            self.timers.cancel(TimerReason::DialWait(next));
            self.dials.dial(next, target, &mut self.out);
        }
    }
}
