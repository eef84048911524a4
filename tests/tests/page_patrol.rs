//! The page shows apps and services of Patrol, in a real browser.

use openctrl_tests::browser::Browser;
use openctrl_tests::http::{Connection, Request};
use openctrl_tests::patrol::{Folder, read};
use openctrl_tests::{Master, Script, eventually, until};
use serde_json::{Value, json};

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// A master with an app, one with a secret, and a service that is disabled.
fn start(folder: &Folder) -> Master {
    let app = |name: &str, secret: &str| {
        let mut app = folder.app(1, &["print:hello", "on:USR1=exit:10", "on:USR2=exit:12", "wait"]);
        (app["name"], app["secret"]) = (json!(name), json!(secret));
        app
    };
    let service = json!({"management": 1, "name": "ssh", "service": "openctrl-no-such-service", "disabled": true});
    let config = json!({
        "apps": {"web": app("The web", ""), "safe": app("The safe", "hush")},
        "services": {"ssh": service},
        "udp": {"listen": "127.0.0.1:0"},
    });
    let path = folder.path("config.json");
    std::fs::write(&path, config.to_string()).expect("the folder is writable");
    Master::builder().query("patrol", &path).start()
}

fn of_patrol(master: &Master, target: &str) -> Value {
    let request =
        Request { method: "GET".into(), target: target.into(), headers: vec![], body: None };
    let mut connection = Connection::open(&master.endpoint()).expect("it listens");
    read(&connection.send(&request).expect("an answer"))
}

fn open(browser: &Browser, master: &Master, name: &str) {
    let id = eventually("the app", || {
        let list = master.api().list();
        let found = list.iter().find(|instance| instance["alias"] == name)?;
        Some(found["id"].as_str().expect("an id").to_owned())
    });
    browser.open_row(&id);
}

#[test]
fn an_app_has_its_toggles_values_history_and_log_files() {
    let Some(browser) = Browser::start(TMP) else { return };
    let folder = Folder::default();
    let master = start(&folder);
    let web = || of_patrol(&master, "/status/")["apps"]["web"].clone();
    until("the app to run", || web()["pid"].is_number());
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    open(&browser, &master, "The web");
    browser.wait_text("#patrol summary", "app web");
    browser.wait_text("#patrol summary", "enabled");
    // Values are set and removed one by one.
    for (name, value) in [("owner", "ops"), ("port", "8080")] {
        browser.fill("#patrol input[placeholder=name]", name);
        browser.fill("#patrol input[placeholder^=value]", value);
        browser.click("#patrol form button");
        browser.wait_text(".patrol-values", name);
    }
    assert_eq!(web()["keyvalue"], json!({"owner": "ops", "port": 8080}));
    browser.click(".patrol-values [aria-label='Remove owner']");
    browser.confirm();
    until("one value", || web()["keyvalue"] == json!({"port": 8080}));
    // A toggle acts at once, and what ended is in the history.
    browser.click("#patrol [data-toggle=power]");
    browser.wait_text("#patrol summary", "disabled");
    browser.wait_text(".patrol-history", "exit 10, disabled");
    browser.wait_text("#detail .status", "stopped");
    browser.picture("patrol");
    browser.click("#patrol [data-toggle=once]");
    browser.wait_text("#patrol summary", "runs once");
    browser.click("#patrol [data-toggle=power]");
    browser.wait_text("#detail .status", "running");
    // Its log files are links to Patrol's addresses.
    let links = browser.script(
        "return [...document.querySelectorAll('.patrol-logs a')].map((it) => it.href)",
        &[],
    );
    let base = format!("http://{}", master.endpoint().address);
    let expected =
        ["logs", "stdout", "stderr"].map(|path| format!("{base}/{path}/?group=app&id=web"));
    assert_eq!(links, json!(expected));
    let fetched = "const done = arguments[arguments.length - 1];
        fetch(arguments[0]).then((it) => it.text()).then(done)";
    until("the output", || {
        browser.script_async(fetched, &[json!(expected[1])]) == json!("hello\n")
    });
    // A master without the control API says so, which the browser remarks on.
    let console = browser.console();
    assert!(console.iter().all(|line| line.contains("/control - ")), "{console:?}");
}

#[test]
fn a_secret_is_asked_for_and_other_instances_have_none_of_it() {
    let Some(browser) = Browser::start(TMP) else { return };
    let folder = Folder::default();
    let master = start(&folder);
    let mut events = master.events();
    let other = master.run(&mut events, &Script::new().wait());
    let safe = || of_patrol(&master, "/status/")["apps"]["safe"].clone();
    until("the app to run", || safe()["pid"].is_number());
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    open(&browser, &master, "The safe");
    browser.wait_text("#patrol summary", "app safe");
    browser.wait("no links", "document.querySelector('.patrol-logs').hidden");
    browser.click("#patrol [data-toggle=power]");
    browser.wait_text("#notices", "enter its secret first");
    assert_eq!(safe()["disabled"], Value::Null);
    browser.fill("#patrol input[type=password]", "wrong");
    browser.click("#patrol [data-toggle=power]");
    browser.wait_text("#notices", "Secret Invalid");
    browser.fill("#patrol input[type=password]", "hush");
    browser.click("#patrol [data-toggle=power]");
    browser.wait_text("#patrol summary", "disabled");
    open(&browser, &master, "ssh");
    browser.wait_text("#patrol summary", "service ssh");
    browser.wait("no links", "document.querySelector('.patrol-logs').hidden");
    browser.open_row(&other);
    browser.wait_text("#detail .facts.process", "pid");
    browser.wait("nothing of Patrol", "document.querySelector('#patrol').hidden");
}
