//! The webhooks of the master, and the effects of their steps.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::effect::Effect;
use super::outbox::Outbox;
use super::timers::{TimerReason, Timers};
use crate::occasion::Occasion;
use crate::time::Time;
use crate::webhook::{Delivery, Hook, HookId, HookShown, HookStep};

/// The webhooks, by their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Webhooks {
    pub(super) hooks: Vec<Hook>,
}

impl Webhooks {
    /// Whether there is one.
    pub(super) const fn is_on(&self) -> bool {
        !self.hooks.is_empty()
    }

    pub(super) fn wants(&self, occasion: Occasion) -> bool {
        self.hooks.iter().any(|hook| hook.wants().contains(occasion))
    }

    /// The webhook with this id.
    pub(super) fn get(&self, id: HookId) -> Option<&Hook> {
        self.hooks.get(usize::from(id.0))
    }

    pub(super) fn queue(&mut self, delivery: &Arc<Delivery>, out: &mut Outbox) {
        for (id, hook) in (0..).map(HookId).zip(&mut self.hooks) {
            if !hook.wants().contains(delivery.occasion) {
                continue;
            }
            let discarded = hook.shown().discarded;
            if let HookStep::Deliver(delivery) = hook.push(Arc::clone(delivery)) {
                out.push(Effect::Deliver { hook: id, delivery });
            }
            if hook.shown().discarded != discarded {
                show(id, hook.shown(), out);
            }
        }
    }
}

/// Does what follows from a step.
pub(super) fn take(id: HookId, step: HookStep, now: Time, timers: &mut Timers, out: &mut Outbox) {
    match step {
        HookStep::Rest => {}
        HookStep::Deliver(delivery) => out.push(Effect::Deliver { hook: id, delivery }),
        HookStep::RetryAfter(ms) => timers.arm(TimerReason::Redeliver(id), now.after_ms(ms)),
    }
}

/// Shows operators the state of a webhook.
pub(super) fn show(hook: HookId, shown: &HookShown, out: &mut Outbox) {
    out.push(Effect::ShowHook { hook, shown: Box::new(shown.clone()) });
}
