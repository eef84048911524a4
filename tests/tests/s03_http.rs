//! Contract §3: headers, keys, errors, bodies and paths.

use openctrl_tests::http::{Connection, Request, Response};
use openctrl_tests::{Api, KEY_ID, Master, Script, until};
use serde_json::{Value, json};

const METHODS: [&str; 7] = ["GET", "PATCH", "POST", "PUT", "DELETE", "OPTIONS", "BREW"];

/// The three headers of the published documentation; more may be allowed than stands there.
fn assert_cors(response: &Response, what: &str) {
    for (name, value) in [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", "GET, PATCH, POST, PUT, DELETE, OPTIONS"),
        ("Access-Control-Allow-Headers", "Content-Type, Authorization, X-API-Key, Cache-Control"),
    ] {
        let allowed = response.header(name).unwrap_or_else(|| panic!("{name} of {what}"));
        let allowed: Vec<&str> = allowed.split(", ").collect();
        for wanted in value.split(", ") {
            assert!(allowed.contains(&wanted), "{name} of {what}: {allowed:?}");
        }
    }
}

#[test]
fn every_answer_on_a_protected_path_carries_the_cors_headers() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    let nobody = api.without_key();
    let body = json!({"url": "stub://other"});
    for (response, status) in [
        (api.get("/info"), 200),
        (api.get("/instances"), 200),
        (api.post("/instances", &body), 201),
        (api.post("/instances", &json!({})), 400),
        (nobody.get("/info"), 401),
        (nobody.get("/events"), 401),
        (nobody.get(&format!("/instances/{id}")), 401),
        (api.put(KEY_ID, "stub://x"), 403),
        (api.get("/instances/00000000"), 404),
        (api.get("/instances/"), 400),
        (api.request("DELETE", "/info").send(), 405),
        (api.request("POST", &format!("/instances/{id}")).send(), 405),
        (api.put(&id, &Script::new().wait().url()), 409),
        (api.get("/tcping"), 400),
        (api.request("POST", "/info").body(vec![b' '; 2 << 20]).send(), 413),
        (api.delete(&id), 204),
    ] {
        let what = format!("a {status}");
        assert_cors(&response.expect(status), &what);
    }
    let events = api.events();
    let head = events.head().clone();
    assert_cors(&Response { status: head.status, head, body: Vec::new() }, "the event stream");
}

#[test]
fn options_needs_no_key() {
    let master = Master::start();
    let api = master.api().without_key();
    for path in ["/info", "/instances", "/instances/0123abcd", "/events", "/tcping"] {
        let response = api.request("OPTIONS", path).send();
        assert!(matches!(response.status, 200 | 204), "{path}: {}", response.status);
        assert_cors(&response, path);
        assert_eq!(response.header("Access-Control-Allow-Private-Network"), None, "{path}");
        let response = api
            .request("OPTIONS", path)
            .header("Origin", "https://example.com")
            .header("Access-Control-Request-Method", "PATCH")
            .header("Access-Control-Request-Private-Network", "true")
            .send();
        assert!(matches!(response.status, 200 | 204), "{path}: {}", response.status);
        let private = response.header("Access-Control-Allow-Private-Network");
        assert_eq!(private, Some("true"), "{path}");
        assert_cors(&response, path);
    }
}

#[test]
fn the_key_is_a_header_with_a_name_in_any_case() {
    let master = Master::start();
    let nobody = master.api().without_key();
    let key = master.key();
    for name in ["X-API-Key", "x-api-key", "X-Api-KEY"] {
        nobody.request("GET", "/info").header(name, key).send().expect(200);
    }
    for wrong in [
        "",
        "x",
        &key[..31],
        &format!("{key}0"),
        &key.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A"),
        &format!("Bearer {key}"),
    ] {
        let call = nobody.request("GET", "/info").header("X-API-Key", wrong);
        call.send().expect_error(401);
    }
    for (name, value) in [
        ("Authorization", format!("Bearer {key}")),
        ("Authorization", key.to_owned()),
        ("Cookie", format!("X-API-Key={key}")),
    ] {
        nobody.request("GET", "/info").header(name, &value).send().expect_error(401);
    }
    nobody.get(&format!("/info?X-API-Key={key}&key={key}")).expect_error(401);
}

#[test]
fn the_key_is_checked_before_anything_else() {
    let master = Master::start();
    let id = master.api().run(&Script::new().wait());
    let nobody = master.api().without_key();
    let paths = ["/info", "/instances", "/instances/", "/instances/zz", "/events", "/tcping"];
    for path in paths.map(str::to_owned).iter().chain([&format!("/instances/{id}")]) {
        for method in METHODS.iter().filter(|method| **method != "OPTIONS") {
            nobody.request(method, path).send().expect_error(401);
            nobody.request(method, path).body("{").send().expect_error(401);
        }
    }
    assert_eq!(master.api().list().len(), 2, "nothing was done");
}

#[test]
fn errors_are_one_json_object_with_a_message() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    api.post("/instances", &json!({})).expect_error(400);
    api.without_key().get("/info").expect_error(401);
    api.put(KEY_ID, "stub://x").expect_error(403);
    api.delete(KEY_ID).expect_error(403);
    api.get("/instances/00000000").expect_error(404);
    api.request("PUT", "/instances").send().expect_error(405);
    api.put(&id, &Script::new().wait().url()).expect_error(409);
    api.request("POST", "/instances").body(vec![b'['; 2 << 20]).send().expect_error(413);
}

#[test]
fn json_is_compact_for_clients_that_cut_it() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    // `json()` checks the whole text; these are the very strings a `sed` looks for.
    let response = api.get(&format!("/instances/{id}")).expect(200);
    response.json();
    assert!(response.text().contains(&format!("\"id\":\"{id}\"")), "{}", response.text());
    assert!(response.text().contains("\"tags\":{}"), "{}", response.text());
    assert!(response.text().contains("\"mode\":0,"), "{}", response.text());
    let response = api.get("/info").expect(200);
    response.json();
    assert!(response.text().contains("\"tls\":\"0\""), "{}", response.text());
}

#[test]
fn what_a_body_may_leave_out_or_add() {
    let master = Master::start();
    let api = master.api();
    let url = Script::new().wait().url();
    // No Content-Type at all, a wrong one, unknown fields, null for what is optional.
    let text = json!({"url": url, "alias": null, "id": "zz", "status": 5, "more": [{}]});
    let created = api.request("POST", "/instances").body(text.to_string()).send();
    let created = created.expect(201).json();
    assert_eq!(created["alias"], "");
    let id = created["id"].as_str().unwrap();
    assert_ne!(id, "zz");
    until("it to run", || api.status(id) == "running");
    let target = format!("/instances/{id}");
    let patch = |body: Value| {
        let call = api.request("PATCH", &target).header("Content-Type", "text/plain");
        call.body(body.to_string()).send().expect(200).json()
    };
    let meta = json!({"peer": {"sid": "s", "type": "t", "alias": "a"}, "tags": {"k": "v"}});
    let before = patch(json!({"alias": "named", "meta": meta, "restart": false, "bogus": {}}));
    let absent = json!({"alias": null, "action": null, "restart": null, "meta": null});
    assert_eq!(patch(absent), before);
    let after = patch(json!({"meta": {"peer": null, "tags": null}}));
    assert_eq!(after["meta"], meta, "null is absent inside meta too");
    let info = api.post("/info", &json!({"alias": "m", "other": 1})).expect(200).json();
    assert_eq!(info["alias"], "m");
}

#[test]
fn wrong_types_empty_and_malformed_bodies_are_refused() {
    let master = Master::start();
    let api = master.api();
    let id = api.run(&Script::new().wait());
    let target = format!("/instances/{id}");
    let bad_everywhere = [
        "",
        " ",
        "{",
        "{\"alias\":",
        "nonsense",
        "[]",
        "\"text\"",
        "7",
        "{\"alias\":7}",
        "{'a':1}",
    ];
    let refused = |method: &str, path: &str, bodies: &[&str]| {
        for body in bodies {
            let response = api.request(method, path).body(*body).send();
            assert_eq!(response.status, 400, "{method} {path} with {body:?}: {}", response.text());
            response.expect_error(400);
        }
    };
    refused("POST", "/instances", &bad_everywhere);
    refused("POST", "/info", &bad_everywhere);
    refused("PATCH", &target, &bad_everywhere);
    refused("PUT", &target, &bad_everywhere);
    let wrong = ["{\"url\":7}", "{\"url\":null}", "{\"url\":[\"stub://x\"]}", "{}"];
    refused("PUT", &target, &wrong);
    refused("POST", "/instances", &wrong);
    refused(
        "PATCH",
        &target,
        &[
            "{\"action\":1}",
            "{\"restart\":\"true\"}",
            "{\"restart\":1}",
            "{\"meta\":\"x\"}",
            "{\"meta\":[]}",
            "{\"meta\":{\"peer\":\"x\"}}",
            "{\"meta\":{\"peer\":{\"sid\":1}}}",
            "{\"meta\":{\"tags\":[]}}",
            "{\"meta\":{\"tags\":{\"k\":1}}}",
        ],
    );
    let empty = api.request("POST", "/instances").send();
    empty.expect_error(400);
    assert_eq!(api.list().len(), 2, "nothing was stored");
}

#[test]
fn bodies_are_bounded() {
    let master = Master::start();
    let api = master.api();
    let padded = |size: usize| {
        let mut body = json!({"url": Script::new().wait().url(), "pad": ""}).to_string();
        let padding = "x".repeat(size - body.len());
        body = body.replace("\"pad\":\"\"", &format!("\"pad\":\"{padding}\""));
        assert_eq!(body.len(), size);
        body
    };
    api.request("POST", "/instances").body(padded(1 << 20)).send().expect(201);
    api.request("POST", "/instances").body(padded((1 << 20) + 1)).send().expect_error(413);
    // The same without a length that could be refused in advance.
    let body = padded((1 << 20) + 1);
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let call = api.request("POST", "/instances").header("Transfer-Encoding", "chunked");
    let mut connection = Connection::open(api.endpoint()).unwrap();
    connection.write(&call.into_request()).unwrap();
    let _ = std::io::Write::write_all(&mut connection.socket(), chunked.as_bytes());
    assert_eq!(connection.read_head().expect("an answer comes").status, 413);
    assert_eq!(api.list().len(), 2);
}

#[test]
fn unknown_paths_are_404() {
    let master = Master::start();
    let api = master.api();
    for target in ["/api", "/api/v1/info", "/api/v2", "/api/v2/", "/api/v2/nope", "/api/v2x/info"] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(api.request_at(method, target).send().status, 404, "{method} {target}");
        }
        assert_eq!(api.without_key().request_at("GET", target).send().status, 404, "{target}");
    }
}

#[test]
fn a_known_path_with_a_wrong_method_is_405() {
    let master = Master::start();
    let api = master.api();
    let id = master.run(&mut master.events(), &Script::new().wait());
    let check = |path: &str, allowed: &[&str]| {
        for method in METHODS.iter().filter(|m| **m != "OPTIONS" && !allowed.contains(m)) {
            let response = api.request(method, path).json(&json!({})).send();
            assert_eq!(response.status, 405, "{method} {path}: {}", response.text());
            response.expect_error(405);
        }
    };
    check("/info", &["GET", "POST"]);
    check("/instances", &["GET", "POST"]);
    check("/events", &["GET"]);
    check("/tcping", &["GET"]);
    check(&format!("/instances/{id}"), &["GET", "PATCH", "PUT", "DELETE"]);
    check(&format!("/instances/{KEY_ID}"), &["GET", "PATCH", "PUT", "DELETE"]);
    assert_eq!(api.status(&id), "running", "nothing was done");
}

#[test]
fn an_empty_id_is_400_and_an_unknown_one_404_before_all_else() {
    let master = Master::start();
    let api = master.api();
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        api.request(method, "/instances/").send().expect_error(400);
    }
    for id in ["00000000", "zz", "0123ABCD", "a%20b", "*******", "00000000/more"] {
        for method in METHODS.iter().filter(|method| **method != "OPTIONS") {
            let path = format!("/instances/{id}");
            api.request(method, &path).send().expect_error(404);
            api.request(method, &path).body("{").send().expect_error(404);
        }
    }
}

#[test]
fn the_key_instance_can_be_named_with_escapes() {
    let master = Master::start();
    let api = master.api();
    for id in ["********", "%2A%2A%2A%2A%2A%2A%2A%2A", "%2a%2a%2a%2a%2a%2a%2a%2a", "****%2A***"] {
        let instance = api.get(&format!("/instances/{id}")).expect(200).json();
        assert_eq!(instance["id"], KEY_ID, "{id}");
        assert_eq!(instance["url"], master.key(), "{id}");
        api.delete(id).expect_error(403);
    }
}

#[test]
fn the_list_holds_every_instance_and_the_key_instance() {
    let master = Master::start();
    let api = master.api();
    let mut ids: Vec<String> = (0..5).map(|_| api.run(&Script::new().wait())).collect();
    ids.push(KEY_ID.to_owned());
    let mut listed: Vec<String> = api.list().iter().map(openctrl_tests::api::id_of).collect();
    ids.sort();
    listed.sort();
    assert_eq!(listed, ids);
}

#[test]
fn a_query_string_does_not_change_the_path() {
    let master = Master::start();
    let api = master.api();
    api.get("/info?x=1").expect(200);
    api.get("/instances?id=x&y=%zz").expect(200);
}

#[test]
fn one_connection_carries_many_requests_errors_included() {
    let master = Master::start();
    let api = master.api();
    let mut connection = Connection::open(api.endpoint()).unwrap();
    let send = |connection: &mut Connection, api: &Api, method: &str, path: &str| {
        let request: Request = api.request(method, path).into_request();
        connection.send(&request).expect("the connection is kept").status
    };
    for _ in 0..20 {
        assert_eq!(send(&mut connection, &api, "GET", "/info"), 200);
        assert_eq!(send(&mut connection, &api, "GET", "/instances/00000000"), 404);
        assert_eq!(send(&mut connection, &api.without_key(), "GET", "/info"), 401);
        assert_eq!(send(&mut connection, &api, "OPTIONS", "/info") / 100, 2);
        assert_eq!(send(&mut connection, &api, "POST", "/info"), 400);
        assert_eq!(send(&mut connection, &api, "DELETE", "/info"), 405);
    }
}
