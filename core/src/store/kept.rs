//! What is durable of the control API: the newest events, the rules, the ages of instances.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{self, Decode, Encode};
use crate::event::{DaemonRef, EventSubject, ResourceRef, Severity, StoredEvent, StoredId, Text};
use crate::ids::InstanceId;
use crate::rules::{RuleKind, RuleRef, RuleSpec};
use crate::time::Wall;

/// What is made durable together.
#[derive(Clone, Debug)]
pub struct Kept {
    /// To be dropped if this epoch of events has failed.
    pub epoch: u32,
    /// The events, in order.
    pub events: Vec<Arc<StoredEvent>>,
    /// A change of the rules.
    pub rules: Option<RulesRecord>,
    /// The last place that is taken with it.
    pub upto: StoredId,
}

/// A change of the rules, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesRecord {
    /// The generation that it makes.
    pub generation: u64,
    /// When.
    pub time: Wall,
    /// Rules that are added or replaced.
    pub put: Vec<(RuleRef, KeptRule)>,
    /// Rules that are removed.
    pub remove: Vec<RuleRef>,
}

/// A rule, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRule {
    /// Its spec as it was applied, as JSON.
    pub source: String,
}

impl KeptRule {
    /// A rule, and what is kept of it.
    pub fn of(spec: &RuleSpec) -> (RuleRef, Self) {
        (spec.rule.clone(), Self { source: spec.source.to_string() })
    }
}

/// All that is durable of the control API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlImage {
    /// The newest events, oldest first.
    pub events: VecDeque<Arc<StoredEvent>>,
    /// The place that comes next; 0 and 1 are the same.
    pub next_id: u64,
    /// The rules.
    pub rules: BTreeMap<RuleRef, KeptRule>,
    /// How often they were changed.
    pub generation: u64,
    /// When last.
    pub last_change: Option<Wall>,
    /// The age of each instance: a smaller number is older.
    pub ages: BTreeMap<InstanceId, u64>,
    /// The age of the next one.
    next_age: u64,
}

impl ControlImage {
    /// Takes in what was made durable; keeps the newest `events_max` events.
    pub fn apply(&mut self, kept: &Kept, events_max: usize) {
        for event in &kept.events {
            if self.events.back().is_none_or(|last| last.id < event.id) {
                self.events.push_back(Arc::clone(event));
            }
        }
        while self.events.len() > events_max {
            self.events.pop_front();
        }
        self.next_id = self.next_id.max(kept.upto.next().0);
        if let Some(change) = &kept.rules {
            for rule in &change.remove {
                self.rules.remove(rule);
            }
            self.rules.extend(change.put.iter().cloned());
            self.generation = change.generation;
            self.last_change = Some(change.time);
        }
    }

    /// An instance exists; one that is new is younger than all others.
    pub fn born(&mut self, id: InstanceId) {
        if let Entry::Vacant(age) = self.ages.entry(id) {
            age.insert(self.next_age);
            self.next_age += 1;
        }
    }
}

/// An event in the files, version 1.
#[derive(Encode, Decode)]
struct EventV1 {
    id: u64,
    time: u64,
    topic: String,
    daemon: [String; 3],
    resource: Option<[String; 3]>,
    subject: SubjectV1,
    severity: u8,
    reason: String,
    message: String,
    attributes: Vec<(String, String)>,
}

#[derive(Encode, Decode)]
enum SubjectV1 {
    None,
    Process(u32),
    EventRule(String),
    DerivedEvent(String),
}

#[derive(Encode, Decode)]
struct RuleV1 {
    is_derived: bool,
    name: String,
    source: String,
}

#[derive(Encode, Decode)]
struct RulesV1 {
    generation: u64,
    time: u64,
    put: Vec<RuleV1>,
    remove: Vec<RuleV1>,
}

#[derive(Encode, Decode)]
struct KeptV1 {
    events: Vec<EventV1>,
    rules: Option<RulesV1>,
    upto: u64,
}

/// All that is durable, in a snapshot.
#[derive(Encode, Decode)]
struct ImageV1 {
    events: Vec<EventV1>,
    next_id: u64,
    rules: RulesV1,
    was_changed: bool,
    ages: Vec<(u32, u64)>,
}

impl Kept {
    /// The bytes of a journal entry.
    pub(super) fn encode(&self) -> Vec<u8> {
        codec::encode(KeptV1 {
            events: self.events.iter().map(|event| EventV1::from(&**event)).collect(),
            rules: self.rules.as_ref().map(RulesV1::from),
            upto: self.upto.0,
        })
    }

    /// Reads them back.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let KeptV1 { events, rules, upto } = codec::decode(bytes)?;
        Ok(Self {
            epoch: 0,
            events: events.into_iter().map(EventV1::into_event).collect::<Result<_, _>>()?,
            rules: rules.map(RulesV1::into_record),
            upto: StoredId(upto),
        })
    }
}

impl ControlImage {
    /// The bytes in a snapshot. Ages of instances that are not in `alive` are left out.
    pub(super) fn encode(&self, alive: impl Fn(InstanceId) -> bool) -> Vec<u8> {
        let put = self.rules.iter().map(|(rule, kept)| RuleV1::new(rule, &kept.source)).collect();
        let ages = self.ages.iter().filter(|(id, _)| alive(**id)).map(|(id, age)| (id.0, *age));
        codec::encode(ImageV1 {
            events: self.events.iter().map(|event| EventV1::from(&**event)).collect(),
            next_id: self.next_id,
            rules: RulesV1 {
                generation: self.generation,
                time: self.last_change.unwrap_or_default().as_micros(),
                put,
                remove: Vec::new(),
            },
            was_changed: self.last_change.is_some(),
            ages: ages.collect(),
        })
    }

    /// Reads them back.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let ImageV1 { events, next_id, rules, was_changed, ages } = codec::decode(bytes)?;
        let events: Result<VecDeque<Arc<StoredEvent>>, String> =
            events.into_iter().map(EventV1::into_event).collect();
        let record = rules.into_record();
        let next_age = ages.iter().map(|(_, age)| age.saturating_add(1)).max().unwrap_or_default();
        Ok(Self {
            next_age,
            events: events?,
            next_id,
            rules: record.put.into_iter().collect(),
            generation: record.generation,
            last_change: was_changed.then_some(record.time),
            ages: ages.into_iter().map(|(id, age)| (InstanceId(id), age)).collect(),
        })
    }
}

impl From<&StoredEvent> for EventV1 {
    fn from(event: &StoredEvent) -> Self {
        let DaemonRef { name, kind, instance } = &event.daemon;
        let texts = |[first, second, third]: [&Text; 3]| {
            [first.to_string(), second.to_string(), third.to_string()]
        };
        Self {
            id: event.id.0,
            time: event.time.as_micros(),
            topic: event.topic.to_string(),
            daemon: texts([name, kind, instance]),
            resource: event
                .resource
                .as_ref()
                .map(|resource| texts([&resource.api_version, &resource.kind, &resource.name])),
            subject: match &event.subject {
                None => SubjectV1::None,
                Some(EventSubject::Process(id)) => SubjectV1::Process(id.0),
                Some(EventSubject::EventRule(name)) => SubjectV1::EventRule(name.to_string()),
                Some(EventSubject::DerivedEvent(name)) => SubjectV1::DerivedEvent(name.to_string()),
            },
            severity: event.severity as u8,
            reason: event.reason.to_string(),
            message: event.message.to_string(),
            attributes: event
                .attributes
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
        }
    }
}

impl EventV1 {
    fn into_event(self) -> Result<Arc<StoredEvent>, String> {
        let [name, kind, instance] = self.daemon.map(Cow::Owned);
        let severities = [Severity::Debug, Severity::Info, Severity::Warning, Severity::Error];
        let severity = severities.get(usize::from(self.severity)).copied();
        Ok(Arc::new(StoredEvent {
            id: StoredId(self.id),
            time: Wall::from_micros(self.time),
            topic: Cow::Owned(self.topic),
            daemon: DaemonRef { name, kind, instance },
            resource: self.resource.map(|resource| {
                let [api_version, kind, name] = resource.map(Cow::Owned);
                ResourceRef { api_version, kind, name }
            }),
            subject: match self.subject {
                SubjectV1::None => None,
                SubjectV1::Process(id) => Some(EventSubject::Process(InstanceId(id))),
                SubjectV1::EventRule(name) => Some(EventSubject::EventRule(name.into())),
                SubjectV1::DerivedEvent(name) => Some(EventSubject::DerivedEvent(name.into())),
            },
            severity: severity.ok_or("an event has an unknown severity")?,
            reason: Cow::Owned(self.reason),
            message: Cow::Owned(self.message),
            attributes: self
                .attributes
                .into_iter()
                .map(|(name, value)| (Cow::Owned(name), value))
                .collect(),
        }))
    }
}

impl RuleV1 {
    fn new(rule: &RuleRef, source: &str) -> Self {
        let is_derived = rule.kind == RuleKind::DerivedEvent;
        Self { is_derived, name: rule.name.to_string(), source: source.to_string() }
    }

    fn into_rule(self) -> (RuleRef, KeptRule) {
        let kind = if self.is_derived { RuleKind::DerivedEvent } else { RuleKind::EventRule };
        (RuleRef { kind, name: self.name.into() }, KeptRule { source: self.source })
    }
}

impl From<&RulesRecord> for RulesV1 {
    fn from(record: &RulesRecord) -> Self {
        Self {
            generation: record.generation,
            time: record.time.as_micros(),
            put: record.put.iter().map(|(rule, kept)| RuleV1::new(rule, &kept.source)).collect(),
            remove: record.remove.iter().map(|rule| RuleV1::new(rule, "")).collect(),
        }
    }
}

impl RulesV1 {
    fn into_record(self) -> RulesRecord {
        RulesRecord {
            generation: self.generation,
            time: Wall::from_micros(self.time),
            put: self.put.into_iter().map(RuleV1::into_rule).collect(),
            remove: self.remove.into_iter().map(|rule| rule.into_rule().0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn event() -> impl Strategy<Value = Arc<StoredEvent>> {
        let text = || "[a-z.]{0,6}".prop_map(Cow::Owned);
        let subject = prop_oneof![
            Just(None),
            any::<u32>().prop_map(|id| Some(EventSubject::Process(InstanceId(id)))),
            "[a-z]{1,4}".prop_map(|name| Some(EventSubject::EventRule(name.as_str().into()))),
            "[a-z]{1,4}".prop_map(|name| Some(EventSubject::DerivedEvent(name.as_str().into()))),
        ];
        let severity = prop::sample::select(vec![Severity::Debug, Severity::Error]);
        let resource = prop::option::of((text(), text(), text()));
        let attributes = prop::collection::btree_map(text(), "[a-z]{0,4}", 0..3);
        (1u64..100, text(), resource, subject, severity, text(), attributes).prop_map(
            |(id, topic, resource, subject, severity, reason, attributes)| {
                Arc::new(StoredEvent {
                    id: StoredId(id),
                    time: Wall::from_micros(id * 7),
                    topic,
                    daemon: DaemonRef {
                        name: reason.clone(),
                        kind: "k".into(),
                        instance: "".into(),
                    },
                    resource: resource.map(|(api_version, kind, name)| ResourceRef {
                        api_version,
                        kind,
                        name,
                    }),
                    subject,
                    severity,
                    reason,
                    message: "m".into(),
                    attributes,
                })
            },
        )
    }

    fn rule(name: &str) -> (RuleRef, KeptRule) {
        let kind = if name.len() > 2 { RuleKind::DerivedEvent } else { RuleKind::EventRule };
        (RuleRef { kind, name: name.into() }, KeptRule { source: name.to_string() })
    }

    proptest! {
        #[test]
        fn what_is_kept_reads_back(
            events in prop::collection::vec(event(), 0..5),
            names in prop::collection::vec("[a-z]{1,4}", 0..3),
            has_rules: bool,
            ages in prop::collection::vec(any::<u32>(), 0..3),
        ) {
            let record = RulesRecord {
                generation: 3,
                time: Wall::from_micros(9),
                put: names.iter().map(|name| rule(name)).collect(),
                remove: names.iter().map(|name| rule(name).0).collect(),
            };
            let kept = Kept { epoch: 0, events, rules: has_rules.then_some(record), upto: StoredId(100) };
            let back = Kept::decode(&kept.encode()).expect("it was encoded here");
            prop_assert_eq!(&back.events, &kept.events);
            prop_assert_eq!((&back.rules, back.upto), (&kept.rules, kept.upto));

            let mut image = ControlImage::default();
            image.apply(&kept, 3);
            ages.iter().for_each(|id| image.born(InstanceId(*id)));
            prop_assert!(image.events.len() <= 3);
            prop_assert_eq!(image.next_id, 101);
            let back = ControlImage::decode(&image.encode(|_| true)).expect("it was encoded here");
            prop_assert_eq!(back, image);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = (Kept::decode(&bytes), ControlImage::decode(&bytes));
        }
    }

    #[test]
    fn the_first_instance_is_the_oldest() {
        let mut image = ControlImage::default();
        for id in [9, 3, 9, 5] {
            image.born(InstanceId(id));
        }
        let ages: Vec<(u32, u64)> = image.ages.iter().map(|(id, age)| (id.0, *age)).collect();
        assert_eq!(ages, [(3, 1), (5, 2), (9, 0)]);
        assert_eq!(
            ControlImage::decode(&image.encode(|id| id.0 != 5)).expect("good").ages.len(),
            2
        );
    }
}
