//! Pending changes, in order, each with the actions that follow when its record is durable.
//!
//! This queue implements invariant 1: a change is applied, answered and published only when this
//! queue returns its record as durable.

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;

use super::effect::Effect;
use super::outbox::Outbox;
use crate::canary::{self, Canary};
use crate::command::{Desire, InstanceAction};
use crate::ids::{InstanceId, RecordSeq, RequestId, SlotId, StoreEpoch};
use crate::instance::{Definition, Desired, Goal, PastRun};
use crate::master::{ApiKey, MasterIdentity};
use crate::store::Record;

/// What to do once a record is durable.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Put a new instance in the table and start it.
    Create(Arc<Definition>),
    /// Put a new instance of a configuration in the table, with what is wanted of it.
    Configure(Arc<Definition>, Arc<Desired>),
    /// Apply a patched definition, and carry out the action of the patch.
    Patch {
        slot: SlotId,
        definition: Arc<Definition>,
        action: Option<InstanceAction>,
        /// The goal that the record stores.
        goal: Goal,
    },
    /// Apply a definition with a new URL, and start it.
    Replace { slot: SlotId, definition: Arc<Definition> },
    /// Remove an instance from the table.
    Delete(SlotId),
    /// Put a change of what is wanted in force.
    Desire { slot: SlotId, desire: Box<Desire>, is_stale: bool },
    /// Show an instance; a run of it ended if there is one here.
    Shown { slot: SlotId, run: Option<Arc<PastRun>> },
    /// Give the master another alias.
    SetAlias(String),
    /// Replace the key.
    RotateKey(ApiKey),
}

/// A change, its sender, and the position of its record in the order.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) seq: RecordSeq,
    pub(super) request: RequestId,
    pub(super) change: Change,
}

/// All pending changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Commits {
    pub(super) epoch: StoreEpoch,
    pub(super) last_seq: RecordSeq,
    pub(super) queue: VecDeque<Commit>,
    /// Ids of instances that are being created.
    pub(super) reserved: BTreeSet<InstanceId>,
    /// The newest pending identity, on which later changes are based.
    pub(super) staged_master: Option<MasterIdentity>,
}

impl Commits {
    /// An action took effect at once: older requests that wait for the disk no longer do the opposite.
    pub(super) fn supersede(&mut self, slot: SlotId, newer: Option<InstanceAction>) {
        for Commit { change, .. } in &mut self.queue {
            if let Change::Patch { slot: other, action, .. } = change
                && *other == slot
                && is_opposite(*action, newer)
            {
                *action = None;
            }
        }
    }

    /// Whether a request that is newer than all applied ones does the opposite of `action`.
    pub(super) fn is_opposed(&self, slot: SlotId, action: Option<InstanceAction>) -> bool {
        self.queue.iter().any(|Commit { change, .. }| {
            matches!(change, Change::Patch { slot: other, action: newer, .. }
                if *other == slot && is_opposite(action, *newer))
        })
    }

    /// Sends a record off; `change` follows when it is durable.
    pub(super) fn submit(
        &mut self,
        out: &mut Outbox,
        request: RequestId,
        record: Record,
        change: Change,
    ) {
        match (&record, &change) {
            (_, Change::Create(definition) | Change::Configure(definition, _)) => {
                self.reserved.insert(definition.id);
            }
            (Record::PutMaster(identity), _) => self.staged_master = Some(identity.clone()),
            (
                Record::PutInstance { .. }
                | Record::RemoveInstance(_)
                | Record::SetDesired { .. }
                | Record::AddRun { .. }
                | Record::PutRuns { .. }
                | Record::ReserveEvents(_),
                _,
            ) => {}
        }
        self.last_seq = RecordSeq(self.last_seq.0 + 1);
        let (epoch, seq) = (self.epoch, self.last_seq);
        self.queue.push_back(Commit { seq, request, change });
        out.push(Effect::Persist { epoch, seq, record: Box::new(record) });
    }

    /// The next change whose record is durable, given that all up to `upto` are.
    pub(super) fn pop_durable(&mut self, upto: RecordSeq) -> Option<Commit> {
        let ahead = u64::from(canary::is(Canary::AnswerBeforeDurable));
        let commit = self.queue.pop_front_if(|commit| commit.seq.0 <= upto.0 + ahead)?;
        self.forget(&commit);
        Some(commit)
    }

    /// Ends the epoch: all pending changes are refused.
    pub(super) fn fail(&mut self, epoch: StoreEpoch) -> VecDeque<Commit> {
        if epoch != self.epoch {
            return VecDeque::new();
        }
        self.epoch = StoreEpoch(self.epoch.0 + 1);
        self.abandon()
    }

    /// Removes all pending changes and returns them.
    pub(super) fn abandon(&mut self) -> VecDeque<Commit> {
        self.reserved.clear();
        if !canary::is(Canary::RefusedKeyKept) {
            self.staged_master = None;
        }
        core::mem::take(&mut self.queue)
    }

    /// The identity that a further change of the master builds on.
    pub(super) fn newest_master<'a>(&'a self, current: &'a MasterIdentity) -> &'a MasterIdentity {
        self.staged_master.as_ref().unwrap_or(current)
    }

    /// Whether `id` is taken by an instance that is being created.
    pub(super) fn reserves(&self, id: InstanceId) -> bool {
        self.reserved.contains(&id)
    }

    /// How many instances are being created.
    pub(super) fn reserved(&self) -> usize {
        self.reserved.len()
    }

    /// Whether no change is pending.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn forget(&mut self, commit: &Commit) {
        if let Change::Create(definition) | Change::Configure(definition, _) = &commit.change
            && !canary::is(Canary::ReservationKept)
        {
            self.reserved.remove(&definition.id);
        }
        let changes_master =
            |commit: &Commit| matches!(commit.change, Change::SetAlias(_) | Change::RotateKey(_));
        if changes_master(commit) && !self.queue.iter().any(changes_master) {
            self.staged_master = None;
        }
    }
}

/// Whether one of the two stops what the other starts.
const fn is_opposite(one: Option<InstanceAction>, other: Option<InstanceAction>) -> bool {
    use InstanceAction::{Restart, Start, Stop};
    matches!(
        (one, other),
        (Some(Stop), Some(Start | Restart)) | (Some(Start | Restart), Some(Stop))
    )
}
