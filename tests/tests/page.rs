//! The page in a real browser: logging in, and what is done to instances there.

use std::path::Path;

use openctrl_tests::browser::Browser;
use openctrl_tests::master::Builder;
use openctrl_tests::{Master, Script, until};
use serde_json::json;

const TMP: &str = env!("CARGO_TARGET_TMPDIR");

/// A command that prints `text`, given as `printf` reads it, and ends.
fn prints(text: &str) -> String {
    let escape = |byte: u8| format!("%{byte:02X}");
    format!("exec:printf?arg={}", text.bytes().map(escape).collect::<String>())
}

/// A master that is its own runtime, for `demo:` and `exec:`.
fn own_runtime() -> Builder {
    Master::builder().without_bin()
}

fn page_of(master: &Master) -> String {
    let endpoint = master.endpoint();
    let scheme = if endpoint.tls { "https" } else { "http" };
    format!("{scheme}://{}/", endpoint.address)
}

#[test]
fn the_page_is_served_without_a_key_and_can_be_turned_off() {
    let master = Master::start();
    let page = master.api().without_key().request_at("GET", "/").send().expect(200);
    assert!(page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    let policy = page.header("Content-Security-Policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(page.header("Referrer-Policy"), Some("no-referrer"));
    assert_eq!(page.header("Access-Control-Allow-Origin"), None);
    assert!(!page.text().contains(master.key()), "the page holds no secret");
    let tag = page.header("ETag").expect("a tag").to_owned();
    let again = master.api().request_at("GET", "/").header("If-None-Match", &tag).send();
    assert_eq!((again.status, again.body.len()), (304, 0));
    assert_eq!(master.api().request_at("POST", "/").send().status, 405);
    master.api().request_at("GET", "/page/nope.js").send().expect_error(404);

    let master = Master::builder().query("page", "off").start();
    for path in ["/", "/page/app.js"] {
        master.api().request_at("GET", path).send().expect_error(404);
    }
    assert!(!master.output().tail().contains("page"), "it is a parameter that is known");
}

#[test]
fn the_page_takes_at_most_60_kb_on_the_wire() {
    let master = Master::start();
    let api = master.api().without_key();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../driver/page");
    let names = std::fs::read_dir(folder).expect("the folder of the page");
    let names: Vec<_> = names.map(|entry| entry.expect("an entry").file_name()).collect();
    let texts = names.iter().map(|name| std::fs::read_to_string(Path::new(folder).join(name)));
    let texts: String = texts.map(|text| text.expect("a file of the page")).collect();
    let (mut plain, mut packed) = (0, 0);
    for name in names {
        let name = name.to_str().expect("names are ASCII");
        // All style sheets are sent as one.
        if name.ends_with(".css") && name != "style.css" {
            continue;
        }
        // Loaded with the first app or service of Patrol.
        let is_for_later = texts.contains(&format!("import(\"./{name}\")"));
        if is_for_later && !texts.contains(&format!("from \"./{name}\"")) {
            continue;
        }
        let path = if name == "index.html" { "/".to_owned() } else { format!("/page/{name}") };
        let answer = api.request_at("GET", &path).send().expect(200);
        assert_eq!(answer.header("Content-Encoding"), None, "{path}");
        plain += answer.body.len();
        let call = api.request_at("GET", &path).header("Accept-Encoding", "gzip, deflate, br");
        let answer = call.send().expect(200);
        assert_eq!(answer.header("Content-Encoding"), Some("gzip"), "{path}");
        assert_eq!(answer.header("Vary"), Some("accept-encoding"), "{path}");
        let line = "HTTP/1.1 200 OK\r\n\r\n".len();
        let fields = answer.head.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        packed += line + fields.sum::<usize>() + answer.body.len();
    }
    println!("{plain} bytes, on the wire with all headers {packed}");
    assert!(packed <= 60_000, "{packed} bytes");
    assert!(plain > 2 * packed, "{plain} bytes");
}

#[test]
fn a_prefix_that_looks_like_the_page_does_not_clash() {
    let master = Master::builder().path("/page/app.js").start();
    master.api().get("/info").expect(200);
    let file = master.api().request_at("GET", "/page/app.js").send().expect(200);
    assert!(file.header("Content-Type").is_some_and(|kind| kind.starts_with("text/javascript")));
}

#[test]
fn a_wrong_key_says_so_and_the_right_one_is_kept_for_the_tab() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.open(&page_of(&master));
    for (key, says) in [
        ("", "Enter the key."),
        ("schlüssel", "This is no key"),
        ("0123456789abcdef0123456789abcdef", "This is neither the key"),
    ] {
        browser.enter_key(key);
        browser.wait_text("#login-error", says);
    }
    browser.picture("login");
    browser.enter_key(master.key());
    browser.wait_live();
    browser.wait_text("#list .empty", "No instances yet");
    browser.picture("empty");
    let kept =
        "return [Object.values(sessionStorage), Object.values(localStorage), document.cookie]";
    assert_eq!(browser.script(kept, &[]), json!([[master.key()], [], ""]));
    browser.reload();
    browser.wait_live();
    browser.click("#logout");
    browser.wait("the key to be asked for", "!document.querySelector('#login').hidden");
    assert_eq!(browser.script("return sessionStorage.length", &[]), 0);
    assert_eq!(
        browser.script("return document.querySelectorAll('.rows .row:not([hidden])').length", &[]),
        0
    );
}

#[test]
fn a_token_logs_in_and_sees_masks() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    let api = master.api();
    api.create("demo://me:hush@one?token=hush");
    let body = json!({"name": "viewer", "role": "read"});
    let made = api.post("/tokens", &body).expect(201).json();
    browser.open(&page_of(&master));
    browser.enter_key(made["token"].as_str().expect("a token"));
    browser.wait_live();
    let listed = "document.querySelector('.rows').textContent.includes('@one?token=')";
    browser.wait("the instance to be listed", listed);
    let shows = "return document.documentElement.outerHTML.includes('hush')";
    assert_eq!(browser.script(shows, &[]), false);
}

#[test]
fn an_instance_is_created_watched_edited_stopped_and_deleted() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    let id = browser.create("demo://first?every=100ms", "first");
    browser.wait_row("first", "running");
    browser.wait_text("#log", "demo first: tick 3");
    browser.wait(
        "a rate",
        "/^[1-9].*B.s$/.test(document.querySelector('.tile.rx strong').textContent)",
    );
    browser
        .wait("a chart", "document.querySelector('.tile.rx .line').getAttribute('d').length > 20");
    browser.wait("a strip", "document.querySelectorAll('.strip [data-status=running]').length");

    browser.click("#detail [data-action=stop]");
    browser.wait_row("first", "stopped");
    browser.wait("start", "!document.querySelector('#detail [data-action=start]').disabled");
    browser.click("#detail [data-action=reset]");
    browser.wait_text(".tile.rx .tile-line", "0 B in all");
    browser.click("#detail [data-action=start]");
    browser.wait_row("first", "running");

    browser.click("#tab-settings");
    browser.fill("#set-alias", "renamed");
    browser.click("#set-restart");
    browser.click("#set-add-tag");
    browser.paste(".tag-row:last-child input:first-child", "env");
    browser.paste(".tag-row:last-child input:nth-child(2)", "prod");
    browser.fill("#set-peer-sid", "north");
    browser.click("#set-save");
    browser.wait_row("renamed", "running");
    let saved = master.api().instance(&id);
    assert_eq!((&saved["alias"], &saved["restart"]), (&json!("renamed"), &json!(false)));
    let meta =
        json!({ "peer": { "sid": "north", "type": "", "alias": "" }, "tags": { "env": "prod" } });
    assert_eq!(saved["meta"], meta);

    browser.paste("#set-url", "demo://second?every=100ms");
    browser.click("#set-replace");
    until("the URL to be replaced", || {
        master.api().instance(&id)["url"] == "demo://second?every=100ms"
    });
    let overflow = "const page = document.documentElement; \
                    return page.scrollHeight - page.clientHeight";
    assert_eq!(browser.script(overflow, &[]), 0, "the page has no scrollbar of its own");
    browser.click("#set-delete");
    browser.confirm();
    browser.wait_text("#list .empty", "No instances yet");
    browser.wait("the panel to close", "document.querySelector('#detail').hidden");
}

#[test]
fn an_error_is_started_again_and_a_schedule_can_be_stopped() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    let failing = browser.create("exec:false", "failing");
    master.api().patch(&failing, &json!({"restart": false})).expect(200);
    browser.wait_row("failing", "error");
    let starts = || master.api().process(&failing)["starts"].as_u64();
    let before = starts();
    browser.wait("start", "!document.querySelector('#detail [data-action=start]').disabled");
    browser.click("#detail [data-action=start]");
    until("another start", || starts() > before);

    let waiting = browser.create("exec:true?schedule=@yearly", "waiting");
    browser.wait_row("waiting", "stopped");
    assert!(!master.api().process(&waiting)["nextRun"].is_null());
    browser.wait("stop", "!document.querySelector('#detail [data-action=stop]').disabled");
    browser.click("#detail [data-action=stop]");
    until("the schedule to be suspended", || master.api().process(&waiting)["nextRun"].is_null());
    browser.wait("no stop", "document.querySelector('#detail [data-action=stop]').disabled");
}

#[test]
fn what_children_print_is_text() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    let attack = r#"<script>document.title="pwned"</script><img src=x onerror=alert(1)>\n\033]0;pwned\007\033[2J\033[31mred\033[0m \033[1;9999;38;5;196mloud\033[0m \033]8;;http://e.org\033\\link\033]8;;\033\\ \302\233999Cc1 \342\200\256desrever\n\033[8mhidden\033[0m \033P1;2q#0~~\033\\sixel \033[6n\a\b\vend\n"#;
    let id = browser.create(&prints(attack), "attack");
    browser.wait_row("attack", "stopped");
    browser.wait_text("#log", "end");
    let lines =
        "return [...document.querySelectorAll('#log .line .text')].map((text) => text.textContent)";
    let expected = json!([
        r#"<script>document.title="pwned"</script><img src=x onerror=alert(1)>"#,
        "red loud link c1 ⟨U+202E⟩desrever",
        "hidden sixel end",
    ]);
    assert_eq!(browser.script(lines, &[]), expected);
    let inside = "return [...document.querySelectorAll('#log .text *')].map((node) => \
        `${node.localName} ${node.className}`)";
    assert_eq!(browser.script(inside, &[]), json!(["span af1", "span af9 a1"]));
    let title = browser.script("return document.title", &[]);
    assert!(title.as_str().is_some_and(|title| !title.contains("pwned")), "{title}");

    // Also where a name and a tag are text of strangers.
    let markup = "<b onclick=alert(1)>x</b>";
    let tags = json!({ "alias": markup, "meta": { "tags": { "__proto__": markup, "<i>": "" } } });
    master.api().patch(&id, &tags).expect(200);
    browser.wait_text("#detail-title", markup);
    assert_eq!(
        browser.script(
            "return document.querySelectorAll('#app b[onclick], #app i:not([class])').length \
        - document.querySelectorAll('.strip i').length",
            &[]
        ),
        0
    );
    browser.click("#tab-settings");
    browser.wait("both tags", "document.querySelectorAll('.tag-row').length === 2");

    let long = "exec:sh?arg=-c&arg=head+-c+1000000+/dev/zero+%7C+tr+'%5C0'+x;echo;echo+after";
    browser.create(long, "long");
    browser.wait_text("#log", "after");
    let drawn = "return document.querySelector('#log .line .text').textContent.length";
    assert_eq!(browser.script(drawn, &[]), 1500);
    browser.click("#log .more-text");
    let whole = "document.querySelector('#log .line .text')?.textContent.length > 50000";
    browser.wait("all of it", whole);
    browser.fill("#log-search", "xx");
    browser.wait(
        "all of it drawn anew, marked",
        &format!("document.querySelector('#log .line mark') !== null && {whole}"),
    );
    browser.click("#log .more-text");
    browser.wait(
        "less of it",
        "document.querySelector('#log .line .text').textContent.length === 1500",
    );
}

#[test]
fn a_log_is_held_and_searched() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    browser.create("demo://ticker?every=50ms", "ticker");
    browser.wait_text("#log", "tick 5");
    browser.click("#log-pause");
    let held = browser.text("#log .lines");
    browser.wait_text(".newer", "new line");
    assert_eq!(browser.text("#log .lines"), held, "a log that is held does not move");
    browser.click("#log-pause");
    browser.wait_with(
        "the log to go on",
        "document.querySelector('#log .lines').textContent !== arguments[0]",
        &[json!(held)],
    );
    browser.fill("#log-search", "TICK 7");
    browser.wait(
        "only matches, marked",
        "[...document.querySelectorAll('#log .line')].length > 0 \
        && [...document.querySelectorAll('#log .line')].every((line) => \
            line.querySelector('mark')?.textContent === 'tick 7')",
    );
    browser.fill("#log-search", "no such line");
    browser.wait("nothing", "document.querySelectorAll('#log .line').length === 0");
    browser.wait_text(".found", "0 matches");
}

fn id_of(created: &serde_json::Value) -> String {
    created["id"].as_str().expect("an id").to_owned()
}

/// Sets an input that is not typed into, as a user who picks a value does.
fn pick(browser: &Browser, css: &str, value: &str) {
    let body = "const node = document.querySelector(arguments[0]); node.value = arguments[1]; \
        node.dispatchEvent(new Event('change'));";
    browser.script(body, &[json!(css), json!(value)]);
}

#[test]
fn the_master_searches_what_the_page_does_not_know() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().query("log_lines", "5000").start();
    let line = "seq -f 'line %g' 3000; echo 'WARN: low'; echo 'an Error'; exec sleep 1000";
    let url = format!("exec:sh?arg=-c&arg={}", line.replace(' ', "+").replace('%', "%25"));
    let id = id_of(&master.api().create(&url));
    until("the last line", || {
        let path = format!("/instances/{id}/logs?limit=1");
        master.api().get(&path).expect(200).json()["lines"][0]["text"] == "an Error"
    });
    browser.log_in(&page_of(&master), master.key());
    browser.open_row(&id);
    browser.wait_text("#log", "an Error");
    assert!(!browser.text("#log").contains("line 1500"), "the page has the last lines only");
    browser.fill("#log-search", "^line 150\\d$");
    browser.wait_text(".found", "10 matches");
    browser.wait_text("#log", "line 1509");
    browser.fill("#log-search", "(");
    browser.wait_text(".found", "not a valid regular expression: unclosed group");
    browser.fill("#log-search", "");

    browser.click(".log-pane summary");
    pick(&browser, "#log-level", "errors");
    browser.wait_text(".found", "1 match");
    pick(&browser, "#log-level", "warnings");
    browser.wait_text(".found", "2 matches");
    pick(&browser, "#log-level", "");
    pick(&browser, "#log-from", "2999-01-01T00:00:00");
    browser.wait_text(".found", "0 matches");
    pick(&browser, "#log-from", "2001-01-01T00:00:00");
    browser.wait_text(".found", "3,002 matches");
    pick(&browser, "#log-from", "");
    let body = "URL.createObjectURL = (blob) => { \
        blob.text().then((text) => { window.saved = text.split('\\n').length; }); return 'blob:x'; };";
    browser.script(body, &[]);
    browser.click("#log-download");
    browser.wait("every line in the file", "window.saved === 3003");
}

#[test]
fn a_command_is_created_by_its_parts() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    browser.click("#create");
    browser.paste("#create-command", "sh");
    browser.paste("#create-args", "-c\necho \"$A|$PWD\"; exec sleep 1000");
    browser.paste("#create-folder", "/");
    browser.click("#create-add-env");
    browser.paste("#create-env input", "A");
    browser.paste("#create-env input:nth-child(2)", "x & y=50%");
    browser.paste("#create-alias", "web");
    browser.click("#create-form summary");
    browser.paste("#create-stderr", "joined");
    browser.paste("#create-url", "demo://x");
    browser.click("#create-form .primary");
    browser.wait_text("#create-url-error", "not both");
    browser.paste("#create-url", "");
    browser.picture("create-command");
    browser.click("#create-form .primary");
    browser.wait_text("#detail-title", "web");
    browser.wait_text("#log", "x & y=50%|/");
    let url = master.api().list().remove(1)["url"].as_str().expect("a URL").to_owned();
    assert!(url.starts_with("exec:sh?arg=-c&arg=echo"), "{url}");
    assert!(url.ends_with("&env=A%3Dx+%26+y%3D50%25&cwd=%2F&stderr=joined"), "{url}");

    browser.click("#create");
    browser.paste("#create-command", "no-such-command");
    browser.click("#create-form .primary");
    browser.wait_text("#create-command-error", "no-such-command");
    browser.paste("#create-command", "sh");
    browser.paste("#create-folder", "/no/such");
    browser.click("#create-form .primary");
    browser.wait_text("#create-folder-error", "/no/such");
}

#[test]
fn a_list_says_why_and_has_columns_of_traffic_where_there_is_any() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    let id = id_of(&master.api().create("exec:sh?arg=-c&arg=exit+9"));
    browser.wait_text(&format!("#row-{id} .c-url"), "exited with code 9");
    let head = "getComputedStyle(document.querySelector('.head .c-rx')).display";
    browser.wait("no columns of traffic", &format!("{head} === 'none'"));
    master.api().create("demo://traffic");
    browser.wait("columns of traffic", &format!("{head} !== 'none'"));
}

#[test]
fn what_the_master_remembers_and_measures_is_shown() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = own_runtime().start();
    browser.log_in(&page_of(&master), master.key());
    // As a master that keeps logs and samples processes answers.
    browser.script_async(include_str!("page/remember.js"), &[]);
    let id = browser.create("demo://history?every=100ms", "history");
    browser.wait_text("#log", "tick 3");
    let lines =
        "return [...document.querySelectorAll('#log .text')].map((text) => text.textContent)";
    until("what was printed before", || {
        browser.script(lines, &[])[0] == "printed before anybody watched"
    });
    browser.click("#log .earlier");
    until("what was printed still earlier", || browser.script(lines, &[])[0] == "the very first");
    browser.wait("no more of it", "document.querySelector('#log .earlier').hidden");
    browser.wait_text(".facts.process", "pid 4711, 2 in its group");
    browser.wait_text(".facts.process", "killed by SIGKILL");
    browser.script("location.hash = '#/'", &[]);
    browser.wait_text(&format!("#row-{id} .c-cpu"), "12 %");
    browser.wait_text(&format!("#row-{id} .c-memory"), "4.2 MB");
    browser.picture("usage");
}

#[test]
fn the_list_is_filtered_sorted_and_changed_in_bulk() {
    let Some(browser) = Browser::start(TMP) else { return };
    let master = Master::start();
    let api = master.api();
    let failing = Script::new().exit(1).url();
    for (alias, url, tags) in [
        ("web-2", "stub://user:s3cret@web-2", json!({ "env": "prod" })),
        ("web-10", "stub://web-10?token=s3cret&a=b", json!({ "env": "prod" })),
        ("db", "stub://db", json!({ "env": "test" })),
        ("job", failing.as_str(), json!({})),
    ] {
        let created =
            api.post("/instances", &json!({ "alias": alias, "url": url })).expect(201).json();
        let id = created["id"].as_str().expect("an id");
        api.patch(id, &json!({ "meta": { "tags": tags }, "restart": false })).expect(200);
    }
    browser.log_in(&page_of(&master), master.key());
    browser.wait_row("job", "error");
    browser.wait_row("web-10", "running");
    browser.wait_names(&["db", "job", "web-2", "web-10"]);
    let web = "[...document.querySelectorAll('.rows .row')].find((row) => \
        row.querySelector('.alias').textContent === 'web-2').dataset.id";
    let id = browser.wait("its id", web).as_str().unwrap_or("").to_owned();
    browser.open_row(&id);
    browser.wait_text(".facts .url-line", "stub://•••@web-2");
    browser.click("#reveal");
    browser.wait_text(".facts .url-line", "stub://user:s3cret@web-2");
    browser.click("#tab-settings");
    let field = "return document.querySelector('#set-url').value";
    assert_eq!(browser.script(field, &[]), "stub://•••@web-2");
    browser.click("#set-url");
    assert_eq!(browser.script(field, &[]), "stub://user:s3cret@web-2");
    browser.click("#detail-close");
    let urls = browser.text(".rows");
    assert!(!urls.contains("s3cret") && urls.contains("•••@web-2"), "{urls}");
    assert!(!urls.contains("********"), "the key instance is no row: {urls}");

    browser.click("[data-column=name] .sort");
    browser.wait_names(&["web-10", "web-2", "job", "db"]);
    browser.click("[data-column=name] .sort");
    browser.click("#statuses [data-status=error]");
    browser.wait_names(&["job"]);
    browser.click("#statuses [data-status=all]");
    browser.fill("#search", "web WEB-1");
    browser.wait_names(&["web-10"]);
    browser.press("\u{e00c}");
    browser.fill("#search", "nothing like it");
    browser.wait_text("#list .empty", "No instance matches");
    browser.click("#list .empty button");
    browser.wait_names(&["db", "job", "web-2", "web-10"]);
    browser.script(
        "const select = document.querySelector('#tag-filter'); select.value = 'env=prod'; \
        select.dispatchEvent(new Event('change'))",
        &[],
    );
    browser.wait_names(&["web-2", "web-10"]);
    browser.click(".rows .row:not([hidden]) .tag");
    browser.wait_names(&["db", "job", "web-2", "web-10"]);

    // By keys alone: the first row, selected; the third, too.
    browser.script("document.querySelector('#rows').focus()", &[]);
    for key in ["\u{e011}", "x", "j", "j", "x"] {
        browser.press(key);
    }
    browser.wait_text("#bulk", "2 selected");
    browser.picture("bulk");
    browser.click("#bulk [data-action=stop]");
    browser.wait_text("dialog[open] h2", "Stop 2 instances?");
    browser.confirm();
    browser.wait_row("db", "stopped");
    browser.wait_row("web-2", "stopped");
    browser.wait_row("web-10", "running");
    let requests = "performance.getEntriesByType('resource').filter((one) => \
        one.name.endsWith('/v2/actions')).length === 1";
    browser.wait("one request for both", requests);

    // One of those to be changed is deleted; its error stands by its name.
    browser.click("#rows .row.head input");
    browser.wait_text("#bulk", "4 selected");
    browser.click("#bulk [data-action=delete]");
    browser.wait_text("dialog[open] h2", "Delete 4 instances?");
    browser.click("dialog[open] button[value=no]");
    assert_eq!(api.list().len(), 5);
    browser.click("#bulk [data-action=delete]");
    browser.confirm();
    until("all to be deleted", || api.list().len() == 1);
    browser.wait_text("#list .empty", "No instances yet");
    browser.wait("the bar to go", "document.querySelector('#bulk').hidden");
}
