//! INV-19: reports to webhooks match what happened: one `recovered` for each `error`, and every
//! report is tried, counted or waiting, one at a time for each webhook.

use std::collections::{BTreeMap, BTreeSet};

use openctrl_core::engine::{Effect, Input, TimerReason};
use openctrl_core::ids::{InstanceId, SlotId};
use openctrl_core::instance::{Instance, State, Status};
use openctrl_core::limits::{FLAPPING_RESTARTS, HOOK_QUEUE_MAX};
use openctrl_core::occasion::{Occasion, Occasions};
use openctrl_core::webhook::{Delivery, DeliveryId, HookId};

use super::{Invariant, Scene, Verdict, ensure};

/// The webhook that reports everything, in the order of events.
const WHOLE: HookId = HookId(0);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    /// What was under way before this effect, by webhook.
    under_way: BTreeMap<HookId, DeliveryId>,
    seen: BTreeSet<DeliveryId>,
    /// The last report of an error or its end.
    last: BTreeMap<InstanceId, Option<Occasion>>,
    /// Reports before this run, or ones that were discarded, are not known.
    is_blurred: bool,
}

impl Invariant for Webhooks {
    fn id(&self) -> &'static str {
        "INV-19"
    }

    fn resume(&mut self, scene: Scene<'_>) {
        self.is_blurred = true;
        self.under_way = scene.engine.under_way().deliveries.into_iter().collect();
    }

    fn before_input(&mut self, _scene: Scene<'_>, input: &Input) -> Verdict {
        if let Input::DeliveryEnded { hook, delivery, .. } = input
            && self.under_way.get(hook) == Some(delivery)
        {
            self.under_way.remove(hook);
        }
        if let Input::WebhooksConfigured { .. } = input {
            self.under_way.clear();
        }
        Ok(())
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are about no webhook")]
        match effect {
            Effect::ShowHook { shown, .. } => self.is_blurred |= shown.discarded > 0,
            Effect::Deliver { hook, delivery } => {
                let before = self.under_way.insert(*hook, delivery.id);
                ensure(before.is_none(), || {
                    format!("{before:?} and {} are under way to {hook:?}", delivery.id)
                })?;
                let wants = scene.engine.webhook(*hook).map(|hook| hook.wants());
                ensure(wants.is_some_and(|wants| wants.contains(delivery.occasion)), || {
                    format!("{hook:?} does not report {:?}", delivery.occasion)
                })?;
                if *hook == WHOLE && wants == Some(Occasions::ALL) && self.seen.insert(delivery.id)
                {
                    return self.first_try(delivery);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        if scene.engine.webhook(WHOLE).is_none() || scene.oracle.finished {
            return Ok(());
        }
        for hook in (0..).map(HookId).map_while(|id| scene.engine.webhook(id)) {
            ensure(hook.waiting() <= HOOK_QUEUE_MAX, || format!("{} wait", hook.waiting()))?;
        }
        // Most of the time there is none.
        let of_end = |(_, reason)| {
            if let TimerReason::Recovered(slot) = reason { Some(slot) } else { None }
        };
        let armed: Vec<SlotId> = scene.engine.timers().filter_map(of_end).collect();
        let table = scene.engine.table();
        let mut rows = table.slots().filter_map(|slot| Some((slot, table.get(slot)?)));
        rows.try_for_each(|(slot, instance)| {
            let id = instance.definition().id;
            let is_armed = armed.contains(&slot);
            let is_due = instance.alarm().in_error() && is_well(instance);
            ensure(is_armed == is_due, || {
                format!("the end of an error of {id} is due: {is_due}; its timer: {is_armed}")
            })
        })
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
        if scene.oracle.finished {
            return Ok(());
        }
        let hooks = (0..).map(HookId).map_while(|id| scene.engine.webhook(id));
        let waiting: usize = hooks.map(|hook| hook.waiting()).sum();
        ensure(waiting == 0, || format!("{waiting} reports still wait"))
    }
}

impl Webhooks {
    /// A report whose order is that of events.
    fn first_try(&mut self, delivery: &Delivery) -> Verdict {
        let Delivery { occasion, instance, status, restarts, .. } = *delivery;
        let last = self.last.entry(instance).or_default();
        let fits = match occasion {
            Occasion::Error => status == Status::Error && *last != Some(Occasion::Error),
            Occasion::Recovered => status != Status::Error && *last == Some(Occasion::Error),
            Occasion::Ready => status == Status::Running && *last != Some(Occasion::Error),
            Occasion::Flapping => restarts >= FLAPPING_RESTARTS as u64,
        };
        ensure(fits || self.is_blurred, || {
            format!("{instance} is reported as {occasion:?} in {status:?} after {last:?}")
        })?;
        match occasion {
            Occasion::Error | Occasion::Recovered => *last = Some(occasion),
            Occasion::Flapping | Occasion::Ready => {}
        }
        Ok(())
    }
}

fn is_well(instance: &Instance) -> bool {
    let has_rule = instance.definition().checks.ready.is_some();
    instance.state() == State::RUNNING && (instance.readiness().met || !has_rule)
}
