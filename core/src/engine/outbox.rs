//! Pending effects, and the total order of events.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::ops::Range;

use super::batches::Batches;
use super::effect::Effect;
use crate::canary::{self, Canary};
use crate::command::{Outcome, Refusal};
use crate::event::{Event, EventKind, LogRun, Object};
use crate::ids::{EventId, KeyEpoch, RequestId};
use crate::instance::InstanceView;
use crate::master::{MasterFace, MasterIdentity};
use crate::output::OutputBatch;
use crate::time::Wall;

/// The effects, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    pub(super) effects: VecDeque<Effect>,
    pub(super) next_event: EventId,
    pub(super) last_event_time: Wall,
    /// Requests that are answered in parts.
    pub(super) batches: Batches,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            effects: VecDeque::new(),
            next_event: EventId(1),
            last_event_time: Wall::from_micros(0),
            batches: Batches::default(),
        }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(super) fn pop(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(super) fn respond(&mut self, request: RequestId, outcome: Outcome) {
        if request.is_part() {
            if let Some((request, acted)) = self.batches.done(request, outcome) {
                self.push(Effect::Respond { request, outcome: Outcome::Acted(acted) });
            }
        } else if request != RequestId::NONE {
            self.push(Effect::Respond { request, outcome });
        }
    }

    pub(super) fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.respond(request, Outcome::Refused(refusal));
    }

    /// Lets this be the master that requests are checked against.
    pub(super) fn show_master(&mut self, identity: &MasterIdentity, key_epoch: KeyEpoch) {
        self.push(Effect::ShowMaster(MasterFace { identity: identity.clone(), key_epoch }));
    }

    /// Gives an event its id and its time.
    pub(super) fn publish(&mut self, wall: Wall, kind: EventKind, object: Object) {
        let (id, time) = (self.take_ids(1), self.event_time(wall));
        self.push(Effect::Publish(Event { id, time, kind, object }));
    }

    /// Gives the lines `items` of `batch` their ids and their time.
    pub(super) fn publish_logs(
        &mut self,
        wall: Wall,
        view: InstanceView,
        batch: &Arc<OutputBatch>,
        items: Range<usize>,
    ) {
        let (first, time) = (self.take_ids(items.len() as u64), self.event_time(wall));
        let (instance, batch) = (view.definition.id, Arc::clone(batch));
        self.push(Effect::PublishLogs(LogRun { first, time, instance, view, batch, items }));
    }

    /// The time of an event that happens now: the wall clock, held where it stepped back.
    pub(super) fn event_time(&mut self, wall: Wall) -> Wall {
        let held = if canary::is(Canary::TimeGoesBack) { wall } else { self.last_event_time };
        self.last_event_time = held.max(wall);
        self.last_event_time
    }

    fn take_ids(&mut self, count: u64) -> EventId {
        let first = self.next_event;
        let skipped = u64::from(canary::is(Canary::EventIdSkipped) && count > 1);
        self.next_event = first.plus(count + skipped);
        first
    }
}
