//! Tickets: the event stream for clients that cannot set headers.

use openctrl_tests::browser::Browser;
use openctrl_tests::{Api, KEY_ID, Master, Script, Sse, until};
use serde_json::{Value, json};

fn ticket(api: &Api) -> String {
    let answer = api.request("POST", "/events/ticket").send().expect(201).json();
    assert_eq!(answer["expires_in"], 30);
    answer["ticket"].as_str().expect("a ticket is a string").to_owned()
}

fn open(api: &Api, query: &str) -> Sse {
    let base = format!("{}/events?{query}", api.base());
    Sse::open_target(&api.without_key(), &base)
}

fn refused(api: &Api, query: &str) {
    api.without_key().get(&format!("/events?{query}")).expect_error(401);
}

#[test]
fn a_ticket_opens_one_stream_without_the_key() {
    let master = Master::start();
    let api = master.api();
    let ticket = ticket(&api);
    assert!(!ticket.contains(master.key()));
    let mut events = open(&api, &format!("ticket={ticket}"));
    refused(&api, &format!("ticket={ticket}"));
    let id = api.run(&Script::new().print("seen").wait());
    events.wait_log(&id, "seen");
}

#[test]
fn a_ticket_is_for_the_stream_alone_and_costs_the_key() {
    let master = Master::start();
    let api = master.api();
    api.without_key().request("POST", "/events/ticket").send().expect_error(401);
    api.request("GET", "/events/ticket").send().expect_error(405);
    let ticket = ticket(&api);
    for path in ["/info", "/instances", "/processes"] {
        api.without_key().get(&format!("{path}?ticket={ticket}")).expect_error(401);
    }
    let header = api.without_key().request("GET", "/info").header("X-API-Key", &ticket);
    header.send().expect_error(401);
    api.without_key().request("HEAD", &format!("/events?ticket={ticket}")).send().expect(401);
    for wrong in ["ticket=", "ticket=x", &format!("ticket={}", master.key()), "tickets=1"] {
        refused(&api, wrong);
    }
    // None of these used it up.
    open(&api, &format!("ticket={ticket}"));
}

#[test]
fn a_new_key_ends_tickets_of_the_old_one() {
    let master = Master::start();
    let api = master.api();
    let (used, unused) = (ticket(&api), ticket(&api));
    let events = open(&api, &format!("ticket={used}"));
    let key = api.patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    events.wait_end();
    refused(&api, &format!("ticket={unused}"));
    let api = api.with_key(key["url"].as_str().expect("the key"));
    open(&api, &format!("ticket={}", ticket(&api)));
}

#[test]
fn a_stream_resumes_by_its_query() {
    let master = Master::start();
    let api = master.api();
    let mut events = open(&api, &format!("ticket={}", ticket(&api)));
    let id = api.run(&Script::new().print("one").print("two").wait());
    let one = events.wait_log(&id, "one").id.expect("an event has an id");
    let query = format!("ticket={}&last_event_id={one}", ticket(&api));
    let again = Sse::open_target_raw(&api.without_key(), &format!("{}/events?{query}", api.base()));
    until("the line after it", || !again.events().is_empty());
    let first = again.events().remove(0);
    assert_eq!((first.kind.as_str(), first.logs.as_str()), ("log", "two"));
}

#[test]
fn the_number_of_tickets_is_bounded() {
    let master = Master::start();
    let api = master.api();
    let first = ticket(&api);
    let mut last = String::new();
    for _ in 0..1_024 {
        last = ticket(&api);
    }
    refused(&api, &format!("ticket={first}"));
    open(&api, &format!("ticket={last}"));
}

#[test]
fn the_browsers_own_event_source_follows_the_stream() {
    let Some(browser) = Browser::start(env!("CARGO_TARGET_TMPDIR")) else { return };
    let master = Master::start();
    let api = master.api();
    browser.open(&format!("http://{}/page/icon.svg", api.endpoint().address));
    let address = format!("{}/events?ticket={}", master.url(), ticket(&api));
    let follow = "window.seen = []; \
        const source = new EventSource(arguments[0]); \
        source.addEventListener('instance', ({data}) => window.seen.push(JSON.parse(data)));";
    browser.script(follow, &[json!(address)]);
    let seen = |kind: &str, text: &str| {
        let events = browser.script("return window.seen", &[]);
        let is_it = |event: &Value| event["type"] == kind && event["logs"] == text;
        events.as_array().is_some_and(|events| events.iter().any(is_it))
    };
    until("the first event", || seen("initial", ""));
    api.run(&Script::new().print("in a browser").wait());
    until("a line", || seen("log", "in a browser"));
}
