//! Requests and their answers; records and when they became durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use openctrl_core::command::Command;
use openctrl_core::engine::{Effect, Input};
use openctrl_core::ids::{InstanceId, RecordSeq, RequestId, StoreEpoch};
use openctrl_core::instance::Definition;
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::{Entry, Image, Record};

use crate::object::{is_same, is_same_master};

/// A request, and how often it was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The request.
    pub command: Command,
    /// Whether its key was valid when the engine received it.
    pub is_admitted: bool,
    /// How many answers it has had.
    pub answers: u32,
}

/// All requests and records of a run.
#[derive(Debug)]
pub struct Ledger {
    /// Every request.
    pub asked: BTreeMap<RequestId, Asked>,
    /// Those that have no answer yet.
    waiting: BTreeSet<RequestId>,
    /// The durable definitions of each instance, oldest first; kept after it was deleted.
    pub versions: BTreeMap<InstanceId, Vec<Arc<Definition>>>,
    /// The instances whose removal is durable.
    pub removed: BTreeSet<InstanceId>,
    /// The master as it became durable, oldest first.
    pub masters: Vec<MasterIdentity>,
    on_their_way: BTreeMap<RecordSeq, (StoreEpoch, Record)>,
    /// Certainly durable: everything up to the last record that was reported durable.
    base: Image,
    /// Records passed to the store since then, in order.
    since: VecDeque<(Option<(StoreEpoch, RecordSeq)>, Entry)>,
    /// Refused records that the disk could not revert, since the last successful write.
    lingering: Vec<Vec<Entry>>,
    /// Instances of which a record was refused: the store may have taken newer totals back with
    /// it, until they are handed over again.
    stale: BTreeSet<InstanceId>,
}

impl Ledger {
    /// The ledger of a master that starts with `image`.
    pub fn new(image: &Image) -> Self {
        let mut ledger = Self {
            asked: BTreeMap::new(),
            waiting: BTreeSet::new(),
            versions: BTreeMap::new(),
            removed: BTreeSet::new(),
            masters: Vec::new(),
            on_their_way: BTreeMap::new(),
            base: image.clone(),
            since: VecDeque::new(),
            lingering: Vec::new(),
            stale: BTreeSet::new(),
        };
        ledger.keep_master(&image.master);
        for stored in image.instances.values() {
            ledger.keep(&stored.definition);
        }
        ledger
    }

    /// Handles an input. A request `is_admitted` if its key is valid. A refused record `lingers` if
    /// the disk could not revert it.
    pub fn on_input(&mut self, input: &Input, is_admitted: bool, lingers: bool) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are not about what is durable")]
        match input {
            Input::RequestArrived { request, command, .. } => {
                let asked = Asked { command: command.clone(), is_admitted, answers: 0 };
                self.asked.insert(*request, asked);
                self.waiting.insert(*request);
            }
            Input::RecordsPersisted { upto } => {
                let later = self.on_their_way.split_off(&RecordSeq(upto.0 + 1));
                for (_, record) in std::mem::replace(&mut self.on_their_way, later).into_values() {
                    self.durable(&record);
                }
                self.settle(*upto);
            }
            Input::PersistFailed { epoch, .. } => {
                self.on_their_way.retain(|_, (of, _)| of != epoch);
                if lingers {
                    let refused = self.since.iter().map(|(_, entry)| entry.clone());
                    self.lingering.push(refused.collect());
                }
                for (_, entry) in self.since.iter().filter(|(of, _)| is_of(of, *epoch)) {
                    self.stale.extend(subject(entry));
                }
                self.since.retain(|(of, _)| !is_of(of, *epoch));
                for (_, entry) in &mut self.since {
                    if let Entry::Totals(totals) = entry {
                        totals.retain(|(id, _)| !self.stale.contains(id));
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes an effect in.
    pub fn on_effect(&mut self, effect: &Effect) {
        if let Effect::Persist { epoch, seq, record } = effect {
            self.on_their_way.insert(*seq, (*epoch, (**record).clone()));
            self.since.push_back((Some((*epoch, *seq)), Entry::Change((**record).clone())));
        } else if let Effect::SaveTotals(totals) = effect {
            self.since.push_back((None, Entry::Totals(totals.clone())));
        } else if let Effect::Respond { request, .. } = effect
            && let Some(asked) = self.asked.get_mut(request)
        {
            asked.answers += 1;
            self.waiting.remove(request);
        }
    }

    /// The requests without an answer.
    pub fn unanswered(&self) -> impl Iterator<Item = (RequestId, &Asked)> {
        self.waiting.iter().map(|request| (*request, &self.asked[request]))
    }

    /// The records that become durable with `upto`, in order.
    pub fn due(&self, upto: RecordSeq) -> impl Iterator<Item = &Record> {
        self.on_their_way.range(..=upto).map(|(_, (_, record))| record)
    }

    /// Whether a crash may leave `found`.
    pub fn is_legal(&self, found: &Image) -> bool {
        let since = self.since.iter().map(|(_, entry)| entry);
        let refused = self.lingering.iter();
        self.has_beginning(found, since)
            || refused.into_iter().any(|entries| self.has_beginning(found, entries.iter()))
    }

    /// Whether a prefix of `entries`, applied to the durable state, gives `found`.
    fn has_beginning<'a>(&self, found: &Image, entries: impl Iterator<Item = &'a Entry>) -> bool {
        let mut state = self.base.clone();
        let mut entries = entries.into_iter();
        loop {
            if self.is_same_state(&state, found) {
                return true;
            }
            let Some(entry) = entries.next() else { return false };
            state.apply_entry(entry);
        }
    }

    /// Whether all that is written of two states is the same, but for totals that may be stale.
    fn is_same_state(&self, one: &Image, other: &Image) -> bool {
        is_same_master(&one.master, &other.master)
            && one.next_event == other.next_event
            && one.instances.len() == other.instances.len()
            && one.instances.iter().zip(&other.instances).all(|((id, one), (other_id, other))| {
                let may_differ = self.stale.contains(id);
                id == other_id
                    && is_same(&one.definition, &other.definition)
                    && one.desired == other.desired
                    && (may_differ || one.totals == other.totals)
            })
    }

    /// Every state that a crash may leave: all that is durable, and of the rest a beginning.
    pub fn legal_states(&self) -> Vec<Image> {
        let since = beginnings(&self.base, self.since.iter().map(|(_, entry)| entry));
        let refused = self.lingering.iter();
        let lingering = refused.flat_map(|entries| beginnings(&self.base, entries.iter()));
        since.into_iter().chain(lingering).collect()
    }

    /// All up to the record `upto` is durable.
    fn settle(&mut self, upto: RecordSeq) {
        let is_due = |of: &Option<(StoreEpoch, RecordSeq)>| of.is_some_and(|(_, seq)| seq <= upto);
        let Some(last) = self.since.iter().rposition(|(of, _)| is_due(of)) else { return };
        for (_, entry) in self.since.drain(..=last) {
            self.base.apply_entry(&entry);
            match entry {
                Entry::Change(_) | Entry::Caused(..) | Entry::Kept(_) | Entry::Tokens(_) => {}
                Entry::Totals(totals) => totals.iter().for_each(|(id, _)| {
                    self.stale.remove(id);
                }),
            }
        }
        self.lingering.clear();
    }

    fn durable(&mut self, record: &Record) {
        match record {
            Record::PutInstance { definition, .. } => self.keep(definition),
            Record::RemoveInstance(id) => {
                self.removed.insert(*id);
            }
            Record::PutMaster(identity) => self.keep_master(identity),
            Record::SetDesired { .. }
            | Record::AddRun { .. }
            | Record::PutRuns { .. }
            | Record::ReserveEvents(_) => {}
        }
    }

    fn keep(&mut self, definition: &Arc<Definition>) {
        self.versions.entry(definition.id).or_default().push(Arc::clone(definition));
    }

    fn keep_master(&mut self, identity: &MasterIdentity) {
        self.masters.push(identity.clone());
    }
}

fn is_of(of: &Option<(StoreEpoch, RecordSeq)>, epoch: StoreEpoch) -> bool {
    of.is_some_and(|(of, _)| of == epoch)
}

/// The instance that a change is about.
fn subject(entry: &Entry) -> Option<InstanceId> {
    match entry {
        Entry::Change(record) | Entry::Caused(record, _) => record.instance(),
        Entry::Totals(_) | Entry::Kept(_) | Entry::Tokens(_) => None,
    }
}

/// The states that every beginning of `entries` makes of `base`.
fn beginnings<'a>(base: &Image, entries: impl Iterator<Item = &'a Entry>) -> Vec<Image> {
    let mut states = vec![base.clone()];
    for entry in entries {
        let mut next = states[states.len() - 1].clone();
        next.apply_entry(entry);
        states.push(next);
    }
    states
}
