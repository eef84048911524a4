//! Tests of refused specs, and that specs are stored unchanged.

use alloc::format;
use alloc::string::{String, ToString};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn rule(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "r"}, "spec": spec})
}

fn event_rule(pattern: Value) -> Value {
    rule("EventRule", json!({"pattern": pattern, "emit": {"topic": "out"}}))
}

fn refused(resource: &Value) -> String {
    RuleSpec::decode(resource).expect_err("a fault").to_string()
}

#[test]
fn faults_are_named_by_their_path() {
    let good = json!({"operator": "any_of", "topic": "a"});
    let emit = |emit: Value| rule("EventRule", json!({"pattern": good, "emit": emit}));
    let with = |name: &str, value: Value| {
        let mut pattern = good.clone();
        pattern[name] = value;
        event_rule(pattern)
    };
    let derived = |spec: Value| rule("DerivedEvent", spec);
    let input = |input: Value| derived(json!({"topic": "t", "inputs": [input]}));
    let mut without_name = event_rule(good.clone());
    without_name["metadata"] = json!({});
    let mut bad_name = event_rule(good.clone());
    bad_name["metadata"]["name"] = json!("a/b");
    let mut old = event_rule(good.clone());
    old["apiVersion"] = json!("net.routerd.net/v1");
    let mut extra = event_rule(good.clone());
    extra["status"] = json!({});
    let cases = [
        json!([]),
        json!({}),
        old,
        rule("Interface", json!({})),
        without_name,
        bad_name,
        extra,
        rule("EventRule", Value::Null),
        rule("EventRule", json!({"emit": {"topic": "x"}})),
        rule("EventRule", json!({"pattern": good})),
        emit(json!({})),
        emit(json!({"topic": ""})),
        emit(json!({"topic": "x", "attributes": {"a": [1]}})),
        emit(json!({"topic": "x", "attributes": 5})),
        emit(json!({"topic": "x", "severity": "info"})),
        with("operator", json!("most_of")),
        with("operator", Value::Null),
        with("topics", json!(["a", ""])),
        with("topics", json!("a")),
        event_rule(json!({"operator": "any_of"})),
        with("window", json!("5")),
        with("quiet", json!("-1s")),
        with("rate", json!(-1)),
        with("threshold", json!(1.5)),
        with("threshold", json!("3")),
        event_rule(json!({"operator": "window", "topic": "a", "threshold": 10_001})),
        with("strict", json!("yes")),
        with("correlate_by", json!("attributes.")),
        with("correlate_by", json!("resource.uid")),
        with("correlateBy", json!("resource.name")),
        derived(json!({"inputs": [{"field": "x"}]})),
        derived(json!({"topic": "t"})),
        derived(json!({"topic": "t", "inputs": []})),
        derived(json!({"topic": "t", "inputs": [{"field": "x"}], "emitWhen": "any_false"})),
        derived(json!({"topic": "t", "inputs": [{"field": "x"}], "retractWhen": "all_true"})),
        derived(json!({"topic": "t", "inputs": [{"field": "x"}], "hysteresis": "soon"})),
        derived(json!({"topic": "t", "inputs": [{"field": "x"}], "emitinitial": true})),
        input(json!({"equals": "x"})),
        input(json!({"field": "x", "equals": {}})),
        input(json!({"any_of": []})),
        input(json!({"any_of": [[]]})),
        input(json!({"any_of": [[{"field": "x"}, {"equals": "y"}]]})),
        input(json!({"any_of": [[{"field": "x"}]], "field": "x"})),
    ];
    let lines: String = cases.iter().map(|case| format!("{}\n", refused(case))).collect();
    insta::assert_snapshot!(lines);
}

#[test]
fn a_spec_is_kept_as_it_was_given() {
    let spec = json!({"pattern": {"operator": "throttle", "topics": ["a.*"], "interval": "2m"},
        "emit": {"topic": "out", "attributes": {"n": 3}}});
    let decoded = RuleSpec::decode(&rule("EventRule", spec.clone())).expect("a good rule");
    assert_eq!(*decoded.source, spec);
    assert_eq!(decoded.rule.to_string(), "net.routerd.net/v1alpha1/EventRule/r");
    let Body::Event(body) = &decoded.body else { panic!("an EventRule") };
    assert_eq!((body.period_ms, body.rate, body.threshold), (120_000, 1, 1));
    assert_eq!(body.emit_attributes["n"], "3");
}

#[test]
fn the_periods_have_their_own_names_and_defaults() {
    for (operator, own, default_ms) in [
        ("window", "window", 60_000),
        ("throttle", "interval", 60_000),
        ("debounce", "quiet", 1_000),
    ] {
        let period = |pattern: Value| {
            let decoded = RuleSpec::decode(&event_rule(pattern)).expect("a good rule");
            let Body::Event(body) = decoded.body else { panic!("an EventRule") };
            body.period_ms
        };
        let base = json!({"operator": operator, "topic": "a"});
        assert_eq!(period(base.clone()), default_ms);
        let mut fallback = base.clone();
        fallback["duration"] = json!("7s");
        assert_eq!(period(fallback.clone()), 7_000);
        fallback[own] = json!("3s");
        assert_eq!(period(fallback), 3_000);
    }
}

#[test]
fn names_are_bounded() {
    for (name, is_good) in [
        ("a", true),
        ("A.b_c-1", true),
        ("", false),
        (".a", false),
        ("-a", false),
        ("a b", false),
        ("a/b", false),
        ("ä", false),
        (&"x".repeat(63), true),
        (&"x".repeat(64), false),
    ] {
        assert_eq!(is_resource_name(name), is_good, "{name}");
    }
}

proptest! {
    #[test]
    fn no_json_panics(text in "\\{\"apiVersion\":\"net.routerd.net/v1alpha1\",\"kind\":\"(EventRule|DerivedEvent)\",\"metadata\":\\{\"name\":\"a\"\\},\"spec\":\\{(\"(pattern|topic|inputs|emit)\":(\\{\\}|\\[\\[\\]\\]|\"x\"|7|null),?){0,3}\\}\\}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            let _ = RuleSpec::decode(&value);
        }
    }
}
