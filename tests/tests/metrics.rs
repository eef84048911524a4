//! `GET /metrics`: the text that a scraper reads, who may read it, and what is in it.

use std::collections::{BTreeMap, BTreeSet};

use openctrl_tests::{Api, Master, Script, until};
use serde_json::json;

/// The figures of a text, by their name with labels as it is written. Panics where a strict scraper
/// would refuse the text.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut figures = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut lines = text.strip_suffix('\n').expect("the last line ends").split('\n').peekable();
    while let Some(line) = lines.next() {
        let (name, help) = line
            .strip_prefix("# HELP ")
            .and_then(|rest| rest.split_once(' '))
            .unwrap_or_else(|| panic!("a family begins with its help: {line:?}"));
        assert!(is_name(name) && !help.is_empty(), "{line:?}");
        assert!(families.insert(name.to_owned()), "{name} is there twice");
        let kind = lines
            .next()
            .and_then(|line| line.strip_prefix(&format!("# TYPE {name} ")))
            .unwrap_or_else(|| panic!("{name} has no type"));
        assert!(["counter", "gauge", "summary"].contains(&kind), "{kind}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        while let Some(line) = lines.next_if(|line| !line.starts_with('#')) {
            let (series, value) = sample(line, name, kind);
            assert!(figures.insert(series, value).is_none(), "{line:?} is there twice");
        }
    }
    figures
}

/// A line of a family: its series and its value.
fn sample(line: &str, family: &str, kind: &str) -> (String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?}"));
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').expect("labels end")),
        None => (series, ""),
    };
    let suffix = name.strip_prefix(family).unwrap_or_else(|| panic!("{line:?} in {family}"));
    let suffixes: &[&str] = if kind == "summary" { &["_sum", "_count"] } else { &[""] };
    assert!(suffixes.contains(&suffix), "{line:?} in {family}");
    let mut names = BTreeSet::new();
    let mut rest = labels;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line:?}"));
        assert!(is_name(name) && names.insert(name), "{line:?}");
        let end = quoted_end(after).unwrap_or_else(|| panic!("{line:?}"));
        rest = &after[end + 1..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line:?}"));
    assert!(value.is_finite() && value >= 0.0, "{line:?}");
    (series.to_owned(), value)
}

/// Where the quote that ends a label stands; nothing else may be escaped than what has to be.
fn quoted_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\\' if b"\\n\"".contains(bytes.get(at + 1)?) => at += 2,
            b'\\' => return None,
            _ => at += 1,
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn scrape(api: &Api) -> BTreeMap<String, f64> {
    let answer = api.request_at("GET", "/metrics").send().expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    parse(answer.text())
}

#[test]
fn what_happens_is_counted() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let before = scrape(&api);
    assert_eq!(before["openctrl_instances{status=\"running\"}"], 0.0);
    assert_eq!(before["openctrl_subscribers"], 1.0);
    let id = master.run(&mut events, &Script::new().print("a").print("b").wait());
    events.wait_log(&id, "b");
    let other = api.run(&Script::new().exit(1));
    events.wait_status(&other, "error");
    let crashed = scrape(&api);
    let is = |status: &str| crashed[&format!("openctrl_instances{{status=\"{status}\"}}")];
    assert_eq!((is("stopped") + is("error") + is("running"), is("stopped")), (2.0, 0.0));
    api.get("/nonsense").expect(404);
    api.get("/instances/00000000").expect(404);

    let now = scrape(&api);
    let grown = |name: &str| now[name] - before.get(name).copied().unwrap_or(0.0);
    assert_eq!(grown("openctrl_log_lines_total"), 2.0);
    assert!(grown("openctrl_process_starts_total") >= 2.0);
    assert!(grown("openctrl_process_exits_total") >= 1.0);
    assert_eq!(grown("openctrl_journal_records_total"), 2.0);
    assert!(grown("openctrl_journal_bytes_total") > 100.0);
    assert!(grown("openctrl_journal_sync_seconds_count") >= 1.0);
    assert!(grown("openctrl_events_total") >= 7.0);
    let created = "openctrl_http_requests_total{route=\"/instances\",code=\"2xx\"}";
    assert_eq!(grown(created), 2.0);
    assert_eq!(grown("openctrl_http_requests_total{route=\"/instances/{id}\",code=\"4xx\"}"), 1.0);
    assert_eq!(grown("openctrl_http_requests_total{route=\"other\",code=\"4xx\"}"), 1.0);
    assert_eq!(now["openctrl_history_lines"], 2.0);
    assert!(now["openctrl_uptime_seconds"] > 0.0);
    assert!(now.contains_key("process_resident_memory_bytes") || !cfg!(target_os = "linux"));
    assert!(!now.keys().any(|name| name.contains(&id)), "no series for each instance");
    until("a restart", || scrape(&api)["openctrl_process_restarts_total"] >= 1.0);
}

#[test]
fn there_are_as_many_series_with_many_instances() {
    let master = Master::start();
    let api = master.api();
    api.create("mailto:joe");
    // The first look adds a route to those that were asked for.
    scrape(&api);
    let few = scrape(&api).len();
    for _ in 0..20 {
        api.create("mailto:joe");
    }
    assert_eq!(scrape(&api).len(), few);
}

#[test]
fn each_instance_has_series_where_that_is_asked_for() {
    let master = Master::builder().query("metrics_instances", "on").start();
    let api = master.api();
    let mut events = master.events();
    let script = Script::new().checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]).wait();
    let id = master.run(&mut events, &script);
    events.wait_value(&id, "udptx", 9);
    let alias = "a \"quoted\"\\\nname";
    api.patch(&id, &json!({"alias": alias})).expect(200);
    let figures = scrape(&api);
    let info = format!(
        "openctrl_instance_info{{id=\"{id}\",alias=\"a \\\"quoted\\\"\\\\\\nname\",type=\"stub\"}}"
    );
    assert_eq!(figures[&info], 1.0);
    let of = |name: &str, labels: &str| figures[&format!("{name}{{id=\"{id}\",{labels}}}")];
    assert_eq!(of("openctrl_instance_status", "status=\"running\""), 1.0);
    assert_eq!(of("openctrl_instance_status", "status=\"error\""), 0.0);
    assert_eq!(of("openctrl_instance_sessions", "protocol=\"tcp\""), 4.0);
    let bytes = |labels| of("openctrl_instance_bytes_total", labels);
    assert_eq!(bytes("protocol=\"tcp\",direction=\"rx\""), 6.0);
    assert_eq!(bytes("protocol=\"udp\",direction=\"tx\""), 9.0);
    let single = |figures: &BTreeMap<String, f64>, name: &str| {
        figures.get(&format!("openctrl_instance_{name}{{id=\"{id}\"}}")).copied()
    };
    assert_eq!(single(&figures, "starts_total"), Some(1.0));
    assert_eq!(single(&figures, "exits_total"), Some(0.0));
    until("a sample", || {
        let figures = scrape(&api);
        single(&figures, "memory_bytes").is_some_and(|bytes| bytes > 100_000.0)
            && single(&figures, "processes") == Some(1.0)
            && single(&figures, "cpu_seconds_total").is_some()
    });
    api.act(&id, "restart");
    until("a restart", || single(&scrape(&api), "starts_total") == Some(2.0));
    api.act(&id, "stop");
    until("its exit", || single(&scrape(&api), "exits_total") == Some(2.0));
    assert_eq!(single(&scrape(&api), "memory_bytes"), None, "there is no process");
}

#[test]
fn the_key_is_asked_for_in_either_form_unless_metrics_are_open() {
    let master = Master::builder().path("/metrics").start();
    let api = master.api();
    let bare = api.without_key();
    bare.request_at("GET", "/metrics").send().expect_error(401);
    let bearer = |key: &str| {
        bare.request_at("GET", "/metrics").header("Authorization", &format!("Bearer {key}")).send()
    };
    parse(bearer(master.key()).expect(200).text());
    bearer("00000000000000000000000000000000").expect_error(401);
    api.request_at("POST", "/metrics").send().expect_error(405);
    // A prefix of the same name is no obstacle, and elsewhere a bearer admits no client.
    api.get("/info").expect(200);
    let answer =
        bare.request("GET", "/info").header("Authorization", &format!("Bearer {}", master.key()));
    answer.send().expect_error(401);

    let open = Master::builder().query("metrics", "open").start();
    scrape(&open.api().without_key());
    open.api().without_key().get("/info").expect_error(401);
}

/// The dashboard and the alert rules of the package read figures that exist.
#[test]
fn the_dashboard_and_the_alerts_name_figures_that_are_there() {
    let master = Master::builder().query("metrics_instances", "on").start();
    let api = master.api();
    let mut events = master.events();
    master.run(&mut events, &Script::new().wait());
    let named = |file: &str| -> BTreeSet<String> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../driver/packaging/monitoring/");
        let text = std::fs::read_to_string(format!("{path}{file}")).expect("it is in the package");
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let is_figure = |word: &&str| word.starts_with("openctrl_") || word.starts_with("process_");
        words.filter(is_figure).map(str::to_owned).collect()
    };
    let (dashboard, alerts) = (named("grafana.json"), named("alerts.yaml"));
    assert!(dashboard.len() > 10 && alerts.len() > 5, "{dashboard:?} {alerts:?}");
    until("a sample", || {
        let figures = scrape(&api);
        let there: BTreeSet<&str> =
            figures.keys().map(|series| series.split('{').next().unwrap_or_default()).collect();
        dashboard.union(&alerts).all(|name| there.contains(name.as_str()))
    });
}
