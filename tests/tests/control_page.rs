//! The page shows phase, conditions and stored events of an instance, in a real browser.

use openctrl_tests::browser::Browser;
use openctrl_tests::control::Sockets;
use openctrl_tests::master::Builder;
use openctrl_tests::{Master, Script};
use serde_json::json;

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

fn create(master: &Master, script: &Script) -> String {
    let body = json!({"url": script.url(), "alias": "web"});
    let id = master.api().post("/instances", &body).expect(201).json()["id"].clone();
    id.as_str().expect("an id").to_owned()
}

fn open(browser: &Browser, master: &Master, id: &str) {
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    browser.open_row(id);
}

#[test]
fn an_instance_has_its_phase_conditions_and_events() {
    let Some(browser) = Browser::start(TMP) else { return };
    let (master, sockets) = Sockets::start();
    let id = create(&master, &Script::new().wait());
    sockets.wait_phase("web", "Running");
    open(&browser, &master, &id);
    browser.wait_text("#resource summary", "Running");
    browser.wait_text("#resource summary", "Process/web");
    browser.click("#resource summary");
    for condition in ["Ready", "Healthy", "Progressing"] {
        browser.wait_text("#resource .conditions", condition);
    }
    browser.wait_text("#resource .conditions", "True (NoCheckpoints)");
    browser.wait_text(".stored-events:not(.patrol-history)", "routerd.daemon.lifecycle.ready");
    browser.wait_text(
        ".stored-events:not(.patrol-history) li:last-child",
        "openctrl.instance.created",
    );
    browser.picture("control");
    // It follows what becomes of the instance.
    browser.click("#detail [data-action=stop]");
    browser.wait_text("#resource summary", "Stopped");
    browser.wait_text("#resource .conditions", "Unknown (NotRunning)");
    browser.wait_text(".stored-events:not(.patrol-history)", "routerd.daemon.lifecycle.stopped");
    assert_eq!(browser.console(), [] as [String; 0]);
}

#[test]
fn without_the_control_api_there_is_none_of_it() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Builder::start(Master::builder());
    let id = create(&master, &Script::new().wait());
    open(&browser, &master, &id);
    browser.wait_text("#detail .facts.process", "pid");
    browser.wait("no phase", "document.querySelector('#resource').hidden");
}
