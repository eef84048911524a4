//! Patrol contract §4, §10 and A: `/status/`, `/api/` and UDP.

use std::net::UdpSocket;
use std::thread;

use openctrl_tests::patrol::{Builder, Folder, Patrol, read};
use openctrl_tests::until;
use serde_json::{Value, json};

/// A server with a running app `web`, apps `file`, `http` and `udp` that are disabled, one with a
/// secret, and a service.
fn start() -> Patrol {
    let folder = Folder::default();
    let disabled = |keep_alive: u8| {
        let mut app = folder.app(keep_alive, &["wait"]);
        app["disabled"] = json!(true);
        app
    };
    let mut kept = disabled(3);
    kept["secret"] = json!("hush");
    kept["keyvalue"] = json!({"kept": true});
    let apps = json!({
        "web": folder.app(1, &["wait"]), "file": disabled(2), "http": disabled(3), "udp": disabled(4), "kept": kept,
    });
    let services = json!({"ssh": {"management": 1, "name": "SSH", "service": "openctrl-no-such-service", "disabled": true}});
    let patrol = folder.start(apps, services);
    patrol.wait_instance("web", "");
    patrol
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The members of a JSON object, in the order in which they were written.
fn written_keys(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("\t\"")?.split_once('"').map(|(key, _)| key))
        .collect()
}

#[test]
fn routes_are_those_of_patrol() {
    let patrol = start();
    for (method, target, status) in [
        ("GET", "/status/", 200),
        ("POST", "/status/", 200),
        ("DELETE", "/status/", 200),
        ("GET", "/status/anything", 200),
        ("GET", "/api/?group=app&id=web", 200),
        ("GET", "/api/anything?group=app&id=web", 200),
        ("GET", "/api/", 400),
        ("PUT", "/api/", 405),
        ("DELETE", "/api/", 405),
    ] {
        assert_eq!(patrol.send(method, target, &[], None).status, status, "{method} {target}");
    }
    for (from, to) in [("/api", "/api/"), ("/status", "/status/"), ("/logs", "/logs/")] {
        let moved = patrol.get(from);
        assert_eq!((moved.status, moved.header("Location")), (301, Some(to)), "{from}");
    }
}

#[test]
fn the_status_shows_apps_services_and_the_server() {
    let patrol = start();
    let response = patrol.get("/status/");
    assert_eq!(written_keys(response.text()), ["instance-id", "apps", "service", "started"]);
    let status = read(&response);
    assert_eq!(keys(&status["apps"]), ["file", "http", "kept", "udp", "web"]);
    assert_eq!(keys(&status["service"]), ["ssh"]);
    assert_eq!(
        keys(&status["apps"]["web"]),
        ["cas", "instance-id", "lastseen", "name", "pid", "started"]
    );
    assert_eq!(keys(&status["apps"]["kept"]), ["cas", "disabled", "keyvalue", "name", "secret"]);
    let id = status["instance-id"].as_str().expect("an id");
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "a random UUID: {id}");
    for time in [&status["started"], &status["apps"]["web"]["started"]] {
        let text = time.as_str().expect("a time");
        assert!(text.len() == 31 && text.as_bytes()[3] == b',', "RFC1123Z: {text}");
    }
}

#[test]
fn a_reply_has_its_fields_in_order() {
    let patrol = start();
    let response = patrol.get("/api/?group=APPS&id=WEB");
    let expected = ["id", "instance-id", "group", "name", "pid", "started", "lastseen", "cas"];
    assert_eq!(written_keys(response.text()), expected);
    let reply = read(&response);
    assert_eq!((&reply["id"], &reply["group"]), (&json!("web"), &json!("app")));
    let service = read(&patrol.get("/api/?group=services&id=ssh"));
    assert_eq!((&service["group"], &service["disabled"]), (&json!("service"), &json!(true)));
}

/// Each error, its status, and nothing else in the reply.
#[test]
fn errors_come_in_the_order_of_the_contract() {
    let patrol = start();
    let cases = [
        ("", "Invalid Request"),
        ("[]", "Invalid Request"),
        ("{}x", "Invalid Request"),
        (r#"{"pid":-1}"#, "Invalid Request"),
        (r#"{"toggle":300}"#, "Invalid Request"),
        ("null", "Unknown Group"),
        (r#"{"group":"x","ping":true}"#, "Unknown Group"),
        (r#"{"group":"service","id":"x","ping":true}"#, "Services don't support Ping"),
        (r#"{"group":"SERVICES","id":"ssh","ping":true}"#, "Services don't support Ping"),
        (r#"{"group":"app","id":"x"}"#, "Unknown App"),
        (r#"{"group":"service","id":"x"}"#, "Unknown Service"),
        (r#"{"group":"app","id":"kept","secret":"x","pid":1}"#, "Secret Invalid"),
        (r#"{"group":"app","id":"web","ping":true,"pid":1}"#, "Ping Not Supported"),
        (r#"{"group":"app","id":"file","ping":true}"#, "Ping Not Supported"),
        (r#"{"group":"app","id":"udp","ping":true,"pid":1}"#, "Invalid Ping Endpoint"),
        (r#"{"group":"app","id":"web","pid":1}"#, "PID Not Supported"),
        (r#"{"group":"app","id":"http","pid":1}"#, "PID Requires Ping"),
    ];
    let before = patrol.status();
    for (body, error) in cases {
        let response = patrol.send("POST", "/api/", &[], Some(body));
        let text = format!("{{\n\t\"errors\": [\n\t\t\"{}\"\n\t]\n}}\n", error);
        assert_eq!((response.status, response.text()), (400, text.as_str()), "{body}");
    }
    for app in ["file", "http", "kept", "udp", "web"] {
        assert_eq!(patrol.app(app)["cas"], before["apps"][app]["cas"], "an error changes nothing");
    }
    let method = patrol.send("PUT", "/api/", &[], Some("{}"));
    assert_eq!((method.status, read(&method)), (405, json!({"errors": ["Invalid Method"]})));
}

#[test]
fn a_body_over_one_mebibyte_is_413() {
    let patrol = start();
    let pad = "x".repeat(1024 * 1024);
    let body = json!({"group": "app", "id": "web", "x": pad}).to_string();
    assert_eq!(patrol.send("POST", "/api/", &[], Some(&body)).status, 413);
    let fits = json!({"group": "app", "id": "web", "x": &pad[..1_000_000]}).to_string();
    assert_eq!(patrol.send("POST", "/api/", &[], Some(&fits)).status, 200);
}

#[test]
fn queries_can_toggle_and_bad_numbers_count_as_absent() {
    let patrol = start();
    let get = |query: &str| read(&patrol.get(&format!("/api/?group=app&id=file&{query}")));
    let cas = get("")["cas"].as_u64().expect("a CAS");
    get("toggle=258");
    get("toggle=x");
    get("cas=-1");
    assert_eq!(get("")["cas"], cas, "none of these changes anything");
    assert_eq!(get("cas=99999999999999999999&toggle=4")["cas-invalid"], true);
    let reply = get("toggle=4");
    assert!(reply["run-once"].is_null() && reply["cas"] == cas, "the state before: {reply}");
    let after = get("");
    assert_eq!((&after["run-once"], after["cas"].as_u64()), (&json!(true), Some(cas + 1)));
}

/// CAS arithmetic: each request and by how much it moves the CAS.
#[test]
fn the_cas_moves_as_the_contract_says() {
    let patrol = start();
    let cas = || patrol.app("http")["cas"].as_u64().expect("a CAS");
    let request = |members: Value| {
        let mut request = json!({"group": "app", "id": "http"});
        for (key, value) in members.as_object().expect("an object") {
            request[key] = value.clone();
        }
        request
    };
    let first = cas();
    assert!((2..=100_001 + 5).contains(&first), "{first}");
    let cases = [
        (json!({}), 0),
        (json!({"toggle": 2}), 0),
        (json!({"toggle": 0}), 0),
        (json!({"toggle": 9}), 0),
        (json!({"toggle": 4}), 1),
        (json!({"toggle": 4}), 0),
        (json!({"toggle": 5}), 1),
        (json!({"keyvalue": {}}), 0),
        (json!({"keyvalue": {"a": 1}}), 1),
        (json!({"keyvalue": {"a": 1}}), 1),
        (json!({"keyvalue": {"c": 2}, "toggle": 4}), 1),
        (json!({"keyvalue-replace": true}), 1),
        (json!({"keyvalue-replace": true}), 1),
        (json!({"ping": true}), 1),
        (json!({"ping": true, "keyvalue": {"b": 1}, "toggle": 5}), 1),
        (json!({"cas": 1, "toggle": 4}), 0),
        (json!({"cas": 1, "ping": true, "keyvalue": {"never": 1}}), 1),
    ];
    for (members, steps) in cases {
        let before = cas();
        let reply = patrol.post(&request(members.clone()));
        assert_eq!(reply["cas"], before, "the CAS before the request: {members}");
        assert_eq!(
            reply["cas-invalid"],
            if members["cas"] == 1 { json!(true) } else { Value::Null }
        );
        assert_eq!(cas() - before, steps, "{members}");
    }
    assert_eq!(patrol.app("http")["keyvalue"], json!({"b": 1}));
    let right = patrol.post(&request(json!({"cas": cas(), "keyvalue": {"d": 1}})));
    assert!(right["cas-invalid"].is_null());
    assert_eq!(patrol.app("http")["keyvalue"], json!({"b": 1, "d": 1}));
}

#[test]
fn key_values_merge_replace_and_read_back_as_go_wrote_them() {
    let patrol = start();
    let set = |values: &str, replace: bool| {
        let body = format!(
            r#"{{"group":"app","id":"web","keyvalue":{values},"keyvalue-replace":{replace}}}"#
        );
        patrol.send("POST", "/api/", &[], Some(&body))
    };
    set(r#"{"b":"<&>","a":12345678901234567890}"#, false);
    set(r#"{"c":[null,{"x":1.5}]}"#, false);
    let text = patrol.get("/api/?group=app&id=web");
    let expected = "\t\"keyvalue\": {\n\t\t\"a\": 12345678901234567000,\n\t\t\"b\": \"\\u003c\\u0026\\u003e\",\n\t\t\"c\": [\n\t\t\tnull,\n\t\t\t{\n\t\t\t\t\"x\": 1.5\n\t\t\t}\n\t\t]\n\t},\n";
    assert!(text.text().contains(expected), "{}", text.text());
    set(r#"{"d":1}"#, true);
    assert_eq!(patrol.app("web")["keyvalue"], json!({"d": 1}));
    set("null", true);
    assert!(patrol.app("web")["keyvalue"].is_null());
}

#[test]
fn a_secret_guards_changes_and_not_reads() {
    let patrol = start();
    let body =
        |secret: &str| format!(r#"{{"group":"app","id":"kept","toggle":4,"ping":true{secret}}}"#);
    let send =
        |body: &str, headers: &[(&str, &str)]| patrol.send("POST", "/api/", headers, Some(body));
    let before = patrol.app("kept");
    let without = read(&send(&body(""), &[]));
    assert_eq!(
        (&without["cas-invalid"], &without["keyvalue"]),
        (&json!(true), &json!({"kept": true}))
    );
    assert_eq!(send(&body(r#","secret":"x""#), &[]).status, 400);
    assert_eq!(send(&body(""), &[("X-Patrol-Secret", "x")]).status, 400);
    assert_eq!(patrol.app("kept"), before, "nothing was applied, not even the ping");
    assert_eq!(send(&body(r#","secret":"hush""#), &[]).status, 200);
    let after = patrol.app("kept");
    assert_eq!(after["run-once"], true);
    let header = send(r#"{"group":"app","id":"kept","toggle":5}"#, &[("X-Patrol-Secret", "hush")]);
    assert!(read(&header)["cas-invalid"].is_null());
    assert!(patrol.app("kept")["run-once"].is_null());
    assert!(!patrol.output().lines().iter().any(|line| line.text.contains("hush")));
}

#[test]
fn a_datagram_is_a_request_with_a_compact_reply() {
    let patrol = start();
    let ask = |request: Value| patrol.datagram(request.to_string().as_bytes()).expect("a reply");
    let reply =
        ask(json!({"group": "app", "id": "udp", "ping": true, "keyvalue": {"a": 1}, "toggle": 4}));
    assert!(
        reply.starts_with(r#"{"id":"udp","group":"app","name":"#) && !reply.contains('\n'),
        "{reply}"
    );
    let reply = ask(json!({"group": "app", "id": "udp"}));
    let value: Value = serde_json::from_str(&reply).expect("JSON");
    assert_eq!((&value["run-once"], &value["keyvalue"]), (&json!(true), &Value::Null));
    assert_eq!(patrol.app("udp")["keyvalue"], json!({"a": 1}));
}

/// Errors get no reply, and nothing that comes over UDP ends the server.
#[test]
fn bad_datagrams_get_silence_and_do_no_harm() {
    let patrol = start();
    let good = json!({"group": "app", "id": "web"});
    let long = json!({"group": "app", "id": "web", "x": "x".repeat(2_048)}).to_string();
    for bad in [
        &b""[..],
        b"\xff\xfe",
        b"{",
        b"[]",
        br#"{"group":"x"}"#,
        br#"{"group":"app","id":"x"}"#,
        br#"{"group":"app","id":"http","ping":true}"#,
        long.as_bytes(),
        // The longest that there is.
        &[b'x'; 65_507],
    ] {
        patrol.silent_datagram(bad, &good);
    }
    // A socket that is closed before its reply comes: the system reports an error for it.
    for _ in 0..50 {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.send_to(good.to_string().as_bytes(), patrol.udp()).expect("a datagram can be sent");
        drop(socket);
    }
    assert!(patrol.datagram(good.to_string().as_bytes()).is_some());
}

/// A reply to port 0 cannot be sent: it ended the program that this one replaces.
#[test]
fn a_datagram_from_port_0_does_no_harm() {
    use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
    let patrol = start();
    let Ok(raw) = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::UDP)) else {
        return; // Only root may make one.
    };
    let text = json!({"group": "app", "id": "udp", "ping": true}).to_string();
    let length = u16::try_from(8 + text.len()).expect("it is short");
    let mut datagram = vec![0, 0];
    datagram.extend(patrol.udp().port().to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(text.as_bytes());
    let before = patrol.app("udp")["cas"].as_u64();
    for _ in 0..3 {
        sendto(&raw, &datagram, SendFlags::empty(), &patrol.udp()).expect("it can be sent");
    }
    until("the pings", || patrol.app("udp")["cas"].as_u64() == before.map(|cas| cas + 3));
    let good = json!({"group": "app", "id": "web"});
    assert!(patrol.datagram(good.to_string().as_bytes()).is_some());
}

/// §4.3: names in any letter case, null as if it was not there, unknown names ignored.
#[test]
fn the_fields_of_a_request_are_read_as_go_reads_them() {
    let patrol = start();
    let post = |body: &str| patrol.send("POST", "/api/", &[], Some(body));
    let odd = r#"{"GROUP":"Apps","Id":"FILE","TOGGLE":4,"pid":null,"keyvalue":null,"colour":1}"#;
    assert_eq!(read(&post(odd))["id"], "file");
    assert_eq!(patrol.app("file")["run-once"], true);
    // Without the secret nothing is applied, and nothing else is checked.
    let reply = post(r#"{"group":"app","id":"kept","pid":1}"#);
    assert_eq!((reply.status, read(&reply)["cas-invalid"].clone()), (200, json!(true)));
    // Ten thousand key-values are one change.
    let cas = patrol.app("web")["cas"].as_u64().expect("a CAS");
    let values: serde_json::Map<String, Value> =
        (0..10_000).map(|index| (format!("key-{index}"), json!(index))).collect();
    patrol.post(&json!({"group": "app", "id": "web", "keyvalue": values}));
    let app = patrol.app("web");
    assert_eq!(app["keyvalue"].as_object().map(serde_json::Map::len), Some(10_000));
    assert_eq!(app["cas"].as_u64(), Some(cas + 1));
}

#[test]
fn history_is_left_out_only_if_the_request_says_so() {
    let patrol = start();
    patrol.toggle("web", 3);
    patrol.wait_history("web", 1);
    for (query, has) in
        [("", true), ("&history", true), ("&history=true", true), ("&history=false", false)]
    {
        let reply = read(&patrol.get(&format!("/api/?group=app&id=web{query}")));
        assert_eq!(reply["history"].is_array(), has, "{query}");
    }
    let body = json!({"group": "app", "id": "web", "history": false});
    assert!(patrol.post(&body)["history"].is_null());
}

#[test]
fn changes_from_other_sites_are_refused() {
    let patrol = start();
    let body = r#"{"group":"app","id":"file","toggle":1}"#;
    let own = format!("http://{}", patrol.http());
    for (name, value, status) in [
        ("Origin", "http://evil.example", 403),
        ("Origin", "null", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "same-site", 403),
        ("Sec-Fetch-Site", "same-origin", 200),
        ("Sec-Fetch-Site", "none", 200),
        ("Origin", &own, 200),
    ] {
        let response = patrol.send("POST", "/api/", &[(name, value)], Some(body));
        assert_eq!(response.status, status, "{name}: {value}");
        let query = patrol.send("GET", "/api/?group=app&id=file&toggle=1", &[(name, value)], None);
        assert_eq!(query.status, status, "{name}: {value}");
        let read_only = patrol.send("GET", "/status/", &[(name, value)], None);
        assert_eq!(read_only.status, 200, "reads are free");
    }
}

#[test]
fn the_layout_of_times_is_that_of_the_configuration() {
    for (layout, shape) in [
        ("2006-01-02T15:04:05Z07:00", "????-??-??T??:??:??"),
        ("Jan _2 15:04:05.000", "??? ?? ??:??:??.???"),
    ] {
        let folder = Folder::default();
        let app = folder.app(1, &["wait"]);
        let builder =
            Builder::new(json!({"web": app}), json!({})).set("json-timestamp", json!(layout));
        let patrol = folder.start_with(builder);
        let text = patrol.status()["started"].as_str().expect("a time").to_owned();
        let fits =
            shape.bytes().zip(text.bytes()).all(|(shape, byte)| shape == b'?' || shape == byte);
        assert!(fits && text.len() >= shape.len(), "{text}");
    }
}

/// Any number of readers at once, and writers beside them.
#[test]
fn many_clients_at_once_get_whole_replies() {
    let patrol = start();
    thread::scope(|scope| {
        for client in 0..8 {
            let patrol = &patrol;
            scope.spawn(move || {
                for round in 0..50 {
                    assert_eq!(keys(&patrol.status()["apps"]).len(), 5);
                    if client % 4 == 0 {
                        let values = json!({"client": client, "round": round});
                        patrol.post(&json!({"group": "app", "id": "web", "keyvalue": values}));
                    }
                }
            });
        }
    });
}
