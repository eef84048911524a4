//! Patrol contract §1, §2.9 and A: the configuration, what a bad one does, and reading it again.

use std::fs;
use std::process::Command;

use openctrl_tests::master::run_to_end;
use openctrl_tests::patrol::{Builder, Folder, refuse_in};
use openctrl_tests::process::is_alive;
use openctrl_tests::{binary, until};
use rustix::process::Signal;
use serde_json::{Value, json};

fn apps(folder: &Folder, words: &[&str]) -> Value {
    json!({"web": folder.app(1, words)})
}

/// Exit codes 254 and 255, and a line that names the key at fault.
#[test]
fn a_bad_configuration_ends_the_server_and_names_the_key() {
    let folder = Folder::default();
    let builder = Builder::default();
    let good = folder.app(1, &["wait"]);
    let mut bad_binary = good.clone();
    bad_binary["binary"] = json!("a//b");
    let cases = [
        (String::new(), 254, "EOF"),
        ("{".into(), 254, "EOF"),
        ("null".into(), 255, "Patrol Apps and Servers were both empty"),
        ("{}".into(), 255, "Patrol Apps and Servers were both empty"),
        (json!({"apps": {"web": good}, "tick-every": 1.5}).to_string(), 254, "tick-every: "),
        (json!({"apps": {"web": good, "WEB": good}}).to_string(), 255, ": Duplicate App Label"),
        (json!({"apps": {"a_b": good}}).to_string(), 255, "apps.a_b: App Key was invalid"),
        (
            json!({"apps": {"web": bad_binary}}).to_string(),
            255,
            "apps.web.binary: App Binary was unclean",
        ),
    ];
    for (text, code, reason) in cases {
        fs::write(folder.path("config.json"), &text).expect("the folder is writable");
        let refused = folder.refuse_as_it_is(&builder);
        assert_eq!(refused.code, Some(code), "{text}: {}", refused.stderr);
        assert!(refused.stderr.contains(reason), "{text}: {}", refused.stderr);
        assert!(refused.stderr.contains("config.json"), "{text}: {}", refused.stderr);
    }
}

#[test]
fn a_missing_file_and_bad_words_have_their_own_exit_codes() {
    let folder = Folder::default();
    let missing = Builder::default().arguments(&["-config", "nowhere.json"]);
    let refused = folder.refuse_as_it_is(&missing);
    assert_eq!(refused.code, Some(254), "{}", refused.stderr);
    assert!(refused.stderr.contains("nowhere.json"), "{}", refused.stderr);
    let script =
        "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" patrol -config /config.json";
    let gone = Command::new("sh")
        .args(["-c", script])
        .arg(binary::openctrl())
        .current_dir(folder.path(""))
        .output()
        .expect("a shell can be started");
    let reason = String::from_utf8_lossy(&gone.stderr);
    assert_eq!(gone.status.code(), Some(250), "{reason}");
    assert!(reason.contains("working directory"), "{reason}");
    for words in [&["-nonsense"][..], &["-config"], &["--state"], &["config.json"]] {
        let refused = folder.refuse_as_it_is(&Builder::default().arguments(words));
        assert_eq!(refused.code, Some(2), "{words:?}: {}", refused.stderr);
    }
}

#[test]
fn the_file_can_be_named_in_every_way_of_the_flag() {
    let folder = Folder::default();
    let path = folder.path("config.json");
    let forms = [vec!["-config", &path], vec!["--config", &path]];
    let equals = [format!("-config={path}"), format!("--config={path}")];
    let forms = forms.into_iter().chain(equals.iter().map(|form| vec![form.as_str()]));
    for form in forms {
        let folder = Folder::default();
        let builder = Builder::new(apps(&folder, &["wait"]), json!({}));
        let own = folder.path("config.json");
        let words: Vec<String> = form.iter().map(|word| word.replace(&path, &own)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let patrol = folder.start_with(builder.arguments(&words));
        assert_eq!(patrol.app("web")["name"], "App under test");
    }
}

#[test]
fn unknown_keys_are_warned_about_by_name_and_ignored() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["wait"]);
    app["binry"] = json!("x");
    let services = json!({"ssh": {"management": 1, "name": "SSH", "service": "ssh",
        "disabled": true, "ignore-exit-codes": [127]}});
    let builder = Builder::new(json!({"web": app}), services).set("colour", json!(1));
    let patrol = folder.start_with(builder);
    for key in ["apps.web.binry", "services.ssh.ignore-exit-codes", "colour"] {
        patrol
            .output()
            .wait_for_line(key, |line| line.text.contains(&format!("{key}: unknown key")));
    }
}

/// What a check says of a configuration: its exit code, what it prints and the errors.
fn check(folder: &Folder, config: &Value) -> (Option<i32>, String, String) {
    let path = folder.path("config.json");
    fs::write(&path, config.to_string()).expect("the folder is writable");
    let done = run_to_end(&["patrol", "-config", &path, "--check"]);
    (done.status.code(), done.stdout.replace(&path, "PATH"), done.stderr)
}

/// The table of §1.1: a number out of its limits is brought into them, and said so.
#[test]
fn numbers_out_of_their_limits_are_brought_into_them() {
    let folder = Folder::default();
    let cases = [
        ("tick-every", &[(1, 5), (-1, 5), (4, 5), (121, 120)][..], &[0, 5, 15, 120][..]),
        ("history", &[(1, 5), (-9, 5), (1_001, 1_000)], &[0, 5, 1_000]),
        ("ping-timeout", &[(1, 5), (181, 180), (1_000, 180)], &[0, 5, 180]),
    ];
    for (key, outside, inside) in cases {
        for (number, used) in outside {
            let config = json!({"apps": apps(&folder, &["wait"]), key: number});
            let (code, shown, _) = check(&folder, &config);
            assert_eq!(code, Some(0), "{key} {number}");
            let start = format!("warning: {key}: {number} is not ");
            assert!(shown.starts_with(&start), "{shown}");
            assert!(shown.contains(&format!("; {used} is used\n")), "{shown}");
        }
        for number in inside {
            let config = json!({"apps": apps(&folder, &["wait"]), key: number});
            let (code, shown, _) = check(&folder, &config);
            assert_eq!((code, shown.lines().count()), (Some(0), 1), "{key} {number}: {shown}");
        }
    }
}

/// §1.3: ids are host name labels, and equal in any letter case.
#[test]
fn ids_are_host_name_labels() {
    let folder = Folder::default();
    let app = folder.app(1, &["wait"]);
    let service = json!({"management": 1, "name": "A service", "service": "ssh"});
    let long = "x".repeat(63);
    for (group, entry, name) in [("apps", &app, "App"), ("services", &service, "Service")] {
        let good: serde_json::Map<String, Value> = ["a", "Z", "0", "a-a", "a--a", "WEB-1", &long]
            .map(|id| (id.to_owned(), entry.clone()))
            .into_iter()
            .collect();
        let (code, shown, errors) = check(&folder, &json!({group: good}));
        assert_eq!(code, Some(0), "{errors}");
        assert!(shown.contains(&format!("7 {group}")), "{shown}");
        let too_long = "x".repeat(64);
        for bad in ["", ".", "..", "-", "a-", "-a", "a_b", "a.b", "a b", "\u{e4}", &too_long] {
            let (code, _, errors) = check(&folder, &json!({group: {bad: entry}}));
            let problem = if bad.is_empty() { "empty" } else { "invalid" };
            let expected = format!("{group}.{bad}: {name} Key was {problem}\n");
            assert_eq!(code, Some(255), "{bad:?}: {errors}");
            assert!(errors.ends_with(&expected), "{bad:?}: {errors}");
        }
        let (code, _, errors) = check(&folder, &json!({group: {"web": entry, "WEB": entry}}));
        assert_eq!(code, Some(255), "{errors}");
        assert!(errors.contains(&format!("Duplicate {name} Label")), "{errors}");
        let (code, _, errors) = check(&folder, &json!({group: {"web": null}}));
        assert_eq!(code, Some(255), "{errors}");
        assert!(errors.contains(&format!("{group}.web: {name} was nil")), "{errors}");
    }
    let (code, ..) = check(&folder, &json!({"apps": {"web": app}, "services": {"web": service}}));
    assert_eq!(code, Some(0), "an app and a service may have one id");
}

/// Each rule of the table of §1.4 with its text, in its order: every row mends the one before.
#[test]
fn an_app_is_refused_by_each_rule_in_order() {
    let folder = Folder::default();
    let text = |length| Value::String("x".repeat(length));
    let rules = [
        ("keepalive", json!(0), "App KeepAlive was invalid, please select a keep alive method!"),
        ("keepalive", json!(5), "App KeepAlive was invalid, please select a keep alive method!"),
        ("name", json!(""), "App Name was empty"),
        ("name", text(256), "App Name was longer than 255 bytes"),
        ("working-directory", json!(""), "App WorkingDirectory was empty"),
        ("working-directory", json!("~"), "App WorkingDirectory was relative"),
        ("working-directory", json!("/a//b"), "App WorkingDirectory was unclean"),
        ("binary", json!(""), "App Binary was empty"),
        ("binary", json!("./b"), "App Binary was unclean"),
        ("log-directory", json!(""), "App Log Directory was empty"),
        ("log-directory", json!("a/.."), "App Log Directory was unclean"),
        ("pid-path", json!(""), "App PIDPATH was empty"),
        ("pid-path", json!("a/./b"), "App PIDPath was unclean"),
        ("secret", text(129), "Secret Longer than 128 bytes"),
        ("execute-timeout", json!(-1), "App Excute Timeout < 0"),
    ];
    for (place, (key, value, problem)) in rules.iter().enumerate() {
        let mut app = folder.app(1, &["wait"]);
        // Later parts are wrong as well, but the error names the first.
        for (later, wrong, _) in rules[place..].iter().rev() {
            app[*later] = wrong.clone();
        }
        app[*key] = value.clone();
        let (code, _, errors) = check(&folder, &json!({"apps": {"web": app}}));
        assert_eq!(code, Some(255), "{key} {value}: {errors}");
        assert!(errors.ends_with(&format!("apps.web.{key}: {problem}\n")), "{value}: {errors}");
    }
    let accepted = [
        ("name", text(255)),
        ("secret", text(128)),
        ("working-directory", json!("~/a/")),
        ("binary", json!("../b")),
        ("log-directory", json!("..")),
        ("execute-timeout", json!(0)),
    ];
    for (key, value) in accepted {
        let mut app = folder.app(1, &["wait"]);
        app[key] = value;
        let (code, _, errors) = check(&folder, &json!({"apps": {"web": app}}));
        assert_eq!(code, Some(0), "{key}: {errors}");
    }
    for keep_alive in [3, 4] {
        let mut app = folder.app(keep_alive, &["wait"]);
        app["pid-path"] = json!("");
        assert_eq!(check(&folder, &json!({"apps": {"web": app}})).0, Some(0), "no pid file needed");
    }
}

/// Each rule of the table of §1.5 with its text, in its order.
#[test]
fn a_service_is_refused_by_each_rule_in_order() {
    let folder = Folder::default();
    let which =
        |verb: &str| format!("Service Management{verb} was invalid, please select a method!");
    let text = |length| Value::String("x".repeat(length));
    let with = |members: Value| {
        let mut service = json!({"management": 1, "name": "A service", "service": "ssh"});
        for (key, value) in members.as_object().expect("an object") {
            service[key] = value.clone();
        }
        check(&folder, &json!({"services": {"ssh": service}}))
    };
    let refused = [
        (json!({"management": 3, "service": ""}), which("")),
        (json!({"management": 0, "management-restart": 1}), which("")),
        (json!({"management": 0, "management-status": 1}), which(" Start")),
        (json!({"management": 0, "management-start": 1}), which(" Status")),
        (json!({"management": 0, "management-start": 1, "management-status": 2}), which(" Stop")),
        (
            json!({"management": 0, "management-start": 1, "management-status": 2, "management-stop": 1}),
            which(" Restart"),
        ),
        (json!({"service": "", "name": ""}), "Service was empty".to_owned()),
        (json!({"service": text(64), "name": ""}), "Service was longer than 63 bytes".to_owned()),
        (json!({"name": "", "secret": text(129)}), "Service Name was empty".to_owned()),
        (json!({"name": text(256)}), "Service Name was longer than 255 bytes".to_owned()),
        (
            json!({"secret": text(129), "ignore-exit-codes-stop": [0]}),
            "Secret Longer than 128 bytes".to_owned(),
        ),
        (
            json!({"ignore-exit-codes-start": [1, 0]}),
            "Service contained an Invalid Exit Code".to_owned(),
        ),
        (
            json!({"ignore-exit-codes-status": [3, 3]}),
            "Service contained a Duplicate Exit Code".to_owned(),
        ),
    ];
    for (members, problem) in refused {
        let (code, _, errors) = with(members.clone());
        assert_eq!(code, Some(255), "{members}: {errors}");
        assert!(errors.ends_with(&format!(": {problem}\n")), "{members}: {errors}");
    }
    assert_eq!(with(json!({"ignore-exit-codes-start": [256]})).0, Some(254));
    for accepted in [
        json!({"management": 2, "management-start": 9}),
        json!({"service": "../x y", "ignore-exit-codes-start": "Aw0="}),
        json!({"name": text(255), "service": text(63), "secret": text(128)}),
        json!({"management": 0, "management-start": 1, "management-status": 2, "management-stop": 1, "management-restart": 2}),
    ] {
        let (code, _, errors) = with(accepted.clone());
        assert_eq!(code, Some(0), "{accepted}: {errors}");
    }
}

/// The check of the migration page, with a configuration of the same kind.
#[test]
fn the_check_of_the_migration_page_prints_its_sample() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/operators/PATROL-MIGRATION.md");
    let page = fs::read_to_string(page).expect("the page exists");
    let (_, rest) = page.split_once("patrol/config.json --check\n").expect("the command");
    let (_, rest) = rest.split_once("```text\n").expect("a sample");
    let (sample, _) = rest.split_once("```").expect("a sample ends");
    let folder = Folder::default();
    let mut missing = folder.app(1, &["wait"]);
    missing["binary"] = json!("mailer");
    let service =
        json!({"management": 1, "name": "Cron", "service": "cron", "ignore-exit-codes": [3]});
    let apps = json!({"web": folder.app(3, &["wait"]), "mailer": missing});
    let (code, shown, _) = check(&folder, &json!({"apps": apps, "services": {"cron": service}}));
    assert_eq!(code, Some(0));
    let shown = shown.replace("PATH", "/etc/patrol/config.json");
    assert_eq!(shown.replace(&folder.path("mailer"), "/srv/mailer/mailer"), dedent(sample));
}

/// The lines of a sample that is indented with its list.
fn dedent(sample: &str) -> String {
    sample
        .lines()
        .map(|line| format!("{}\n", line.trim_start()))
        .filter(|line| line != "\n")
        .collect()
}

/// A check reads the file of a server that runs, and touches nothing.
#[test]
fn a_check_says_what_is_in_the_file_and_starts_nothing() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let mut app = folder.app(1, &[&format!("mark:{}", up.path().display()), "wait"]);
    app["colour"] = json!("blue");
    let path = folder.path("config.json");
    let check = |config: &Value| {
        fs::write(&path, config.to_string()).expect("the folder is writable");
        run_to_end(&["patrol", "-config", &path, "--check"])
    };
    let good = check(&json!({"apps": {"web": app}, "services": {}}));
    assert_eq!(good.status.code(), Some(0), "{}", good.stderr);
    let shown = good.stdout.replace(&path, "PATH");
    let expected = "warning: apps.web.colour: unknown key, ignored\n\
        PATH: 1 app, 0 services, http://127.0.0.1:8421 udp://127.0.0.1:1248\n";
    assert_eq!(shown, expected);
    assert!(up.count() == 0 && !fs::exists(folder.path(".openctrl")).unwrap_or(true));
    app["binary"] = json!("./app");
    let bad = check(&json!({"apps": {"web": app}}));
    assert_eq!((bad.status.code(), &*bad.stdout), (Some(255), ""));
    assert!(bad.stderr.contains("apps.web.binary"), "{}", bad.stderr);
    fs::remove_file(&path).expect("it is there");
    assert_eq!(run_to_end(&["patrol", "-config", &path, "-check"]).status.code(), Some(254));
}

/// A pid file with the number of another program's process: the app would be started beside it.
#[test]
fn a_check_warns_of_a_pid_file_with_a_stranger() {
    let folder = Folder::default();
    let app = folder.app(2, &["wait"]);
    let number = std::process::id();
    fs::write(folder.path("app.pid"), number.to_string()).expect("the folder is writable");
    let (code, shown, _) = check(&folder, &json!({"apps": {"web": app}}));
    assert_eq!(code, Some(0));
    let start = format!("warning: apps.web.pid-path: process {number} does not run ");
    assert!(shown.starts_with(&start), "{shown}");
    fs::write(folder.path("app.pid"), "4194305").expect("the folder is writable");
    let (_, shown, _) = check(&folder, &json!({"apps": {"web": app}}));
    assert_eq!(shown.lines().count(), 1, "there is no such process: {shown}");
}

/// The state is in `.openctrl` beside the configuration, and belongs to one server.
#[test]
fn a_second_server_on_one_configuration_ends_at_once_and_touches_nothing() {
    let folder = Folder::default();
    let (up, signal) = (folder.mark("up"), folder.mark("signal"));
    let marks = format!("mark:{}", up.path().display());
    let at_signal = format!("on:USR1=mark:{}", signal.path().display());
    let app = folder.app(1, &[&at_signal, &marks, "wait"]);
    let builder = Builder::new(json!({"web": app}), json!({}));
    let patrol = folder.start_with(builder.clone());
    let first = up.wait(1);
    let second = refuse_in(patrol.folder(), &builder);
    assert!(second.code.is_some_and(|code| code > 0), "{:?}", second.code);
    assert!(second.stderr.contains(".openctrl"), "{}", second.stderr);
    assert_eq!((up.count(), signal.count()), (1, 0));
    assert!(is_alive(first[0].pid));
}

/// An address that is taken: a line that names it, and no app is started.
#[test]
fn a_taken_address_ends_the_server_before_any_app_is_started() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let apps = apps(&folder, &[&format!("mark:{}", up.path().display()), "wait"]);
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let taken = [
        ("http", tcp.local_addr().expect("bound").to_string()),
        ("udp", udp.local_addr().expect("bound").to_string()),
    ];
    for (key, address) in taken {
        let builder = Builder::new(apps.clone(), json!({})).set(key, json!({"listen": address}));
        let refused = folder.refuse(&builder);
        assert!(refused.code.is_some_and(|code| code > 0), "{:?}", refused.code);
        assert!(refused.stderr.contains(&address), "{}", refused.stderr);
    }
    assert_eq!(up.count(), 0);
}

/// `listen-http` and `listen-udp` are what apps receive; without them it is what is bound.
#[test]
fn apps_are_told_the_advertised_addresses_or_else_the_bound_ones() {
    for advertised in [None, Some("10.1.2.3:4")] {
        let folder = Folder::default();
        let file = folder.path("environment");
        let app = folder.app(1, &[&format!("env:{file}"), "wait"]);
        let mut builder = Builder::new(json!({"web": app}), json!({}));
        if let Some(address) = advertised {
            builder =
                builder.set("listen-http", json!([address])).set("listen-udp", json!([address]));
        }
        let patrol = folder.start_with(builder);
        until("the environment", || fs::exists(&file).unwrap_or(false));
        let environment = fs::read_to_string(&file).expect("it is there");
        for (name, bound) in [("PATROL_HTTP", patrol.http()), ("PATROL_UDP", patrol.udp())] {
            let address = advertised.map_or_else(|| bound.to_string(), str::to_owned);
            let line = format!("{name}=[\"{address}\"]");
            assert!(environment.lines().any(|found| found == line), "{line}: {environment}");
        }
    }
}

/// HUP: unchanged entries are not touched, new ones start, removed ones end, changed ones restart.
#[test]
fn hup_applies_what_changed_and_nothing_else() {
    let folder = Folder::default();
    let stays = folder.app(1, &["print:stays", "wait"]);
    let changes = folder.app(1, &["print:before", "wait"]);
    let changed = folder.app(1, &["print:after", "wait"]);
    let leaves = folder.app(1, &["wait"]);
    let new = folder.app(1, &["wait"]);
    let before = json!({"stays": stays.clone(), "changes": changes, "leaves": leaves});
    let mut patrol = folder.start(before, json!({}));
    let id = |app: &Value| app["instance-id"].as_str().unwrap_or_default().to_owned();
    let stayed = patrol.wait_instance("stays", "");
    let old = id(&patrol.wait_instance("changes", ""));
    let left = patrol.wait_instance("leaves", "")["pid"].as_i64().expect("a pid");
    patrol.post(&json!({"group": "app", "id": "changes", "keyvalue": {"kept": true}}));
    let cas = patrol.app("stays")["cas"].clone();

    let after = json!({"stays": stays, "changes": changed, "new": new});
    patrol.reload(Builder::new(after, json!({})));
    patrol.wait_instance("new", "");
    let found = patrol.wait_instance("changes", &old);
    assert_eq!(
        found["keyvalue"]["kept"], true,
        "what is wanted of an app outlives its configuration"
    );
    until("the removed app to end", || !is_alive(i32::try_from(left).expect("a pid")));
    assert!(patrol.app("leaves").is_null());
    let still = patrol.app("stays");
    assert_eq!((id(&still), &still["cas"]), (id(&stayed), &cas));
}

#[test]
fn a_bad_configuration_changes_nothing_on_hup_and_names_the_key() {
    let folder = Folder::default();
    let good = folder.app(1, &["wait"]);
    let mut patrol = folder.start(json!({"web": good.clone()}), json!({}));
    let before = patrol.wait_instance("web", "");
    let mut bad = good.clone();
    bad["keepalive"] = json!(9);
    patrol.reload(Builder::new(json!({"new": good, "web": bad}), json!({})));
    let reason = "apps.web.keepalive: App KeepAlive was invalid";
    patrol.output().wait_for_line(reason, |line| line.text.contains(reason));
    assert_eq!(patrol.app("web")["instance-id"], before["instance-id"]);
    assert!(patrol.app("new").is_null());
}

#[test]
fn a_large_configuration_with_ten_thousand_key_values_loads() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["wait"]);
    let values: serde_json::Map<String, Value> =
        (0..10_000).map(|index| (format!("key-{index}"), json!(index))).collect();
    app["keyvalue"] = Value::Object(values);
    app["x"] = json!("x".repeat(10 * 1024 * 1024));
    let patrol = folder.start(json!({"web": app}), json!({}));
    let values = patrol.app("web")["keyvalue"].as_object().map(serde_json::Map::len);
    assert_eq!(values, Some(10_000));
}

#[test]
fn every_signal_of_the_contract_but_hup_ends_the_server_in_order() {
    for signal in [Signal::INT, Signal::QUIT, Signal::TERM, Signal::TSTP] {
        let folder = Folder::default();
        let apps = apps(&folder, &["wait"]);
        let mut patrol = folder.start(apps, json!({}));
        patrol.signal(signal);
        assert_eq!(patrol.wait_exit().code(), Some(0), "{signal:?}");
    }
    let folder = Folder::default();
    let apps = apps(&folder, &["wait"]);
    let patrol = folder.start(apps, json!({}));
    for signal in [Signal::USR1, Signal::USR2, Signal::WINCH] {
        patrol.signal(signal);
    }
    let refused = "a master with a Patrol configuration is not upgraded in place";
    patrol.output().wait_for_line(refused, |line| line.text.contains(refused));
    assert!(patrol.status()["started"].is_string(), "it goes on");
}
