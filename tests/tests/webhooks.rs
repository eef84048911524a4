//! Webhooks: what is reported, signed, tried again and discarded, seen by a receiver; and that no
//! secret gets out.

use std::fs;

use openctrl_tests::api::id_of;
use openctrl_tests::master::{Builder, run_to_end};
use openctrl_tests::output::Source;
use openctrl_tests::receiver::{Posted, Receiver};
use openctrl_tests::state::segments;
use openctrl_tests::{Master, Shell, until};
use ring::hmac;
use serde_json::{Value, json};

const SECRET: &str = "hush-hush";

/// A part of the URL that must not be shown.
const TOKEN: &str = "T0ken";

fn master_for(receiver: &Receiver) -> Builder {
    let url = format!("http://{}/hooks/{TOKEN}?key={TOKEN}", receiver.address());
    Master::builder().without_bin().query("webhook", &url)
}

/// An instance of a shell line.
fn shell(master: &Master, alias: &str, line: &str, parameters: &str) -> String {
    let line: String = line.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let url = format!("exec:sh?arg=-c&arg={line}&env=PASSWORD={TOKEN}{parameters}");
    let body = json!({"url": url, "alias": alias});
    id_of(&master.api().request("POST", "/instances").json(&body).send().expect(201).json())
}

fn patch(master: &Master, id: &str, policy: &Value) {
    let path = format!("/instances/{id}/policy");
    master.api().request("PATCH", &path).json(policy).send().expect(200);
}

/// A report of this event, with its instance.
fn is(posted: &Posted, event: &str) -> bool {
    posted.json()["event"] == event
}

/// Checks a signature as a receiver does.
fn verify(posted: &Posted, secret: &str) {
    let signature = posted.header("x-openctrl-signature").expect("it is signed");
    let (time, code) = signature.split_once(",v1=").expect("t=…,v1=…");
    let time = time.strip_prefix("t=").expect("t=…");
    assert!(time.parse::<u64>().expect("seconds") > 1_700_000_000);
    let signed = [time.as_bytes(), b".", &posted.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let code: Vec<u8> = (0..code.len() / 2)
        .map(|byte| u8::from_str_radix(&code[2 * byte..2 * byte + 2], 16).expect("hex"))
        .collect();
    hmac::verify(&key, &signed, &code).expect("the signature is that of time and body");
}

fn metrics(master: &Master) -> String {
    master.api().get("/metrics").expect(200).text().to_owned()
}

fn wait_log(master: &Master, text: &str) {
    master.output().wait_for_line(text, |line| line.text.contains(text));
}

#[test]
fn each_event_is_reported_and_signed() {
    let receiver = Receiver::answering(&["204 No Content"]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), format!("{SECRET}\n")).expect("written");
    let place = format!("file:{}", file.path().display());
    let master = master_for(&receiver).query("webhook_secret", &place).start();
    let go = master.folder().join("fail");
    let line =
        format!("echo up; while [ ! -e {0} ]; do sleep 0.02; done; rm {0}; exit 3", go.display());
    let id = shell(&master, "web", &line, "&ready=line:%5Eup");
    patch(&master, &id, &json!({"backoff": {"firstMs": 100, "longestMs": 100}}));
    let ready = receiver.wait_for("ready", |posted| is(posted, "ready"));
    assert!(ready.line.starts_with(&format!("POST /hooks/{TOKEN}?key={TOKEN} ")), "{}", ready.line);
    assert_eq!(ready.header("content-type"), Some("application/json"));
    assert_eq!(ready.header("x-openctrl-event"), Some("ready"));
    let body = ready.json();
    assert_eq!(ready.header("x-openctrl-delivery"), body["delivery"].as_str());
    assert_eq!(body["instance"], json!({"id": id, "alias": "web", "type": "exec", "tags": {}}));
    assert_eq!((&body["status"], &body["restarts"]), (&json!("running"), &json!(0)));

    fs::write(&go, "").expect("written");
    let error = receiver.wait_for("error", |posted| is(posted, "error"));
    assert_eq!(error.json()["reason"], "exited with code 3");
    assert_eq!(error.json()["status"], "error");
    for _ in 0..4 {
        until("it failed", || !go.exists());
        fs::write(&go, "").expect("written");
    }
    let flapping = receiver.wait_for("flapping", |posted| is(posted, "flapping"));
    assert_eq!(flapping.json()["restarts"], 5);
    let recovered = receiver.wait_for("recovered", |posted| is(posted, "recovered"));
    assert_eq!(
        (&recovered.json()["status"], &recovered.json()["reason"]),
        (&json!("running"), &json!(""))
    );

    // Stops and restarts by request are no errors.
    master.api().act(&id, "restart");
    master.api().act(&id, "stop");
    let all = receiver.all();
    let count = |event| all.iter().filter(|posted| is(posted, event)).count();
    assert_eq!(["error", "recovered", "flapping"].map(count), [1, 1, 1]);
    all.iter().for_each(|posted| verify(posted, SECRET));
    let mut ids: Vec<String> =
        all.iter().map(|posted| posted.json()["delivery"].to_string()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all.len(), "each report has an id of its own");
}

#[test]
fn a_report_is_tried_again_and_a_refused_one_is_not() {
    let answers = ["500 Down", "429 Slow down", "302 Found", "404 Not Found", "204 No Content"];
    let receiver = Receiver::answering(&answers);
    let master = master_for(&receiver).query("webhook_events", "ready").start();
    for name in ["a", "b", "c"] {
        shell(&master, name, "sleep 1000", "");
    }
    let posted: Vec<Posted> = (0..5).map(|number| receiver.wait(number)).collect();
    let id = |number: usize| posted[number].json()["delivery"].clone();
    assert_eq!((id(0), id(1)), (id(1), id(2)), "the same report");
    assert!(posted[0].body == posted[1].body && id(2) != id(3) && id(3) != id(4));
    assert!(posted[0].header("x-openctrl-signature").is_none(), "there is no secret");
    until("it is counted", || metrics(&master).contains("result=\"delivered\"} 1"));
    assert!(
        metrics(&master)
            .contains(r#"openctrl_webhook_reports_total{webhook="1",result="failed"} 2"#)
    );
    wait_log(&master, "cannot deliver a report: it answered with status 500; it is tried again");
    wait_log(&master, "it refused with status 404; 2 so far");
    wait_log(&master, "reports are delivered again; 2 were not delivered and 0 discarded");
}

#[test]
fn a_failing_webhook_shows_in_health_and_doctor_and_too_many_reports_are_discarded() {
    let receiver = Receiver::answering(&[""]);
    let master = master_for(&receiver).query("webhook_events", "ready").start();
    for number in 0..262 {
        shell(&master, &format!("job{number}"), ":", "&restart=never");
    }
    until("some are discarded", || {
        let metrics = metrics(&master);
        let line = metrics.lines().find(|line| line.contains("result=\"discarded\""));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).is_some_and(|n| n >= 4)
    });
    wait_log(&master, "too many reports wait, the oldest are discarded; 1 so far");
    wait_log(&master, "no answer within 10 s; it is tried again");
    let health = master.api().get("/health").expect(200).json();
    assert_eq!((&health["webhooks"], &health["ready"]), (&json!("failing"), &json!(true)));
    let doctor = Shell::beside(&master).ok(&["doctor"]);
    assert!(doctor.contains("a webhook does not take reports"), "{doctor}");
    receiver.answer("200 OK");
    until("it works again", || master.api().get("/health").expect(200).json()["webhooks"] == "ok");
    assert!(metrics(&master).contains(r#"openctrl_webhook_failing{webhook="1"} 0"#));
}

#[test]
fn no_secret_is_shown_or_recorded() {
    let receiver = Receiver::answering(&["503 Down", "204 No Content"]);
    let mut master = master_for(&receiver)
        .query("webhook_secret", "env:HOOK_SECRET")
        .query("trace_text", "on")
        .variable("HOOK_SECRET", SECRET)
        .start();
    let id = shell(&master, "web", "sleep 1000", "");
    let again = receiver.wait(1);
    verify(&again, SECRET);
    assert!(!String::from_utf8_lossy(&again.body).contains(TOKEN), "{again:?}");
    let api = master.api();
    let pages = ["/info", "/metrics", "/health"].map(|path| api.get(path).text().to_owned());
    assert!(!pages.join("").contains(TOKEN) && !pages.join("").contains(SECRET));
    api.delete(&id).expect(204);
    let trace = master.state().join("trace");
    master.stop();
    let log = master.output().text(Source::Stderr);
    assert!(log.contains("webhook 1 (http://127.0.0.1:"), "{log}");
    assert!(!log.contains(TOKEN) && !log.contains(SECRET), "{log}");
    for segment in segments(&trace) {
        let bytes = fs::read(segment).expect("a segment");
        let has = |text: &str| bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert!(!has(SECRET) && !has(&format!("hooks/{TOKEN}")));
    }
    let replayed = run_to_end(&["replay", trace.to_str().expect("UTF-8")]);
    assert_eq!(replayed.status.code(), Some(0), "{}", replayed.stdout);
    assert!(replayed.stdout.contains("all equal"), "{}", replayed.stdout);
}

#[test]
fn a_wrong_parameter_is_named() {
    let state = tempfile::tempdir().expect("a folder");
    let start = |query: &str| {
        let url = format!("master://127.0.0.1:0?state={}&{query}", state.path().display());
        let ended = run_to_end(&[&url]);
        assert_eq!(ended.status.code(), Some(1), "{query}");
        assert!(!ended.stderr.contains(TOKEN), "{}", ended.stderr);
        ended.stderr
    };
    let hook = "webhook=http://127.0.0.1:1/";
    for (query, words) in [
        (format!("webhook=ftp://h/{TOKEN}"), "bad webhook 1 in the master URL"),
        (format!("{hook}&webhook=http://:0/{TOKEN}"), "bad webhook 2 in the master URL"),
        (format!("{hook}&webhook_events=errors"), "bad webhook_events \"errors\""),
        (format!("{hook}&webhook_secret={TOKEN}"), "bad webhook_secret"),
        (
            format!("{hook}&webhook_secret=env:NOT_THERE"),
            "webhook_secret: cannot read env:NOT_THERE",
        ),
        ("webhook_events=error".to_owned(), "webhook_events needs webhook"),
    ] {
        let stderr = start(&query);
        assert!(stderr.contains(words), "{query}: {stderr}");
    }
}
