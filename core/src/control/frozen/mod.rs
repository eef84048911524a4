//! The machine as plain data, and back, for the start of a trace.
//!
//! Texts that may be secret are masked. Of an event that waits only its topic is kept: nothing is
//! decided by the rest of it any more.

mod rules;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use self::rules::COUNT_MAX;
pub(crate) use self::rules::{masked_command, masked_rule, rule_of};
use super::known::{Known, Seen, message};
use super::outlet::{Outlet, Pending};
use super::{Control, Ticket, Waiting};
use crate::doors::control::{ProcessEntry, Reply};
use crate::engine::Engine;
use crate::event::{Attributes, DaemonRef, Draft, EventSubject, Severity, StoredEvent, StoredId};
use crate::formats::v2::control::SubjectV2;
use crate::formats::v2::definition::DefinitionV2;
use crate::formats::v2::machine::{
    HeldV2, KnownV2, MachineV2, OutletV2, PendingV2, PublishedV2, ResourceStateV2, WaitingV2,
};
use crate::formats::{FormatError, Masks};
use crate::ids::{InstanceId, StoreEpoch};
use crate::instance::{Definition, State};
use crate::resource::{Activity, Names, ResourceState, Situation, Trouble};
use crate::time::{Time, Wall};

impl Control {
    /// The machine beside `engine`, without pending effects.
    pub(crate) fn freeze(&self, engine: &Engine, masks: &mut Masks) -> MachineV2 {
        let names = self.names.by_age().into_iter();
        let known = self.known.iter();
        let waiting = self.waiting.iter().map(|(id, ticket, waiting)| {
            let waiting = match waiting {
                Waiting::Note => WaitingV2::Note,
                Waiting::Rules(reply, before) => {
                    WaitingV2::Rules(reply.status, Box::new(rules::freeze(before, masks)))
                }
            };
            (id.0, ticket.0, waiting)
        });
        let waiting = waiting.collect();
        let held = self.held.iter().map(|(id, entry)| {
            let ProcessEntry { id: instance, generation, state, .. } = &**entry;
            (id.0, HeldV2 { id: instance.0, generation: *generation, state: state.into() })
        });
        MachineV2 {
            names: names.map(|(id, alias)| (id.0, masks.alias(alias))).collect(),
            known: known.map(|(id, known)| known.freeze(*id, engine, masks)).collect(),
            created: self.created.iter().map(|id| id.0).collect(),
            rules: rules::freeze(&self.rules, masks),
            outlet: (&self.outlet).into(),
            waiting,
            held: held.collect(),
            retry_at: self.retry_at.map(Time::as_micros),
        }
    }

    /// The machine that was frozen beside `engine`.
    ///
    /// # Errors
    /// What no machine can have been.
    pub(crate) fn thaw(machine: MachineV2, engine: &Engine) -> Result<Self, FormatError> {
        let MachineV2 { names: rows, known: seen, created, rules, outlet, waiting, held, retry_at } =
            machine;
        let mut names = Names::default();
        rows.iter().for_each(|(id, alias)| drop(names.insert(InstanceId(*id), alias)));
        let mut known = BTreeMap::new();
        for one in seen {
            known.insert(InstanceId(one.id), Known::thaw(one, engine)?);
        }
        let waiting = waiting.into_iter().map(|(id, ticket, waiting)| {
            let waiting = match waiting {
                WaitingV2::Note => Waiting::Note,
                WaitingV2::Rules(status, before) => {
                    let before = Arc::new(rules::thaw(*before)?);
                    Waiting::Rules(Reply { status, ..Reply::error(status, "") }, before)
                }
            };
            Ok((StoredId(id), Ticket(ticket), waiting))
        });
        let held = held.into_iter().map(|(id, held)| Ok((StoredId(id), Arc::new(held.thaw()?))));
        Ok(Self {
            names,
            known,
            created: created.into_iter().map(InstanceId).collect(),
            rules: rules::thaw(rules)?,
            outlet: outlet.thaw()?,
            effects: VecDeque::new(),
            waiting: waiting.collect::<Result<_, FormatError>>()?,
            held: held.collect::<Result<_, FormatError>>()?,
            retry_at: retry_at.map(Time::from_micros),
        })
    }
}

impl Known {
    fn freeze(&self, id: InstanceId, engine: &Engine, masks: &mut Masks) -> KnownV2 {
        let Self { definition, staged, state, message: _, seen } = self;
        let is_current =
            definition_of(engine, id).is_some_and(|current| Arc::ptr_eq(definition, current));
        let mut masked = |one: &Arc<Definition>| Box::new(DefinitionV2::masked(one, masks));
        let number = State::ALL.iter().position(|known| *known == seen.state);
        KnownV2 {
            id: id.0,
            definition: (!is_current).then(|| masked(definition)),
            staged: staged.as_ref().map(&mut masked),
            state: state.into(),
            seen: number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX),
            counts: [seen.starts, seen.failures, seen.exits],
            next_restart: seen.next_restart.map(|(at, delay_ms)| (at.as_micros(), delay_ms)),
            last_checkpoint: seen.last_checkpoint.map(Time::as_micros),
        }
    }

    fn thaw(known: KnownV2, engine: &Engine) -> Result<Self, FormatError> {
        let id = InstanceId(known.id);
        let read = |one: Box<DefinitionV2>| one.into_definition().map(Arc::new);
        let definition = match known.definition {
            Some(definition) => read(definition)?,
            None => Arc::clone(
                definition_of(engine, id)
                    .ok_or(FormatError::Missing("an instance that is named"))?,
            ),
        };
        let state = ResourceState::try_from(known.state)?;
        let Situation { trouble, checkpoint_seen, .. } = state.situation();
        let [starts, failures, exits] = known.counts;
        let seen = Seen {
            state: *State::ALL
                .get(usize::from(known.seen))
                .ok_or(FormatError::Unknown("the state of an instance"))?,
            starts,
            failures,
            exits,
            next_restart: known.next_restart.map(|(at, ms)| (Wall::from_micros(at), ms)),
            checkpoint_seen,
            last_checkpoint: known.last_checkpoint.map(Time::from_micros),
            trouble,
        };
        let slot = engine.table().find(id).and_then(|slot| engine.table().get(slot));
        let message = slot.map_or_else(String::new, |instance| message(instance, &seen));
        let staged = known.staged.map(read).transpose()?;
        Ok(Self { definition, staged, state, message, seen })
    }
}

fn definition_of(engine: &Engine, id: InstanceId) -> Option<&Arc<Definition>> {
    let slot = engine.table().find(id)?;
    engine.table().get(slot).map(|instance| instance.definition())
}

impl From<&ResourceState> for ResourceStateV2 {
    fn from(state: &ResourceState) -> Self {
        let Situation { activity, trouble, restart_due, checkpoint_seen } = state.situation();
        let (times, was_ready) = state.times();
        Self {
            situation: (activity as u8, trouble as u8),
            restart_due,
            checkpoint_seen,
            times: times.map(Wall::as_micros),
            was_ready,
        }
    }
}

impl TryFrom<ResourceStateV2> for ResourceState {
    type Error = FormatError;

    fn try_from(state: ResourceStateV2) -> Result<Self, FormatError> {
        let ResourceStateV2 { situation, restart_due, checkpoint_seen, times, was_ready } = state;
        let unknown = FormatError::Unknown("the activity of an instance");
        let (Some(activity), Some(trouble)) = (
            Activity::ALL.get(usize::from(situation.0)),
            Trouble::ALL.get(usize::from(situation.1)),
        ) else {
            return Err(unknown);
        };
        let (activity, trouble) = (*activity, *trouble);
        let situation = Situation { activity, trouble, restart_due, checkpoint_seen };
        Ok(Self::of(situation, times.map(Wall::from_micros), was_ready))
    }
}

impl HeldV2 {
    /// Without its texts, which only readers see.
    fn thaw(self) -> Result<ProcessEntry, FormatError> {
        Ok(ProcessEntry {
            id: InstanceId(self.id),
            name: "".into(),
            alias: String::new(),
            scheme: String::new(),
            url: String::new(),
            restart: false,
            tags: BTreeMap::new(),
            generation: self.generation,
            state: self.state.try_into()?,
            message: String::new(),
        })
    }
}

impl From<&Outlet> for OutletV2 {
    fn from(outlet: &Outlet) -> Self {
        let Outlet { next_id, last_time, pending, unkept, epoch, is_durable } = outlet;
        let pending = pending.iter().map(|Pending { event, id, cause }| PendingV2 {
            id: id.0,
            event: event.as_deref().map(Into::into),
            cause: cause.map(|cause| cause.0),
        });
        Self {
            next_id: *next_id,
            last_time: last_time.as_micros(),
            pending: pending.collect(),
            unkept: *unkept as u64,
            epoch: *epoch,
            is_durable: *is_durable,
        }
    }
}

impl OutletV2 {
    fn thaw(self) -> Result<Outlet, FormatError> {
        let Self { next_id, last_time, pending, unkept, epoch, is_durable } = self;
        let unkept = usize::try_from(unkept).unwrap_or(usize::MAX);
        if unkept > pending.len() {
            return Err(FormatError::Contradiction("more events wait than there are"));
        }
        if next_id > COUNT_MAX || epoch > u32::MAX / 2 {
            return Err(FormatError::TooLarge("a number"));
        }
        let pending = pending.into_iter().map(|PendingV2 { id, event, cause }| Pending {
            event: event.map(|event| Arc::new(event.into())),
            id: StoredId(id),
            cause: cause.map(StoreEpoch),
        });
        let (pending, last_time) = (pending.collect(), Wall::from_micros(last_time));
        Ok(Outlet { next_id, last_time, pending, unkept, epoch, is_durable })
    }
}

impl From<&StoredEvent> for PublishedV2 {
    fn from(event: &StoredEvent) -> Self {
        Self {
            id: event.id.0,
            time: event.time.as_micros(),
            topic: event.topic.to_string(),
            subject: match &event.subject {
                None => SubjectV2::None,
                Some(EventSubject::Process(id)) => SubjectV2::Process(id.0),
                Some(EventSubject::EventRule(name)) => SubjectV2::EventRule(name.to_string()),
                Some(EventSubject::DerivedEvent(name)) => SubjectV2::DerivedEvent(name.to_string()),
            },
        }
    }
}

impl From<PublishedV2> for StoredEvent {
    fn from(PublishedV2 { id, time, topic, subject }: PublishedV2) -> Self {
        let daemon = DaemonRef { name: "".into(), kind: "".into(), instance: "".into() };
        let draft = Draft {
            topic: topic.into(),
            daemon,
            resource: None,
            subject: match subject {
                SubjectV2::None => None,
                SubjectV2::Process(id) => Some(EventSubject::Process(InstanceId(id))),
                SubjectV2::EventRule(name) => Some(EventSubject::EventRule(name.into())),
                SubjectV2::DerivedEvent(name) => Some(EventSubject::DerivedEvent(name.into())),
            },
            severity: Severity::Info,
            reason: "".into(),
            message: "".into(),
            attributes: Attributes::new(),
        };
        draft.stored(StoredId(id), Wall::from_micros(time))
    }
}
