//! Tests of the master URL.

use alloc::string::ToString;
use alloc::vec;

use form_urlencoded::Serializer;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::super::parts::UrlFault;
use super::*;
use crate::cgroup::Grouping;

fn parse(text: &str) -> MasterUrl {
    MasterUrl::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_plain_url_has_defaults() {
    let expected = MasterUrl {
        host: "127.0.0.1".to_string(),
        port: 8080,
        prefix: "/api".to_string(),
        tls: Tls::Off,
        crt: String::new(),
        key: String::new(),
        bin: None,
        state: None,
        logs: LogOptions::default(),
        metrics: MetricsOptions::default(),
        log_is_json: false,
        console: true,
        heartbeat_s: 3,
        survival: Survival::IfPossible,
        grouping: Grouping::IfDelegated,
        cors: Cors::Any,
        client_ca: None,
        socket: None,
        control: None,
        page: true,
        patrol: None,
        webhooks: None,
        trace: Some(TraceConfig::default()),
        ignored: Vec::new(),
    };
    assert_eq!(parse("master://127.0.0.1:8080"), expected);
    assert_eq!(parse("MASTER://u:p@127.0.0.1:08080//?tls=&bin=&state=#f"), expected);
}

#[test]
fn processes_outlive_the_master_unless_the_url_says_otherwise() {
    let survival = |query: &str| parse(&format!("master://h:1?{query}")).survival;
    for query in ["", "survive=", "survive=&survive=off"] {
        assert_eq!(survival(query), Survival::IfPossible, "{query}");
    }
    assert_eq!(survival("survive=on&survive=off"), Survival::On);
    assert_eq!(survival("survive=off"), Survival::Off);
    let refused = MasterUrl::parse("master://h:1?survive=yes").expect_err("no such value");
    assert!(refused.to_string().contains("survive"), "{refused}");
}

#[test]
fn control_groups_are_used_where_they_are_delegated_unless_the_url_says_otherwise() {
    let grouping = |query: &str| parse(&format!("master://h:1?{query}")).grouping;
    assert_eq!(grouping(""), Grouping::IfDelegated);
    assert_eq!(grouping("cgroups="), Grouping::IfDelegated);
    assert_eq!(grouping("cgroups=off"), Grouping::Off);
    assert_eq!(grouping("cgroups=on"), Grouping::On);
    let refused = MasterUrl::parse("master://h:1?cgroups=yes").expect_err("no such value");
    assert!(refused.to_string().contains("cgroups"), "{refused}");
}

#[test]
fn the_control_api_has_its_parameters() {
    let control = |query: &str| parse(&format!("master://h:1?{query}")).control;
    assert_eq!(control("control=&control_events=5"), None);
    let options = control("control=/run/x").expect("a directory");
    let plain = ControlOptions {
        dir: "/run/x".to_string(),
        group: None,
        events: 100_000,
        jsonl: false,
        tagged_only: false,
    };
    assert_eq!(options, plain);
    let all = "control=d&control_group=g&control_events=9&control_jsonl=on&control_sockets=tagged";
    let expected = ControlOptions {
        dir: "d".to_string(),
        group: Some("g".to_string()),
        events: 9,
        jsonl: true,
        tagged_only: true,
    };
    assert_eq!(control(all), Some(expected));
    for bad in ["control_events=0", "control_events=x", "control_jsonl=yes", "control_sockets=no"] {
        let error = MasterUrl::parse(&format!("master://h:1?control=d&{bad}")).expect_err(bad);
        let name = bad.split('=').next().expect("a name");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn addresses_as_displayed() {
    for (text, host, address) in [
        ("master://127.0.0.1:8080", "127.0.0.1", "http://127.0.0.1:8080/api/v2"),
        ("master://127.0.0.1:8080/control", "127.0.0.1", "http://127.0.0.1:8080/control/v2"),
        ("master://h:8443/a/b//?tls=1", "h", "https://h:8443/a/b/v2"),
        ("master://:8080/", "", "http://:8080/api/v2"),
        ("master://[::1]:0", "::1", "http://[::1]:0/api/v2"),
        ("master://[fe80::1%25eth0]:1", "fe80::1%eth0", "http://[fe80::1%eth0]:1/api/v2"),
        ("master://Host:1/a+b%2Fc%2F", "Host", "http://Host:1/a+b/c/v2"),
    ] {
        let url = parse(text);
        assert_eq!((url.host.as_str(), url.display_address().as_str()), (host, address));
        assert!(address.ends_with(&url.api_base()));
    }
}

#[test]
fn what_is_recorded() {
    let plain = TraceConfig::default();
    assert_eq!((plain.size_mib, plain.has_text), (64, false));
    for (query, expected) in [
        ("trace=off&trace_size=2", None),
        ("trace=&trace_size=&trace_text=", Some(plain.clone())),
        ("trace=on&trace_text=off", Some(plain)),
        (
            "trace=%2Fvar%2Ft&trace_size=8&trace_text=on",
            Some(TraceConfig {
                directory: Some("/var/t".to_string()),
                size_mib: 8,
                has_text: true,
            }),
        ),
    ] {
        assert_eq!(parse(&format!("master://h:1?{query}")).trace, expected, "{query}");
    }
    for (query, named) in [
        ("trace_size=0", "trace_size \"0\""),
        ("trace_size=%2B1", "trace_size \"+1\""),
        ("trace=off&trace_size=1048577", "from 1 to 1048576"),
        ("trace_text=yes", "use on or off"),
    ] {
        let error = MasterUrl::parse(&format!("master://h:1?{query}")).expect_err("it is refused");
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[test]
fn parameters_are_decoded_and_the_first_wins() {
    let url = parse(
        "master://h:1?bin=%2Fopt%2Frt&log=info&bin=/other&state=/a+b%2Bc&log=x&zeta&crt=c&key=k",
    );
    assert_eq!(url.bin.as_deref(), Some("/opt/rt"));
    assert_eq!(url.state.as_deref(), Some("/a b+c"));
    assert_eq!(url.ignored, ["log", "zeta"]);
    assert_eq!((url.tls, url.crt.as_str(), url.key.as_str()), (Tls::Off, "c", "k"));
    assert_eq!(parse("master://h:1?bin=&bin=/x").bin, None);
}

#[test]
fn tls_modes() {
    let tls = |query: &str| MasterUrl::parse(&format!("master://h:1?{query}")).map(|url| url.tls);
    assert_eq!(tls("tls=0"), Ok(Tls::Off));
    assert_eq!(tls("tls=1&crt=c"), Ok(Tls::SelfSigned));
    let files = Tls::Files { crt: "/c.pem".to_string(), key: "k".to_string() };
    assert_eq!(tls("tls=2&crt=/c.pem&key=k"), Ok(files));
    assert_eq!(tls("tls=2&key=k"), Err(MasterUrlError::MissingFile("crt")));
    assert_eq!(tls("tls=2&crt=c&key="), Err(MasterUrlError::MissingFile("key")));
    for bad in ["3", "01", "on"] {
        assert_eq!(tls(&format!("tls={bad}")), Err(MasterUrlError::BadTls(bad.to_string())));
    }
}

#[test]
fn output_and_metrics_are_configured() {
    let url = parse(
        "master://h:1?logs=%2Fvar%2Flog&log_lines=0&log_memory=1&log_size=2&log_keep=3&log_age=0\
         &logs_full=drop&metrics=open&metrics_instances=on",
    );
    let dir = Some("/var/log".to_string());
    let (lines, memory_mib, size_mib, keep, age_days, drops) = (0, 1, 2, 3, 0, true);
    let logs = LogOptions { dir, lines, memory_mib, size_mib, keep, age_days, drops };
    assert_eq!(url.logs, logs);
    assert_eq!(url.metrics, MetricsOptions { open: true, per_instance: true });
    let url = parse("master://h:1?logs=&log_lines=&metrics=key&metrics_instances=off&metrics=x");
    assert_eq!((url.logs, url.metrics), (LogOptions::default(), MetricsOptions::default()));
    assert!(url.ignored.is_empty());
}

#[test]
fn the_log_is_plain_unless_it_is_asked_for_as_json() {
    let log = |query: &str| {
        let url = MasterUrl::parse(&format!("master://h:1?{query}"));
        url.map(|url| url.log_is_json)
    };
    assert_eq!(log("log=json"), Ok(false), "left-overs of other masters");
    assert_eq!(log("log_format=plain"), Ok(false));
    assert_eq!(log("log_format=json"), Ok(true));
    let message = log("log_format=JSON").map_err(|error| error.to_string());
    let want = "bad log_format \"JSON\" in the master URL; use plain or json";
    assert_eq!(message, Err(want.to_string()));
}

#[test]
fn the_page_is_served_unless_it_is_turned_off() {
    let page = |query: &str| MasterUrl::parse(&format!("master://h:1?{query}")).map(|url| url.page);
    assert_eq!(page(""), Ok(true));
    assert_eq!(page("page="), Ok(true));
    assert_eq!(page("page=on"), Ok(true));
    assert_eq!(page("page=off&page=on"), Ok(false));
    for bad in ["0", "OFF", "no"] {
        assert_eq!(page(&format!("page={bad}")), Err(MasterUrlError::BadPage(bad.to_string())));
    }
}

#[test]
fn what_cannot_be_listened_on_is_refused() {
    let bad_port = |port: &str| MasterUrlError::BadPort(port.to_string());
    for (text, expected) in [
        ("", MasterUrlError::Malformed(UrlFault::Empty)),
        ("127.0.0.1:8080", MasterUrlError::Malformed(UrlFault::NoScheme)),
        ("master://a b:1", MasterUrlError::Malformed(UrlFault::SpaceInHost)),
        ("master://[::1:80", MasterUrlError::Malformed(UrlFault::Bracket)),
        ("master://h:1/%zz", MasterUrlError::Malformed(UrlFault::BadEscape("path"))),
        ("http://h:1", MasterUrlError::UnknownScheme("http".to_string())),
        ("master:8080", MasterUrlError::NoPort),
        ("master:///x", MasterUrlError::NoPort),
        ("master://h", MasterUrlError::NoPort),
        ("master://h:", MasterUrlError::NoPort),
        ("master://[::1]", MasterUrlError::NoPort),
        ("master://[::1]80", MasterUrlError::NoPort),
        ("master://h:65536", bad_port("65536")),
        ("master://h:+80", bad_port("+80")),
        ("master://h:http", bad_port("http")),
        ("master://::1:80", MasterUrlError::BareIpv6),
        ("master://h:1/%ff", MasterUrlError::NotUtf8("path")),
        ("master://%ff:1", MasterUrlError::NotUtf8("host")),
    ] {
        assert_eq!(MasterUrl::parse(text), Err(expected), "{text:?}");
    }
}

#[test]
fn messages_say_what_to_do() {
    for (text, message) in [
        ("nosch", "the master URL is not valid: no scheme; begin with one, as in scheme://host"),
        ("http://h:1", "unknown URL scheme \"http\"; use master://host:port"),
        ("master://h", "the master URL has no port; use master://host:port"),
        ("master://h:99999", "bad port \"99999\" in the master URL; use a number from 1 to 65535"),
        (
            "master://::1:80",
            "the host of the master URL has colons; write an IPv6 address as [::1]:8080",
        ),
        ("master://%ff:1", "the host of the master URL is not UTF-8; correct its escapes"),
        (
            "master://h:1?tls=4",
            "bad tls \"4\" in the master URL; use 0 (off), 1 (self-signed) or 2 (files)",
        ),
        ("master://h:1?tls=2&crt=c", "tls=2 needs key; add key=<file> to the master URL"),
        (
            "master://h:1?log_lines=+5",
            "bad log_lines \" 5\" in the master URL; use a number from 0 to 100000",
        ),
        (
            "master://h:1?log_size=0",
            "bad log_size \"0\" in the master URL; use a number from 1 to 65536",
        ),
        ("master://h:1?metrics=on", "bad metrics \"on\" in the master URL; use key or open"),
    ] {
        assert_eq!(MasterUrl::parse(text).expect_err("it is refused").to_string(), message);
    }
}

fn any_tls() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "0", "1", "2"])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_encoded_is_read_back(
        port: u16,
        prefix in "(/[a-zA-Z+é ]{1,5}){1,3}",
        slashes in "/{0,3}",
        tls in any_tls(),
        files in ("\\PC{1,8}", "\\PC{1,8}"),
        bin in "\\PC{1,8}",
        ignored in "[A-Z]{1,4}",
    ) {
        let query = Serializer::new(String::new())
            .append_pair("tls", tls)
            .append_pair("crt", &files.0)
            .append_pair(&ignored, &bin)
            .append_pair("key", &files.1)
            .append_pair("bin", &bin)
            .append_pair(&ignored, "")
            .append_pair("bin", "second")
            .finish();
        let path = utf8_percent_encode(&prefix, NON_ALPHANUMERIC).to_string().replace("%2F", "/");
        let url = parse(&format!("master://host:{port}{path}{slashes}?{query}"));
        let tls = match tls {
            "1" => Tls::SelfSigned,
            "2" => Tls::Files { crt: files.0.clone(), key: files.1.clone() },
            _ => Tls::Off,
        };
        let expected = MasterUrl {
            host: "host".to_string(),
            port,
            prefix,
            tls,
            crt: files.0,
            key: files.1,
            bin: Some(bin),
            state: None,
            logs: LogOptions::default(),
            metrics: MetricsOptions::default(),
            log_is_json: false,
            console: true,
            heartbeat_s: 3,
            survival: Survival::IfPossible,
        grouping: Grouping::IfDelegated,
            cors: Cors::Any,
        client_ca: None,
        socket: None,
        control: None,
            page: true,
            patrol: None,
            webhooks: None,
            trace: Some(TraceConfig::default()),
            ignored: vec![ignored],
        };
        prop_assert_eq!(url, expected);
    }

    #[test]
    fn no_text_panics(
        text in "[mM]aster:/?/?[a-z\\[\\]:@%0-9]{0,12}(/\\PC{0,6})?(\\?\\PC{0,12})?",
    ) {
        if let Ok(url) = MasterUrl::parse(&text) {
            prop_assert!(url.prefix.starts_with('/') && !url.prefix.ends_with('/'));
        }
    }
}
