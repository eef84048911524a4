//! Rules at work: every operator, DerivedEvents, and that nothing feeds itself.

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::format;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::{Attributes, DaemonRef, ResourceRef, Severity, StoredId};
use crate::rules::{DerivedPhase, KEYS_MAX};

/// A master with only its rules.
#[derive(Default)]
struct Bench {
    rules: RuleSet,
    now: Now,
    last: u64,
    published: Vec<Arc<StoredEvent>>,
    statuses: BTreeMap<String, String>,
}

fn draft(topic: &str) -> Draft {
    Draft {
        topic: Cow::Owned(topic.to_string()),
        daemon: DaemonRef {
            name: "openctrl-process-web".into(),
            kind: "openctrl-process".into(),
            instance: "web".into(),
        },
        resource: Some(ResourceRef {
            api_version: "openctrl/v1alpha1".into(),
            kind: "Process".into(),
            name: "web".into(),
        }),
        subject: None,
        severity: Severity::Info,
        reason: "".into(),
        message: "".into(),
        attributes: Attributes::new(),
    }
}

impl Bench {
    fn with(rules: &[(RuleKind, &str, Value)]) -> Self {
        let mut bench = Self::default();
        bench.apply(rules);
        bench
    }

    fn event_rule(pattern: Value) -> Self {
        let spec = json!({"pattern": pattern, "emit": {"topic": "out"}});
        Self::with(&[(RuleKind::EventRule, "r", spec)])
    }

    fn run(
        &mut self,
        step: impl FnOnce(&mut RuleSet, Now, Statuses<'_>, &mut dyn FnMut(Draft) -> Arc<StoredEvent>),
    ) {
        let Self { rules, now, last, published, statuses } = self;
        let read = |kind: &str, name: &str, key: &str| {
            statuses.get(&format!("{kind}/{name}.{key}")).cloned().unwrap_or_default()
        };
        let mut publish = |draft: Draft| {
            *last += 1;
            let event = Arc::new(draft.stored(StoredId(*last), now.wall));
            published.push(Arc::clone(&event));
            event
        };
        step(rules, *now, &read, &mut publish);
    }

    fn apply(&mut self, rules: &[(RuleKind, &str, Value)]) {
        let spec = |(kind, name, spec): &(RuleKind, &str, Value)| {
            RuleSpec::new(*kind, name, spec.clone()).expect("a good rule")
        };
        let change = RulesChange { put: rules.iter().map(spec).collect(), remove: Vec::new() };
        self.run(|rules, now, statuses, publish| rules.apply(now, &change, statuses, publish));
    }

    fn publish(&mut self, draft: Draft) {
        self.last += 1;
        let event = Arc::new(draft.stored(StoredId(self.last), self.now.wall));
        self.run(|rules, now, statuses, publish| rules.on_event(now, &event, statuses, publish));
    }

    /// Applies events, and returns those that made the rule fire.
    fn fires(&mut self, topics: &str) -> String {
        let mut fired = String::new();
        for topic in topics.split(' ') {
            let before = self.published.len();
            self.publish(draft(topic));
            fired.push(if self.published.len() > before { 'F' } else { '.' });
        }
        fired
    }

    fn wait_ms(&mut self, ms: u64) {
        self.now.mono = self.now.mono.after_ms(ms);
        self.now.wall = Wall::from_micros(self.now.wall.as_micros() + ms * 1_000);
        if self.rules.next_due().is_some_and(|due| due <= self.now.mono) {
            self.run(|rules, now, statuses, publish| rules.on_time(now, statuses, publish));
        }
        assert!(self.rules.next_due().is_none_or(|due| due > self.now.mono), "a timer is left");
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.published.last().and_then(|event| event.attributes.get(name)).map(String::as_str)
    }

    fn topics(&self) -> Vec<&str> {
        self.published.iter().map(|event| &*event.topic).collect()
    }

    fn set(&mut self, field: &str, value: &str) {
        self.statuses.insert(field.to_string(), value.to_string());
        self.publish(draft("x"));
    }
}

#[test]
fn all_of_fires_at_each_event_from_the_first_completion() {
    let mut bench = Bench::event_rule(json!({"operator": "all_of", "topics": ["a", "b"]}));
    assert_eq!(bench.fires("a x b a b"), "..FFF");
    // No wildcards.
    let mut bench = Bench::event_rule(json!({"operator": "all_of", "topics": ["a", "*"]}));
    assert_eq!(bench.fires("a b"), "..");
    assert_eq!(bench.fires("*"), "F");
}

#[test]
fn any_of_fires_at_each_match() {
    let mut bench =
        Bench::event_rule(json!({"operator": "any_of", "topics": ["a.*", "b"], "trigger": "c"}));
    assert_eq!(bench.fires("a.x b c a.x.y"), "FFF.");
    let mut bench = Bench::event_rule(json!({"operator": "any_of", "expected": "a"}));
    assert_eq!(bench.fires("a"), ".");
}

#[test]
fn a_sequence_ignores_what_is_out_of_order() {
    let mut bench = Bench::event_rule(json!({"operator": "sequence", "topics": ["a", "b", "c"]}));
    assert_eq!(bench.fires("a b a c"), "...F");
    assert_eq!(bench.fires("c b a x b c"), ".....F");
}

#[test]
fn a_strict_sequence_starts_over() {
    let mut bench =
        Bench::event_rule(json!({"operator": "sequence", "topics": ["a", "b"], "strict": true}));
    assert_eq!(bench.fires("a a b"), "...", "the second a does not count as a first");
    assert_eq!(bench.fires("a x b"), "..F", "what is not listed does not break the order");
}

#[test]
fn a_window_slides_and_clears() {
    let pattern = json!({"operator": "window", "topic": "a", "threshold": 3, "window": "10s"});
    let mut bench = Bench::event_rule(pattern);
    assert_eq!(bench.fires("a"), ".");
    bench.wait_ms(5_000);
    assert_eq!(bench.fires("a"), ".");
    bench.wait_ms(5_000);
    assert_eq!(bench.fires("a a a"), "F..", "the lower edge is inside; then it is empty");
    assert_eq!(bench.attribute("count"), Some("3"));
    bench.wait_ms(10_001);
    assert_eq!(bench.fires("a"), ".");
}

#[test]
fn a_count_has_no_time_limit() {
    let mut bench = Bench::event_rule(json!({"operator": "count", "topic": "**", "threshold": 2}));
    assert_eq!(bench.fires("a"), ".");
    bench.wait_ms(100_000_000);
    assert_eq!(bench.fires("b c d"), "F.F");
    assert_eq!(bench.attribute("count"), Some("2"));
    let mut bench = Bench::event_rule(json!({"operator": "count", "topic": "a"}));
    assert_eq!(bench.fires("a a"), "FF");
}

#[test]
fn a_throttle_lets_the_first_through() {
    let mut bench =
        Bench::event_rule(json!({"operator": "throttle", "topic": "a", "interval": "10s"}));
    assert_eq!(bench.fires("a a"), "F.");
    bench.wait_ms(9_999);
    assert_eq!(bench.fires("a"), ".");
    bench.wait_ms(1);
    assert_eq!(bench.fires("a a"), "F.");
    let mut bench = Bench::event_rule(
        json!({"operator": "throttle", "topic": "a", "interval": "10s", "rate": 2}),
    );
    assert_eq!(bench.fires("a"), "F");
    bench.wait_ms(6_000);
    assert_eq!(bench.fires("a a"), "F.");
    bench.wait_ms(4_000);
    assert_eq!(bench.fires("a a"), "F.");
}

#[test]
fn a_debounce_fires_for_the_last_event() {
    let spec = json!({"pattern": {"operator": "debounce", "topic": "a.*", "quiet": "2s"},
        "emit": {"topic": "out", "attributes": {"t": "${event.type}", "c": "${count}"}}});
    let mut bench = Bench::with(&[(RuleKind::EventRule, "r", spec)]);
    assert_eq!(bench.fires("a.x"), ".");
    bench.wait_ms(1_999);
    assert_eq!(bench.fires("a.y"), ".");
    bench.wait_ms(1_999);
    assert!(bench.published.is_empty());
    bench.wait_ms(1);
    assert_eq!(bench.attribute("t"), Some("a.y"));
    assert_eq!(bench.attribute("c"), Some("0"));
    assert_eq!(bench.attribute("count"), None);
    bench.wait_ms(10_000);
    assert_eq!(bench.published.len(), 1);
}

#[test]
fn an_absence_looks_at_what_is_expected_first() {
    let pattern =
        json!({"operator": "absence", "trigger": "go", "expected": "ok", "duration": "5s"});
    let mut bench = Bench::event_rule(pattern);
    bench.fires("go");
    bench.wait_ms(4_000);
    bench.fires("go");
    bench.wait_ms(4_000);
    assert!(bench.published.is_empty(), "a new trigger restarts the timer");
    bench.wait_ms(1_000);
    assert_eq!(bench.published.len(), 1);
    bench.fires("go ok");
    bench.wait_ms(60_000);
    assert_eq!(bench.published.len(), 1);
    // An event that is both only cancels.
    let pattern =
        json!({"operator": "absence", "trigger": "a.*", "expected": "a.b", "duration": "5s"});
    let mut bench = Bench::event_rule(pattern);
    bench.fires("a.c a.b");
    assert_eq!(bench.rules.next_due(), None);
    // Without expected values it is a dead man's switch; `topics` is ignored.
    let mut bench = Bench::event_rule(
        json!({"operator": "absence", "topic": "beat", "topics": ["x"], "duration": "1s"}),
    );
    bench.fires("x beat");
    bench.wait_ms(1_000);
    assert_eq!(bench.published.len(), 1);
}

#[test]
fn events_count_by_their_key() {
    let spec = json!({"pattern": {"operator": "count", "topic": "a", "threshold": 2, "correlate_by": "attributes.k"},
        "emit": {"topic": "out", "attributes": {"who": "${correlation}:${attributes.k}:${resource.name}:${nothing}:${open"}}});
    let mut bench = Bench::with(&[(RuleKind::EventRule, "r", spec)]);
    let with = |key: &str| {
        let mut event = draft("a");
        event.attributes.insert("k".into(), key.to_string());
        event
    };
    bench.publish(with("1"));
    bench.publish(with("2"));
    bench.publish(draft("a"));
    bench.publish(with(""));
    assert!(bench.published.is_empty(), "an event without the key does not count");
    bench.publish(with("1"));
    assert_eq!(bench.attribute("correlation"), Some("1"));
    assert_eq!(bench.attribute("who"), Some("1:1:web:${nothing}:${open"));
    assert_eq!(bench.rules.key_count(), 1, "a key that fired starts anew");
}

#[test]
fn an_event_of_another_topic_remembers_no_key() {
    let pattern = json!({"operator": "count", "topic": "a", "threshold": 9, "correlate_by": "daemon.instance"});
    let mut bench = Bench::event_rule(pattern);
    bench.fires("b c d");
    assert_eq!(bench.rules.key_count(), 0);
    bench.fires("a");
    assert_eq!(bench.rules.key_count(), 1);
}

#[test]
fn a_missing_key_counts_as_empty_if_the_rule_says_so() {
    let pattern = json!({"operator": "any_of", "topic": "a", "correlate_by": "attributes.k", "allow_missing_correlation": true});
    let mut bench = Bench::event_rule(pattern);
    assert_eq!(bench.fires("a"), "F");
    assert_eq!(bench.attribute("correlation"), None);
}

#[test]
fn without_correlation_the_key_is_default() {
    let mut bench = Bench::event_rule(json!({"operator": "any_of", "topic": "a"}));
    bench.fires("a");
    let event = &bench.published[0];
    assert_eq!(bench.attribute("correlation"), Some("default"));
    assert_eq!((&*event.daemon.kind, &*event.daemon.instance), ("openctrl-eventrule", "r"));
    assert_eq!((&*event.reason, &*event.message), ("EventRuleFired", "event rule fired"));
    let status = bench.rules.event_rule_status("r").expect("a rule");
    assert_eq!((status.fire_count, status.last_fired), (1, Some(bench.now.wall)));
}

#[test]
fn no_rule_is_fed_by_rules() {
    let echo = json!({"pattern": {"operator": "any_of", "topic": "**"}, "emit": {"topic": "a.a"}});
    let mut bench = Bench::with(&[
        (RuleKind::EventRule, "one", echo.clone()),
        (RuleKind::EventRule, "two", echo),
    ]);
    bench.publish(draft("a"));
    assert_eq!(bench.published.len(), 2);
}

#[test]
fn rules_see_derived_events() {
    let derived = json!({"topic": "up", "inputs": [{"field": "${Process/web.status.phase}", "equals": "Running"}]});
    let rule =
        json!({"pattern": {"operator": "any_of", "topic": "up.*"}, "emit": {"topic": "seen"}});
    let mut bench =
        Bench::with(&[(RuleKind::DerivedEvent, "d", derived), (RuleKind::EventRule, "r", rule)]);
    assert!(bench.published.is_empty(), "the first evaluation is silent");
    bench.set("Process/web.phase", "Running");
    assert_eq!(bench.topics(), ["up.asserted", "seen"]);
    bench.set("Process/web.phase", "Error");
    assert_eq!(bench.topics()[2..], ["up.retracted", "seen"]);
    let event = &bench.published[2];
    assert_eq!((&*event.daemon.kind, &*event.daemon.instance), ("openctrl-derived", "d"));
    assert_eq!(event.attributes.get("asserted").expect("it has one"), "false");
    assert_eq!(&*event.reason, "DerivedEventRetracted");
}

#[test]
fn the_initial_state_is_published_on_request() {
    for (value, topic) in [("x", "t.asserted"), ("", "t.retracted")] {
        let mut bench = Bench::default();
        bench.statuses.insert("Process/web.phase".to_string(), value.to_string());
        let spec = json!({"topic": "t", "inputs": [{"field": "${Process/web.status.phase}"}], "emitInitial": true});
        bench.apply(&[(RuleKind::DerivedEvent, "d", spec)]);
        assert_eq!(bench.topics(), [topic]);
    }
}

#[test]
fn hysteresis_holds_both_ways_and_flipping_back_cancels() {
    let spec = json!({"topic": "t", "inputs": [{"field": "${Process/web.status.phase}", "equals": "up"}], "hysteresis": "10s"});
    let mut bench = Bench::with(&[(RuleKind::DerivedEvent, "d", spec)]);
    bench.set("Process/web.phase", "up");
    let status = bench.rules.derived_status("d").expect("a rule");
    assert_eq!((status.phase, status.pending_transition()), (DerivedPhase::Pending, "Asserting"));
    bench.wait_ms(9_999);
    bench.set("Process/web.phase", "down");
    assert_eq!(bench.rules.next_due(), None);
    bench.set("Process/web.phase", "up");
    bench.wait_ms(5_000);
    bench.set("Process/web.phase", "up");
    bench.wait_ms(5_000);
    assert_eq!(bench.topics(), ["t.asserted"]);
    bench.set("Process/web.phase", "down");
    bench.wait_ms(9_999);
    assert_eq!(bench.published.len(), 1);
    bench.wait_ms(1);
    assert_eq!(bench.topics(), ["t.asserted", "t.retracted"]);
}

#[test]
fn retraction_may_have_its_own_condition() {
    let inputs =
        json!([{"field": "${Process/a.status.phase}"}, {"field": "${Process/b.status.phase}"}]);
    let with = |retract_when: &str| {
        let mut spec = json!({"topic": "t", "inputs": inputs, "emitWhen": "all_true"});
        if !retract_when.is_empty() {
            spec["retractWhen"] = json!(retract_when);
        }
        let mut bench = Bench::with(&[(RuleKind::DerivedEvent, "d", spec)]);
        bench.set("Process/a.phase", "x");
        bench.set("Process/b.phase", "x");
        bench.set("Process/a.phase", "");
        let after_one = bench.published.len();
        bench.set("Process/b.phase", "");
        (after_one, bench.published.len())
    };
    assert_eq!(with(""), (2, 2));
    assert_eq!(with("any_false"), (2, 2));
    assert_eq!(with("all_false"), (1, 2));
}

#[test]
fn groups_of_predicates_are_alternatives() {
    let field = |name: &str| format!("${{Process/{name}.status.phase}}");
    let spec = json!({"topic": "t", "inputs": [{"any_of": [
        [{"field": field("a"), "equals": "1"}, {"field": field("b"), "not_empty": true}],
        [{"field": field("c")}, {"field": "anything else", "equals": ""}],
    ]}]});
    let mut bench = Bench::with(&[(RuleKind::DerivedEvent, "d", spec)]);
    bench.set("Process/a.phase", "1");
    assert!(bench.published.is_empty());
    bench.set("Process/b.phase", "x");
    assert_eq!(bench.topics(), ["t.asserted"]);
    bench.set("Process/c.phase", "x");
    bench.set("Process/a.phase", "2");
    assert_eq!(bench.published.len(), 1, "the other group holds");
}

#[test]
fn one_cause_changes_a_derived_event_once() {
    // It contradicts itself, and a rule makes an event of each change.
    let own = json!({"topic": "t", "inputs": [{"field": "${DerivedEvent/d.status.asserted}", "equals": "false"}]});
    let rule = json!({"pattern": {"operator": "any_of", "topic": "**"}, "emit": {"topic": "seen"}});
    let mut bench =
        Bench::with(&[(RuleKind::DerivedEvent, "d", own), (RuleKind::EventRule, "r", rule)]);
    for round in 1..10 {
        bench.publish(draft("x"));
        assert_eq!(
            bench.published.len(),
            round * 3,
            "the event, the change, and a firing for each"
        );
    }
}

#[test]
fn a_chain_of_derived_events_settles_in_one_cause() {
    // Named so that the order of names is not the order of reading.
    let reads = |kind: &str, name: &str, key: &str, equals: &str| json!({"field": format!("${{{kind}/{name}.status.{key}}}"), "equals": equals});
    let spec = |topic: &str, inputs: Value| json!({"topic": topic, "inputs": inputs});
    let mut bench = Bench::with(&[
        (
            RuleKind::DerivedEvent,
            "a",
            spec(
                "a",
                json!([
                    reads("DerivedEvent", "b", "asserted", "true"),
                    reads("DerivedEvent", "c", "asserted", "false")
                ]),
            ),
        ),
        (
            RuleKind::DerivedEvent,
            "b",
            spec("b", json!([reads("DerivedEvent", "c", "asserted", "true")])),
        ),
        (RuleKind::DerivedEvent, "c", spec("c", json!([reads("Process", "web", "phase", "up")]))),
    ]);
    bench.set("Process/web.phase", "up");
    assert_eq!(bench.topics(), ["c.asserted", "b.asserted"], "a sees both at once: no glitch");
}

#[test]
fn a_derived_event_may_read_a_rule() {
    let rule = json!({"pattern": {"operator": "any_of", "topic": "a"}, "emit": {"topic": "out"}});
    let derived = json!({"topic": "t", "inputs": [{"field": "${EventRule/r.status.fireCount}", "equals": "2"}]});
    let mut bench =
        Bench::with(&[(RuleKind::DerivedEvent, "d", derived), (RuleKind::EventRule, "r", rule)]);
    bench.fires("a a");
    assert_eq!(bench.topics(), ["out", "out", "t.asserted"]);
}

#[test]
fn a_rule_whose_spec_is_the_same_keeps_its_state() {
    let spec = |threshold: u64| json!({"pattern": {"operator": "count", "topic": "a", "threshold": threshold}, "emit": {"topic": "out"}});
    let mut bench = Bench::with(&[(RuleKind::EventRule, "r", spec(2))]);
    bench.fires("a");
    bench.apply(&[(RuleKind::EventRule, "r", spec(2)), (RuleKind::EventRule, "other", spec(9))]);
    assert_eq!(bench.fires("a"), "F");
    bench.fires("a");
    bench.apply(&[(RuleKind::EventRule, "r", spec(3))]);
    assert_eq!(bench.fires("a a a"), "..F");
    assert_eq!((bench.rules.generation(), bench.rules.len()), (3, 2));
}

#[test]
fn a_plan_says_what_a_change_would_do() {
    let spec = |topic: &str| json!({"pattern": {"operator": "any_of", "topic": topic}, "emit": {"topic": "out"}});
    let named = |name: &str, topic: &str| {
        RuleSpec::new(RuleKind::EventRule, name, spec(topic)).expect("good")
    };
    let bench = Bench::with(&[
        (RuleKind::EventRule, "a", spec("x")),
        (RuleKind::EventRule, "b", spec("x")),
    ]);
    let gone = RuleRef { kind: RuleKind::EventRule, name: "b".into() };
    let never = RuleRef { kind: RuleKind::DerivedEvent, name: "b".into() };
    let change = RulesChange {
        put: Vec::from([named("a", "x"), named("c", "x")]),
        remove: Vec::from([gone, never]),
    };
    let planned: Vec<(String, Changed)> = bench
        .rules
        .plan(&change)
        .into_iter()
        .map(|planned| (planned.rule.name.to_string(), planned.change))
        .collect();
    let expected = [("a", Changed::Unchanged), ("b", Changed::Removed), ("c", Changed::Created)];
    assert_eq!(planned, expected.map(|(name, change)| (name.to_string(), change)));
    assert_eq!(bench.rules.len_after(&change), 2);
    let update = RulesChange { put: Vec::from([named("a", "y")]), remove: Vec::new() };
    assert_eq!(bench.rules.plan(&update)[0].change, Changed::Updated);
}

#[test]
fn thousands_of_keys_are_bounded() {
    let spec = json!({"pattern": {"operator": "debounce", "topic": "a", "correlate_by": "attributes.k"}, "emit": {"topic": "out"}});
    let mut bench = Bench::with(&[(RuleKind::EventRule, "r", spec)]);
    for key in 0..10_000 {
        let mut event = draft("a");
        event.attributes.insert("k".into(), key.to_string());
        bench.publish(event);
    }
    assert_eq!(bench.rules.key_count(), KEYS_MAX);
    bench.wait_ms(1_000);
    assert_eq!(bench.published.len(), KEYS_MAX);
    assert_eq!(bench.rules.key_count(), 0);
    assert_eq!(bench.attribute("correlation"), Some("9999"), "the last one seen is kept");
}

/// The result of the untimed operators, from the whole history of a key.
fn model(operator: &str, topics: &[&str], strict: bool, threshold: usize, seen: &[&str]) -> bool {
    let Some((last, _)) = seen.split_last() else { return false };
    match operator {
        "any_of" => topics.contains(last),
        "all_of" => topics.contains(last) && topics.iter().all(|topic| seen.contains(topic)),
        "count" => {
            let matches = seen.iter().filter(|topic| topics.contains(topic)).count();
            topics.contains(last) && matches % threshold == 0
        }
        _ => {
            let mut rest: VecDeque<&str> = topics.iter().copied().collect();
            let mut fired = false;
            for topic in seen {
                fired = false;
                if rest.front() == Some(topic) {
                    rest.pop_front();
                } else if strict && topics.contains(topic) {
                    rest = topics.iter().copied().collect();
                }
                if rest.is_empty() {
                    fired = true;
                    rest = topics.iter().copied().collect();
                }
            }
            fired
        }
    }
}

proptest! {
    #[test]
    fn the_untimed_operators_do_what_the_model_says(
        operator in prop::sample::select(["all_of", "any_of", "sequence", "count"].as_slice()),
        topics in prop::collection::vec(prop::sample::select(["a", "b", "c"].as_slice()), 1..5),
        strict: bool,
        threshold in 1usize..4,
        events in prop::collection::vec((prop::sample::select(["a", "b", "c", "d"].as_slice()), 0u8..3), 0..40),
    ) {
        let pattern = json!({"operator": operator, "topics": topics, "strict": strict, "threshold": threshold, "correlate_by": "attributes.k"});
        let mut bench = Bench::event_rule(pattern);
        let mut seen: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
        for (topic, key) in events {
            let before = bench.published.len();
            let mut event = draft(topic);
            event.attributes.insert("k".into(), key.to_string());
            bench.publish(event);
            let seen = seen.entry(key).or_default();
            seen.push(topic);
            let expected = model(operator, &topics, strict, threshold, seen);
            prop_assert_eq!(bench.published.len() - before, usize::from(expected), "{:?}", seen);
        }
    }

    #[test]
    fn what_follows_from_a_cause_is_bounded(
        derived in prop::collection::vec((0u8..4, 0u8..4, any::<bool>()), 0..4),
        rules in prop::collection::vec(prop::sample::select(["**", "t.*", "x"].as_slice()), 0..4),
        causes in 1usize..6,
    ) {
        let mut specs = Vec::new();
        let names = ["d0", "d1", "d2", "d3"];
        for (place, (reads, other, asserted)) in derived.iter().enumerate() {
            let spec = json!({"topic": "t", "emitWhen": "any_true", "inputs": [
                {"field": format!("${{DerivedEvent/d{reads}.status.asserted}}"), "equals": asserted},
                {"field": format!("${{EventRule/d{other}.status.fireCount}}"), "equals": place},
            ]});
            specs.push((RuleKind::DerivedEvent, names[place], spec));
        }
        for (place, topic) in rules.iter().enumerate() {
            let spec = json!({"pattern": {"operator": "any_of", "topic": topic}, "emit": {"topic": "x"}});
            specs.push((RuleKind::EventRule, names[place], spec));
        }
        let mut bench = Bench::with(&specs);
        for _ in 0..causes {
            let before = bench.published.len();
            bench.publish(draft("x"));
            let most = derived.len() + rules.len() * (1 + derived.len());
            prop_assert!(bench.published.len() - before <= most);
        }
    }
}
