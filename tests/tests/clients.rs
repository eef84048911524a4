//! Published clients against the master: the API wrapper, the initial load, the state reducer and
//! shell scripts that cut JSON with `sed`.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::Command;
use std::thread;

use openctrl_tests::api::id_of;
use openctrl_tests::http::Response;
use openctrl_tests::reducer::Reducer;
use openctrl_tests::script::Step;
use openctrl_tests::{Api, KEY_ID, Master, Script, Sse, until};
use serde_json::{Value, json};

/// The documented wrapper: 204 is nothing, an error's message is its `error` string.
struct Wrapper {
    api: Api,
}

impl Wrapper {
    fn request(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let call = self.api.request(method, path);
        let response: Response = match body {
            Some(body) => call.json(&body).send(),
            None => call.send(),
        };
        if response.status == 204 {
            return Ok(Value::Null);
        }
        let text = response.text();
        let data = if text.is_empty() { Value::Null } else { response.json() };
        if (200..300).contains(&response.status) {
            return Ok(data);
        }
        let fallback = format!("request failed: {}", response.status);
        Err(data["error"].as_str().map_or(fallback, str::to_owned))
    }

    /// As JavaScript's `encodeURIComponent`, which leaves `*` alone.
    fn encode(text: &str) -> String {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b);
        let escape = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
        text.bytes().map(escape).collect()
    }

    fn instance(&self, id: &str) -> String {
        format!("/instances/{}", Self::encode(id))
    }
}

#[test]
fn the_documented_wrapper_works() {
    let master = Master::start();
    let client = Wrapper { api: master.api() };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let info = client.request("GET", "/info", None).unwrap();
    assert_eq!(info["log"], "default");
    let named = client.request("POST", "/info", Some(json!({"alias": "prod-master-1"}))).unwrap();
    assert_eq!(named["alias"], "prod-master-1");
    let input = json!({"alias": "edge-a", "url": Script::new().wait().url()});
    let created = client.request("POST", "/instances", Some(input)).unwrap();
    let path = client.instance(&id_of(&created));
    let tags = json!({"meta": {"peer": created["meta"]["peer"], "tags": {"region": "us-east"}}});
    let patched = client.request("PATCH", &path, Some(tags)).unwrap();
    assert_eq!(patched["meta"]["tags"]["region"], "us-east");
    assert_eq!(client.request("GET", &path, None).unwrap()["alias"], "edge-a");
    let url = json!({"url": Script::new().print("b").wait().url()});
    assert_eq!(client.request("PUT", &path, Some(url.clone())).unwrap()["url"], url["url"]);
    let conflict = client.request("PUT", &path, Some(url)).unwrap_err();
    assert!(!conflict.starts_with("request failed"), "the server gives a message: {conflict}");
    assert_eq!(client.request("DELETE", &path, None).unwrap(), Value::Null);
    assert!(client.request("GET", &path, None).is_err());
    let key = client.request("GET", &client.instance(KEY_ID), None).unwrap();
    assert_eq!(key["url"], master.key());
    let ping = client.request("GET", &format!("/tcping?target={}", Wrapper::encode(&target)), None);
    assert_eq!(ping.unwrap()["connected"], true);
    let list = client.request("GET", "/instances", None).unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(1));
}

/// What the stream adds up to after `marker` was seen.
fn reduced(events: &mut Sse, marker: &str) -> Reducer {
    events.wait_for("the marker", |event| event.instance["alias"] == marker);
    let mut state = Reducer::default();
    for event in events.events() {
        state.apply(&event);
        if event.instance["alias"] == marker {
            break;
        }
    }
    state
}

#[test]
fn a_reducer_over_a_busy_stream_equals_the_list() {
    let master = Master::start();
    let api = master.api();
    let mut early = master.events();
    let busy = Script::new()
        .step(Step::Repeat(30, Script::new().print("x").checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9])))
        .print("an ERROR")
        .checkpoint([2; 9])
        .wait();
    let mut streams: Vec<Sse> = Vec::new();
    thread::scope(|scope| {
        for worker in 0..4 {
            let (api, busy) = (&api, &busy);
            scope.spawn(move || {
                for round in 0..6 {
                    let id = api.run(busy);
                    api.patch(&id, &json!({"alias": format!("{worker}-{round}")})).expect(200);
                    api.act(&id, ["stop", "restart", "reset", "start"][(worker + round) % 4]);
                    if round % 2 == 0 {
                        api.delete(&id).expect(204);
                    }
                }
            });
        }
        // Some begin in the middle of it all.
        for _ in 0..8 {
            streams.push(master.events());
        }
    });
    // Quiet: everything that is left is stopped.
    for instance in api.list().iter().filter(|instance| instance["id"] != KEY_ID) {
        let id = id_of(instance);
        api.act(&id, "stop");
        until("the stop", || api.status(&id) == "stopped");
    }
    api.post("/info", &json!({"alias": "all quiet"})).expect(200);
    let expected = Reducer::from_list(&api.list());
    assert_eq!(expected.instances().len(), 13);
    assert_eq!(reduced(&mut early, "all quiet"), expected, "a stream from the start");
    for mut stream in streams {
        assert_eq!(reduced(&mut stream, "all quiet"), expected, "a stream from the middle");
    }
}

#[test]
fn list_first_then_stream_loses_nothing() {
    let master = Master::start();
    let api = master.api();
    let first = master.run(&mut master.events(), &Script::new().wait());
    let mut state = Reducer::from_list(&api.list());
    let gone = master.run(&mut master.events(), &Script::new().wait());
    let mut events = master.events();
    api.delete(&gone).expect(204);
    api.post("/info", &json!({"alias": "done"})).expect(200);
    events.wait_for("the marker", |event| event.instance["alias"] == "done");
    events.events().iter().for_each(|event| state.apply(event));
    assert_eq!(state, Reducer::from_list(&api.list()));
    assert!(state.instances().contains_key(&first));
}

/// The first match of a basic regular expression, cut out by the real `sed`.
fn sed(expression: &str, text: &str) -> String {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("answer.json");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("sed").args(["-n", expression]).arg(&file).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn shell_scripts_can_cut_the_json() {
    let master = Master::start();
    let api = master.api();
    let url = Script::new().wait().url();
    let created = api.post("/instances", &json!({"url": url, "alias": "cut me"})).expect(201);
    let id = sed(r#"s/.*"id":"\([0-9a-f]*\)".*/\1/p"#, created.text());
    assert_eq!(id, id_of(&created.json()));
    let one = api.get(&format!("/instances/{id}")).expect(200);
    assert_eq!(sed(r#"s/^{.*"alias":"\([^"]*\)","type".*/\1/p"#, one.text()), "cut me");
    assert_eq!(sed(r#"s/.*"type":"\([^"]*\)","status".*/\1/p"#, one.text()), "stub");
    assert_eq!(sed(r#"s/.*"restart":\([a-z]*\).*/\1/p"#, one.text()), "true");
    assert_eq!(sed(r#"s/.*"tcprx":\([0-9]*\).*/\1/p"#, one.text()), "0");
    let info = api.get("/info").expect(200);
    assert_eq!(sed(r#"s/.*"mid":"\([0-9a-f]*\)".*/\1/p"#, info.text()).len(), 16);
    assert_eq!(sed(r#"s/.*"tls":"\([0-9]\)".*/\1/p"#, info.text()), "0");
    let refused = api.get("/instances/00000000").expect(404);
    assert!(!sed(r#"s/^{"error":"\(.*\)"}$/\1/p"#, refused.text()).is_empty());
}
