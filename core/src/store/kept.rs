//! The durable data of the control API: the newest events, the rules, the ages of instances.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::collections::btree_map::{BTreeMap, Entry};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::event::{
    DaemonRef, Draft, EventSubject, ResourceRef, Severity, StoredEvent, StoredId, Text,
};
use crate::formats::FormatError;
use crate::formats::v2::control::{ControlV2, EventV2, KeptV2, RuleV2, RulesV2, SubjectV2};
use crate::ids::InstanceId;
use crate::rules::{RuleKind, RuleRef, RuleSpec};
use crate::time::Wall;

/// Data that is made durable together.
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

/// The stored form of a change of the rules.
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

/// The stored form of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRule {
    /// Its spec as it was applied, as JSON.
    pub source: String,
}

impl KeptRule {
    /// A rule and its stored state.
    pub fn of(spec: &RuleSpec) -> (RuleRef, Self) {
        (spec.rule.clone(), Self { source: spec.source.to_string() })
    }
}

/// What takes a change of the image back.
#[derive(Debug)]
pub struct ControlUndo {
    next_id: u64,
    rules: Option<(BTreeMap<RuleRef, KeptRule>, u64, Option<Wall>)>,
}

/// All that is durable of the control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlImage {
    /// The newest events, oldest first.
    pub events: VecDeque<Arc<StoredEvent>>,
    /// The place that comes next.
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
    /// How many events are kept; not durable itself.
    pub events_max: usize,
}

impl Default for ControlImage {
    /// Nothing yet.
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            next_id: 1,
            rules: BTreeMap::new(),
            generation: 0,
            last_change: None,
            ages: BTreeMap::new(),
            next_age: 0,
            events_max: usize::MAX,
        }
    }
}

impl ControlImage {
    /// Applies durable data. Returns what reverts it, except for events that were dropped to make
    /// room.
    pub fn apply(&mut self, kept: &Kept) -> ControlUndo {
        let next_id = self.next_id;
        for event in &kept.events {
            if self.events.back().is_none_or(|last| last.id < event.id) {
                self.events.push_back(Arc::clone(event));
            }
        }
        while self.events.len() > self.events_max {
            self.events.pop_front();
        }
        self.next_id = self.next_id.max(kept.upto.next().0);
        let rules = kept.rules.as_ref().map(|change| {
            let before = (self.rules.clone(), self.generation, self.last_change);
            for rule in &change.remove {
                self.rules.remove(rule);
            }
            self.rules.extend(change.put.iter().cloned());
            self.generation = change.generation;
            self.last_change = Some(change.time);
            before
        });
        ControlUndo { next_id, rules }
    }

    /// Reverts what was applied last and not yet reverted.
    pub fn undo(&mut self, undo: ControlUndo) {
        while self.events.back().is_some_and(|event| event.id.0 >= undo.next_id) {
            self.events.pop_back();
        }
        self.next_id = undo.next_id;
        if let Some(rules) = undo.rules {
            (self.rules, self.generation, self.last_change) = rules;
        }
    }

    /// An instance exists; one that is new is younger than all others. Without a control API there
    /// are no ages.
    pub(super) fn seen(&mut self, id: InstanceId) {
        if self.was_used() {
            self.born(id);
        }
    }

    fn born(&mut self, id: InstanceId) {
        if let Entry::Vacant(age) = self.ages.entry(id) {
            age.insert(self.next_age);
            self.next_age += 1;
        }
    }
}

impl<'a> From<&'a Kept> for KeptV2<'a> {
    fn from(kept: &'a Kept) -> Self {
        Self {
            events: kept.events.iter().map(|event| EventV2::from(&**event)).collect(),
            rules: kept.rules.as_ref().map(RulesV2::from),
            upto: kept.upto.0,
        }
    }
}

impl TryFrom<KeptV2<'_>> for Kept {
    type Error = FormatError;

    fn try_from(kept: KeptV2<'_>) -> Result<Self, FormatError> {
        let KeptV2 { events, rules, upto } = kept;
        Ok(Self {
            epoch: 0,
            events: events.into_iter().map(EventV2::into_event).collect::<Result<_, _>>()?,
            rules: rules.map(RulesV2::into_record),
            upto: StoredId(upto),
        })
    }
}

impl ControlImage {
    /// Whether there ever was a control API.
    pub(super) fn was_used(&self) -> bool {
        self.next_id > 1 || self.generation > 0 || !self.ages.is_empty()
    }

    /// Prepares for a master with a control API: a maximum number of retained events, and an age
    /// for each instance.
    pub(super) fn adopt<'a>(
        &mut self,
        events_max: usize,
        instances: impl Iterator<Item = &'a InstanceId>,
    ) {
        self.events_max = events_max;
        instances.for_each(|id| self.born(*id));
        while self.events.len() > events_max {
            self.events.pop_front();
        }
    }

    /// The form in a snapshot. Ages of instances that are not in `alive` are omitted.
    pub(super) fn stored(&self, alive: impl Fn(InstanceId) -> bool) -> ControlV2<'_> {
        let put = self.rules.iter().map(|(rule, kept)| RuleV2::new(rule, &kept.source)).collect();
        let ages = self.ages.iter().filter(|(id, _)| alive(**id)).map(|(id, age)| (id.0, *age));
        ControlV2 {
            events: self.events.iter().map(|event| EventV2::from(&**event)).collect(),
            next_id: self.next_id,
            rules: RulesV2 {
                generation: self.generation,
                time: self.last_change.unwrap_or_default().as_micros(),
                put,
                remove: Vec::new(),
            },
            was_changed: self.last_change.is_some(),
            ages: ages.collect(),
            next_age: self.next_age,
        }
    }
}

impl TryFrom<ControlV2<'_>> for ControlImage {
    type Error = FormatError;

    fn try_from(control: ControlV2<'_>) -> Result<Self, FormatError> {
        let ControlV2 { events, next_id, rules, was_changed, ages, next_age } = control;
        let events: Result<VecDeque<Arc<StoredEvent>>, FormatError> =
            events.into_iter().map(EventV2::into_event).collect();
        let record = rules.into_record();
        Ok(Self {
            next_age,
            events_max: usize::MAX,
            events: events?,
            next_id,
            rules: record.put.into_iter().collect(),
            generation: record.generation,
            last_change: was_changed.then_some(record.time),
            ages: ages.into_iter().map(|(id, age)| (InstanceId(id), age)).collect(),
        })
    }
}

impl<'a> From<&'a StoredEvent> for EventV2<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        let DaemonRef { name, kind, instance } = &event.daemon;
        let text = |text: &'a str| Cow::Borrowed(text);
        Self {
            id: event.id.0,
            time: event.time.as_micros(),
            topic: text(&event.topic),
            daemon: [text(name), text(kind), text(instance)],
            resource: event.resource.as_ref().map(|resource| {
                [text(&resource.api_version), text(&resource.kind), text(&resource.name)]
            }),
            subject: match &event.subject {
                None => SubjectV2::None,
                Some(EventSubject::Process(id)) => SubjectV2::Process(id.0),
                Some(EventSubject::EventRule(name)) => SubjectV2::EventRule(name.to_string()),
                Some(EventSubject::DerivedEvent(name)) => SubjectV2::DerivedEvent(name.to_string()),
            },
            severity: event.severity as u8,
            reason: text(&event.reason),
            message: text(&event.message),
            attributes: event
                .attributes
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        }
    }
}

impl EventV2<'_> {
    fn into_event(self) -> Result<Arc<StoredEvent>, FormatError> {
        let owned = |text: Cow<'_, str>| Text::Owned(text.into_owned());
        let [name, kind, instance] = self.daemon.map(owned);
        let severities = [Severity::Debug, Severity::Info, Severity::Warning, Severity::Error];
        let severity = severities.get(usize::from(self.severity)).copied();
        let (id, time) = (StoredId(self.id), Wall::from_micros(self.time));
        let draft = Draft {
            topic: owned(self.topic),
            daemon: DaemonRef { name, kind, instance },
            resource: self.resource.map(|resource| {
                let [api_version, kind, name] = resource.map(owned);
                ResourceRef { api_version, kind, name }
            }),
            subject: match self.subject {
                SubjectV2::None => None,
                SubjectV2::Process(id) => Some(EventSubject::Process(InstanceId(id))),
                SubjectV2::EventRule(name) => Some(EventSubject::EventRule(name.into())),
                SubjectV2::DerivedEvent(name) => Some(EventSubject::DerivedEvent(name.into())),
            },
            severity: severity.ok_or(FormatError::Unknown("the severity of an event"))?,
            reason: owned(self.reason),
            message: owned(self.message),
            attributes: self
                .attributes
                .into_iter()
                .map(|(name, value)| (owned(name), value.into_owned()))
                .collect(),
        };
        Ok(Arc::new(draft.stored(id, time)))
    }
}

impl RuleV2 {
    fn new(rule: &RuleRef, source: &str) -> Self {
        let is_derived = rule.kind == RuleKind::DerivedEvent;
        Self { is_derived, name: rule.name.to_string(), source: source.to_string() }
    }

    fn into_rule(self) -> (RuleRef, KeptRule) {
        let kind = if self.is_derived { RuleKind::DerivedEvent } else { RuleKind::EventRule };
        (RuleRef { kind, name: self.name.into() }, KeptRule { source: self.source })
    }
}

impl From<&RulesRecord> for RulesV2 {
    fn from(record: &RulesRecord) -> Self {
        Self {
            generation: record.generation,
            time: record.time.as_micros(),
            put: record.put.iter().map(|(rule, kept)| RuleV2::new(rule, &kept.source)).collect(),
            remove: record.remove.iter().map(|rule| RuleV2::new(rule, "")).collect(),
        }
    }
}

impl RulesV2 {
    fn into_record(self) -> RulesRecord {
        RulesRecord {
            generation: self.generation,
            time: Wall::from_micros(self.time),
            put: self.put.into_iter().map(RuleV2::into_rule).collect(),
            remove: self.remove.into_iter().map(|rule| rule.into_rule().0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{decode, encode};
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
                let draft = Draft {
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
                    attributes: attributes.into_iter().collect(),
                };
                Arc::new(draft.stored(StoredId(id), Wall::from_micros(id * 7)))
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
            let bytes = encode(KeptV2::from(&kept));
            let read: KeptV2<'_> = decode(&bytes).expect("it was encoded here");
            let back = Kept::try_from(read).expect("it was encoded here");
            prop_assert_eq!(&back.events, &kept.events);
            prop_assert_eq!((&back.rules, back.upto), (&kept.rules, kept.upto));

            let mut image = ControlImage { events_max: 3, ..ControlImage::default() };
            let before = image.clone();
            let undo = image.apply(&kept);
            let mut undone = image.clone();
            undone.undo(undo);
            prop_assert_eq!(undone, before);
            ages.iter().for_each(|id| image.born(InstanceId(*id)));
            prop_assert!(image.events.len() <= 3);
            prop_assert_eq!(image.next_id, 101);
            let back = ControlImage::try_from(image.stored(|_| true)).expect("it was encoded here");
            prop_assert_eq!(ControlImage { events_max: 3, ..back }, image);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode::<KeptV2<'_>>(&bytes).map(Kept::try_from);
            let _ = decode::<ControlV2<'_>>(&bytes).map(ControlImage::try_from);
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
        let read = ControlImage::try_from(image.stored(|id| id.0 != 5)).expect("good");
        assert_eq!(read.ages.len(), 2);
    }
}
