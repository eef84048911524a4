//! Requests and their answers; records and when they became durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openctrl_core::api::Call;
use openctrl_core::engine::{Effect, Input};
use openctrl_core::ids::{InstanceId, RecordSeq, RequestId, StoreEpoch};
use openctrl_core::instance::{Definition, render_key_instance};
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::{Image, Record};

use crate::object::Shown;

/// A request, and how often it was answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked for.
    pub call: Call,
    /// How many answers it has had.
    pub answers: u32,
}

/// A definition that became durable.
#[derive(Clone, Debug)]
pub struct Version {
    /// The definition.
    pub definition: Arc<Definition>,
    /// What every object says that shows it.
    pub text: String,
}

/// All requests and records of a run.
#[derive(Debug)]
pub struct Ledger {
    /// Every request.
    pub asked: BTreeMap<RequestId, Asked>,
    /// The versions of each instance that became durable, oldest first; kept when it is gone.
    pub versions: BTreeMap<InstanceId, Vec<Version>>,
    /// The instances whose removal is durable.
    pub removed: BTreeSet<InstanceId>,
    /// The key instance as it became durable, oldest first.
    pub masters: Vec<String>,
    on_their_way: BTreeMap<RecordSeq, (StoreEpoch, Record)>,
}

impl Ledger {
    /// The ledger of a master that starts with `image`.
    pub fn new(image: &Image) -> Self {
        let mut ledger = Self {
            asked: BTreeMap::new(),
            versions: BTreeMap::new(),
            removed: BTreeSet::new(),
            masters: Vec::new(),
            on_their_way: BTreeMap::new(),
        };
        ledger.keep_master(&image.master);
        for stored in image.instances.values() {
            ledger.keep(&stored.definition);
        }
        ledger
    }

    /// Takes an input in.
    pub fn on_input(&mut self, input: &Input) {
        match input {
            Input::RequestArrived { request, call } => {
                self.asked.insert(*request, Asked { call: call.clone(), answers: 0 });
            }
            Input::RecordsPersisted { upto } => {
                let later = self.on_their_way.split_off(&RecordSeq(upto.0 + 1));
                for (_, record) in std::mem::replace(&mut self.on_their_way, later).into_values() {
                    self.durable(&record);
                }
            }
            Input::PersistFailed { epoch, .. } => {
                self.on_their_way.retain(|_, (of, _)| of != epoch);
            }
            Input::ProcessStarted { .. }
            | Input::StartFailed { .. }
            | Input::OutputRead { .. }
            | Input::ProcessExited { .. }
            | Input::Dialled { .. }
            | Input::TimeAdvanced
            | Input::ShutdownRequested => {}
        }
    }

    /// Takes an effect in.
    pub fn on_effect(&mut self, effect: &Effect) {
        if let Effect::Persist { epoch, seq, record } = effect {
            self.on_their_way.insert(*seq, (*epoch, record.clone()));
        } else if let Effect::Respond { request, .. } = effect
            && let Some(asked) = self.asked.get_mut(request)
        {
            asked.answers += 1;
        }
    }

    /// The requests without an answer.
    pub fn unanswered(&self) -> impl Iterator<Item = (&RequestId, &Asked)> {
        self.asked.iter().filter(|(_, asked)| asked.answers == 0)
    }

    /// The records that become durable with `upto`, in order.
    pub fn due(&self, upto: RecordSeq) -> impl Iterator<Item = &Record> {
        self.on_their_way.range(..=upto).map(|(_, (_, record))| record)
    }

    fn durable(&mut self, record: &Record) {
        match record {
            Record::PutInstance { definition, .. } => self.keep(definition),
            Record::RemoveInstance(id) => {
                self.removed.insert(*id);
            }
            Record::PutMaster(identity) => self.keep_master(identity),
        }
    }

    fn keep(&mut self, definition: &Arc<Definition>) {
        let text = Shown::definition_of(definition);
        let version = Version { definition: Arc::clone(definition), text };
        self.versions.entry(definition.id).or_default().push(version);
    }

    fn keep_master(&mut self, identity: &MasterIdentity) {
        let json = render_key_instance(identity);
        self.masters.push(String::from_utf8_lossy(&json).into_owned());
    }
}
