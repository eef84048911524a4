//! Tests that compare the OpenAPI document with the router, and its schemas with rendered objects.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use boon::{Compiler, Schemas};

use super::*;
use crate::access::{Role, Token, TokenDigest, TokenName, TokenSecret};
use crate::command::{DialOutcome, DialReport, Outcome, Refusal};
use crate::counters::Totals;
use crate::doors::v2::{
    Answer, Endpoint, Health, Info, InstanceObject, Method, ProcessReport, Rejection, Route,
    Secrets, SystemSample, Target, Tickets, admit, event_frame, policy_answer, render_key_instance,
    render_new_token, render_tokens, route,
};
use crate::event::EventKind;
use crate::history::{LogQuery, Page, Shelf};
use crate::ids::{BootId, InstanceId, KeyEpoch};
use crate::instance::{Definition, Instance, ProcessFacts};
use crate::master::MasterIdentity;
use crate::time::{Now, Time, Wall};
use crate::url::InstanceUrl;

const BASE: &str = "/api/v2";
const ID: InstanceId = InstanceId(0xd34d_b33f);
const METHODS: [(Method, &str); 5] = [
    (Method::Get, "get"),
    (Method::Post, "post"),
    (Method::Patch, "patch"),
    (Method::Put, "put"),
    (Method::Delete, "delete"),
];

fn document() -> Value {
    serde_json::from_slice(&describe(BASE, "1.2.3", Dialect::V3_1)).expect("JSON")
}

/// Every route of the router: add a new one here.
fn routes() -> Vec<Route> {
    let instance = Target::Instance(ID);
    let after = |route: Route| match route {
        Route::Info => Some(Route::Instances),
        Route::Instances => Some(Route::Actions),
        Route::Actions => Some(Route::Instance(instance)),
        Route::Instance(_) => Some(Route::Logs(instance)),
        Route::Logs(_) => Some(Route::Process(instance)),
        Route::Process(_) => Some(Route::Policy(instance)),
        Route::Policy(_) => Some(Route::Control(instance)),
        Route::Control(_) => Some(Route::Processes),
        Route::Processes => Some(Route::Events),
        Route::Events => Some(Route::Ticket),
        Route::Ticket => Some(Route::TcpPing),
        Route::TcpPing => Some(Route::Health),
        Route::Health => Some(Route::Description),
        Route::Description => Some(Route::Metrics),
        Route::Metrics => Some(Route::Audit),
        Route::Audit => Some(Route::Tokens),
        Route::Tokens => Some(Route::Token),
        Route::Token => None,
    };
    core::iter::successors(Some(Route::Info), |route| after(*route)).collect()
}

/// The names of the methods that the document has for a path.
fn documented(path: &Value) -> BTreeSet<&str> {
    let names = path.as_object().expect("an object").keys().map(String::as_str);
    names.filter(|name| !["parameters", "servers"].contains(name)).collect()
}

#[test]
fn the_document_has_what_the_router_has_and_nothing_else() {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let templates: BTreeSet<&str> = routes().into_iter().map(Route::template).collect();
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), templates);
    for wanted in routes() {
        let path = &paths[wanted.template()];
        // The router finds each path of the document.
        let base = path["servers"][0]["url"].as_str().unwrap_or(BASE).trim_end_matches('/');
        let shown = format!("{base}{}", wanted.template().replace("{id}", &ID.to_string()));
        let shown = shown.replace("{name}", "ci");
        assert_eq!(route(BASE, &shown), Some(wanted), "{shown}");

        let has = |method| admit(wanted, method, true, |_| true).is_ok();
        let mut methods: BTreeSet<&str> =
            METHODS.iter().filter(|(method, _)| has(*method)).map(|(_, name)| *name).collect();
        methods.insert("options");
        assert_eq!(documented(path), methods, "{shown}");
        let refused = admit(wanted, Method::Other, true, |_| true);
        let Err(Rejection::Method(allow)) = refused else { panic!("{shown}: {refused:?}") };
        let mut allowed: BTreeSet<String> = allow.split(", ").map(str::to_lowercase).collect();
        // HEAD goes without saying wherever there is a GET.
        assert_eq!(allowed.remove("head"), has(Method::Head), "{shown} allows {allow}");
        assert!(allowed.iter().map(String::as_str).eq(methods), "{shown} allows {allow}");
    }
}

#[test]
fn what_needs_no_key_says_so() {
    let document = document();
    for wanted in routes() {
        for (_, name) in METHODS {
            let operation = &document["paths"][wanted.template()][name];
            if operation.is_null() {
                continue;
            }
            let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
            assert_eq!(is_open, !wanted.needs_key(false), "{name} {}", wanted.template());
            let has_401 = !operation["responses"]["401"].is_null();
            assert_eq!(has_401, !is_open, "{name} {}", wanted.template());
        }
    }
}

#[test]
fn the_role_of_each_operation_is_there() {
    let document = document();
    for wanted in routes() {
        for (method, name) in METHODS {
            let operation = &document["paths"][wanted.template()][name];
            let Ok(endpoint) = admit(wanted, method, true, |_| true) else { continue };
            let shown = format!("{name} {}", wanted.template());
            if !wanted.needs_key(false) {
                assert!(operation["x-role"].is_null(), "{shown}");
                continue;
            }
            assert_eq!(operation["x-role"], endpoint.role().as_str(), "{shown}");
            let has_403 = !operation["responses"]["403"].is_null();
            assert!(has_403 || endpoint.role() == Role::Read, "{shown}");
            for role in Role::ALL {
                let needed = endpoint.role();
                let refused = Err(Rejection::TakesRole { needed, role });
                let expected = if role.includes(needed) { Ok(()) } else { refused };
                assert_eq!(endpoint.check(role), expected, "{shown}");
            }
        }
    }
}

#[test]
fn what_the_key_instance_refuses_is_there() {
    let document = document();
    for (method, name) in METHODS {
        let operation = &document["paths"]["/instances/{id}"][name];
        let refused = admit(Route::Instance(Target::Key), method, true, |_| true);
        if let Err(refusal @ Rejection::KeyInstance) = refused {
            assert!(!operation["responses"][refusal.status().to_string()].is_null(), "{name}");
        }
        let unknown = admit(Route::Instance(Target::Unknown), method, true, |_| true);
        assert_eq!(unknown, Err::<Endpoint, _>(Refusal::NoInstance.into()));
        assert!(operation.is_null() || !operation["responses"]["404"].is_null(), "{name}");
    }
}

/// A compiler of the schemas in the document.
struct Checker {
    compiler: Compiler,
    schemas: Schemas,
}

impl Checker {
    const PLACE: &str = "http://localhost/openapi.json";

    fn new() -> Self {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler.add_resource(Self::PLACE, document()).expect("a resource");
        Self { compiler, schemas: Schemas::new() }
    }

    /// Holds a value to the schema at a JSON pointer.
    fn check(&mut self, pointer: &str, value: &Value) {
        let pointer = pointer.replace('{', "%7B").replace('}', "%7D");
        let place = format!("{}#{pointer}", Self::PLACE);
        let index = self.compiler.compile(&place, &mut self.schemas);
        let index = index.unwrap_or_else(|error| panic!("{place}: {error:#}"));
        if let Err(error) = self.schemas.validate(value, index) {
            panic!("{place}: {error:#}: {value}");
        }
    }

    fn check_json(&mut self, name: &str, json: &[u8]) {
        let value = serde_json::from_slice(json).expect("JSON");
        self.check(&format!("/components/schemas/{name}"), &value);
    }
}

#[test]
fn every_schema_is_one_and_every_example_is_of_its_schema() {
    let (document, mut checker) = (document(), Checker::new());
    for name in document["components"]["schemas"].as_object().expect("schemas").keys() {
        let place = format!("{}#/components/schemas/{name}", Checker::PLACE);
        checker.compiler.compile(&place, &mut checker.schemas).expect("a schema");
    }
    let mut examples = Vec::new();
    find_examples(&document, &mut String::new(), &mut examples);
    assert!(examples.len() > 20, "only {} examples", examples.len());
    for (pointer, example) in examples {
        checker.check(&format!("{pointer}/schema"), example);
    }
}

/// Every object with an example and a schema, by its JSON pointer.
fn find_examples<'a>(value: &'a Value, at: &mut String, found: &mut Vec<(String, &'a Value)>) {
    if let Value::Object(fields) = value {
        if let (Some(example), Some(_)) = (fields.get("example"), fields.get("schema")) {
            found.push((at.clone(), example));
        }
        for (name, value) in fields {
            let length = at.len();
            at.push('/');
            at.push_str(&name.replace('~', "~0").replace('/', "~1"));
            find_examples(value, at, found);
            at.truncate(length);
        }
    } else if let Value::Array(values) = value {
        for (index, value) in values.iter().enumerate() {
            let length = at.len();
            at.push_str(&format!("/{index}"));
            find_examples(value, at, found);
            at.truncate(length);
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit(document: &Value, value: &Value) {
        if let Some(target) = value.get("$ref").and_then(Value::as_str) {
            let pointer = target.strip_prefix('#').expect("within the document");
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
        match value {
            Value::Object(fields) => fields.values().for_each(|value| visit(document, value)),
            Value::Array(values) => values.iter().for_each(|value| visit(document, value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    visit(&document, &document);
}

fn without_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(without_nulls);
    }
}

#[test]
fn what_is_rendered_is_of_its_schema() {
    let mut checker = Checker::new();
    let url = InstanceUrl::parse("Demo://edge-a").expect("a good URL");
    let definition = Arc::new(Definition::new(ID, url.clone(), String::from("x")));
    let instance = Instance::new(definition, -1, Totals::default()).view();
    let instance = InstanceObject::new(instance);
    checker.check_json("Instance", &instance.json(Secrets::Shown));
    let identity = MasterIdentity::from_random([1; 8], [2; 16]);
    checker.check_json("Instance", &render_key_instance(&identity, Secrets::Shown));
    checker.check_json("Instance", &render_key_instance(&identity, Secrets::Masked));

    let frame =
        event_frame(None, EventKind::Update, Wall::default(), Some(&instance.json(Secrets::Shown)));
    let frame = String::from_utf8(frame).expect("text");
    let data = frame.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    checker.check_json("Event", data.as_bytes());

    let info = Info {
        mid: "m",
        alias: "",
        os: "linux",
        arch: "amd64",
        noc: 1,
        system: SystemSample { cpu: -1, ..SystemSample::default() },
        ver: "v",
        name: "",
        uptime: 0,
        log: "default",
        tls: "2",
        crt: "c",
        key: "k",
    };
    checker.check_json("Info", &info.json());
    let outcome = DialOutcome::Failed(String::from("refused"));
    let dialed = Outcome::Dialed(DialReport { target: String::from("a:1"), outcome });
    let answer = Answer::from_outcome(dialed, Secrets::Shown, Bytes::new);
    checker.check_json("Ping", &answer.body.expect("a body"));

    let definition = Definition::new(ID, url, String::new());
    let policy = policy_answer(&definition, Secrets::Shown).body.expect("a body");
    checker.check_json("Policy", &policy);
    // What is read can be put; a null in it means the default, and is not offered to clients.
    let mut put: Value = serde_json::from_slice(&policy).expect("JSON");
    without_nulls(&mut put);
    checker.check("/components/schemas/EditPolicy", &put);

    let facts = ProcessFacts::default();
    let report = ProcessReport { id: ID, facts: &facts, pid: None, usage: None, exit_note: None };
    checker.check_json("Process", &report.json(Now::default()));
    let query = LogQuery::decode("").expect("a query");
    let page = Page::new(&Shelf::default(), &query, BootId(1), |_| true);
    checker.check_json("Logs", &page.json());

    let ticket = Tickets::default().issue([7; 16], KeyEpoch(0), Time::ZERO);
    checker.check_json("Ticket", &ticket);
    let health = Health {
        is_alive: true,
        is_draining: true,
        is_disk_good: false,
        webhooks_fail: Some(false),
    };
    let health = health.answer();
    checker.check_json("Health", &health.body.expect("a body"));

    let (name, secret) =
        (TokenName::parse("ci").expect("a name"), TokenSecret::from_random([1; 32]));
    let (role, digest, created) = (Role::Read, TokenDigest([1; 32]), Wall::default());
    let token = Token { name, role, digest, created, expires: None, last_used: None };
    checker.check_json("NewToken", &render_new_token(&token, &secret));
    checker.check_json("Tokens", &render_tokens(&[token], Wall::default()));

    let answer = Answer::from(Rejection::NoPath);
    checker.check_json("Error", &answer.body.expect("a body"));
}

#[test]
fn in_3_0_there_is_nothing_that_only_3_1_has() {
    fn visit(value: &Value, at: &str) {
        match value {
            Value::Object(fields) => {
                for name in ["const", "propertyNames", "prefixItems", "examples", "identifier"] {
                    assert!(fields.get(name).is_none_or(Value::is_object), "{at} has {name}");
                }
                let kind = fields.get("type");
                assert!(kind.is_none_or(|kind| kind.is_string() || kind.is_object()), "{at}");
                assert!(kind != Some(&Value::from("null")), "{at}");
                fields.iter().for_each(|(name, value)| visit(value, &format!("{at}/{name}")));
            }
            Value::Array(values) => values.iter().for_each(|value| visit(value, at)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let old: Value = serde_json::from_slice(&describe(BASE, "1.2.3", Dialect::V3_0)).expect("JSON");
    assert_eq!(old["openapi"], "3.0.3");
    visit(&old, "");
    let error = &old["components"]["schemas"]["Ping"]["properties"]["error"];
    assert_eq!((&error["type"], &error["nullable"]), (&"string".into(), &true.into()));
    let exit = &old["components"]["schemas"]["Process"]["properties"]["lastExit"];
    assert_eq!(exit["allOf"][0]["$ref"], "#/components/schemas/Exit");
    assert_eq!(
        old["paths"].as_object().map(Map::len),
        document()["paths"].as_object().map(Map::len)
    );
}

/// The names of the schemas that `value` refers to, and that these refer to.
fn find_schemas<'a>(document: &'a Value, value: &'a Value, found: &mut BTreeSet<&'a str>) {
    visit_objects(value, "", &mut |fields, _| {
        let target = fields.get("$ref").and_then(Value::as_str);
        let name = target.and_then(|target| target.strip_prefix("#/components/schemas/"));
        if let Some(name) = name
            && found.insert(name)
        {
            find_schemas(document, &document["components"]["schemas"][name], found);
        }
    });
}

#[test]
fn requests_offer_no_null_and_answers_may_grow() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let mut requests = BTreeSet::new();
    visit_objects(&document["paths"], "", &mut |fields, _| {
        let Some(body) = fields.get("requestBody") else { return };
        find_schemas(&document, body, &mut requests);
    });
    assert!(requests.contains("Patch") && requests.contains("EditStopStep"), "{requests:?}");
    for (name, schema) in schemas {
        let text = schema.to_string();
        if requests.contains(&**name) {
            assert!(!text.contains("null\""), "{name}: {text}");
            assert!(!text.contains(",null"), "{name}: {text}");
        } else {
            assert!(!text.contains("\"additionalProperties\":false"), "{name}");
        }
    }
}

/// Calls `visit` with every object below `value` and its JSON pointer.
fn visit_objects<'a>(
    value: &'a Value,
    at: &str,
    visit: &mut dyn FnMut(&'a Map<String, Value>, &str),
) {
    match value {
        Value::Object(fields) => {
            visit(fields, at);
            for (name, value) in fields {
                visit_objects(value, &format!("{at}/{name}"), visit);
            }
        }
        Value::Array(values) => {
            values.iter().for_each(|value| visit_objects(value, &format!("{at}/-"), visit));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_object_has_a_name_and_every_enum_a_type() {
    let mut document = document();
    // Generators invent a name for an object that has none, and another one in each version.
    let schemas = document["components"]["schemas"].take();
    for (name, schema) in schemas.as_object().expect("schemas") {
        visit_objects(schema, "", &mut |fields, at| {
            let is_inline = fields.get("type").is_some_and(|kind| kind == "object")
                && fields.contains_key("properties");
            assert!(at.is_empty() || !is_inline, "{name}{at} has no name");
            let words = fields.contains_key("enum") || fields.contains_key("const");
            assert!(!words || fields.contains_key("type"), "{name}{at} has no type");
            let is_open = fields.get("type").is_some_and(|kind| kind == "object")
                && !fields.contains_key("properties")
                && !fields.contains_key("additionalProperties");
            assert!(!is_open, "{name}{at} has no fields");
        });
    }
    let mut bodies = 0;
    visit_objects(&document, "", &mut |fields, at| {
        let Some(schema) = fields.get("schema") else { return };
        if at.ends_with("/content/application/json") && !at.contains("/openapi.json/") {
            bodies += 1;
            assert!(schema["$ref"].is_string(), "{at} has no name");
        }
    });
    assert!(bodies > 30, "only {bodies} bodies");
}

#[test]
fn examples_of_answers_show_what_their_requests_asked_for() {
    /// Whether `shown` has what `asked` has, where it has that field at all.
    fn agrees(asked: &Value, shown: &Value) -> bool {
        match (asked, shown) {
            (Value::Object(asked), Value::Object(shown)) => asked
                .iter()
                .all(|(name, value)| shown.get(name).is_none_or(|shown| agrees(value, shown))),
            (Value::Array(asked), Value::Array(shown)) => {
                asked.len() == shown.len()
                    && asked.iter().zip(shown).all(|(asked, shown)| agrees(asked, shown))
            }
            _ => asked == shown,
        }
    }
    let document = document();
    let mut pairs = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (_, method) in METHODS {
            let body = "content/application~1json/example";
            let asked = item.pointer(&format!("/{method}/requestBody/{body}"));
            for status in ["200", "201"] {
                let shown = item.pointer(&format!("/{method}/responses/{status}/{body}"));
                let (Some(asked), Some(shown)) = (asked, shown) else { continue };
                pairs += 1;
                assert!(agrees(asked, shown), "{method} {path}: {asked} gives {shown}");
            }
        }
    }
    assert_eq!(pairs, 8);
}

#[test]
fn patterns_are_of_the_syntax_that_every_language_has() {
    let document = document();
    visit_objects(&document, "", &mut |fields, at| {
        let Some(pattern) = fields.get("pattern").and_then(Value::as_str) else { return };
        assert!(!pattern.contains("\\u"), "{at}: Go has no \\u: {pattern}");
        assert!(!pattern.chars().any(char::is_control), "{at}: {pattern:?}");
    });
    let mut checker = Checker::new();
    let place = format!("{}#/components/schemas/Create", Checker::PLACE);
    let index = checker.compiler.compile(&place, &mut checker.schemas).expect("a schema");
    let is_valid = |url: &str| {
        let value = serde_json::json!({ "url": url });
        checker.schemas.validate(&value, index).is_ok()
    };
    assert!(is_valid("demo://a b/\u{e9}?x=~#y"));
    for bad in ["demo://\0", "demo://a\nb", "demo://\u{1f}", "demo://\u{7f}", "demo"] {
        assert!(!is_valid(bad), "{bad:?}");
    }
}

#[test]
fn the_base_is_that_of_the_master() {
    let described: Value =
        serde_json::from_slice(&describe("/a b%/v2", "9", Dialect::V3_1)).expect("JSON");
    assert_eq!(described["servers"][0]["url"], "/a%20b%25/v2");
    assert_eq!(described["info"]["version"], "9");
}
