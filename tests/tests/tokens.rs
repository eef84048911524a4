//! Tokens: what each role may do, how long a token lasts, and what its holder does not see.

use std::fs;
use std::path::Path;

use openctrl_tests::control::{Answer, Wire};
use openctrl_tests::http::Connection;
use openctrl_tests::output::Source;
use openctrl_tests::{Api, Event, KEY_ID, Master, Response, Script, Shell, eventually, until};
use serde_json::{Value, json};

const ROLES: [&str; 3] = ["read", "operate", "admin"];

/// Makes a token; its text.
fn token(api: &Api, name: &str, role: &str) -> String {
    let made = api.post("/tokens", &json!({"name": name, "role": role})).expect(201).json();
    assert_eq!((&made["name"], &made["role"]), (&json!(name), &json!(role)));
    made["token"].as_str().expect("a token is a string").to_owned()
}

fn bearer(api: &Api, method: &str, path: &str, token: &str) -> Response {
    let call = api.without_key().request(method, path);
    call.header("Authorization", &format!("Bearer {token}")).send()
}

/// An operation of the document that takes a role.
struct Operation {
    method: String,
    path: String,
    /// Whether it is below the API base.
    is_below: bool,
    role: String,
}

fn operations(api: &Api) -> Vec<Operation> {
    let document = api.without_key().get("/openapi.json").expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let is_below = item["servers"].is_null();
        for (method, operation) in item.as_object().expect("an object") {
            if let Some(role) = operation["x-role"].as_str() {
                let (method, path, role) = (method.to_uppercase(), path.clone(), role.to_owned());
                found.push(Operation { method, path, is_below, role });
            }
        }
    }
    assert!(found.len() > 20, "only {} operations", found.len());
    found
}

impl Operation {
    /// Sends it with nothing in its body: the status shows whether it was admitted.
    fn send(&self, api: &Api, id: &str) -> Response {
        if self.path == "/events" {
            // The stream has no end: what counts is how it begins.
            let connection = Connection::open(api.endpoint()).expect("it listens");
            let request = api.request("GET", "/events").into_request();
            let (head, _) = connection.start(&request).expect("an answer");
            return Response { status: head.status, head, body: Vec::new() };
        }
        let path = self.path.replace("{id}", id).replace("{name}", "no-such-token");
        let target = if self.is_below { format!("{}{path}", api.base()) } else { path };
        let call = api.request_at(&self.method, &target);
        if self.method == "GET" { call.send() } else { call.body("{}").send() }
    }
}

#[test]
fn every_operation_takes_its_role() {
    let master = Master::start();
    let key = master.api();
    let mut holders: Vec<(String, Api)> =
        ROLES.map(|role| (role.to_owned(), key.with_key(&token(&key, role, role)))).into();
    let expiring = json!({"name": "expired", "role": "admin", "expires_in": 1});
    let expired = key.post("/tokens", &expiring).expect(201).json()["token"].clone();
    let revoked = token(&key, "revoked", "admin");
    key.request("DELETE", "/tokens/revoked").send().expect(204);
    let expired = key.with_key(expired.as_str().expect("a token"));
    until("it expires", || expired.get("/info").status == 401);
    holders.push(("expired".to_owned(), expired));
    holders.push(("revoked".to_owned(), key.with_key(&revoked)));

    for operation in operations(&key) {
        let Operation { method, path, role: needed, .. } = &operation;
        let is_enough = |holder: &str| {
            let place = |role: &str| ROLES.iter().position(|known| *known == role);
            place(holder).map(|place_of_holder| Some(place_of_holder) >= place(needed))
        };
        for (holder, api) in &holders {
            // One of its own, for it may be deleted.
            let id = match path.contains("{id}") {
                true => key.run(&Script::new().wait()),
                false => String::new(),
            };
            let shown = format!("{method} {path} with {holder}");
            let answer = operation.send(api, &id);
            match is_enough(holder) {
                None => assert_eq!(answer.status, 401, "{shown}"),
                Some(true) => {
                    // No such token; and no control API.
                    let may_lack = path.contains("{name}") || path.ends_with("/control");
                    let is_there = answer.status != 404 || may_lack;
                    let is_let_in = ![401, 403, 405].contains(&answer.status);
                    assert!(is_there && is_let_in, "{shown}: {}", answer.status);
                }
                Some(false) => {
                    assert_eq!(answer.status, 403, "{shown}: {}", answer.text());
                    let error = answer.json()["error"].as_str().expect("a text").to_owned();
                    assert!(error.contains(&format!("the role {needed}")), "{shown}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_token_goes_in_either_header_and_the_key_in_one() {
    let master = Master::start();
    let api = master.api();
    let token = token(&api, "ci", "read");
    assert!(token.starts_with("oct_") && token.len() == 68, "{token}");
    bearer(&api, "GET", "/info", &token).expect(200);
    api.with_key(&token).get("/info").expect(200);
    bearer(&api, "GET", "/info", master.key()).expect_error(401);
    let both = api.request("GET", "/info").header("Authorization", &format!("Bearer {token}x"));
    both.send().expect(200);
    for wrong in [&token[..67], &token.to_uppercase(), &format!("oct_{}", "0".repeat(64))] {
        api.with_key(wrong).get("/info").expect_error(401);
        bearer(&api, "GET", "/info", wrong).expect_error(401);
    }
}

#[test]
fn bad_requests_for_tokens_are_refused_and_change_nothing() {
    let master = Master::start();
    let api = master.api();
    token(&api, "ci", "read");
    let create = |body: Value| api.post("/tokens", &body);
    create(json!({"name": "ci", "role": "admin"})).expect_error(409);
    for body in [
        json!({"name": "a b", "role": "read"}),
        json!({"name": "a"}),
        json!({"name": "a", "role": "owner"}),
        json!({"name": "a", "role": "read", "expires_in": 0}),
        json!([]),
    ] {
        create(body).expect_error(400);
    }
    api.request("DELETE", "/tokens/none").send().expect_error(404);
    api.request("PUT", "/tokens").send().expect_error(405);
    api.request("GET", "/tokens/ci").send().expect_error(405);
    let list = api.get("/tokens").expect(200).json();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(list[0]["expired"], false);
    assert!(list[0]["token"].is_null() && list[0]["last_used"].is_null(), "{list}");
}

#[test]
fn tokens_survive_a_crash_and_a_new_key() {
    let mut master = Master::start();
    let api = master.api();
    let (kept, gone) = (token(&api, "kept", "operate"), token(&api, "gone", "admin"));
    api.with_key(&kept).get("/info").expect(200);
    api.request("DELETE", "/tokens/gone").send().expect(204);
    master.kill9();
    master.restart();
    let check = |master: &Master| {
        let holder = master.api().with_key(&kept);
        holder.get("/info").expect(200);
        holder.post("/info", &json!({"alias": "x"})).expect_error(403);
        master.api().with_key(&gone).get("/info").expect_error(401);
    };
    check(&master);
    let rotated = master.api().patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    let new = master.api().with_key(rotated["url"].as_str().expect("the key"));
    new.with_key(&kept).get("/info").expect(200);
    let list = new.get("/tokens").expect(200).json();
    assert_eq!(list[0]["name"], "kept");
    assert!(list[0]["last_used"].is_string(), "{list}");
    master.stop();
    master.restart();
    check(&master);
}

#[test]
fn only_holders_of_the_key_see_it() {
    let master = Master::start();
    let api = master.api();
    let admin = api.with_key(&token(&api, "boss", "admin"));
    let mut events = admin.events();
    let list = admin.list();
    assert_eq!(list.len(), api.list().len());
    assert_eq!((&list[0]["id"], &list[0]["url"]), (&json!(KEY_ID), &json!("")));
    assert_eq!(list[0]["config"], api.list()[0]["config"]);
    assert_eq!(admin.instance(KEY_ID)["url"], "");
    assert_eq!(api.instance(KEY_ID)["url"], master.key());

    admin.post("/info", &json!({"alias": "edge"})).expect(200);
    let is_named =
        |event: &Event| event.instance["id"] == KEY_ID && event.instance["alias"] == "edge";
    let seen = events.wait_for("the new alias", is_named);
    assert_eq!(seen.instance["url"], "");

    let rotated = admin.patch(KEY_ID, &json!({"action": "restart"})).expect(200).json();
    assert_eq!((&rotated["id"], &rotated["url"]), (&json!(KEY_ID), &json!("")));
    api.get("/info").expect_error(401);
    // Its stream continues, and shows what happens after.
    let id = admin.run(&Script::new().print("after").wait());
    events.wait_log(&id, "after");
    let new = eventually("the new key is logged", || {
        let log = master.output().text(Source::Stderr);
        log.lines().find_map(|line| line.split("API key regenerated: ").nth(1).map(str::to_owned))
    });
    for frame in events.frames() {
        let data = frame.field("data").unwrap_or_default();
        assert!(!data.contains(master.key()) && !data.contains(&new), "{data}");
    }
    api.with_key(&new).get("/info").expect(200);
}

#[test]
fn a_stream_ends_with_its_token() {
    let master = Master::start();
    let api = master.api();
    let doomed = api.with_key(&token(&api, "doomed", "read"));
    let other = api.with_key(&token(&api, "other", "read"));
    let (ended, mut goes_on, mut keys) = (doomed.events(), other.events(), api.events());
    let ticket = doomed.request("POST", "/events/ticket").send().expect(201).json();
    let ticket = ticket["ticket"].as_str().expect("a ticket");
    api.request("DELETE", "/tokens/doomed").send().expect(204);
    ended.wait_end();
    let last = ended.events().pop().expect("an event");
    assert_eq!(last.kind, "shutdown");
    api.without_key().get(&format!("/events?ticket={ticket}")).expect_error(401);
    let id = api.run(&Script::new().print("on").wait());
    goes_on.wait_log(&id, "on");
    keys.wait_log(&id, "on");

    let short = json!({"name": "short", "role": "read", "expires_in": 2});
    let short = api.post("/tokens", &short).expect(201).json()["token"].clone();
    let expiring = api.with_key(short.as_str().expect("a token")).events();
    expiring.wait_end();
    assert_eq!(expiring.events().pop().expect("an event").kind, "shutdown");
    assert!(!goes_on.has_ended() && !keys.has_ended());
}

#[test]
fn no_token_is_written_anywhere() {
    let mut master = Master::start();
    let api = master.api();
    let (one, two) = (token(&api, "one", "admin"), token(&api, "two", "read"));
    let holder = api.with_key(&one);
    let id = holder.run(&Script::new().wait());
    holder.act(&id, "restart");
    bearer(&api, "GET", "/instances", &two).expect(200);
    api.with_key(&two).post("/info", &json!({"alias": "x"})).expect_error(403);
    api.request("DELETE", "/tokens/two").send().expect(204);
    master.stop();
    let mut seen = 0;
    let mut check = |bytes: &[u8], place: &Path| {
        seen += 1;
        for token in [&one, &two] {
            let secret = token.trim_start_matches("oct_").as_bytes();
            let is_there = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!is_there, "a token is in {}", place.display());
        }
    };
    let mut folders = vec![master.folder().join("gob")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                check(&fs::read(&path).expect("a file"), &path);
            }
        }
    }
    for source in [Source::Stdout, Source::Stderr] {
        check(master.output().text(source).as_bytes(), Path::new("the output"));
    }
    assert!(seen > 6, "only {seen} files");
}

#[test]
fn the_commands_create_list_use_and_revoke() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let words = ["token", "create", "ci", "--role", "operate", "--expires", "30d"];
    let printed = shell.ok(&words);
    let token = printed.strip_suffix('\n').expect("a line");
    assert!(token.starts_with("oct_") && token.len() == 68, "{printed:?}");
    let list = shell.ok(&["token", "list"]);
    assert!(list.contains("ci") && list.contains("operate") && !list.contains(token), "{list}");
    let as_token = ["--api", master.url(), "--key", token];
    let with = |words: &[&str]| -> Vec<String> {
        as_token.iter().chain(words).map(|word| (*word).to_owned()).collect()
    };
    let run = |words: &[&str]| {
        let words = with(words);
        shell.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let made = run(&["create", "stub://x", "--alias", "made"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let refused = run(&["token", "list"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("this takes the role admin"), "{refused:?}");
    let taken = shell.run(&words);
    assert!(taken.code == Some(1) && taken.stderr.contains("a token has this name"), "{taken:?}");
    shell.ok(&["token", "revoke", "ci"]);
    assert_eq!(run(&["list"]).code, Some(4));
    let unknown = shell.run(&["token", "revoke", "ci"]);
    assert_eq!(unknown.code, Some(5), "{unknown:?}");
}

#[test]
fn the_unix_socket_admits_the_user_of_the_master_without_a_key() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("api.sock");
    let mut master = Master::builder().query("socket", path.to_str().expect("UTF-8")).start();
    let mode = fs::metadata(&path).expect("a socket").permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    let target = |part: &str| format!("{}{part}", master.base());
    let mut wire = Wire::open(&path).expect("it listens");
    let read = |answer: Answer| -> Value { serde_json::from_str(&answer.body).expect("JSON") };
    let list = wire.send("GET", &target("/instances"), None).expect("an answer").expect(200);
    let list = read(list);
    assert_eq!((&list[0]["id"], &list[0]["url"]), (&json!(KEY_ID), &json!("")));
    let body = json!({"name": "local", "role": "read"}).to_string();
    let made = wire.send("POST", &target("/tokens"), Some(body.as_bytes())).expect("an answer");
    let made = read(made.expect(201));
    let holder = master.api().with_key(made["token"].as_str().expect("a token"));
    holder.get("/info").expect(200);
    wire.send("GET", "/api/v2/info", None).expect("an answer").expect(200);
    drop(wire);
    master.stop();
    assert!(!path.exists(), "the socket stays behind");
}
