//! Who may reach the API, and what is recorded of it: the audit log, web sites, wrong keys, TLS.

use std::fs;
use std::time::Instant;

use openctrl_tests::control::Wire;
use openctrl_tests::master::run_to_end;
use openctrl_tests::output::Source;
use openctrl_tests::{Api, KEY_ID, Master, Response, Script, Shell, Sse, eventually};
use serde_json::{Value, json};

fn token(api: &Api, name: &str, role: &str) -> Api {
    let made = api.post("/tokens", &json!({"name": name, "role": role})).expect(201).json();
    api.with_key(made["token"].as_str().expect("a token is a string"))
}

fn audit(api: &Api) -> Vec<Value> {
    let entries = api.get("/audit").expect(200).json();
    entries.as_array().expect("an array").clone()
}

#[test]
fn the_audit_log_has_who_did_what_from_where() {
    let mut master = Master::start();
    let api = master.api();
    let (reader, bot) = (token(&api, "reader", "read"), token(&api, "bot", "operate"));
    let id = bot.run(&Script::new().wait());
    bot.act(&id, "restart");
    reader.delete(&id).expect_error(403);
    bot.get("/instances").expect(200);
    bot.patch("00000000", &json!({})).expect_error(404);
    bot.delete(&id).expect(204);
    api.post("/info", &json!({"alias": "edge"})).expect(200);
    let path = format!("{}/instances/{id}", api.base());
    let seen: Vec<String> = audit(&api)
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or("").to_owned();
            assert_eq!(entry["from"], "127.0.0.1", "{entry}");
            assert!(text("time").ends_with('Z'), "{entry}");
            let [who, method] = ["who", "method"].map(text);
            let place = text("path").replace(&path, "ID").replace(api.base(), "");
            let detail = text("detail").replace(&id, "ID");
            format!("{who} {method} {place} {} {detail}", entry["status"])
        })
        .collect();
    assert_eq!(
        seen,
        [
            "key POST /tokens 201 reader read",
            "key POST /tokens 201 bot operate",
            "token:bot POST /instances 201 ID",
            "token:bot PATCH ID 200 restart",
            "token:reader DELETE ID 403 ",
            "token:bot DELETE ID 204 ",
            "key POST /info 200 ",
        ]
    );
    bot.get("/audit").expect_error(403);
    master.stop();
    master.restart();
    assert_eq!(audit(&master.api()).len(), seen.len() + 1, "it survives a restart");
    let limited = master.api().get("/audit?limit=1").expect(200).json();
    assert_eq!(
        (&limited[0]["path"], &limited[0]["status"]),
        (&json!("/api/v2/audit"), &json!(403))
    );
    let shell = Shell::beside(&master);
    let printed = shell.ok(&["audit", "-n", "3"]);
    assert!(printed.contains("token:bot") && printed.contains("POST"), "{printed}");
    assert_eq!(printed.lines().count(), 4, "{printed}");
}

#[test]
fn no_secret_is_in_the_audit_log() {
    let master = Master::start();
    let api = master.api();
    let made = api.post("/tokens", &json!({"name": "ci", "role": "admin"})).expect(201).json();
    let secret = made["token"].as_str().expect("a token").to_owned();
    api.with_key(&secret).post("/instances?key=hush", &json!({"url": "stub://u:hush@h"}));
    api.with_key("wrong-hush").get("/info?x=hush").expect_error(401);
    api.patch(KEY_ID, &json!({"action": "restart"})).expect(200);
    let file = master.folder().join("gob/openctrl.audit");
    let log = eventually("the log is written", || {
        fs::read_to_string(&file).ok().filter(|log| log.contains("new key"))
    });
    for hidden in ["hush", &secret, master.key()] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
    assert!(log.contains("1 wrong keys"), "{log}");
}

#[test]
fn wrong_keys_are_logged_and_slowed_and_right_ones_are_not() {
    let master = Master::start();
    let api = master.api();
    let wrong = api.with_key("0123456789abcdef0123456789abcdef");
    let begun = Instant::now();
    let mut slowest = 0;
    for _ in 0..60 {
        let asked = Instant::now();
        wrong.get("/info").expect_error(401);
        slowest = slowest.max(asked.elapsed().as_millis());
        if slowest >= 1_000 {
            break;
        }
    }
    assert!(slowest >= 500, "60 wrong keys in {} ms", begun.elapsed().as_millis());
    // A guess is under way that is held back; the right key is answered meanwhile.
    std::thread::scope(|scope| {
        let guess = scope.spawn(|| wrong.get("/info").expect_error(401));
        api.get("/info").expect(200);
        guess.join().expect("no panic");
    });
    let log = master.output().text(Source::Stderr);
    let lines = log.lines().filter(|line| line.contains("wrong API key or token from 127.0.0.1"));
    let count = lines.count();
    assert!((1..=3).contains(&count), "{count} lines: {log}");
}

fn cors_of(answer: &Response) -> Option<&str> {
    answer.header("Access-Control-Allow-Origin")
}

fn asked_by(api: &Api, method: &str, path: &str, origin: &str) -> Response {
    api.request(method, path).header("Origin", origin).send()
}

#[test]
fn web_sites_may_use_the_api_as_cors_says() {
    let site = "https://dash.example";
    let open = Master::start();
    assert_eq!(cors_of(&asked_by(&open.api(), "GET", "/info", site)), Some("*"));
    assert_eq!(cors_of(&open.api().without_key().get("/info")), Some("*"));

    let off = Master::builder().query("cors", "off").start();
    for (method, path) in [("GET", "/info"), ("OPTIONS", "/instances"), ("GET", "/none")] {
        let answer = asked_by(&off.api(), method, path, site);
        assert_eq!(cors_of(&answer), None, "{method} {path}");
        assert_eq!(answer.header("Access-Control-Allow-Headers"), None);
    }
    let preflight = off.api().request("OPTIONS", "/info").header("Origin", site);
    let preflight = preflight.header("Access-Control-Request-Private-Network", "true").send();
    assert_eq!(preflight.header("Access-Control-Allow-Private-Network"), None);

    let some = Master::builder().query("cors", "https://dash.example,http://[::1]:9").start();
    let answer = asked_by(&some.api(), "GET", "/instances", site).expect(200);
    assert_eq!((cors_of(&answer), answer.header("Vary")), (Some(site), Some("Origin")));
    for other in ["https://evil.example", "https://dash.example.evil", "null"] {
        let answer = asked_by(&some.api(), "GET", "/instances", other).expect(200);
        assert_eq!((cors_of(&answer), answer.header("Vary")), (None, Some("Origin")));
    }

    let refused = run_to_end(&["master://127.0.0.1:0?cors=dash.example"]);
    assert!(!refused.status.success() && refused.stderr.contains("bad cors"), "{refused:?}");
}

#[test]
fn no_web_site_reads_metrics() {
    let master = Master::builder().query("metrics", "open").start();
    let api = master.api().without_key();
    let answer = api.request_at("GET", "/metrics").header("Origin", "https://a.example").send();
    assert_eq!(cors_of(&answer.expect(200)), None);
    let preflight = api.request_at("OPTIONS", "/metrics").header("Origin", "https://a.example");
    assert_eq!(cors_of(&preflight.send()), None);
}

#[test]
fn answers_with_secrets_are_not_stored() {
    let master = Master::start();
    let api = master.api();
    for path in ["/instances", "/info", &format!("/instances/{KEY_ID}"), "/tokens", "/audit"] {
        assert_eq!(api.get(path).expect(200).header("Cache-Control"), Some("no-store"), "{path}");
    }
    let made = api.post("/tokens", &json!({"name": "a", "role": "read"})).expect(201);
    assert_eq!(made.header("Cache-Control"), Some("no-store"));
    assert_eq!(made.header("Strict-Transport-Security"), None);
}

#[test]
fn tls_is_insisted_on_and_missed_where_all_may_listen() {
    let master = Master::builder().query("tls", "1").start();
    let hsts = |answer: Response| {
        answer.header("Strict-Transport-Security").is_some_and(|it| it.starts_with("max-age="))
    };
    assert!(hsts(master.api().get("/info").expect(200)));
    assert!(hsts(master.api().request_at("GET", "/").send().expect(200)));
    let warned = |master: &Master| {
        master.output().text(Source::Stderr).contains("on all addresses without TLS")
    };
    assert!(!warned(&master));
    assert!(warned(&Master::builder().authority("0.0.0.0:0").start()));
    assert!(!warned(&Master::start()));
}

const HUSH: &str = "hush";

/// A URL with a secret in each place that can have one; its script prints, and waits.
fn secretive(host: &str) -> String {
    let script = Script::new().print("a line").wait().url_at(&format!("stub://me:{HUSH}@{host}"));
    format!("{script}#env=TOKEN={HUSH}&api_key={HUSH}")
}

/// The paths of the document that are read, with this id in them.
fn readable(api: &Api, id: &str) -> Vec<String> {
    let document = api.without_key().get("/openapi.json").expect(200).json();
    let paths = document["paths"].as_object().expect("paths");
    let is_elsewhere = |path: &str| ["/events", "/tcping"].contains(&path);
    let read = paths.iter().filter(|(path, item)| !is_elsewhere(path) && item["get"].is_object());
    let at = |(path, item): (&String, &Value)| {
        let base = if item["servers"].is_null() { api.base() } else { "" };
        format!("{base}{}", path.replace("{id}", id))
    };
    read.map(at).collect()
}

#[test]
fn secrets_are_shown_to_holders_of_the_key_and_to_no_other_reader() {
    let place = tempfile::tempdir().expect("a folder");
    let socket = place.path().join("api.sock");
    let control = place.path().join("control");
    let [socket_path, control_path] = [&socket, &control].map(|path| path.to_str().expect("UTF-8"));
    let master =
        Master::builder().query("control", control_path).query("socket", socket_path).start();
    let key = master.api();
    let tokens = ["read", "operate", "admin"].map(|role| (role, token(&key, role, role)));
    let mut streams: Vec<_> = tokens
        .iter()
        .map(|(role, api)| (*role, api.events()))
        .chain([("key", key.events())])
        .collect();
    let first =
        streams[0].1.frames().iter().rev().find_map(|frame| frame.field("id").map(str::to_owned));
    let first = first.expect("the picture has an id");

    let url = secretive("one");
    let id = key.create(&url)["id"].as_str().expect("an id").to_owned();
    let shown = key.instance(&id);
    assert_eq!(shown["url"], url.as_str());
    key.request("PATCH", &format!("/instances/{id}/policy"))
        .json(&json!({"env": {"TOKEN": HUSH}}))
        .send()
        .expect(200);
    let masked = url.replace(&format!("me:{HUSH}"), "***").replace(HUSH, "***");
    streams.iter_mut().for_each(|(_, stream)| drop(stream.wait_log(&id, "a line")));

    // Everything that can be read, over TCP and over the Unix socket.
    let mut wire = Wire::open(&socket).expect("it listens");
    for path in readable(&key, &id) {
        for (role, api) in &tokens {
            let answer = api.request_at("GET", &path).send();
            assert!([200, 403].contains(&answer.status), "{path} with {role}: {}", answer.status);
            assert!(!answer.text().contains(HUSH), "{path} with {role}: {}", answer.text());
        }
        let answer = wire.send("GET", &path, None).expect("an answer").expect(200);
        assert!(!answer.body.contains(HUSH), "{path} over the socket: {}", answer.body);
    }
    assert_eq!(key.list()[1]["url"], url.as_str());
    for (_, api) in &tokens {
        assert_eq!(
            (&api.list()[1]["url"], &api.instance(&id)["url"]),
            (&json!(masked), &json!(masked))
        );
        let policy = api.get(&format!("/instances/{id}/policy")).expect(200).json();
        assert_eq!(policy["env"], json!({"TOKEN": "***"}));
    }

    // The answer to every change.
    for (role, api) in &tokens[1..] {
        let made = api.post("/instances", &json!({"url": secretive(role)})).expect(201);
        let made_id = made.json()["id"].as_str().expect("an id").to_owned();
        let policy = format!("/instances/{made_id}/policy");
        let env = json!({"env": {"TOKEN": HUSH}});
        let answers = [
            api.patch(&made_id, &json!({"alias": *role})).expect(200),
            api.put(&made_id, &secretive("two")).expect(200),
            api.request("PATCH", &policy).json(&env).send().expect(200),
            api.request("PUT", &policy).json(&env).send().expect(200),
            made,
        ];
        for answer in answers {
            assert!(answer.text().contains("***") && !answer.text().contains(HUSH), "{role}");
        }
        assert_eq!(key.instance(&made_id)["url"], secretive("two"), "it is stored as it was sent");
        api.delete(&made_id).expect(204);
        for (_, stream) in &mut streams {
            stream.wait_for("it is deleted", |event| {
                event.kind == "delete" && event.instance["id"] == made_id.as_str()
            });
        }
    }

    // All streams: from the start, resumed, and opened later.
    for (role, api) in &tokens {
        let mut resumed = Sse::open_raw(api, &[("Last-Event-ID", &first)]);
        resumed.wait_for("the end", |event| event.kind == "delete");
        streams.extend([(*role, resumed), (*role, api.events())]);
    }
    for (role, stream) in &streams {
        let texts = stream.frames();
        let data = || texts.iter().filter_map(|frame| frame.field("data"));
        assert_eq!(data().any(|data| data.contains(HUSH)), *role == "key", "{role}");
        assert!(*role == "key" || data().any(|data| data.contains(&masked)), "{role}");
    }
}

#[test]
fn a_mask_that_comes_back_is_refused_and_changes_nothing() {
    let master = Master::start();
    let key = master.api();
    let id = key.create(&secretive("one"))["id"].as_str().expect("an id").to_owned();
    let policy = format!("/instances/{id}/policy");
    let env = json!({"env": {"A": HUSH, "B": ""}});
    key.request("PATCH", &policy).json(&env).send().expect(200);
    let bot = token(&key, "bot", "operate");

    // The ETag is that of the revision, for every reader.
    let etag = |api: &Api| {
        let answer = api.get(&format!("/instances/{id}")).expect(200);
        answer.header("etag").expect("an ETag").to_owned()
    };
    let before = (etag(&key), key.instance(&id)["url"].clone());
    assert_eq!(etag(&bot), before.0);

    let read = bot.instance(&id)["url"].as_str().expect("a text").to_owned();
    let read_policy = bot.get(&policy).expect(200).text().to_owned();
    let is_named = |answer: Response, part: &str| {
        let error = answer.expect_error(400);
        let error = error.text();
        assert!(error.contains(part) && error.contains("***"), "{error}");
    };
    is_named(bot.put(&id, &read), "user-info");
    is_named(bot.post("/instances", &json!({"url": read})), "user-info");
    is_named(bot.put(&id, "stub://x?env=TOKEN=***"), "env=TOKEN");
    for method in ["PUT", "PATCH"] {
        is_named(bot.request(method, &policy).body(read_policy.clone()).send(), "env.A");
    }
    let patched = bot.request("PATCH", &policy).header("If-Match", &before.0);
    is_named(patched.json(&json!({"env": {"A": "***"}})).send(), "env.A");
    assert_eq!((etag(&key), key.instance(&id)["url"].clone()), before);
    assert_eq!(key.get(&policy).expect(200).json()["env"], env["env"]);

    // The rest of a policy can be written back, and holders of the key may send any text.
    let change = bot.request("PATCH", &policy).header("If-Match", &before.0);
    change.json(&json!({"history": 3})).send().expect(200);
    bot.put(&id, &secretive("one")).expect_error(409);
    key.put(&id, "stub://x?env=TOKEN=***").expect(200);
    assert_eq!(key.instance(&id)["url"], "stub://x?env=TOKEN=***");
}
