//! Who may reach the API, and what is recorded of it: the audit log, web sites, wrong keys, TLS.

use std::fs;
use std::time::Instant;

use openctrl_tests::master::run_to_end;
use openctrl_tests::output::Source;
use openctrl_tests::{Api, KEY_ID, Master, Response, Script, Shell, eventually};
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
