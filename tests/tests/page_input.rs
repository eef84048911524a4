//! The page in a real browser: what is wrong with an input is said at its field.

use openctrl_tests::Master;
use openctrl_tests::browser::Browser;
use serde_json::json;

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

#[test]
fn bad_input_is_refused_at_its_field() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().start();
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    browser.click("#create");
    let huge = format!("demo://{}", "x".repeat(40_000));
    for (url, says) in [
        ("", "empty"),
        ("nosch", "no scheme"),
        ("/x", "no scheme"),
        ("master://127.0.0.1:1", "master"),
        ("demo://a b", "space"),
        ("demo://[::1", "["),
        ("demo://%zz", "percent escape"),
        (huge.as_str(), "32"),
    ] {
        browser.paste("#create-url", url);
        browser.click("#create-form .primary");
        browser.wait_text("#create-url-error", says);
        browser.wait(
            "the field to be marked",
            "document.querySelector('#create-url').ariaInvalid === 'true'",
        );
    }
    // What the master refuses stands at the parameter, and a command may be created anyway.
    browser.paste("#create-url", "exec:no-such-command?arg=1");
    browser.click("#create-form summary");
    browser.paste("#create-ready", "maybe");
    browser.click("#create-form .primary");
    browser.wait_text("#create-ready-error", "ready must be");
    browser.paste("#create-ready", "after:1s");
    browser.paste("#create-ready_timeout", "90s");
    browser.click("#create-form .primary");
    browser.wait_text("#create-ready_timeout-error", "no effect");
    browser.paste("#create-ready_timeout", "");
    browser.paste("#create-after", "db, cache");
    browser.paste("#create-schedule", "0 0 29 2 *");
    browser.wait("no offer yet", "document.querySelector('#create-force').closest('label').hidden");
    browser.click("#create-form .primary");
    browser.wait_text("#create-url-error", "no-such-command");
    browser.picture("create-error");
    browser.click("#create-form .buttons .button:not(.primary)");
    assert_eq!(master.api().list().len(), 1, "nothing was created");
    browser.click("#create");
    browser.wait(
        "no offer is left",
        "document.querySelector('#create-force').closest('label').hidden",
    );
    browser.paste("#create-url", "exec:no-such-command?arg=1");
    browser.click("#create-form summary");
    browser.paste("#create-ready", "notify");
    browser.paste("#create-ready_timeout", "90s");
    browser.paste("#create-after", "db, cache");
    browser.paste("#create-schedule", "0 0 29 2 *");
    browser.click("#create-form .primary");
    browser.wait_text("#create-url-error", "no-such-command");
    browser.click("#create-force");
    browser.click("#create-form .primary");
    browser.wait("the dialog to close", "!document.querySelector('#create-dialog').open");
    let created = master.api().list().remove(1);
    let url = "exec:no-such-command?arg=1&ready=notify&ready_timeout=90s&after=db&after=cache&schedule=0+0+29+2+*";
    assert_eq!(created["url"], url);
    master.api().delete(created["id"].as_str().expect("an id")).expect(204);

    browser.create("demo://edit", "edit");
    browser.click("#tab-settings");
    let long = "x".repeat(257);
    for (input, error) in
        [("#set-alias", "#set-alias-error"), ("#set-peer-type", "#set-peer-type-error")]
    {
        browser.paste(input, &long);
        browser.click("#set-save");
        browser.wait_text(error, "257 bytes");
        browser.click("#tab-overview");
        browser.click("#tab-settings");
    }
    browser.paste("#set-alias", "");
    browser.click("#set-save");
    browser.wait_text("#set-alias-error", "not taken away");
    browser.paste("#set-alias", "edit");
    for _ in 0..2 {
        browser.click("#set-add-tag");
        browser.paste(".tag-row:last-child input", "twice");
    }
    browser.click("#set-save");
    browser.wait_text("#set-tags-error", "there twice");
    browser.paste(".tag-row:last-child input", &long);
    browser.click("#set-save");
    browser.wait_text("#set-tags-error", "257 bytes");
    for (url, says) in [("", "empty"), ("demo://edit", "already"), ("MASTER://x", "master")] {
        browser.paste("#set-url", url);
        browser.click("#set-replace");
        browser.wait_text("#set-url-error", says);
    }
    let edited = master.api().list().pop().expect("the instance");
    assert_eq!((&edited["alias"], &edited["meta"]["tags"]), (&json!("edit"), &json!({})));

    browser.click("#open-master");
    browser.paste("#master-alias", &long);
    browser.click("#master-alias-form .button");
    browser.wait_text("#master-alias-error", "257 bytes");
    for (target, says) in
        [("", "Enter a host"), ("no-port", "Not connected"), ("127.0.0.1:1", "Not connected")]
    {
        browser.paste("#ping-target", target);
        browser.click("#ping-form .button");
        browser.wait_text("#ping-target-error", says);
    }
    browser.paste("#ping-target", &master.endpoint().address.to_string());
    browser.click("#ping-form .button");
    browser.wait_text("#ping-result", "Connected in");
    browser.paste("#master-alias", "headquarters");
    browser.click("#master-alias-form .button");
    browser.wait_text("#master-name", "headquarters");
    browser.picture("master");
}
