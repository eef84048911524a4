//! Pictures of the page for people to look at, in `page/` of the target's temporary folder, and whether
//! everybody can read and use what is on them.

use openctrl_tests::Master;
use openctrl_tests::browser::Browser;
use serde_json::{Value, json};

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// The instances that the pictures show.
fn furnish(master: &Master) -> Value {
    let api = master.api();
    let worker = "exec:sh?arg=-c&arg=i=0;while+:;do+i=$((i%2B1));printf+%22%5C033[32mINFO%5C033[0m+\
        job+$i+done+in+%5C033[1;33m$((i*7%25250))ms%5C033[0m%5Cn%22;sleep+0.1;done";
    let mut ids = json!({});
    for (alias, url, tags) in [
        (
            "edge-frankfurt",
            "demo://fra?every=250ms",
            json!({ "env": "prod", "region": "eu-central" }),
        ),
        ("edge-paris", "demo://par?every=250ms", json!({ "env": "prod", "region": "eu-west" })),
        ("edge-tokyo", "demo://tyo?error_after=0s&checkpoints=off", json!({ "env": "prod" })),
        ("billing-worker", worker, json!({ "env": "prod", "team": "billing" })),
        ("nightly-import", "exec:sh?arg=-c&arg=echo+starting;exit+3", json!({ "team": "data" })),
        ("cron-cleanup", "exec:true", json!({})),
        (
            "metrics-relay",
            "demo://relay?every=250ms",
            json!({ "env": "prod", "team": "ops", "tier": "1" }),
        ),
    ] {
        let created =
            api.post("/instances", &json!({ "alias": alias, "url": url })).expect(201).json();
        let id = created["id"].as_str().expect("an id");
        api.patch(id, &json!({ "meta": { "tags": tags } })).expect(200);
        ids[alias] = json!(id);
    }
    ids
}

/// Whether everybody can use what is shown.
fn check(browser: &Browser, what: &str) {
    let faults = browser.script(include_str!("page/accessible.js"), &[]);
    assert_eq!(faults, json!([]), "{what}: {faults:#}");
    let overflow = "return document.documentElement.scrollWidth - innerWidth";
    assert_eq!(browser.script(overflow, &[]), 0, "{what}: nothing is wider than the screen");
}

#[test]
fn pictures_for_people_to_look_at() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().start();
    let ids = furnish(&master);
    let url = format!("http://{}/", master.endpoint().address);
    browser.open(&url);
    browser.wait("the key to be asked for", "!document.querySelector('#login').hidden");
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        browser.hover("#login-key");
        check(&browser, "login");
        browser.hover("#login-submit");
        check(&browser, "login, with the mouse on the button");
        browser.picture(&format!("login-{theme}"));
    }
    browser.log_in(&url, master.key());
    browser.wait_row("edge-tokyo", "error");
    browser.wait("rates in the list",
        "[...document.querySelectorAll('.rows .c-rx')].filter((cell) => /B.s/.test(cell.textContent)).length >= 3");
    for theme in ["light", "dark"] {
        browser.prefer(theme);
        for (width, height, size) in [(1360, 850, "desk"), (360, 740, "phone")] {
            browser.resize(width, height);
            browser.script("location.hash = '#/'", &[]);
            browser.wait("the list", "document.querySelector('#detail').hidden");
            browser.picture(&format!("list-{size}-{theme}"));
            check(&browser, "list");
            for name in ["metrics-relay", "billing-worker"] {
                browser.script("location.hash = `#/i/${arguments[0]}`", &[ids[name].clone()]);
                browser.wait_text("#detail-title", name);
                browser
                    .wait_text("#log", if name == "billing-worker" { "INFO job" } else { "tick" });
                browser.picture(&format!("{name}-{size}-{theme}"));
                check(&browser, name);
            }
            browser.click("#tab-settings");
            browser.picture(&format!("settings-{size}-{theme}"));
            check(&browser, "settings");
            browser.click("#create");
            browser.picture(&format!("create-{size}-{theme}"));
            check(&browser, "create");
            browser.click("#create-form .buttons .button:not(.primary)");
        }
    }
}
