//! Admission of TCP dials (Contract §9): ten at a time, the others wait a second for their turn.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};

use super::effect::Effect;
use super::outbox::Outbox;
use super::timers::{TimerReason, Timers};
use crate::canary::{self, Canary};
use crate::command::{DialOutcome, DialReport, Outcome};
use crate::ids::RequestId;
use crate::limits::{DIAL_WAIT_MS, DIALS_MAX};
use crate::time::Now;

/// Dials under way, and requests that wait for one.
#[derive(Clone, Debug, Default)]
pub(super) struct Dials {
    pub(super) under_way: BTreeMap<RequestId, String>,
    pub(super) waiting: VecDeque<(RequestId, String)>,
}

/// The dials, with what admission may touch.
pub(super) struct Dialing<'a> {
    pub(super) dials: &'a mut Dials,
    pub(super) timers: &'a mut Timers,
    pub(super) out: &'a mut Outbox,
}

impl Dialing<'_> {
    /// Takes a request in: it is dialed at once, or waits.
    pub(super) fn ask(&mut self, now: Now, request: RequestId, target: String) {
        if self.dials.under_way.len() < DIALS_MAX {
            self.dial(request, target);
        } else {
            self.timers.arm(TimerReason::DialWait(request), now.mono.after_ms(DIAL_WAIT_MS));
            self.dials.waiting.push_back((request, target));
        }
    }

    /// Answers a request whose dial has finished, and dials for the one that has waited longest.
    pub(super) fn dialed(&mut self, request: RequestId, outcome: DialOutcome) {
        let Some(target) = self.dials.under_way.remove(&request) else { return };
        self.out.respond(request, Outcome::Dialed(DialReport { target, outcome }));
        if canary::is(Canary::DialNotContinued) {
            return;
        }
        if let Some((next, target)) = self.dials.waiting.pop_front() {
            self.timers.cancel(TimerReason::DialWait(next));
            self.dial(next, target);
        }
    }

    /// Answers a request that waited too long.
    pub(super) fn give_up(&mut self, request: RequestId) {
        let waiting = &mut self.dials.waiting;
        let position = waiting.iter().position(|(waiting, _)| *waiting == request);
        if let Some((request, target)) = position.and_then(|index| waiting.remove(index)) {
            fail(request, target, "too many requests", self.out);
        }
    }

    /// Answers all requests; the results of their dials are ignored.
    pub(super) fn abandon(&mut self) {
        for (request, target) in core::mem::take(&mut self.dials.under_way) {
            fail(request, target, "the master is shutting down", self.out);
        }
        for (request, target) in core::mem::take(&mut self.dials.waiting) {
            self.timers.cancel(TimerReason::DialWait(request));
            fail(request, target, "the master is shutting down", self.out);
        }
    }

    fn dial(&mut self, request: RequestId, target: String) {
        self.out.push(Effect::Dial { request, target: target.clone() });
        self.dials.under_way.insert(request, target);
    }
}

fn fail(request: RequestId, target: String, error: &str, out: &mut Outbox) {
    let outcome = DialOutcome::Failed(error.to_string());
    out.respond(request, Outcome::Dialed(DialReport { target, outcome }));
}
