//! Notices what is reported of instances, and leads each report to webhooks through its tries.
//!
//! Without webhooks nothing is noted. Reports are kept in memory only: a master that exits, or is
//! killed, loses those that wait; one that is upgraded in place keeps them.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use rand_chacha::rand_core::Rng;

use super::Engine;
use super::effect::Effect;
use super::supervisor::Supervisor;
use super::timers::TimerReason;
use super::webhooks::{show, take};
use crate::ids::SlotId;
use crate::instance::{Definition, InstanceEvent, State, Status};
use crate::limits::{HOOKS_MAX, RECOVERED_AFTER_MS};
use crate::occasion::{Occasion, Occasions};
use crate::time::Now;
use crate::webhook::{Delivery, DeliveryId, DeliveryResult, Hook, HookId, HookStep};

impl Engine {
    /// Webhooks that the engine knows keep what waits for them, and what was on its way is sent
    /// again.
    pub(super) fn configure_webhooks(&mut self, wanted: &[Occasions]) {
        let wanted = &wanted[..wanted.len().min(HOOKS_MAX)];
        let was_on = self.webhooks.is_on();
        let is_same = self.webhooks.hooks.iter().map(Hook::wants).eq(wanted.iter().copied());
        if !is_same {
            for id in (0..).map(HookId).take(self.webhooks.hooks.len()) {
                self.timers.cancel(TimerReason::Redeliver(id));
            }
            self.webhooks.hooks = wanted.iter().map(|wants| Hook::new(*wants)).collect();
        }
        for (id, hook) in (0..).map(HookId).zip(&mut self.webhooks.hooks) {
            if let HookStep::Deliver(delivery) = hook.resume() {
                self.out.push(Effect::Deliver { hook: id, delivery });
            }
        }
        if was_on != self.webhooks.is_on() {
            for slot in self.table.slots().collect::<Vec<SlotId>>() {
                self.timers.cancel(TimerReason::Recovered(slot));
                if let Some(instance) = self.table.get_mut(slot) {
                    let (runs, is_well) = (instance.state().has_process(), instance.is_well());
                    instance.alarm_mut().begin(runs, is_well);
                }
            }
        }
    }

    pub(super) fn delivery_ended(
        &mut self,
        now: Now,
        id: HookId,
        delivery: DeliveryId,
        result: &DeliveryResult,
    ) {
        let Self { webhooks, timers, out, .. } = self;
        let Some(hook) = webhooks.hooks.get_mut(usize::from(id.0)) else { return };
        let before = hook.shown().clone();
        let step = hook.ended(delivery, result);
        if *hook.shown() != before {
            show(id, hook.shown(), out);
        }
        take(id, step, now.mono, timers, out);
    }

    /// The time for another try has come.
    pub(super) fn redeliver(&mut self, now: Now, id: HookId) {
        let Self { webhooks, timers, out, .. } = self;
        if let Some(hook) = webhooks.hooks.get_mut(usize::from(id.0)) {
            take(id, hook.retry(), now.mono, timers, out);
        }
    }

    /// A webhook and what waits for it, for tests and simulations.
    pub fn webhook(&self, id: HookId) -> Option<&Hook> {
        self.webhooks.get(id)
    }
}

impl Supervisor<'_> {
    /// Its state changed.
    pub(super) fn note_alarm(&mut self, event: InstanceEvent, before: State) {
        if !self.webhooks.is_on() {
            return;
        }
        if event == InstanceEvent::Spawned {
            self.instance.alarm_mut().begin_process();
        }
        let has_failed = self.instance.state().status() == Status::Error;
        if has_failed && before.status() != Status::Error && self.instance.alarm_mut().failed() {
            self.announce(Occasion::Error);
        }
        self.note_well();
    }

    /// It may have become well, or no longer be.
    pub(super) fn note_well(&mut self) {
        let is_well = self.instance.is_well();
        if !self.webhooks.is_on() || is_well == self.instance.alarm().is_well() {
            return;
        }
        let (mono, recovered) = (self.now.mono, TimerReason::Recovered(self.slot));
        let alarm = self.instance.alarm_mut();
        alarm.set_well(is_well);
        if !is_well {
            self.timers.cancel(recovered);
        } else if alarm.became_ready(mono) {
            self.announce(Occasion::Ready);
        } else if alarm.in_error() {
            self.timers.arm(recovered, mono.after_ms(RECOVERED_AFTER_MS));
        }
    }

    /// It was restarted without a request.
    pub(super) fn note_restart(&mut self) {
        let now = self.now.mono;
        if self.webhooks.is_on() && self.instance.alarm_mut().restarted(now) {
            self.announce(Occasion::Flapping);
        }
    }

    /// It was well for long enough, or has done its work.
    pub(super) fn recovered(&mut self) {
        if self.webhooks.is_on() && self.instance.alarm_mut().recovered() {
            self.announce(Occasion::Recovered);
        }
    }

    fn announce(&mut self, occasion: Occasion) {
        if self.draining || !self.webhooks.wants(occasion) {
            return;
        }
        let Definition { id, alias, meta, .. } = &**self.instance.definition();
        let delivery = Delivery {
            id: DeliveryId(self.rng.next_u64()),
            occasion,
            time: self.out.event_time(self.now.wall),
            instance: *id,
            alias: alias.clone(),
            kind: String::from(self.instance.definition().url().scheme()),
            tags: meta.tags.clone(),
            status: self.instance.state().status(),
            reason: self.instance.facts().reason.to_string(),
            restarts: self.instance.facts().restarts,
        };
        self.webhooks.queue(&Arc::new(delivery), self.out);
    }
}
