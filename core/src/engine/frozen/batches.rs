//! Actions on many instances as plain data, and back.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::command::Refusal;
use crate::engine::batches::{Batch, Batches};
use crate::engine::frozen::numbers::{count, nth, number_of};
use crate::formats::v2::engine::{BatchV2, BatchesV2, PartV2};
use crate::formats::{FormatError, Masks, action_number, nth_action};
use crate::ids::{InstanceId, RequestId};
use crate::instance::Status;

impl BatchesV2 {
    pub(super) fn new(batches: &Batches, masks: &mut Masks) -> Self {
        let places = batches.parts.iter().map(|(part, place)| (*place, part.0));
        let missing: BTreeMap<(RequestId, usize), u64> = places.collect();
        let mut item = |request, place, id: InstanceId, result: &Option<_>| {
            let part = match result {
                None => PartV2::Missing(missing.get(&(request, place)).copied().unwrap_or(0)),
                Some(Ok(status)) => PartV2::Done(number_of(&Status::ALL, *status)),
                Some(Err(refusal)) => part_of(refusal, masks),
            };
            (id.0, part)
        };
        let open = batches.open.iter().map(|(request, batch)| {
            let items = batch.items.iter().enumerate();
            let items = items.map(|(place, (id, result))| item(*request, place, *id, result));
            let (action, items) = (action_number(batch.action), items.collect());
            BatchV2 { request: request.0, action, items }
        });
        Self { last_part: batches.last_part, open: open.collect() }
    }

    pub(super) fn thaw(self) -> Result<Batches, FormatError> {
        let mut batches = Batches { last_part: count(self.last_part)?, ..Batches::default() };
        for BatchV2 { request, action, items } in self.open {
            let request = RequestId(request);
            let mut results = Vec::new();
            for (place, (id, part)) in items.into_iter().enumerate() {
                let result = match part {
                    PartV2::Missing(part) => {
                        batches.parts.insert(RequestId(part), (request, place));
                        None
                    }
                    PartV2::Done(status) => Some(Ok(*nth(&Status::ALL, status)?)),
                    PartV2::NoInstance => Some(Err(Refusal::NoInstance)),
                    PartV2::Configured => Some(Err(Refusal::Configured)),
                    PartV2::ShuttingDown => Some(Err(Refusal::ShuttingDown)),
                    PartV2::NotDurable(reason) => Some(Err(Refusal::NotDurable { reason })),
                };
                results.push((InstanceId(id), result));
            }
            let missing = results.iter().filter(|(_, result)| result.is_none()).count();
            let batch = Batch { action: nth_action(action)?, items: results, missing };
            batches.open.insert(request, batch);
        }
        Ok(batches)
    }
}

fn part_of(refusal: &Refusal, masks: &mut Masks) -> PartV2 {
    match refusal {
        Refusal::Configured => PartV2::Configured,
        Refusal::ShuttingDown => PartV2::ShuttingDown,
        Refusal::NotDurable { reason } => PartV2::NotDurable(masks.prose(reason)),
        // The others refuse changes that no action makes.
        Refusal::NoInstance
        | Refusal::NotAdmitted
        | Refusal::TakesRole(_)
        | Refusal::SameUrl
        | Refusal::TooLarge { .. }
        | Refusal::Circle { .. }
        | Refusal::Busy
        | Refusal::Crowded
        | Refusal::CannotEnd
        | Refusal::Full { .. } => PartV2::NoInstance,
    }
}
