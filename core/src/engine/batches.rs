//! Actions on many instances: each instance is a part with a request id of its own, so that a part
//! goes the way of a single request. The last part that is done answers the whole.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::command::{Acted, InstanceAction, Outcome, Refusal};
use crate::ids::{InstanceId, RequestId};
use crate::instance::Status;

/// All actions on many instances that are not answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches {
    /// How many parts there ever were.
    pub(super) last_part: u64,
    pub(super) open: BTreeMap<RequestId, Batch>,
    /// Of each part that is not done: its request, and its place there.
    pub(super) parts: BTreeMap<RequestId, (RequestId, usize)>,
}

/// One action on many instances.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) action: InstanceAction,
    pub(super) items: Vec<(InstanceId, Option<Result<Status, Refusal>>)>,
    /// How many of them are not done.
    pub(super) missing: usize,
}

impl Batches {
    /// Begins an action on these instances. Returns the request id of each.
    pub(super) fn begin(
        &mut self,
        request: RequestId,
        action: InstanceAction,
        ids: &[InstanceId],
    ) -> Vec<(RequestId, InstanceId)> {
        let first = self.last_part + 1;
        self.last_part += ids.len() as u64;
        let parts: Vec<RequestId> = (first..=self.last_part).map(RequestId::part).collect();
        let places = parts.iter().enumerate();
        self.parts.extend(places.map(|(place, part)| (*part, (request, place))));
        let items = ids.iter().map(|id| (*id, None)).collect();
        self.open.insert(request, Batch { action, items, missing: ids.len() });
        parts.into_iter().zip(ids.iter().copied()).collect()
    }

    /// A part is done. Returns the request and its results if it was the last one.
    pub(super) fn done(
        &mut self,
        part: RequestId,
        outcome: Outcome,
    ) -> Option<(RequestId, Vec<Acted>)> {
        let (request, place) = self.parts.remove(&part)?;
        let batch = self.open.get_mut(&request)?;
        if let Some((_, result)) = batch.items.get_mut(place) {
            *result = Some(result_of(outcome));
            batch.missing -= 1;
        }
        if batch.missing > 0 {
            return None;
        }
        let items = self.open.remove(&request)?.items.into_iter();
        let acted = items.filter_map(|(id, result)| Some(Acted { id, result: result? })).collect();
        Some((request, acted))
    }

    /// The request that a part belongs to; itself for any other request.
    pub(super) fn whole(&self, request: RequestId) -> RequestId {
        self.parts.get(&request).map_or(request, |(whole, _)| *whole)
    }
}

fn result_of(outcome: Outcome) -> Result<Status, Refusal> {
    match outcome {
        Outcome::Done { after: view, .. }
        | Outcome::Created(view)
        | Outcome::Replaced(view)
        | Outcome::Stale(view) => Ok(view.status),
        Outcome::Refused(refusal) => Err(refusal),
        // No action on an instance ends like this.
        Outcome::Removed
        | Outcome::AliasSet
        | Outcome::Desired(_)
        | Outcome::Acted(_)
        | Outcome::KeyRotated(_)
        | Outcome::Dialed(_) => Err(Refusal::NoInstance),
    }
}
