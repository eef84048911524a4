//! The whole durable state of a master.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::mem::replace;

use super::kept::ControlImage;
use super::record::{Entry, Record};
use crate::access::{Token, TokenChange, TokenName};
use crate::counters::SavedTotals;
use crate::ids::{EventId, InstanceId};
use crate::instance::{Definition, Desired, PastRun};
use crate::master::MasterIdentity;

/// Everything that survives a restart (Contract §11).
#[derive(Clone, Debug)]
pub struct Image {
    /// Who the master is.
    pub master: MasterIdentity,
    /// The first event id that was not reserved yet: no id below it may be given out again.
    pub next_event: EventId,
    /// Every instance, by its id.
    pub instances: BTreeMap<InstanceId, StoredInstance>,
    /// The durable data of the control API.
    pub control: ControlImage,
    /// The tokens beside the API key.
    pub tokens: BTreeMap<TokenName, Token>,
}

/// The stored data of one instance.
#[derive(Clone, Debug, Hash)]
pub struct StoredInstance {
    /// Its definition.
    pub definition: Arc<Definition>,
    /// Its desired state.
    pub desired: Arc<Desired>,
    /// Its runs that ended, the oldest first.
    pub runs: Arc<VecDeque<Arc<PastRun>>>,
    /// Its numbers.
    pub totals: SavedTotals,
}

impl StoredInstance {
    /// An instance of which nothing is known but its definition.
    pub fn new(definition: Arc<Definition>) -> Self {
        let totals = SavedTotals::default();
        Self { definition, desired: Arc::default(), runs: Arc::default(), totals }
    }
}

impl Image {
    /// The state of a master that has no instances yet.
    pub fn new(master: MasterIdentity) -> Self {
        let (instances, control) = (BTreeMap::new(), ControlImage::default());
        let (next_event, tokens) = (EventId(1), BTreeMap::new());
        Self { master, next_event, instances, control, tokens }
    }

    /// Prepares the data of the control API: a maximum number of events, and an age for each
    /// instance.
    pub fn adopt_control(&mut self, events_max: usize) {
        let Self { instances, control, .. } = self;
        control.ages.retain(|id, _| instances.contains_key(id));
        control.adopt(events_max, instances.keys());
    }

    /// Applies a record. Returns the record that takes it back.
    pub fn apply(&mut self, record: &Record) -> Record {
        match record {
            Record::PutInstance { definition, desired, totals } => {
                let (definition, desired) = (Arc::clone(definition), Arc::clone(desired));
                let (id, totals) = (definition.id, *totals);
                self.control.seen(id);
                let Some(stored) = self.instances.get_mut(&id) else {
                    let runs = Arc::default();
                    let stored = StoredInstance { definition, desired, runs, totals };
                    self.instances.insert(id, stored);
                    return Record::RemoveInstance(id);
                };
                Record::PutInstance {
                    definition: replace(&mut stored.definition, definition),
                    desired: replace(&mut stored.desired, desired),
                    totals: replace(&mut stored.totals, totals),
                }
            }
            Record::RemoveInstance(id) => {
                self.control.ages.remove(id);
                match self.instances.remove(id) {
                    Some(StoredInstance { definition, desired, totals, .. }) => {
                        Record::PutInstance { definition, desired, totals }
                    }
                    None => Record::RemoveInstance(*id),
                }
            }
            Record::SetDesired { id, desired } => {
                let mut before = Arc::clone(desired);
                if let Some(stored) = self.instances.get_mut(id) {
                    core::mem::swap(&mut stored.desired, &mut before);
                }
                Record::SetDesired { id: *id, desired: before }
            }
            Record::AddRun { id, run, most } => {
                let Some(stored) = self.instances.get_mut(id) else { return record.clone() };
                let before = Arc::clone(&stored.runs);
                let runs = Arc::make_mut(&mut stored.runs);
                runs.push_back(Arc::clone(run));
                let surplus = runs.len().saturating_sub((*most).into());
                runs.drain(..surplus);
                Record::PutRuns { id: *id, runs: before }
            }
            Record::PutRuns { id, runs } => {
                let mut before = Arc::clone(runs);
                if let Some(stored) = self.instances.get_mut(id) {
                    core::mem::swap(&mut stored.runs, &mut before);
                }
                Record::PutRuns { id: *id, runs: before }
            }
            Record::PutMaster(master) => {
                Record::PutMaster(replace(&mut self.master, master.clone()))
            }
            Record::ReserveEvents(upto) => {
                Record::ReserveEvents(replace(&mut self.next_event, *upto))
            }
        }
    }

    /// Applies an entry of a journal.
    pub fn apply_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::Change(record) => {
                self.apply(record);
            }
            Entry::Caused(record, kept) => {
                self.control.apply(kept);
                self.apply(record);
            }
            Entry::Kept(kept) => drop(self.control.apply(kept)),
            Entry::Totals(totals) => {
                totals.iter().for_each(|(id, totals)| self.set_totals(*id, *totals));
            }
            Entry::Tokens(change) => drop(self.apply_token((**change).clone())),
        }
    }

    /// Applies a change of the tokens. Returns the change that takes it back.
    pub fn apply_token(&mut self, change: TokenChange) -> TokenChange {
        let (name, before) = match change {
            TokenChange::Put(token) => {
                let name = token.name.clone();
                (name.clone(), self.tokens.insert(name, token))
            }
            TokenChange::Remove(name) => {
                let before = self.tokens.remove(&name);
                (name, before)
            }
        };
        before.map_or(TokenChange::Remove(name), TokenChange::Put)
    }

    /// Takes newer totals of an instance in; those of an unknown instance are ignored.
    pub fn set_totals(&mut self, id: InstanceId, totals: SavedTotals) {
        if let Some(stored) = self.instances.get_mut(&id) {
            stored.totals = totals;
        }
    }
}
