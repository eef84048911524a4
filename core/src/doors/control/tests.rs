//! Every envelope, omission and status code of the main and the managed sockets.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::{Attributes, StoredId};
use crate::ids::InstanceId;
use crate::instance::End;
use crate::process::Exit;
use crate::resource::{Activity, Ending, Fact, Identity, ResourceState, Situation, Trouble};
use crate::rules::{RuleKind, RuleRef, RuleSet, RuleSpec, RulesChange};
use crate::time::{Now, Wall};

const BASE: &str = "/api/control.routerd.net/v1alpha1";

fn at(seconds: u64) -> Wall {
    Wall::from_micros(1_790_000_000_000_000 + seconds * 1_000_000)
}

fn situation(activity: Activity) -> Situation {
    Situation { activity, ..Situation::STOPPED }
}

fn process(id: u32, name: &str, situation: Situation) -> ProcessEntry {
    ProcessEntry {
        id: InstanceId(id),
        name: name.into(),
        alias: name.to_string(),
        scheme: "demo".to_string(),
        url: "demo://user:pw@host:1/p?token=x&mode=<1>".to_string(),
        restart: true,
        tags: BTreeMap::from([("zone".to_string(), "a".to_string())]),
        generation: 1,
        state: ResourceState::new(situation, at(0)).0,
        message: String::new(),
    }
}

fn rule_entry(rules: &RuleSet, rule: &RuleRef) -> RuleEntry {
    let source = rules.spec(rule).expect("a rule").source.clone();
    RuleEntry { source, status: rules.status(rule).expect("a rule") }
}

fn rules() -> RuleSet {
    let event =
        json!({"pattern": {"operator": "any_of", "topic": "a.*"}, "emit": {"topic": "out"}});
    let derived = json!({"topic": "t", "inputs": [{"field": "${Process/web.status.phase}"}]});
    let specs = [
        RuleSpec::new(RuleKind::EventRule, "seen", event),
        RuleSpec::new(RuleKind::DerivedEvent, "up", derived),
    ];
    let put = specs.map(|spec| spec.expect("a good rule")).into();
    let mut rules = RuleSet::default();
    let change = RulesChange { put, remove: Vec::new() };
    let now = Now { wall: at(3), ..Now::default() };
    rules.apply(now, &change, &|_, _, _| String::new(), &mut |draft| {
        Arc::new(draft.stored(StoredId(1), at(3)))
    });
    rules
}

fn figures(id: InstanceId) -> Observed {
    let mut observed = Observed { starts: 1, ..Observed::default() };
    match id.0 {
        1 => {
            observed.pid = Some(4711);
            observed.last_checkpoint = Some(at(9));
        }
        2 => {
            observed.last_exit = Some(End::Own(Exit::Signal(9)));
            observed.next_restart = Some(at(60));
        }
        _ => {}
    }
    observed
}

/// Three instances, two rules, and a few events.
fn model() -> ControlModel {
    let mut model = ControlModel::new(100, at(0));
    model.put_process(process(1, "web", situation(Activity::Running)));
    let failed = Situation { trouble: Trouble::Killed, ..situation(Activity::Failed) };
    let mut db = process(2, "db", failed);
    db.message = "ended by signal 9".to_string();
    model.put_process(db);
    model.put_process(process(3, "00000003", situation(Activity::Starting)));
    let rules = rules();
    for spec in rules.specs() {
        model.put_rule(spec.rule.clone(), rule_entry(&rules, &spec.rule));
    }
    model.set_generation(rules.generation(), rules.last_change());
    let web = Identity { id: InstanceId(1), name: "web".into() };
    let db = Identity { id: InstanceId(2), name: "db".into() };
    let (_, first) = ResourceState::new(Situation::STOPPED, at(0));
    let facts = [
        (&web, Fact::Created),
        (&web, first),
        (&web, Fact::Started(Some(4711))),
        (&db, Fact::Crashed(Ending::Signal(9))),
        (&web, Fact::CommandRejected("<no>".to_string())),
    ];
    for (index, (identity, fact)) in facts.into_iter().enumerate() {
        let id = StoredId(index as u64 + 1);
        model.log.push(Arc::new(fact.draft(identity).stored(id, at(id.0))));
    }
    model
}

fn call(socket: Socket, method: &str, target: &str) -> Reply {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let path = format!("{BASE}{path}");
    match route_main(socket, method, &path, query) {
        Err(reply) => reply,
        Ok(MainCall::Runtime) => ControlModel::runtime(&stats()),
        Ok(MainCall::Get(query)) if query.needs_runtime() => {
            model().get(&query, &figures, Some(&stats()))
        }
        Ok(call) => call.read(&model(), &figures).unwrap_or_else(|| Reply::text(200, "routed")),
    }
}

fn stats() -> RuntimeStats {
    RuntimeStats {
        collected_at: "2026-01-01T00:00:00Z".to_string(),
        resident_bytes: 1,
        virtual_bytes: 2,
        tasks: 3,
        open_fds: 4,
        max_fds: 5,
        ..RuntimeStats::default()
    }
}

fn get(target: &str) -> Reply {
    call(Socket::Control, "GET", target)
}

fn value(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).expect("JSON")
}

fn message(reply: &Reply) -> String {
    let value = value(reply);
    assert_eq!(
        (value["kind"].as_str(), value["apiVersion"].as_str()),
        (Some("Error"), Some(CONTROL_API_VERSION))
    );
    format!("{} {}", reply.status, value["error"]["message"].as_str().expect("a message"))
}

#[test]
fn the_envelopes_of_the_main_sockets() {
    let mut text = String::new();
    for target in [
        "/status",
        "/controllers",
        "/runtime",
        "/get?subject=Process/web&events-limit=2",
        "/get?subject=eventrule",
        "/get?subject=DerivedEvent/up",
        "/get?subject=events&limit=2",
        "/get?subject=rt",
        "/describe?target=process/00000002",
        "/probe?subject=process",
        "/probe?subject=process&target=nobody",
        "/probe?subject=dns&target=x",
        "/get?subject=events&topic=none",
    ] {
        let reply = get(target);
        assert_eq!((reply.status, reply.content_type), (200, "application/json"), "{target}");
        text += &format!("GET {target}\n{}\n", reply.body);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_refused_on_the_main_sockets() {
    let mut text = String::new();
    for (method, target) in [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/status/"),
        ("HEAD", "/status"),
        ("OPTIONS", "/status"),
        ("POST", "/status"),
        ("GET", "/apply"),
        ("GET", "/events"),
        ("GET", "/connections"),
        ("POST", "/connections"),
        ("GET", "/dns-queries/aggregate"),
        ("POST", "/dhcp-lease-event"),
        ("POST", "/sam-enrollment-claims/x/revoke"),
        ("POST", "/sam-enrollment-claims/x"),
        ("GET", "/sam-enrollment-topologies/x"),
        ("GET", "/get?limit=-1"),
        ("GET", "/get?subject=status&events-limit=1e3"),
        ("GET", "/get?subject=nothing&since-id=99999999999999999999"),
        ("GET", "/get?subject=resource"),
        ("GET", "/get?subject=Interface"),
        ("GET", "/get?subject=Process/nobody"),
        ("GET", "/get?subject=EventRule/nothing"),
        ("GET", "/get?subject=Process/"),
        ("GET", "/get?subject=/web"),
        ("GET", "/get?subject=ledger"),
        ("GET", "/get?subject=events&resource=bad"),
        ("GET", "/describe"),
        ("GET", "/describe?target=Process"),
        ("GET", "/describe?target=status"),
        ("GET", "/describe?target=Process/nobody"),
        ("GET", "/describe?target=Process/"),
        ("GET", "/probe"),
        ("GET", "/probe?subject=%20"),
    ] {
        text +=
            &format!("{method} {target}: {}\n", message(&call(Socket::Control, method, target)));
    }
    for name in ["apply", "delete", "log-level"] {
        let target = format!("/{name}");
        text += &format!("status {name}: {}\n", message(&call(Socket::Status, "POST", &target)));
        assert_eq!(call(Socket::Control, "POST", &target).body, "routed");
    }
    for name in ["/plan", "/validate"] {
        assert_eq!(call(Socket::Status, "POST", name).body, "routed");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn names_of_results_are_those_of_the_rule() {
    for (subject, name) in [
        ("", "resources"),
        ("resources", "resources"),
        ("RESOURCES", "RESOURCES"),
        ("all", "all"),
        ("%20STATUS%20", "status"),
        ("Controller", "controllers"),
        ("RT", "runtime"),
        ("Event", "events"),
        ("pROCESS", "pROCESS"),
        ("process/web", "process/web"),
        ("Process/00000001", "Process/00000001"),
    ] {
        let reply = get(&format!("/get?subject={subject}"));
        assert_eq!(value(&reply)["metadata"]["name"], name, "{subject}: {}", reply.body);
    }
}

#[test]
fn empty_means_absent() {
    let empty = ControlModel::new(10, at(0));
    let read = |target: &str| {
        let (path, query) = target.split_once('?').expect("a query");
        let call = route_main(Socket::Status, "GET", &format!("{BASE}{path}"), Some(query));
        value(&call.expect("a call").read(&empty, &figures).expect("a read"))
    };
    for target in ["/get?subject=events", "/get?subject=Process", "/get?", "/get?subject=EventRule"]
    {
        let answer = read(target);
        let keys: Vec<&String> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["apiVersion", "kind", "metadata"], "{target}");
    }
    let status = &read("/status?")["status"];
    assert_eq!(status["lastApplyTime"], "0001-01-01T00:00:00Z");
    assert_eq!((&status["phase"], &status["resourceCount"]), (&json!("Healthy"), &Value::Null));
    assert_eq!(read("/controllers?")["items"].as_array().map(Vec::len), Some(4));
    let view = value(&get("/get?subject=Process/web&events-limit=0"));
    assert_eq!(view["items"][0]["events"], Value::Null);
}

#[test]
fn stored_events_come_newest_first() {
    let ids = |query: &str| {
        let events = value(&get(&format!("/get?subject=events&{query}")));
        let events = events["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["id"].as_u64().expect("an id")).collect::<Vec<_>>()
    };
    assert_eq!(ids(""), [5, 4, 3, 2, 1]);
    assert_eq!(ids("since-id=2&limit=2"), [5, 4]);
    assert_eq!(ids("since-id=2&limit=2&order=asc"), [3, 4]);
    assert_eq!(ids("limit=0"), [5, 4, 3, 2, 1]);
    assert_eq!(ids("topic=routerd.daemon.lifecycle.*"), [4, 3]);
    assert_eq!(ids("topic=routerd.daemon.lifecycle.started"), [3]);
    assert_eq!(ids("resource=Process/db"), [4]);
    assert_eq!(ids("resource=process/db"), [] as [u64; 0]);
    assert_eq!(ids("kind=Process&name=web"), [5, 3, 2, 1]);
    assert_eq!(ids("name=Web"), [] as [u64; 0]);
}

#[test]
fn a_full_disk_shows_as_a_condition() {
    let mut model = model();
    let conditions = |model: &ControlModel| {
        let web = model.find_process("web").expect("it is there");
        value(&model.daemon_status(web, &Observed::default()))["conditions"].clone()
    };
    assert_eq!(conditions(&model).as_array().map(Vec::len), Some(3));
    model.set_durable(false, at(7));
    model.set_durable(false, at(8));
    assert_eq!(
        conditions(&model)[3],
        json!({"type": "Durable", "status": "False", "reason": "DiskFailed",
            "lastTransitionTime": "2026-09-21T14:13:27Z"})
    );
    model.set_durable(true, at(9));
    assert_eq!(conditions(&model).as_array().map(Vec::len), Some(3));
}

#[test]
fn the_worst_phase_is_that_of_the_whole() {
    let mut model = ControlModel::new(10, at(0));
    let phase = |model: &ControlModel| value(&model.status())["status"]["phase"].clone();
    model.put_process(process(1, "a", situation(Activity::Stopped)));
    assert_eq!(phase(&model), "Healthy");
    model.put_process(process(2, "b", situation(Activity::Ending)));
    assert_eq!(phase(&model), "Pending");
    model.put_process(process(3, "c", situation(Activity::Failing)));
    assert_eq!(phase(&model), "Error");
    let status = value(&model.status());
    let issues = status["status"]["resourcePhaseIssues"].as_array().expect("issues");
    assert_eq!(issues.iter().map(|issue| &issue["name"]).collect::<Vec<_>>(), ["c", "b"]);
    model.remove_process(InstanceId(3));
    model.remove_process(InstanceId(2));
    assert_eq!(phase(&model), "Healthy");
}

#[test]
fn an_instance_is_found_by_its_name_and_by_its_id() {
    let mut model = model();
    assert_eq!(model.put_process(process(1, "site", Situation::STOPPED)).as_deref(), Some("web"));
    assert!(model.find_process("web").is_none());
    for name in ["site", "00000001"] {
        assert_eq!(model.find_process(name).map(|entry| entry.id), Some(InstanceId(1)));
    }
    // The name goes to another, and then the first one is deleted.
    model.put_process(process(2, "web", Situation::STOPPED));
    model.remove_process(InstanceId(1));
    assert_eq!(model.find_process("web").map(|entry| entry.id), Some(InstanceId(2)));
    assert!(model.find_process("00000001").is_none());
}

fn managed(method: &str, target: &str) -> Reply {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let model = model();
    let entry = model.find_process("web").expect("it is there");
    match route_managed(method, path, query) {
        Err(reply) => reply,
        Ok(ManagedCall::Healthz) => ControlModel::healthz(entry),
        Ok(ManagedCall::Status) => model.daemon_status(entry, &figures(entry.id)),
        Ok(ManagedCall::Events(query)) => {
            assert!(
                model.has_events(entry.id, &query)
                    || query.topic.is_some()
                    || query.since == StoredId(5)
            );
            model.events(entry.id, &query)
        }
        Ok(ManagedCall::Command(command)) => command_result(&command, command == "renew", "said"),
    }
}

#[test]
fn the_managed_sockets() {
    let mut text = String::new();
    for (method, target) in [
        ("GET", "/v1/healthz"),
        ("DELETE", "/v1/healthz"),
        ("HEAD", "/v1/status"),
        ("GET", "/v1/status"),
        ("GET", "/v1/events"),
        ("GET", "/v1/events?since=3"),
        ("GET", "/v1/events?since=5"),
        ("GET", "/v1/events?since=999"),
        ("GET", "/v1/events?since=x&topic=routerd.*.command.*"),
        ("GET", "/v1/events?since=-1&topic=none"),
        ("GET", "/v1/events?tail=true&wait=10s"),
        ("GET", "/v1/events?tail=TRUE&since=4"),
        ("POST", "/v1/commands/renew"),
        ("POST", "/v1/commands/Renew"),
        ("POST", "/v1/commands/"),
        ("POST", "/v1/commands/a%2Fb/c"),
        ("GET", "/v1/commands/renew"),
        ("POST", "/v1/commands"),
        ("GET", "/v1/nothing"),
        ("GET", "/v1/status/"),
    ] {
        let reply = managed(method, target);
        let location = reply.location.unwrap_or_default();
        text += &format!(
            "{method} {target}\n{} {} {location}\n{}\n",
            reply.status, reply.content_type, reply.body
        );
    }
    insta::assert_snapshot!(text);
}

#[test]
fn commands_are_what_they_are_called() {
    use crate::command::InstanceAction;
    let plan =
        |command: &str, activity| plan_command(command, &process(1, "web", situation(activity)));
    for activity in [Activity::Running, Activity::Failed, Activity::Stopped] {
        assert_eq!(plan("renew", activity), CommandPlan::Nothing);
        assert_eq!(plan("start", activity), CommandPlan::Act(InstanceAction::Start));
        assert_eq!(plan("stop", activity), CommandPlan::Act(InstanceAction::Stop));
        for unknown in ["", "Stop", "restart", "a/b", "flush"] {
            assert_eq!(plan(unknown, activity), CommandPlan::Unknown);
        }
    }
    assert_eq!(plan("reload", Activity::Running), CommandPlan::Act(InstanceAction::Restart));
    assert_eq!(plan("reload", Activity::Failed), CommandPlan::Act(InstanceAction::Restart));
    assert_eq!(plan("reload", Activity::Stopped), CommandPlan::Nothing);
}

#[test]
fn waits_are_go_durations_or_seconds() {
    for (text, wait_ms) in [
        ("10s", 10_000),
        ("500ms", 500),
        ("1us", 1),
        ("2", 2_000),
        ("10m", WAIT_MAX_MS),
        ("99999999999999999999", 0),
        ("18446744073709551615", WAIT_MAX_MS),
        ("-1s", 0),
        ("soon", 0),
        ("", 0),
    ] {
        let call = route_managed("GET", "/v1/events", Some(&format!("wait={text}")));
        let Ok(ManagedCall::Events(query)) = call else { panic!("a call") };
        assert_eq!(query.wait_ms, wait_ms, "{text}");
    }
}

#[test]
fn a_page_holds_a_thousand_events_and_a_mebibyte() {
    let mut model = ControlModel::new(5_000, at(0));
    model.put_process(process(1, "web", situation(Activity::Running)));
    let web = Identity { id: InstanceId(1), name: "web".into() };
    let query = |since: u64| {
        let query = format!("since={since}");
        let Ok(ManagedCall::Events(query)) = route_managed("GET", "/v1/events", Some(&query))
        else {
            panic!("a call")
        };
        query
    };
    for id in 1..=1_001 {
        model.log.push(Arc::new(Fact::Ready.draft(&web).stored(StoredId(id), at(id))));
    }
    let page = value(&model.events(web.id, &query(0)));
    assert_eq!(page["events"].as_array().map(Vec::len), Some(1_000));
    assert_eq!((&page["cursor"], &page["more"]), (&json!("1000"), &json!(true)));
    let page = value(&model.events(web.id, &query(1_000)));
    assert_eq!((&page["cursor"], &page["more"]), (&json!("1001"), &Value::Null));
    for id in 2_000..2_020 {
        let mut draft = Fact::Ready.draft(&web);
        draft.message = Cow::Owned("x".repeat(100_000));
        model.log.push(Arc::new(draft.stored(StoredId(id), at(id))));
    }
    let reply = model.events(web.id, &query(1_500));
    let page = value(&reply);
    assert_eq!(page["events"].as_array().map(Vec::len), Some(10));
    assert!(reply.body.len() < 1024 * 1024 + 1024);
    assert_eq!(page["more"], true);
}

#[test]
fn stored_events_of_one_answer_take_four_mebibytes() {
    const FOUR_MIB: usize = 4 * 1024 * 1024;
    let mut model = ControlModel::new(5_000, at(0));
    let web = Identity { id: InstanceId(1), name: "web".into() };
    for id in 1..=1_000 {
        let mut draft = Fact::Ready.draft(&web);
        // Escaped, it is six times as long.
        let value = "<".repeat(1_000);
        draft.attributes =
            Attributes::from_iter([("a".into(), value.clone()), ("b".into(), value)]);
        model.log.push(Arc::new(draft.stored(StoredId(id), at(id))));
    }
    let page = |query: &str| {
        let target = format!("{BASE}/get");
        let query = format!("subject=events&limit=1000&{query}");
        let Ok(MainCall::Get(query)) = route_main(Socket::Status, "GET", &target, Some(&query))
        else {
            panic!("a call")
        };
        model.get(&query, &figures, None).body
    };
    let ids = |body: &str| -> Vec<u64> {
        let body: Value = serde_json::from_str(body).expect("JSON");
        let events = body["events"].as_array().cloned().unwrap_or_default();
        events.iter().map(|event| event["id"].as_u64().expect("an id")).collect()
    };
    let newest = page("");
    assert!(newest.contains("\"raw\": {\n    \"more\": true"), "it says that there are more");
    assert!(newest.len() < FOUR_MIB + 1_024 && newest.len() > FOUR_MIB - 16_384);
    assert_eq!(ids(&newest)[0], 1_000);
    // Oldest first, the last id of a page is where the next one begins.
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let since = all.last().copied().unwrap_or(0);
        let body = page(&format!("order=asc&since-id={since}"));
        assert!(body.len() < FOUR_MIB + 1_024);
        all.extend(ids(&body));
        pages += 1;
        if !body.contains("\"more\": true") {
            break;
        }
    }
    assert_eq!((all, pages), ((1..=1_000).collect(), 4));
}

#[test]
fn bodies_are_read_as_go_reads_them() {
    let candidate = |body: &str| decode_candidate(body.as_bytes(), "ApplyRequest");
    let full = format!(
        "{{\"apiVersion\":\"{CONTROL_API_VERSION}\",\"kind\":\"ApplyRequest\",\"CandidateYAML\":\"x\",\"dryRun\":true,\"replace\":null,\"more\":[1]}} trailing"
    );
    let read = candidate(&full).expect("a good body");
    assert_eq!((read.yaml.as_deref(), read.dry_run, read.replace), (Some("x"), true, false));
    assert_eq!(candidate("null"), Ok(CandidateRequest::default()));
    assert_eq!(candidate("{\"candidateYaml\":\" \\n\"}").map(|read| read.yaml), Ok(None));
    assert_eq!(decode_log_level(b"null"), Ok(LogLevel::Default));
    assert_eq!(decode_log_level(b"{\"level\":\" debug \"}"), Ok(LogLevel::Debug));
    assert_eq!(decode_log_level(b"{\"level\":null}5"), Ok(LogLevel::Default));
    assert_eq!(
        decode_delete(b"{\"target\":\"EventRule/x\",\"force\":true}").map(|read| read.target),
        Ok("EventRule/x".to_string())
    );
    let mut text = String::new();
    for body in [
        "",
        " \n",
        "{",
        "[]",
        "5",
        "{\"apiVersion\":\"v2\"}",
        "{\"kind\":\"PlanRequest\"}",
        "{\"candidateYaml\":5}",
        "{\"dryRun\":\"yes\"}",
    ] {
        text += &format!("{body:?}: {}\n", message(&candidate(body).expect_err("a refusal")));
    }
    for body in ["{}", "{\"target\":\" \"}", "null"] {
        text += &format!(
            "delete {body:?}: {}\n",
            message(&decode_delete(body.as_bytes()).expect_err("a refusal"))
        );
    }
    for body in ["{\"level\":\"Debug\"}", "{\"level\":5}", "{\"level\":\"trace\"}"] {
        text += &format!(
            "level {body:?}: {}\n",
            message(&decode_log_level(body.as_bytes()).expect_err("a refusal"))
        );
    }
    insta::assert_snapshot!(text);
}

fn resource(name: &str, topic: &str) -> Value {
    json!({"apiVersion": "net.routerd.net/v1alpha1", "kind": "EventRule", "metadata": {"name": name},
        "spec": {"pattern": {"operator": "any_of", "topic": topic}, "emit": {"topic": "out"}}})
}

#[test]
fn candidates_are_all_or_nothing() {
    let candidate = |resources: Value| json!({"apiVersion": "x", "kind": "Router", "spec": {"resources": resources, "more": 1}});
    let mut text = String::new();
    for bad in [
        json!("x"),
        json!([]),
        candidate(json!({})),
        candidate(json!([resource("a", "x"), 5])),
        candidate(json!([resource("a", "x"), resource("a", "y")])),
        candidate(
            json!([resource("a", "x"), {"apiVersion": "net.routerd.net/v1alpha1", "kind": "Interface"}]),
        ),
        candidate(json!([resource("a/b", "x")])),
    ] {
        text += &format!("{}\n", candidate_rules(&bad).expect_err("a fault"));
    }
    for empty in
        [json!({}), json!({"spec": {}}), json!({"spec": {"resources": null}}), candidate(json!([]))]
    {
        assert_eq!(candidate_rules(&empty).map(|rules| rules.len()), Ok(0));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn results_say_what_becomes_of_each_rule() {
    let mut in_force = RuleSet::default();
    let decode = |resources: Value| {
        candidate_rules(&json!({"spec": {"resources": resources}})).expect("good rules")
    };
    let first = replacing(
        decode(json!([resource("a", "x"), resource("b", "x"), resource("d", "x")])),
        false,
        &in_force,
    )
    .expect("few");
    in_force.apply(Now::default(), &first, &|_, _, _| String::new(), &mut |draft| {
        Arc::new(draft.stored(StoredId(1), at(1)))
    });
    let second = replacing(
        decode(json!([resource("a", "x"), resource("b", "y"), resource("c", "x")])),
        true,
        &in_force,
    )
    .expect("few");
    let planned = in_force.plan(&second);
    let rule = RuleRef { kind: RuleKind::EventRule, name: "a".into() };
    let mut text = [
        plan_result(&planned, 1, at(1)),
        apply_result(&planned, 2, at(1)),
        plan_result(&in_force.plan(&RulesChange::default()), 1, at(1)),
        validate_result(None),
        validate_result(Some("a <fault>")),
        delete_result(&rule, false),
        delete_result(&rule, true),
        log_level_result(LogLevel::Warning),
    ]
    .map(|reply| format!("{} {}", reply.status, reply.body))
    .join("\n");
    for (target, api_version) in [
        ("EventRule", ""),
        ("/a", ""),
        ("EventRule/", ""),
        ("EventRule/zzz", ""),
        ("EventRule/a", "other/v1"),
        ("Process/web", ""),
        ("Interface/a", ""),
    ] {
        let request = DeleteRequest {
            target: target.to_string(),
            api_version: api_version.to_string(),
            dry_run: false,
        };
        text += &format!(
            "delete {target} {api_version}: {}\n",
            message(&deletion(&request, &in_force).expect_err("a refusal"))
        );
    }
    let request = DeleteRequest { target: "eventrule/a".to_string(), ..DeleteRequest::default() };
    assert_eq!(deletion(&request, &in_force), Ok(rule));
    insta::assert_snapshot!(text);
}

#[test]
fn runs_of_controllers_are_counted() {
    let mut controllers = Controllers::new(at(0));
    let run = |second: u64, duration_ns: u64, error: Option<&str>| Run {
        trigger: "routerd.daemon.lifecycle.started".to_string(),
        started: at(second),
        completed: at(second),
        duration_ns,
        next: None,
        error: error.map(|error| RunError {
            resource_kind: "Process".to_string(),
            resource_name: "web".to_string(),
            error: error.to_string(),
        }),
    };
    controllers.record("supervisor", run(1, 1_500_000, None));
    controllers.record("supervisor", run(2, 3_000_000, Some("no such file")));
    controllers.record("supervisor", run(3, 1_500_000, None));
    for second in 4..40 {
        controllers.record("event-rule", run(second, 1_000, Some("x")));
    }
    controllers.record("unknown", run(1, 1, None));
    let mut model = ControlModel::new(10, at(0));
    model.controllers = controllers;
    let items = value(&model.controllers_reply())["items"].clone();
    assert_eq!(items[2]["reconcileErrorHistory"].as_array().map(Vec::len), Some(20));
    assert_eq!(
        (&items[2]["currentError"], &items[2]["consecutiveErrorCount"]),
        (&json!(true), &json!(36))
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&items[3]).expect("JSON"));
}

proptest! {
    #[test]
    fn every_request_has_an_answer(
        method in prop::sample::select(["GET", "POST", "HEAD"].as_slice()),
        path in "/(status|get|describe|probe|controllers|apply)?[/a-z%2]{0,4}",
        query in "((subject|target|limit|since-id|topic|resource|order|events-limit)=(Process|events|status|/|%20|1|-1|\\*\\*|[a-z/%]{0,6})&?){0,4}",
    ) {
        for socket in [Socket::Control, Socket::Status] {
            let reply = call(socket, method, &format!("{path}?{query}"));
            prop_assert!(matches!(reply.status, 200 | 400 | 404 | 501));
            if reply.body != "routed" {
                prop_assert_eq!(&value(&reply)["apiVersion"], CONTROL_API_VERSION);
            }
        }
    }

    #[test]
    fn every_managed_request_has_an_answer(
        path in "/v1/(healthz|status|events|commands)?(/[a-z%2]{0,4})?",
        query in "((since|wait|topic|tail)=([0-9]{0,3}s?|true|[a-z.*]{0,6})&?){0,4}",
    ) {
        let model = model();
        if let Ok(ManagedCall::Events(query)) = route_managed("GET", &path, Some(&query)) {
            let page = value(&model.events(InstanceId(1), &query));
            let events = page["events"].as_array().expect("never null");
            // Where to go on is never before what was asked for, unless that was ahead or the newest
            // was asked for.
            let cursor: u64 = page["cursor"].as_str().map_or(0, |cursor| cursor.parse().expect("digits"));
            prop_assert!(cursor >= query.since.0 || page["gap"] == true || query.tail);
            prop_assert!(events.is_empty() || model.has_events(InstanceId(1), &query));
        }
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..60), text in "\\{(\"(kind|level|target|candidateYaml)\":(\"[a-z ]{0,5}\"|1|null|\\{\\}),?){0,3}\\}?") {
        for body in [body.as_slice(), text.as_bytes()] {
            let _ = (decode_candidate(body, "PlanRequest"), decode_delete(body), decode_log_level(body));
        }
    }
}
