//! The page in a real browser: losing and finding the master again, keys that change, TLS, proxies,
//! and lists of thousands.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use openctrl_tests::browser::{Browser, Proxy};
use openctrl_tests::http::Connection;
use openctrl_tests::{Master, until};
use serde_json::json;

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// An address without a listener: port 1 is privileged and unused.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

const OFFLINE: &str = "document.querySelector('#connection').dataset.state !== 'live'";

#[test]
fn the_connection_is_lost_and_found_again() {
    let Some(browser) = Browser::start(TMP) else { return };
    let mut master = Master::start();
    let proxy = Proxy::start("", master.endpoint().address);
    browser.log_in(&proxy.url(), master.key());
    let api = master.api();
    let kept = api.create("stub://kept")["id"].as_str().expect("an id").to_owned();
    browser.wait_row(&kept, "running");

    // The master is killed; another one has the same state and no instance but one.
    proxy.turn_to(NOWHERE);
    master.kill9();
    browser.wait("the loss to be shown", OFFLINE);
    browser.wait_text("#connection-text", "Offline");
    browser.picture("offline");
    master.restart();
    let other = master.api().create("stub://other")["id"].as_str().expect("an id").to_owned();
    master.api().delete(&kept).expect(204);
    proxy.turn_to(master.endpoint().address);
    browser.click("#connect-now");
    browser.wait_live();
    browser.wait_row(&other, "running");
    browser.wait_names(&[&other]);
    browser.wait_text("#notices", "started anew");
    browser.click("#notices .notice button");

    // Without a click it comes back by itself, and without a gap if nothing was lost.
    proxy.turn_to(NOWHERE);
    browser.script("import('./page/app.js').then(({ stream }) => stream.abort.abort())", &[]);
    browser.wait("the loss to be shown", OFFLINE);
    let third = master.api().create("stub://third")["id"].as_str().expect("an id").to_owned();
    proxy.turn_to(master.endpoint().address);
    browser.wait_live();
    browser.wait_row(&third, "running");
    assert_eq!(browser.text("#notices"), "", "what was missed was replayed");
    assert_eq!(browser.console().iter().filter(|line| line.contains("rror:")).count(), 0);
}

#[test]
fn a_connection_that_says_nothing_is_given_up() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::start();
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    // As after a night asleep: the last byte came long ago by the clock.
    let body = "const [minutes, done] = arguments; \
        import('./page/app.js').then(({ stream }) => { \
          const before = stream.abort; \
          stream.heardAt = Date.now() - minutes * 60000; \
          stream.watch(); \
          done(before.signal.aborted); })";
    assert_eq!(browser.script_async(body, &[json!(480)]), true);
    let id = master.api().create("stub://later")["id"].as_str().expect("an id").to_owned();
    browser.wait_live();
    browser.wait_row(&id, "running");
}

#[test]
fn the_key_is_changed_here_and_elsewhere() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::start();
    let page = format!("http://{}/", master.endpoint().address);
    browser.log_in(&page, master.key());
    let id = master.api().create("stub://x")["id"].as_str().expect("an id").to_owned();
    browser.wait_row(&id, "running");

    browser.click("#open-master");
    browser.click("#rotate-key");
    browser.confirm();
    browser.wait_text(".new-key", "The new key");
    browser.picture("new-key");
    let fresh = browser.text("#new-key");
    assert!(fresh.len() == 32 && fresh != master.key(), "{fresh}");
    master.api().get("/info").expect_error(401);
    let api = master.api().with_key(&fresh);
    api.get("/info").expect(200);
    browser.click("#master-dialog .dialog-head button");
    browser.wait("the key to be gone: it is shown once", "!document.querySelector('#new-key')");
    browser.wait_live();
    api.act(&id, "stop");
    browser.wait_row(&id, "stopped");

    // Another client changes it: the page asks for the new one and says why.
    let newest = api.act("********", "restart")["url"].as_str().expect("a key").to_owned();
    browser.wait_text("#login-error", "not valid any more");
    assert_eq!(browser.script("return sessionStorage.length", &[]), 0);
    browser.enter_key(&newest);
    browser.wait_live();
    browser.wait_row(&id, "stopped");
}

#[test]
fn it_works_over_tls() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().query("tls", "1").start();
    browser.log_in(&format!("https://{}/", master.endpoint().address), master.key());
    browser.create("demo://secure?every=100ms", "secure");
    browser.wait_row("secure", "running");
    browser.wait_text("#log", "tick 3");
}

#[test]
fn it_works_behind_a_proxy_with_a_path_of_its_own() {
    let Some(browser) = Browser::start(TMP) else { return };
    for (api, shown) in [("", "/tools/openctrl"), ("/a%20b/c", "/x")] {
        let master = Master::builder().without_bin().path(api).start();
        let proxy = Proxy::start(shown, master.endpoint().address);
        browser.log_in(&proxy.url(), master.key());
        browser.create("demo://proxied?every=100ms", "proxied");
        browser.wait_row("proxied", "running");
        browser.wait_text("#log", "tick 3");
        browser.click("#logout");
        browser.wait("the key to be asked for", "!document.querySelector('#login').hidden");
    }
}

#[test]
fn a_list_of_two_thousand_comes_quickly_and_draws_what_is_in_sight() {
    const INSTANCES: usize = 2000;
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder_for(Path::new("/bin/true")).start();
    let api = master.api();
    std::thread::scope(|scope| {
        for part in 0..4 {
            let api = &api;
            scope.spawn(move || {
                let mut connection = Connection::open(api.endpoint()).expect("the master listens");
                for number in (part..INSTANCES).step_by(4) {
                    let body =
                        json!({ "url": format!("x://h/{number}"), "alias": format!("i{number}") });
                    let call = api.request("POST", "/instances").json(&body);
                    let answer = connection.send(&call.into_request()).expect("an answer");
                    assert_eq!(answer.status, 201);
                }
            });
        }
    });
    until("all to have ended", || {
        api.list().iter().filter(|one| one["status"] == "stopped").count() == INSTANCES
    });
    browser.open(&format!("http://{}/", master.endpoint().address));
    let start = Instant::now();
    browser.enter_key(master.key());
    browser.wait("all of them",
        "document.querySelector('#statuses [data-status=all] b').textContent.replace(/\\D/g, '') === '2000'");
    let took = start.elapsed();
    println!("{INSTANCES} instances were listed {took:?} after the key");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(browser.names().first().map(String::as_str), Some("i0"));
    let drawn = browser.script("return document.querySelectorAll('.rows .row').length", &[]);
    assert!(drawn.as_u64().is_some_and(|rows| rows < 60), "{drawn} rows are drawn");
    browser.script("document.querySelector('#rows').focus()", &[]);
    browser.press("\u{e010}");
    browser.wait_row("i1999", "stopped");
    browser.picture("two-thousand");

    // All of them at once.
    browser.click("#rows .row.head input");
    browser.wait_text("#bulk", "2,000 selected");
    browser.click("#bulk [data-action=delete]");
    browser.confirm();
    browser.wait_text("#list .empty", "No instances yet");
    until("all to be deleted", || api.list().len() == 1);
}

#[test]
fn ten_thousand_stay_fluid() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::start();
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    let measured = browser.script_async(include_str!("page/fluid.js"), &[json!(10_000)]);
    println!("10 000 instances, in ms: {measured}");
    assert_eq!(measured["shown"], 10_000, "{measured}");
    for (what, limit_ms) in [
        ("picture", 3000.0),
        ("sort", 600.0),
        ("search", 300.0),
        ("scroll", 60.0),
        ("update", 500.0),
    ] {
        let took = measured[what].as_f64().unwrap_or(f64::MAX);
        assert!(took < limit_ms, "{what} takes {took} ms: {measured}");
    }
}

#[test]
fn the_parts_without_a_page_do_what_they_say() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::start();
    browser.open(&format!("http://{}/", master.endpoint().address));
    let result = browser.script_async(include_str!("page/units.js"), &[]);
    assert_eq!(result["failures"], json!([]), "{result:#}");
    assert!(result["checks"].as_u64().is_some_and(|checks| checks > 60), "{result}");
}
