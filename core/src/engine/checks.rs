//! The checks of a process: when it is ready, and whether it still works.

use alloc::string::{String, ToString};

use super::effect::Effect;
use super::supervisor::Supervisor;
use super::timers::TimerReason;
use crate::instance::{CheckKind, InstanceEvent, Process, Ready, Reason, State, Target};
use crate::limits::{READY_FIRST_MS, READY_LONGEST_MS, READY_TIMEOUT_MS};

impl Supervisor<'_> {
    /// A process runs: its checks begin. One that outlived the last master said in its time that it
    /// is ready, or will be asked.
    pub(super) fn begin_checks(&mut self, is_new: bool) {
        self.instance.readiness_mut().begin();
        if self.instance.state().process != Process::Live {
            return;
        }
        if let Some(ms) = self.instance.definition().checks.ready_limit_ms {
            self.ask_after(TimerReason::ReadyLimit(self.slot), ms);
        }
        match (&self.instance.definition().checks.ready, is_new) {
            (None, _) => self.begin_live(),
            (Some(Ready::After(ms)), true) => self.ask_after(TimerReason::Ready(self.slot), *ms),
            (Some(Ready::Target(_)), _) => {
                self.ask_after(TimerReason::Ready(self.slot), READY_FIRST_MS);
            }
            (Some(Ready::Line(_) | Ready::Notify), true) => {}
            (Some(Ready::Line(_) | Ready::Notify | Ready::After(_)), false) => self.become_ready(),
        }
    }

    /// Its process exited. `is_done` if it did so with success and without a request.
    pub(super) fn end_checks(&mut self, is_done: bool) {
        self.timers.cancel(TimerReason::Ready(self.slot));
        self.timers.cancel(TimerReason::ReadyLimit(self.slot));
        self.timers.cancel(TimerReason::Live(self.slot));
        self.instance.readiness_mut().end(is_done);
    }

    /// The process is ready by its rule.
    pub(super) fn become_ready(&mut self) {
        if self.instance.state().process != Process::Live || self.instance.readiness().met {
            return;
        }
        self.instance.readiness_mut().met = true;
        self.timers.cancel(TimerReason::Ready(self.slot));
        self.timers.cancel(TimerReason::ReadyLimit(self.slot));
        self.begin_live();
        self.note_readiness();
        if core::mem::take(&mut self.instance.readiness_mut().late) {
            self.fire(InstanceEvent::Beat);
        } else {
            self.publish();
        }
        // A checkpoint may have taken the error back before: then the state is as it was.
        self.note_well();
    }

    /// It is time to ask whether the process is ready, or it is by now.
    pub(super) fn ready_due(&mut self) {
        match self.instance.definition().checks.ready.clone() {
            Some(Ready::Target(target)) => self.ask(CheckKind::Ready, target, READY_TIMEOUT_MS),
            Some(Ready::After(_)) => self.become_ready(),
            Some(Ready::Line(_) | Ready::Notify) | None => {}
        }
    }

    /// The process was not ready in time: it has failed, unless it becomes ready before its restart.
    pub(super) fn ready_over(&mut self) {
        let ms = self.instance.definition().checks.ready_limit_ms.unwrap_or_default();
        if self.instance.state() == State::RUNNING && !self.instance.readiness().met {
            self.instance.readiness_mut().late = true;
            let reason = Reason::NotReady { ms };
            self.note(&reason.to_string());
            self.fire_because(InstanceEvent::Missed, Some(reason));
        }
    }

    /// It is time to ask whether the process still works.
    pub(super) fn live_due(&mut self) {
        if let Some(live) = self.instance.definition().checks.live.clone() {
            self.ask(CheckKind::Live, live.target, live.timeout_ms);
        }
    }

    /// A check has ended: `failure` says why it failed, if it did.
    pub(super) fn check_ended(&mut self, check: CheckKind, failure: Option<&str>) {
        if self.instance.state().process != Process::Live {
            return;
        }
        match check {
            CheckKind::Ready => self.ready_checked(failure.is_none()),
            CheckKind::Live => self.live_checked(failure),
        }
    }

    /// Shows to readers whether it is ready, and what its start waits for.
    pub(super) fn note_readiness(&mut self) {
        let is_ready = self.instance.is_ready() && self.instance.state() == State::RUNNING;
        let has_rule = self.instance.definition().checks.ready.is_some();
        let waits_for = self.instance.shown_wait(self.draining).map(Into::into);
        let facts = self.facts();
        facts.set_ready(has_rule.then_some(is_ready));
        facts.set_waits_for(waits_for);
    }

    fn ready_checked(&mut self, has_passed: bool) {
        if has_passed {
            return self.become_ready();
        }
        let readiness = self.instance.readiness_mut();
        if !readiness.met {
            readiness.asked = readiness.asked.saturating_add(1);
            let wait_ms = READY_FIRST_MS << readiness.asked.min(8);
            self.ask_after(TimerReason::Ready(self.slot), wait_ms.min(READY_LONGEST_MS));
        }
    }

    fn live_checked(&mut self, failure: Option<&str>) {
        let Some(live) = self.instance.definition().checks.live.clone() else { return };
        self.ask_after(TimerReason::Live(self.slot), live.every_ms);
        let is_running = self.instance.state() == State::RUNNING;
        let readiness = self.instance.readiness_mut();
        let Some(failure) = failure else {
            readiness.missed = 0;
            if core::mem::take(&mut readiness.failed_live) {
                self.fire(InstanceEvent::Beat);
            }
            return;
        };
        readiness.missed = readiness.missed.saturating_add(1);
        if readiness.missed >= live.threshold && is_running {
            readiness.failed_live = true;
            let reason = Reason::NotLive(String::from(failure).into());
            self.note(&reason.to_string());
            self.fire_because(InstanceEvent::Missed, Some(reason));
        }
    }

    fn begin_live(&mut self) {
        if let Some(live) = &self.instance.definition().checks.live {
            self.ask_after(TimerReason::Live(self.slot), live.every_ms);
        }
    }

    fn ask(&mut self, check: CheckKind, target: Target, timeout_ms: u64) {
        if self.instance.state().process == Process::Live {
            let process = self.process();
            self.out.push(Effect::Check { process, check, target, timeout_ms });
        }
    }

    fn ask_after(&mut self, reason: TimerReason, ms: u64) {
        self.timers.arm(reason, self.now.mono.after_ms(ms));
    }
}
