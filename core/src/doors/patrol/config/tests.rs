//! Tests of the configuration: every rule of its contract.

use super::*;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;
use proptest::prelude::*;

const READER: Reader<'static> = Reader { home: Some("/home/op"), defaults: true };

fn load(file: &str) -> Result<Loaded, ConfigError> {
    Config::load(file.as_bytes(), READER)
}

fn good(file: &str) -> Config {
    load(file).expect(file).config
}

fn problem(file: &str) -> String {
    let error = load(file).expect_err(file);
    format!("{} {error}", error.stage.exit_status())
}

/// A configuration with one app that has these members on top of good ones.
fn with_app(members: &str) -> String {
    format!(
        r#"{{"apps":{{"web":{{"keepalive":1,"name":"Web","working-directory":"/srv","binary":"web",
            "log-directory":"logs","pid-path":"web.pid"{members}}}}}}}"#
    )
}

fn with_service(members: &str) -> String {
    format!(r#"{{"services":{{"ssh":{{"management":1,"name":"SSH","service":"ssh"{members}}}}}}}"#)
}

fn with_top(members: &str) -> String {
    let app = with_app("");
    format!("{}{members}}}", &app[..app.len() - 1])
}

fn app(members: &str) -> App {
    good(&with_app(members)).apps.remove(0).1
}

#[test]
fn the_sample_of_the_published_document_loads() {
    let file = r#"{"apps":{"testapp":{"keepalive":1,"name":"Test App","binary":"testapp",
        "working-directory":"~/go/src/sabey.co/patrol/unittest/testapp/","log-directory":"logs",
        "pid-path":"app.pid","pid-verify":false,"disabled":false,"keyvalue-clear":true,
        "secret":"","execute-timeout":0,"args":["-config","\"config.json\""],
        "env":["a=b","c=d"],"env-parent":false,"std-merge":true}},
        "services":{"ssh":{"management":1,"name":"SSH","service":"ssh","ignore-exit-codes":[127],
        "disabled":false,"keyvalue-clear":true,"secret":""}}}"#;
    let loaded = load(file).expect("the sample");
    assert_eq!(
        loaded.warnings,
        ["services.ssh.ignore-exit-codes: unknown key, ignored; use ignore-exit-codes-start, \
          -status, -stop or -restart"]
    );
    insta::assert_debug_snapshot!(loaded.config);
}

#[test]
fn the_first_value_of_the_file_counts() {
    let app = with_app("");
    assert_eq!(good(&format!("{app} trailing {{garbage")).apps.len(), 1);
    let cases = [
        ("", "254 EOF: the file is empty"),
        (" \n", "254 EOF: the file is empty"),
        ("{", "254 EOF while parsing an object at line 1 column 1"),
        ("null", "255 Patrol Apps and Servers were both empty"),
        ("{}", "255 Patrol Apps and Servers were both empty"),
        (r#"{"apps":{},"services":null}"#, "255 Patrol Apps and Servers were both empty"),
        ("[]", "254 expected an object, found an array"),
    ];
    for (file, expected) in cases {
        assert_eq!(problem(file), expected, "{file:?}");
    }
}

#[test]
fn numbers_have_defaults_and_limits() {
    let read = |key: &str, number: i64| {
        let config = good(&with_top(&format!(r#","{key}":{number}"#)));
        match key {
            "tick-every" => config.tick_every_s,
            "history" => config.history as u64,
            _ => config.ping_timeout_s,
        }
    };
    let mut table = String::new();
    for key in ["tick-every", "history", "ping-timeout"] {
        for number in [i64::MIN, -1, 0, 1, 4, 5, 6, 120, 121, 180, 181, 1000, 1001, i64::MAX] {
            let _ = writeln!(table, "{key} {number} -> {}", read(key, number));
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn numbers_out_of_their_limits_are_warned_about() {
    let warnings = |members: &str| load(&with_top(members)).expect(members).warnings;
    assert_eq!(
        warnings(r#","tick-every":500,"history":-1,"ping-timeout":4"#),
        [
            "tick-every: 500 is not 5 to 120; 120 is used",
            "history: -1 is not 5 to 1000; 5 is used",
            "ping-timeout: 4 is not 5 to 180; 5 is used",
        ]
    );
    for inside in ["", r#","tick-every":0,"history":1000,"ping-timeout":5"#] {
        assert_eq!(warnings(inside), Vec::<String>::new(), "{inside}");
    }
}

#[test]
fn wrong_types_are_errors_of_the_file_with_the_key_at_fault() {
    let cases = [
        (
            with_top(r#","tick-every":1.5"#),
            "tick-every: expected a whole number, found a number with a fraction, or too large",
        ),
        (with_top(r#","history":"5""#), "history: expected a whole number, found a text"),
        (
            with_top(r#","history":1e3"#),
            "history: expected a whole number, found a number with a fraction, or too large",
        ),
        (
            with_top(r#","history":9223372036854775808"#),
            "history: expected a whole number, found a number with a fraction, or too large",
        ),
        (with_top(r#","json-timestamp":1"#), "json-timestamp: expected a text, found a number"),
        (
            with_top(r#","listen-http":"a""#),
            "listen-http: expected an array of texts, found a text",
        ),
        (with_top(r#","listen-http":[1]"#), "listen-http[0]: expected a text, found a number"),
        (with_top(r#","http":"a""#), "http: expected an object, found a text"),
        (with_top(r#","http":{"listen":[]}"#), "http.listen: expected a text, found an array"),
        (with_app(r#","disabled":1"#), "apps.web.disabled: expected true or false, found a number"),
        (with_app(r#","args":{}"#), "apps.web.args: expected an array of texts, found an object"),
        (with_app(r#","keyvalue":[]"#), "apps.web.keyvalue: expected an object, found an array"),
        (
            with_app(r#","KeepAlive":"1""#),
            "apps.web.KeepAlive: expected a whole number, found a text",
        ),
        (
            with_service(r#","management-stop":true"#),
            "services.ssh.management-stop: expected a whole number, found true or false",
        ),
        (
            with_service(r#","ignore-exit-codes-stop":[256]"#),
            "services.ssh.ignore-exit-codes-stop[0]: an exit code is 1 to 255",
        ),
        (
            with_service(r#","ignore-exit-codes-stop":"?""#),
            "services.ssh.ignore-exit-codes-stop: expected an array of exit codes, found a text",
        ),
        (r#"{"apps":[]}"#.into(), "apps: expected an object, found an array"),
        (r#"{"apps":{"a\nb":1}}"#.into(), r"apps.a\nb: expected an object, found a number"),
    ];
    for (file, expected) in cases {
        assert_eq!(problem(&file), format!("254 {expected}"), "{file}");
    }
}

#[test]
fn letter_case_repetition_and_null_do_not_matter() {
    let config = good(&with_top(r#","TICK-every":7,"tick-EVERY":null,"History":6,"HISTORY":9"#));
    assert_eq!((config.tick_every_s, config.history), (7, 9));
    assert_eq!(app(r#","NAME":"Other""#).name, "Other");
    let twice =
        r#"{"services":{"a":{"management":0},"a":{"management":2,"name":"n","service":"s"}}}"#;
    assert_eq!(good(twice).services[0].1.management, [Management::InitD; 4]);
}

#[test]
fn free_data_is_kept_as_json() {
    let file = with_app(r#","X":{"team":["a",1.5]}"#);
    let config = good(&format!(r#"{},"x":"all"}}"#, &file[..file.len() - 1]));
    assert_eq!(config.x.as_deref(), Some(r#""all""#));
    assert_eq!(config.apps[0].1.common.x.as_deref(), Some(r#"{"team":["a",1.5]}"#));
    assert_eq!(good(&with_service(r#","x":7"#)).services[0].1.common.x.as_deref(), Some("7"));
    assert_eq!(app(r#","x":null"#).common.x, None);
}

#[test]
fn keys_that_nothing_reads_are_warned_about_by_name() {
    let file = with_app(r#","binry":1,"x":{"y":1},"pid-verify":true"#);
    let file = format!(r#"{},"http":{{"port":1,"x":2}},"colour\n":0}}"#, &file[..file.len() - 1]);
    let warnings = load(&file).expect("good").warnings;
    assert_eq!(
        warnings,
        [
            "apps.web.binry: unknown key, ignored",
            "http.port: unknown key, ignored",
            r"colour\n: unknown key, ignored",
        ]
    );
    let many: String = (0..1_000).map(|index| format!(r#","k{index}":1"#)).collect();
    let warnings = load(&with_top(&many)).expect("good").warnings;
    assert_eq!(warnings.len(), 101);
    assert_eq!(warnings[100], "900 more unknown keys, ignored");
}

#[test]
fn listeners_are_resolved_as_the_program_does() {
    let shown = |file: &str, reader: Reader<'_>| {
        let Config { http, listen_http, udp, listen_udp, .. } =
            Config::load(file.as_bytes(), reader).expect(file).config;
        format!("{http} {listen_http:?} {udp} {listen_udp:?}")
    };
    let bound = with_top(r#","http":{"listen":"10.0.0.1:80"},"udp":{"listen":":99"}"#);
    let told = with_top(r#","listen-http":["a:1","b:2"],"listen-udp":["c:3"]"#);
    let both = with_top(r#","http":{"listen":":1"},"listen-http":["a:1"]"#);
    let table = [
        shown(&with_top(""), READER),
        shown(&bound, READER),
        shown(&told, READER),
        shown(&both, READER),
        shown(&bound, Reader::default()),
    ];
    insta::assert_debug_snapshot!(table);
    for (keep_alive, name, key) in [(3, "HTTP", "listen-http"), (4, "UDP", "listen-udp")] {
        let file = with_app(&format!(r#","keepalive":{keep_alive}"#));
        assert!(load(&file).is_ok());
        let error = Config::load(file.as_bytes(), Reader::default()).expect_err("no listener");
        let expected = format!("{key}: {name} Listeners were empty, we required one to exist!");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn ids_are_checked_and_lowered() {
    let app = r#"{"keepalive":1,"name":"n","working-directory":"/s","binary":"b","log-directory":"l","pid-path":"p"}"#;
    let service = r#"{"management":2,"name":"n","service":"s"}"#;
    let file = format!(r#"{{"apps":{{"Web":{app}}},"services":{{"WEB":{service}}}}}"#);
    let config = good(&file);
    assert_eq!(config.apps[0].0.as_str(), "web");
    assert_eq!(config.services[0].0.as_str(), "web");
    let long = "x".repeat(64);
    let cases = [
        (format!(r#"{{"apps":{{"":{app}}}}}"#), "apps.: App Key was empty".to_string()),
        (format!(r#"{{"apps":{{"a_b":{app}}}}}"#), "apps.a_b: App Key was invalid".to_string()),
        (format!(r#"{{"apps":{{"{long}":{app}}}}}"#), format!("apps.{long}: App Key was invalid")),
        (r#"{"apps":{"a":null}}"#.to_string(), "apps.a: App was nil".to_string()),
        (
            format!(r#"{{"apps":{{"a":{app},"A":{app}}}}}"#),
            "apps.A: Duplicate App Label".to_string(),
        ),
        (
            format!(r#"{{"services":{{"":{service}}}}}"#),
            "services.: Service Key was empty".to_string(),
        ),
        (
            format!(r#"{{"services":{{"-a":{service}}}}}"#),
            "services.-a: Service Key was invalid".to_string(),
        ),
        (r#"{"services":{"a":null}}"#.to_string(), "services.a: Service was nil".to_string()),
        (
            format!(r#"{{"services":{{"a":{service},"A":{service}}}}}"#),
            "services.A: Duplicate Service Label".to_string(),
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problem(&file), format!("255 {expected}"));
    }
}

/// Mends one fault of an app after the other, and notes the error before each.
#[test]
fn apps_are_validated_in_order() {
    let mends = [
        ("keepalive", "2"),
        ("name", r#""""#),
        ("name", r#""@256""#),
        ("name", r#""@255""#),
        ("working-directory", r#""~""#),
        ("working-directory", r#""a/b""#),
        ("working-directory", r#""/a//b""#),
        ("working-directory", r#""~/app/""#),
        ("binary", r#""./b""#),
        ("binary", r#""/b\u0000""#),
        ("binary", r#""../b""#),
        ("log-directory", r#""a/..""#),
        ("log-directory", r#""logs/""#),
        ("pid-path", r#"".""#),
        ("pid-path", r#""p""#),
        ("secret", r#""@129""#),
        ("secret", r#""@128""#),
        ("execute-timeout", "-1"),
        ("execute-timeout", "3"),
    ];
    let mut members: Vec<(&str, String)> =
        vec![("secret", format!("\"{}\"", "x".repeat(129))), ("execute-timeout", "-1".into())];
    let mut table = String::new();
    for mend in core::iter::once(None).chain(mends.map(Some)) {
        if let Some((key, value)) = mend {
            members.retain(|(known, _)| *known != key);
            let value = match value.split_once('@') {
                Some((_, length)) => {
                    let length = length.trim_end_matches('"').parse().expect("a length");
                    format!("\"{}\"", "x".repeat(length))
                }
                None => value.to_string(),
            };
            members.push((key, value));
            let _ = write!(table, "{key}: ");
        }
        let fields: Vec<String> =
            members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let file = format!(r#"{{"apps":{{"a":{{{}}}}}}}"#, fields.join(","));
        match load(&file) {
            Ok(loaded) => {
                let app = &loaded.config.apps[0].1;
                let _ = writeln!(table, "{} {:?}", app.program(), app.pid_file());
            }
            Err(error) => {
                let _ = writeln!(table, "{} {error}", error.stage.exit_status());
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn keep_alives_are_one_to_four_and_pings_need_no_pid_file() {
    for (number, keep_alive) in
        [(1, KeepAlive::Patrol), (2, KeepAlive::PidFile), (3, KeepAlive::Http), (4, KeepAlive::Udp)]
    {
        let app = app(&format!(r#","keepalive":{number}"#));
        assert_eq!((app.keep_alive, app.keep_alive.number()), (keep_alive, number));
        let without = load(&with_app(&format!(r#","keepalive":{number},"pid-path":"""#)));
        assert_eq!(without.is_ok(), number > 2);
        let unclean = load(&with_app(&format!(r#","keepalive":{number},"pid-path":"a//b""#)));
        assert_eq!(unclean.is_ok(), number > 2);
    }
    for number in [0, 5, -1] {
        let text = problem(&with_app(&format!(r#","keepalive":{number}"#)));
        assert_eq!(
            text,
            "255 apps.web.keepalive: App KeepAlive was invalid, please select a keep alive method!"
        );
    }
}

#[test]
fn a_home_directory_stands_for_a_leading_tilde() {
    let read = |directory: &str, home| {
        let file = with_app(&format!(r#","working-directory":"{directory}""#));
        let reader = Reader { home, defaults: true };
        let loaded = Config::load(file.as_bytes(), reader);
        loaded.map(|loaded| loaded.config.apps[0].1.working_directory.clone())
    };
    assert_eq!(read("~/a/b", Some("/home/op")), Ok("/home/op/a/b".to_string()));
    assert_eq!(read("~/a", Some("/")), Ok("/a".to_string()));
    assert_eq!(
        read("~/a", None).map_err(|error| error.to_string()),
        Err("apps.web.working-directory: App WorkingDirectory begins with ~/ and no home \
             directory is known"
            .to_string())
    );
    assert!(read("~other/a", Some("/home/op")).is_err());
}

#[test]
fn services_are_validated_in_order() {
    let long = "x".repeat(64);
    let name = "x".repeat(256);
    let secret = "x".repeat(129);
    let cases = [
        r#","management":0"#.to_string(),
        r#","management":3"#.to_string(),
        r#","management":-1"#.to_string(),
        r#","management":0,"management-restart":1"#.to_string(),
        r#","management":0,"management-status":1"#.to_string(),
        r#","management":0,"management-start":3,"management-status":9"#.to_string(),
        r#","management":0,"management-start":1"#.to_string(),
        r#","management":0,"management-start":1,"management-status":2"#.to_string(),
        r#","management":0,"management-start":1,"management-status":2,"management-stop":1"#
            .to_string(),
        r#","service":"","name":"""#.to_string(),
        format!(r#","service":"{long}","name":"""#),
        r#","name":"","secret":"@""#.replace('@', &secret),
        format!(r#","name":"{name}""#),
        format!(r#","secret":"{secret}","ignore-exit-codes-start":[0]"#),
        r#","ignore-exit-codes-start":[1,0]"#.to_string(),
        r#","ignore-exit-codes-status":[3,4,3]"#.to_string(),
        r#","ignore-exit-codes-stop":[1,1]"#.to_string(),
        r#","ignore-exit-codes-restart":[0]"#.to_string(),
    ];
    let problems: Vec<String> =
        cases.iter().map(|members| problem(&with_service(members))).collect();
    insta::assert_debug_snapshot!(problems);
}

#[test]
fn services_have_a_command_for_each_verb() {
    let show = |members: &str| {
        let config = good(&with_service(members));
        let service = &config.services[0].1;
        let commands = Verb::ALL.map(|verb| service.command(verb).join(" "));
        commands.join(" | ")
    };
    insta::assert_snapshot!(show(""), @"service ssh start | service ssh status | service ssh stop | service ssh restart");
    insta::assert_snapshot!(show(r#","management":2,"management-start":9"#), @"/etc/init.d/ssh start | /etc/init.d/ssh status | /etc/init.d/ssh stop | /etc/init.d/ssh restart");
    insta::assert_snapshot!(show(r#","management":0,"management-start":1,"management-status":2,"management-stop":1,"management-restart":2,"management-restart-parameter":"force-reload","management-status-parameter":"""#), @"service ssh start | /etc/init.d/ssh status | service ssh stop | /etc/init.d/ssh force-reload");
    insta::assert_snapshot!(show(r#","service":"../x y""#), @"service ../x y start | service ../x y status | service ../x y stop | service ../x y restart");
}

#[test]
fn exit_codes_are_arrays_or_base64() {
    let config = good(&with_service(
        r#","ignore-exit-codes-start":[2,255],"ignore-exit-codes-status":"Aw0=","ignore-exit-codes-stop":null"#,
    ));
    let service = &config.services[0].1;
    assert_eq!(service.ignored, [vec![2, 255], vec![3, 13], vec![], vec![]]);
    for (verb, code, success) in [
        (Verb::Start, 0, true),
        (Verb::Start, 255, true),
        (Verb::Start, 3, false),
        (Verb::Status, 13, true),
        (Verb::Stop, 2, false),
        (Verb::Restart, 0, true),
    ] {
        assert_eq!(service.is_success(verb, code), success, "{verb:?} {code}");
    }
    assert_eq!(Verb::ALL.map(Verb::limit_ms), [180_000, 30_000, 180_000, 180_000]);
}

#[test]
fn hooks_are_commands_by_the_names_of_triggers() {
    let config = good(&with_top(r#","hooks":{"Started":["/bin/logger","up"],"started":["/x"]}"#));
    assert_eq!(config.hooks.get(HookName::Started), Some(&vec!["/x".to_string()]));
    assert_eq!(config.hooks.get(HookName::Tick), None);
    let closed = app(r#","hooks":{"closed":["/bin/mail","op"]}"#);
    assert!(closed.common.hooks.get(HookName::Closed).is_some_and(|hook| hook.len() == 2));
    let cases = [
        (
            with_top(r#","hooks":{"closed":["/x"]}"#),
            "255 hooks.closed: unknown hook; the hooks here are start, started, tick, stopped, shutdown",
        ),
        (
            with_service(r#","hooks":{"pinged":["/x"]}"#),
            "255 services.ssh.hooks.pinged: unknown hook; the hooks here are start, started, start-failed, running, disabled, closed, shutdown",
        ),
        (
            with_app(r#","hooks":{"start":["x"]}"#),
            "255 apps.web.hooks.start: a hook is an array: an absolute path, then its arguments",
        ),
        (
            with_app(r#","hooks":{"start":[]}"#),
            "255 apps.web.hooks.start: a hook is an array: an absolute path, then its arguments",
        ),
        (
            with_app(r#","hooks":{"start":"/x"}"#),
            "254 apps.web.hooks.start: expected an array of texts, found a text",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(problem(&file), expected);
    }
}

#[test]
fn secrets_do_not_show() {
    let config = good(&with_app(r#","secret":"hush-hush""#));
    assert!(!format!("{config:?}").contains("hush"));
    let kept = config.apps[0].1.common.secret.as_ref().expect("a secret");
    assert!(kept.admits("hush-hush"));
}

#[test]
fn ten_thousand_key_values_and_ten_megabytes_load() {
    let pairs: Vec<String> = (0..10_000).map(|index| format!(r#""k{index}":{index}"#)).collect();
    let app = app(&format!(r#","keyvalue":{{{}}}"#, pairs.join(",")));
    assert_eq!(app.common.values.len(), 10_000);
    let large = with_app(&format!(r#","x":"{}""#, "x".repeat(10 * 1024 * 1024)));
    assert_eq!(good(&large).apps.len(), 1);
}

proptest! {
    #[test]
    fn no_file_panics(file in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Config::load(&file, READER);
    }

    #[test]
    fn limits_hold_for_every_number(tick in any::<i64>(), history in any::<i64>(), ping in any::<i64>()) {
        let config = good(&with_top(&format!(
            r#","tick-every":{tick},"history":{history},"ping-timeout":{ping}"#
        )));
        prop_assert!((5..=120).contains(&config.tick_every_s));
        prop_assert!((5..=1_000).contains(&config.history));
        prop_assert!((5..=180).contains(&config.ping_timeout_s));
    }
}
