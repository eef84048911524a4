//! Webhooks as plain data, and back.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::alarm::Alarm;
use crate::engine::frozen::numbers::{nth, number_of};
use crate::engine::webhooks::Webhooks;
use crate::formats::v2::engine::{AlarmV2, DeliveryV2, HookV2};
use crate::formats::{FormatError, Masks};
use crate::ids::InstanceId;
use crate::instance::Status;
use crate::limits::{HOOK_QUEUE_MAX, HOOKS_MAX};
use crate::occasion::{Occasion, Occasions};
use crate::time::{Time, Wall};
use crate::webhook::{Delivery, DeliveryId, Hook, HookId, HookShown};

impl Webhooks {
    pub(super) fn freeze(&self, masks: &mut Masks) -> Vec<HookV2> {
        self.hooks.iter().map(|hook| HookV2::new(hook, masks)).collect()
    }

    /// The reports that are being sent.
    pub(super) fn under_way(&self) -> Vec<(HookId, DeliveryId)> {
        let hooks = (0..).map(HookId).zip(&self.hooks).filter(|(_, hook)| hook.is_under_way);
        hooks.filter_map(|(id, hook)| Some((id, hook.waiting.front()?.id))).collect()
    }

    pub(super) fn thaw(frozen: Vec<HookV2>) -> Result<Self, FormatError> {
        if frozen.len() > HOOKS_MAX {
            return Err(FormatError::TooLarge("the number of webhooks"));
        }
        let hooks = frozen.into_iter().map(HookV2::thaw).collect::<Result<_, _>>()?;
        Ok(Self { hooks })
    }
}

impl HookV2 {
    fn new(hook: &Hook, masks: &mut Masks) -> Self {
        let Hook { wants, waiting, tries, is_under_way, shown } = hook;
        let HookShown { delivered, failed, discarded, failure } = shown;
        Self {
            wants: wants.bits(),
            waiting: waiting.iter().map(|one| DeliveryV2::new(one, masks)).collect(),
            tries: *tries,
            is_under_way: *is_under_way,
            counts: [*delivered, *failed, *discarded],
            failure: failure.as_ref().map(|failure| masks.prose(failure)),
        }
    }

    fn thaw(self) -> Result<Hook, FormatError> {
        let Self { wants, waiting, tries, is_under_way, counts, failure } = self;
        if waiting.len() > HOOK_QUEUE_MAX || waiting.is_empty() != (tries == 0) {
            return Err(FormatError::Contradiction("a webhook contradicts itself"));
        }
        let [delivered, failed, discarded] = counts;
        let failure = failure.map(Into::into);
        let waiting = waiting.into_iter().map(|one| one.thaw().map(Arc::new));
        Ok(Hook {
            wants: Occasions::from_bits(wants),
            waiting: waiting.collect::<Result<_, _>>()?,
            tries,
            is_under_way,
            shown: HookShown { delivered, failed, discarded, failure },
        })
    }
}

impl DeliveryV2 {
    fn new(delivery: &Delivery, masks: &mut Masks) -> Self {
        let Delivery { id, occasion, time, instance, status, restarts, .. } = *delivery;
        let tags = delivery.tags.iter();
        Self {
            id: id.0,
            occasion: number_of(&Occasion::ALL, occasion),
            time: time.as_micros(),
            instance: instance.0,
            alias: masks.alias(&delivery.alias),
            kind: delivery.kind.clone(),
            tags: tags.map(|(key, tag)| (key.clone(), masks.text(tag))).collect(),
            status: number_of(&Status::ALL, status),
            reason: masks.prose(&delivery.reason),
            restarts,
        }
    }

    fn thaw(self) -> Result<Delivery, FormatError> {
        let Self { id, occasion, time, instance, alias, kind, tags, status, reason, restarts } =
            self;
        Ok(Delivery {
            id: DeliveryId(id),
            occasion: *nth(&Occasion::ALL, occasion)?,
            time: Wall::from_micros(time),
            instance: InstanceId(instance),
            alias,
            kind,
            tags: tags.into_iter().collect(),
            status: *nth(&Status::ALL, status)?,
            reason,
            restarts,
        })
    }
}

impl From<&Alarm> for AlarmV2 {
    fn from(alarm: &Alarm) -> Self {
        let Alarm { in_error, is_flapping, is_well, is_known, restarts } = alarm;
        Self {
            in_error: *in_error,
            is_flapping: *is_flapping,
            is_well: *is_well,
            is_known: *is_known,
            restarts: restarts.iter().map(|at| at.as_micros()).collect(),
        }
    }
}

impl From<AlarmV2> for Alarm {
    fn from(alarm: AlarmV2) -> Self {
        let AlarmV2 { in_error, is_flapping, is_well, is_known, restarts } = alarm;
        let restarts = restarts.into_iter().map(Time::from_micros).collect();
        Self { in_error, is_flapping, is_well, is_known, restarts }
    }
}
