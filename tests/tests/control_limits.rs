//! Control contract A "Event store", D 5, 9, 11: how much an answer holds, and how a reader continues.

use openctrl_tests::control::{Sockets, Wire, call, event_rule};
use openctrl_tests::{Master, Script};
use serde_json::{Value, json};

/// The most bytes of events in one answer, and what the rest of it may add.
const PAGE_MAX_BYTES: usize = 1024 * 1024 + 200;

fn start() -> (Master, Sockets) {
    let (master, sockets) = Sockets::start();
    let body = json!({"url": Script::new().wait().url(), "alias": "web"});
    master.api().post("/instances", &body).expect(201);
    sockets.wait_phase("web", "Running");
    (master, sockets)
}

/// Sends a number of commands on one connection; each makes two events.
fn command(sockets: &Sockets, name: &str, times: usize) {
    let mut wire = Wire::open(&sockets.instance("web")).expect("it listens");
    for _ in 0..times {
        let answer = wire.send("POST", &format!("/v1/commands/{name}"), None).expect("an answer");
        assert!([200, 400].contains(&answer.status), "{}", answer.body);
    }
}

/// Reads all events of an instance page by page; gives the sizes of the pages and all cursors.
fn read_all(sockets: &Sockets) -> (Vec<usize>, Vec<u64>) {
    let (mut sizes, mut cursors, mut since) = (Vec::new(), Vec::new(), 0);
    loop {
        let answer = sockets.managed("web", "GET", &format!("/v1/events?since={since}"));
        sizes.push(answer.body.len());
        let page = answer.expect(200).json();
        assert_eq!(page.get("gap"), None);
        let events = page["events"].as_array().expect("events");
        assert!(events.len() <= 1_000);
        cursors.extend(events.iter().map(|event| number(&event["cursor"])));
        since = number(&page["cursor"]);
        assert_eq!(cursors.last(), Some(&since), "where to go on is the last event");
        match page.get("more") {
            Some(more) => assert_eq!(more, &json!(true)),
            None => return (sizes, cursors),
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).expect("a number as text")
}

#[test]
fn an_answer_holds_a_thousand_events_and_a_reader_goes_on() {
    let (_master, sockets) = start();
    command(&sockets, "renew", 600);
    let (sizes, cursors) = read_all(&sockets);
    assert_eq!(sizes.len(), 2, "a thousand, and the rest");
    assert!(cursors.len() > 1_200 && cursors.is_sorted_by(|one, next| one < next));

    // The main socket: newest first, 100 unless it is said, 0 means 50, never more than 1,000.
    let length = |query: &str| {
        let answer = sockets.get(&format!("/get?subject=events{query}")).expect(200).json();
        let events = answer["events"].as_array().expect("events").clone();
        let ids: Vec<u64> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
        assert!(ids.is_sorted_by(|one, next| one > next), "newest first");
        ids.len()
    };
    for (query, expected) in
        [("", 100), ("&limit=0", 50), ("&limit=7", 7), ("&limit=5000", 1_000), ("&limit=", 100)]
    {
        assert_eq!(length(query), expected, "{query:?}");
    }
    // Events of a resource in `/get` and `describe`: ten unless it is said, none for 0.
    let events = |target: &str| sockets.get(target).expect(200).json();
    let item = events("/get?subject=Process/web")["items"][0].clone();
    assert_eq!(item["events"].as_array().map(Vec::len), Some(10));
    let fields: Vec<String> =
        item["events"][0].as_object().expect("an event").keys().cloned().collect();
    let all = [
        "apiVersion",
        "createdAt",
        "generation",
        "id",
        "kind",
        "message",
        "name",
        "reason",
        "type",
    ];
    assert_eq!(fields, all, "all present");
    assert_eq!(events("/get?subject=Process/web&events-limit=0")["items"][0].get("events"), None);
    let described = events("/describe?target=Process/web&events-limit=3");
    assert_eq!(described["resource"]["events"].as_array().map(Vec::len), Some(3));
    let described = events("/describe?target=Process/web&events-limit=0");
    assert_eq!(described["resource"].get("events"), None);
}

#[test]
fn an_answer_holds_a_mebibyte() {
    let (_master, sockets) = start();
    command(&sockets, &"x".repeat(6_000), 120);
    let (sizes, cursors) = read_all(&sockets);
    assert!(sizes.len() >= 2, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= PAGE_MAX_BYTES), "{sizes:?}");
    assert!(sizes[0] > 1_000_000, "a page is filled: {sizes:?}");
    assert!(cursors.len() > 240 && cursors.is_sorted_by(|one, next| one < next));
}

#[test]
fn an_answer_of_the_main_sockets_holds_four_mebibytes() {
    let (_master, sockets) = start();
    let pattern = json!({"operator": "any_of", "topic": "routerd.daemon.command.*"});
    let mut rule = event_rule("wordy", pattern, "test.wordy");
    let attributes = (0..64).map(|number| (format!("a{number}"), json!("x".repeat(4_000))));
    rule["spec"]["emit"]["attributes"] = Value::Object(attributes.collect());
    sockets.apply(&json!([rule]));
    command(&sockets, "renew", 10);
    let page = |query: &str| {
        let answer = sockets.get(&format!("/get?subject=events&limit=1000&{query}")).expect(200);
        assert!(answer.body.len() <= 4 * 1024 * 1024 + 1_024, "{}", answer.body.len());
        let page = answer.json();
        let events = page["events"].as_array().expect("events");
        let ids: Vec<u64> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
        (ids, page["raw"]["more"] == true)
    };
    let (newest, more) = page("");
    assert!(more && newest[0] == sockets.head());
    // Oldest first, a reader continues at the last id.
    let (mut all, mut pages) = (Vec::new(), 0);
    loop {
        let since = all.last().copied().unwrap_or(0);
        let (ids, more) = page(&format!("order=asc&since-id={since}"));
        all.extend(ids);
        pages += 1;
        if !more {
            break;
        }
    }
    assert!(all.is_sorted_by(|one, next| one < next));
    // All but one, as the rule that was applied has a place among the events.
    assert_eq!((all.last(), all.len() as u64), (Some(&sockets.head()), sockets.head() - 1));
    assert!(pages > 1, "{pages}");
}

#[test]
fn only_tail_true_counts_and_overrides_a_wait() {
    let (_master, sockets) = start();
    let events = |query: &str| {
        sockets.managed("web", "GET", &format!("/v1/events?{query}")).expect(200).json()
    };
    let head = events("tail=true")["cursor"].clone();
    let tail = events("tail=true&wait=30s&since=999999");
    assert_eq!((&tail["events"], &tail["cursor"]), (&json!([]), &head));
    for other in ["tail=1", "tail=True", "tail=", "tail"] {
        assert_ne!(events(other)["events"], json!([]), "{other}");
    }
    // An instance without events of its own gives `since` again.
    let filtered = events("tail=true&topic=no.such.topic");
    assert_eq!(filtered["cursor"], head, "a topic does not change where the end is");
}

#[test]
fn ids_work_wherever_names_do() {
    let (_master, sockets) = start();
    let id = sockets.process("web")["status"]["id"].as_str().expect("an id").to_owned();
    for target in ["/get?subject=Process/", "/get?subject=process/", "/describe?target=Process/"] {
        let by_id = sockets.get(&format!("{target}{id}")).expect(200).json();
        let by_name = sockets.get(&format!("{target}web")).expect(200).json();
        let item = |answer: &Value| match answer["kind"].as_str() {
            Some("DescribeResult") => answer["resource"].clone(),
            _ => answer["items"][0].clone(),
        };
        assert_eq!((&item(&by_id)["name"], item(&by_id)), (&json!("web"), item(&by_name)));
    }
    let probe = sockets.get(&format!("/probe?subject=PROCESS&target={id}")).expect(200).json();
    assert_eq!(probe["checks"][0]["name"], "Process/web");
}

#[test]
fn a_name_is_taken_over_by_the_next_instance() {
    let (master, sockets) = start();
    let api = master.api();
    let first = sockets.process("web")["status"]["id"].as_str().expect("an id").to_owned();
    let body = json!({"url": Script::new().wait().url(), "alias": "web"});
    let second = api.post("/instances", &body).expect(201).json()["id"].clone();
    let second = second.as_str().expect("an id");
    sockets.wait_phase(second, "Running");
    assert_eq!(sockets.process(second)["name"], second, "an older instance has the name");
    let head = sockets.head();
    api.request("DELETE", &format!("/instances/{first}")).send().expect(204);
    let renamed = sockets.wait_event(head, "openctrl.instance.renamed");
    assert_eq!(renamed["attributes"], json!({"name": "web", "previousName": second}));
    assert_eq!(sockets.process("web")["status"]["id"], second);
    sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    let last = &sockets.stored(head);
    let last = last.last().expect("the command");
    assert_eq!(last["resourceName"], "web", "later events are under the new name");
    assert!(!sockets.instance(second).exists(), "the old socket is gone");
    let history = sockets.managed("web", "GET", "/v1/events").json();
    assert_eq!(history["events"][0]["daemon"]["instance"], second, "earlier ones keep theirs");
}

#[test]
fn no_field_is_null_or_empty_where_it_may_be_left_out() {
    let (_master, sockets) = start();
    fn walk(path: &str, value: &Value) {
        match value {
            Value::Null => panic!("{path} is null"),
            Value::Object(fields) => {
                fields.iter().for_each(|(name, value)| walk(&format!("{path}.{name}"), value));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(path, item)),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for target in
        ["/status", "/controllers", "/get", "/get?subject=events", "/get?subject=EventRule"]
    {
        walk(target, &sockets.get(target).expect(200).json());
    }
    for target in ["/v1/status", "/v1/events"] {
        walk(target, &sockets.managed("web", "GET", target).expect(200).json());
    }
    let events = sockets.get("/get?subject=events&topic=no.such").expect(200).json();
    assert_eq!(events.get("events"), None);
    let status = sockets.get("/status").expect(200).json()["status"].clone();
    assert_eq!(status["lastApplyTime"], "0001-01-01T00:00:00Z");
    assert_eq!((status.get("generation"), status.get("resourcePhaseIssues")), (None, None));
    assert!(call(&sockets.status(), "GET", "/nothing", None).error(404) == "not found");
}
