//! The page in a real browser: it adapts to a phone and to forced colors, and text cannot turn it
//! around.

use openctrl_tests::Master;
use openctrl_tests::browser::Browser;
use serde_json::json;

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

fn log_in(browser: &Browser, master: &Master) {
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
}

fn create(master: &Master, alias: &str, url: &str) -> String {
    let created = master.api().post("/instances", &json!({ "alias": alias, "url": url }));
    openctrl_tests::api::id_of(&created.expect(201).json())
}

#[test]
fn a_phone_sorts_the_list_and_shows_the_log_first() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().start();
    let first = create(&master, "a-first", "demo://a?every=50ms");
    create(&master, "b-second", "exec:false");
    create(&master, "c-third", "demo://c");
    browser.resize(360, 740);
    log_in(&browser, &master);
    browser.wait_row("b-second", "error");
    browser.wait_names(&["a-first", "b-second", "c-third"]);
    browser.click("#sort-turn");
    browser.wait_names(&["c-third", "b-second", "a-first"]);
    let choose = "const select = document.querySelector('#sort-by'); select.value = 'status'; \
                  select.dispatchEvent(new Event('change'))";
    browser.script(choose, &[]);
    browser.wait_names(&["b-second", "a-first", "c-third"]);
    browser.picture("phone-sorted");

    browser.open_row(&first);
    browser.wait_text("#log", "tick 3");
    let tops = "const top = (css) => document.querySelector(css).getBoundingClientRect().top; \
                return [top('.log-pane') < top('.tiles'), top('.tiles') < top('.facts'), \
                top('#log') < innerHeight / 2]";
    assert_eq!(browser.script(tops, &[]), json!([true, true, true]), "the log comes first");
    browser.picture("phone-log");

    browser.resize(1360, 850);
    browser.wait(
        "the tiles to come first again",
        "document.querySelector('.log-pane').getBoundingClientRect().top \
         > document.querySelector('.tiles').getBoundingClientRect().top",
    );
    let hidden = "return getComputedStyle(document.querySelector('.sorting')).display";
    assert_eq!(browser.script(hidden, &[]), "none", "the head of the columns sorts");
}

#[test]
fn text_cannot_turn_the_page_around() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().start();
    let id = create(&master, "invoice\u{202e}fdp.exe", "demo://h/\u{2067}x");
    let tags = json!({ "meta": { "tags": { "a\u{200f}b": "c\u{202d}d" } } });
    master.api().patch(&id, &tags).expect(200);
    log_in(&browser, &master);
    browser.wait_row("invoice⟨U+202E⟩fdp.exe", "error");
    browser.click(&format!("#row-{id} .c-name"));
    browser.wait_text("#detail-title", "invoice⟨U+202E⟩fdp.exe");
    browser.wait_text(".facts .url-line", "demo://h/⟨U+2067⟩x");
    browser.wait_text(".facts .tag-list", "a⟨U+200F⟩b");
    browser.wait_text(".facts .tag-list", "c⟨U+202D⟩d");
    let turned = "const turns = /[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]/; \
        const nodes = [...document.querySelectorAll('*')]; \
        return nodes.filter((node) => ['title', 'aria-label'].some((name) => \
            turns.test(node.getAttribute(name) ?? '')) \
          || [...node.childNodes].some((child) => child.nodeType === 3 && turns.test(child.data))) \
          .map((node) => node.outerHTML.slice(0, 200))";
    assert_eq!(browser.script(turned, &[]), json!([]));
    // What is edited is what is there.
    browser.click("#tab-settings");
    let alias = "return document.querySelector('#set-alias').value";
    assert_eq!(browser.script(alias, &[]), "invoice\u{202e}fdp.exe");
}

#[test]
fn a_paused_log_offers_to_resume() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().start();
    let ids = [create(&master, "one", "demo://1?every=50ms"), create(&master, "two", "demo://2")];
    log_in(&browser, &master);
    browser.open_row(&ids[0]);
    browser.wait_text("#log", "tick 2");
    let shown = |label: &str, icon: &str| {
        browser.wait_text("#log-pause", label);
        let button = "const button = document.querySelector('#log-pause'); \
            return [button.title, button.querySelector('use').getAttribute('href'), \
                    button.getAttribute('aria-pressed')]";
        let expected = json!([format!("{label} the log (p)"), icon, null]);
        assert_eq!(browser.script(button, &[]), expected);
    };
    shown("Pause", "#i-pause");
    browser.click("#log-pause");
    shown("Resume", "#i-play");
    browser.click("#log-pause");
    shown("Pause", "#i-pause");
    browser.press("p");
    shown("Resume", "#i-play");
    // Another instance is not paused.
    browser.open_row(&ids[1]);
    shown("Pause", "#i-pause");
}

#[test]
fn forced_colors_hide_no_state() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::builder().without_bin().start();
    create(&master, "failed", "exec:false");
    create(&master, "running", "demo://r");
    let stopped = create(&master, "stopped", "demo://s");
    master.api().act(&stopped, "stop");
    log_in(&browser, &master);
    browser.force_colors();
    for (name, status) in [("failed", "error"), ("running", "running"), ("stopped", "stopped")] {
        browser.wait_row(name, status);
    }
    browser.open_row(&stopped);
    let looks = "const look = (css) => { \
          const style = getComputedStyle(document.querySelector(css)); \
          return [style.backgroundColor, style.borderTopStyle, style.transform].join(' '); }; \
        const differ = (...all) => new Set(all.map(look)).size === all.length; \
        const dot = (status) => `.rows [data-status=${status}] > .dot`; \
        return { \
          dots: differ(dot('error'), dot('running'), dot('stopped')), \
          row: differ('.rows .row.open', '.rows .row:not(.open):not([hidden])'), \
          filter: differ('.segments [aria-pressed=true]', '.segments [aria-pressed=false]'), \
          button: getComputedStyle(document.querySelector('#create')).borderTopColor \
            !== getComputedStyle(document.querySelector('#create')).backgroundColor, \
          chart: getComputedStyle(document.querySelector('.chart .line')).stroke \
            !== getComputedStyle(document.querySelector('.detail')).backgroundColor }";
    let expected =
        json!({ "dots": true, "row": true, "filter": true, "button": true, "chart": true });
    assert_eq!(browser.script(looks, &[]), expected);
    let faults = browser.script(include_str!("page/accessible.js"), &[]);
    assert_eq!(faults, json!([]), "{faults:#}");
    browser.picture("forced-colors");
}
