//! The control API: topic patterns, queries, bodies and specs of rules.

use openctrl_core::doors::control::{
    ControlModel, ManagedCall, Reply, Socket, candidate_rules, decode_candidate, decode_delete,
    decode_log_level, plan_result, replacing, route_main, route_managed,
};
use openctrl_core::event::TopicPattern;
use openctrl_core::ids::InstanceId;
use openctrl_core::rules::RuleSet;
use openctrl_core::time::Wall;

/// A pattern, a line feed, a topic. It selects what the definition by recursion says.
pub fn topic(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, topic) = text.split_once('\n').unwrap_or((&text, ""));
    let segments = |text: &str| text.split('.').map(String::from).collect::<Vec<_>>();
    let (wanted, found) = (segments(pattern), segments(topic));
    let matches = TopicPattern::parse(pattern).matches(topic);
    // The definition takes time that doubles with each `**`.
    if wanted.len() <= 8 && found.len() <= 8 {
        assert_eq!(matches, selects(&wanted, &found), "{pattern:?} {topic:?}");
    }
}

fn selects(pattern: &[String], topic: &[String]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return topic.is_empty() };
    if first == "**" {
        return (0..=topic.len()).any(|taken| selects(rest, &topic[taken..]));
    }
    let Some((found, tail)) = topic.split_first() else { return false };
    (first == "*" || first == found) && selects(rest, tail)
}

/// The first byte chooses socket and method, the rest is a path with its query. Whatever it is,
/// there is an answer of a status that the contract has.
pub fn control_query(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*text, None),
    };
    let method = ["GET", "POST", "HEAD", "DELETE"][usize::from(choice >> 2) % 4];
    let model = ControlModel::new(4, Wall::from_micros(0));
    match choice % 3 {
        0 | 1 => {
            let socket = if choice % 3 == 0 { Socket::Control } else { Socket::Status };
            let path = format!("/api/control.routerd.net/v1alpha1{path}");
            match route_main(socket, method, &path, query) {
                Err(reply) => check_error(&reply, &[400, 404, 501]),
                Ok(call) => {
                    if let Some(reply) = call.read(&model, &|_| Default::default()) {
                        assert!(matches!(reply.status, 200 | 400 | 501), "{reply:?}");
                        check_json(&reply);
                    }
                }
            }
        }
        _ => match route_managed(method, path, query) {
            Err(reply) => assert!(matches!(reply.status, 307 | 404 | 405), "{reply:?}"),
            Ok(ManagedCall::Events(query)) => {
                assert!(query.wait_ms <= 30_000);
                check_json(&model.events(InstanceId(1), &query));
            }
            Ok(ManagedCall::Healthz | ManagedCall::Status | ManagedCall::Command(_)) => {}
        },
    }
}

/// The first byte chooses the kind of body.
pub fn control_body(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let refused = match choice % 5 {
        0 => decode_delete(rest).err(),
        1 => decode_log_level(rest).err(),
        2 => decode_candidate(rest, "PlanRequest").err(),
        3 => decode_candidate(rest, "ApplyRequest").err(),
        _ => decode_candidate(rest, "ValidateRequest").err(),
    };
    if let Some(reply) = refused {
        check_error(&reply, &[400]);
    }
}

/// A candidate as JSON. What is accepted can be planned, and is accepted again as it is kept.
pub fn rules(data: &[u8]) {
    let Ok(candidate) = serde_json::from_slice::<serde_json::Value>(data) else { return };
    match candidate_rules(&candidate) {
        Err(fault) => assert!(!fault.is_empty()),
        Ok(rules) => {
            for spec in &rules {
                let kept = spec.source.to_string();
                let source = serde_json::from_str(&kept).expect("it was written as JSON");
                let (kind, name) = (spec.rule.kind, &spec.rule.name);
                openctrl_core::rules::RuleSpec::new(kind, name, source).expect("it was accepted");
            }
            let in_force = RuleSet::default();
            let change = replacing(rules, true, &in_force).expect("no more than are kept");
            check_json(&plan_result(&in_force.plan(&change), 0, Wall::from_micros(0)));
        }
    }
}

fn check_error(reply: &Reply, statuses: &[u16]) {
    assert!(statuses.contains(&reply.status), "{reply:?}");
    check_json(reply);
    assert!(reply.body.contains("\"kind\": \"Error\""), "{reply:?}");
}

fn check_json(reply: &Reply) {
    let _: serde_json::Value = serde_json::from_str(&reply.body).expect("it is JSON");
    assert!(reply.body.ends_with('\n'));
}
