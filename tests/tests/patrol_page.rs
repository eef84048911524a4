//! Patrol contract §5 and A: the page, its forms, and the addresses of logs.

use std::fs;

use openctrl_tests::patrol::{Folder, Patrol};
use openctrl_tests::until;
use serde_json::{Value, json};

const SERVICE: &str =
    r#"{"management":1,"name":"SSH <b>","service":"openctrl-no-such-service","disabled":true}"#;

fn start() -> Patrol {
    let folder = Folder::default();
    let web = folder.app(1, &["print:<line of web>", "error:of stderr", "wait"]);
    let mut merged = folder.app(1, &["print:merged", "wait"]);
    merged["std-merge"] = json!(true);
    merged["log-directory"] = json!("merged-logs");
    let mut kept = folder.app(1, &["print:kept", "wait"]);
    kept["secret"] = json!("hush");
    kept["log-directory"] = json!("kept-logs");
    let mut off = folder.app(3, &["wait"]);
    off["disabled"] = json!(true);
    off["log-directory"] = json!("off-logs");
    let service: Value = serde_json::from_str(SERVICE).expect("JSON");
    let apps = json!({"web": web, "merged": merged, "kept": kept, "off": off});
    let patrol = folder.start(apps, json!({"ssh": service}));
    for id in ["web", "merged", "kept"] {
        patrol.wait_instance(id, "");
    }
    until("the line of web", || {
        patrol.get("/stdout/?group=app&id=web").text() == "<line of web>\n"
    });
    patrol
}

#[test]
fn the_page_lists_apps_and_services_with_their_buttons() {
    let patrol = start();
    let page = patrol.get("/");
    assert_eq!((page.status, page.header("Content-Type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    assert!(text.contains("Uptime: "), "{text}");
    for link in [
        "href=\"/status/\"",
        "href=\"/api/?group=app&amp;id=web\"",
        "href=\"/logs/?group=app&amp;id=web\"",
        "href=\"/stdout/?group=app&amp;id=web\"",
        "href=\"/stderr/?group=app&amp;id=web\"",
        "href=\"/api/?group=service&amp;id=ssh\"",
    ] {
        assert!(text.contains(link), "{link}: {text}");
    }
    let place = |id: &str| text.find(&format!("ID: {id}<")).expect(id);
    assert!(
        place("kept") < place("merged")
            && place("merged") < place("off")
            && place("off") < place("web")
    );
    assert!(place("web") < place("ssh"), "services come after apps");
    assert!(!text.contains("/stdout/?group=app&amp;id=kept"), "no link where a secret is needed");
    assert!(!text.contains("SSH <b>") && text.contains("SSH &lt;b&gt;"));
    assert!(text.contains("&lt;line of web&gt;"), "the last lines of the log: {text}");
    assert!(!text.contains(">kept\n"), "but none of a log that has a secret");
    assert_eq!(text.matches("name=\"disable\"").count(), 3, "{text}");
    assert_eq!(text.matches("name=\"enable\"").count(), 2, "{text}");
    assert_eq!(text.matches("name=\"secret\"").count(), 1, "{text}");
}

#[test]
fn the_page_has_a_strict_policy_and_nothing_inline() {
    let patrol = start();
    let page = patrol.get("/");
    let policy = page.header("Content-Security-Policy").expect("a policy");
    assert!(policy.contains("default-src") && !policy.contains("unsafe-inline"), "{policy}");
    let text = page.text();
    assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("onclick"));
    for script in text.split("<script").skip(1) {
        let tag = script.split('>').next().unwrap_or_default();
        let source = tag.split_once("src=\"").and_then(|(_, rest)| rest.split('"').next());
        let source = source.unwrap_or_else(|| panic!("an inline script: {tag}"));
        let served = patrol.get(source);
        assert_eq!(served.status, 200, "{source}");
        assert!(served.header("Content-Type").is_some_and(|kind| kind.contains("javascript")));
    }
    let sheet = text.split_once("<link href=\"").and_then(|(_, rest)| rest.split('"').next());
    let sheet = patrol.get(sheet.expect("a style sheet"));
    assert_eq!(
        (sheet.status, sheet.header("Content-Type")),
        (200, Some("text/css; charset=utf-8"))
    );
}

#[test]
fn buttons_toggle_apps_and_services_and_lead_back() {
    let patrol = start();
    let press = |body: &str| {
        let response = patrol.form(body);
        assert_eq!((response.status, response.header("Location")), (302, Some("/")), "{body}");
    };
    press("group=app&id=web&disable=1");
    patrol.wait_app("web", "stopped", |app| app["disabled"] == true && app["started"].is_null());
    press("group=app&id=web&enable=1");
    let running = patrol.wait_instance("web", "");
    press("group=app&id=web&runonce-enable=1");
    assert_eq!(patrol.app("web")["run-once"], true);
    press("group=app&id=web&runonce-disable=1");
    assert!(patrol.app("web")["run-once"].is_null());
    press("group=app&id=web&restart=1");
    patrol.wait_instance("web", running["instance-id"].as_str().expect("an id"));
    press("group=app&id=kept&secret=hush&runonce-enable=1");
    assert_eq!(patrol.app("kept")["run-once"], true);
    press("group=service&id=ssh&runonce-enable=1");
    assert_eq!(patrol.service("ssh")["run-once"], true);
}

#[test]
fn a_form_that_fails_shows_why_and_changes_nothing() {
    let patrol = start();
    let before = patrol.app("kept");
    let cases = [
        ("", "Toggle Invalid"),
        ("group=app&id=web", "Toggle Invalid"),
        ("group=group&id=ssh&enable=1", "Unknown Group"),
        ("group=APP&id=web&enable=1", "Unknown Group"),
        ("group=app&id=WEB&enable=1", "Unknown App"),
        ("group=service&id=x&enable=1", "Unknown Service"),
        ("group=app&id=kept&restart=1", "Secret Invalid"),
        ("group=app&id=kept&restart=1&secret=x", "Secret Invalid"),
        ("group=app&id=%zz&restart=1", "Bad POST"),
    ];
    for (body, error) in cases {
        let response = patrol.form(body);
        assert_eq!(response.status, 200, "{body}");
        assert!(
            response.text().contains(&format!("<b>{error}</b>")),
            "{body}: {}",
            response.text()
        );
    }
    let after = patrol.app("kept");
    assert_eq!((&after["cas"], &after["instance-id"]), (&before["cas"], &before["instance-id"]));
}

#[test]
fn a_form_from_another_site_is_refused() {
    let patrol = start();
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let body = "group=app&id=web&runonce-enable=1";
    for (name, value) in
        [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")]
    {
        let response = patrol.send("POST", "/", &[kind, (name, value)], Some(body));
        assert_eq!(response.status, 403, "{name}: {value}");
    }
    assert!(patrol.app("web")["run-once"].is_null());
    let own = format!("http://{}", patrol.http());
    assert_eq!(patrol.send("POST", "/", &[kind, ("Origin", &own)], Some(body)).status, 302);
}

#[test]
fn log_folders_are_lists_that_lead_to_files_and_back() {
    let patrol = start();
    let query = "?group=app&id=web";
    let mut path = "/logs/".to_owned();
    let mut steps = 0;
    let file = loop {
        let page = patrol.get(&format!("{path}{query}"));
        assert_eq!(page.status, 200, "{path}");
        let text = page.text().to_owned();
        assert!(text.starts_with("<ul>\n") && text.ends_with("</ul>\n"), "{text}");
        let links: Vec<String> = text
            .split("href=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap_or_default().replace("&amp;", "&"))
            .collect();
        let up = if path == "/logs/" { "../".to_owned() } else { format!("../{query}") };
        assert_eq!(links[0], up);
        let next = links[1].split('?').next().expect("a part").to_owned();
        assert!(links[1].ends_with(query), "the query stays: {links:?}");
        path.push_str(&next);
        steps += 1;
        if !next.ends_with('/') {
            break path;
        }
    };
    assert_eq!(steps, 4, "year, month, day, file: {file}");
    let log = patrol.get(&format!("{file}{query}"));
    assert!(["<line of web>\n", "of stderr\n"].contains(&log.text()), "{}", log.text());
    assert!(log.header("Content-Type").is_some_and(|kind| kind.starts_with("text/plain")));
}

#[test]
fn stdout_and_stderr_are_those_of_the_last_start() {
    let patrol = start();
    assert_eq!(patrol.get("/stderr/?group=app&id=web").text(), "of stderr\n");
    until("merged", || patrol.get("/stderr/?group=app&id=merged").text() == "merged\n");
    assert_eq!(patrol.get("/stdout/?group=app&id=kept&secret=hush").text(), "kept\n");
    let header =
        patrol.send("GET", "/stdout/?group=app&id=kept", &[("X-Patrol-Secret", "hush")], None);
    assert_eq!(header.text(), "kept\n");
    // The log of the last start stays when its instance has ended.
    patrol.toggle("web", 2);
    patrol.wait_app("web", "stopped", |app| app["started"].is_null());
    assert_eq!(patrol.get("/stdout/?group=app&id=web").text(), "<line of web>\n");
}

#[test]
fn log_addresses_are_refused_in_the_order_of_the_contract() {
    let patrol = start();
    let cases = [
        ("/logs/", 405, "Unknown Group"),
        ("/logs/?group=service&id=ssh", 405, "Unknown Group"),
        ("/stdout/?group=APP&id=web", 405, "Unknown Group"),
        ("/logs/?group=app&id=x", 405, "Unknown App"),
        ("/stderr/?group=app&id=WEB", 405, "Unknown App"),
        ("/logs/?group=app&id=kept", 405, "Secret Invalid"),
        ("/stdout/?group=app&id=kept&secret=x", 405, "Secret Invalid"),
        ("/stdout/?group=app&id=web&last=x", 405, "?last=INVALID"),
        ("/stdout/?group=app&id=web&last=1025", 405, "?last= does not support over 1024 lines"),
        ("/stdout/?group=app&id=web&last=5", 405, "?last= NOT supported yet!"),
        ("/stdout/?group=app&id=off", 404, "404 log type doesn't exist"),
        ("/logs/nothing?group=app&id=web", 404, "404 page not found"),
        ("/nothing", 404, "404 page not found"),
    ];
    for (target, status, text) in cases {
        let response = patrol.get(target);
        assert_eq!((response.status, response.text().trim_end()), (status, text), "{target}");
    }
}

/// No address leads out of the log folder: neither as it is, nor escaped, nor by a link.
#[test]
fn nothing_outside_of_the_log_folder_is_served() {
    let patrol = start();
    let outside = patrol.folder().join("outside");
    fs::write(&outside, "outside").expect("the folder is writable");
    for path in [
        "/logs/../outside",
        "/logs/..%2foutside",
        "/logs/%2e%2e/outside",
        "/logs/2026/../../outside",
    ] {
        let response = patrol.get(&format!("{path}?group=app&id=web"));
        assert!(!response.text().contains("outside\n") && response.text() != "outside", "{path}");
        assert!([301, 404].contains(&response.status), "{path}: {}", response.status);
    }
}

/// The script asks for the page again; what it gets is the same page.
#[test]
fn the_page_is_the_same_without_script() {
    let patrol = start();
    patrol.toggle("web", 4);
    let text = patrol.get("/").text().to_owned();
    assert!(text.contains("RunOnce: <b>true</b>"), "{text}");
    assert!(text.contains("<form action=\"/\" method=\"POST\">"));
}
