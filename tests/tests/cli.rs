//! The client commands against real masters: what they print, and what they change.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use openctrl_tests::{Master, Script, Shell};
use rustix::process::Signal;
use serde_json::{Value, json};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Creates a waiting instance; its id.
fn create(shell: &Shell, alias: &str) -> String {
    shell
        .ok(&["create", "stub://x", "--alias", alias, "--wait", "--for", "100ms"])
        .trim()
        .to_owned()
}

#[test]
fn an_instance_from_its_creation_to_its_end() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let words = [
        "create",
        "stub://x",
        "-a",
        "edge",
        "-t",
        "site=x",
        "-t",
        "n=1",
        "--no-restart",
        "-w",
        "--for",
        "100ms",
    ];
    let id = shell.ok(&words).trim().to_owned();
    let mut shown = json(&shell.ok(&["show", "edge", "-o", "json"]));
    shown[0].as_object_mut().expect("an object").remove("process").expect("its process");
    assert_eq!(shown[0], master.api().instance(&id), "the master's object as it is");
    assert_eq!(shown[0]["status"], "running");
    assert_eq!(shown[0]["restart"], false);
    assert_eq!(shown[0]["meta"]["tags"], json!({"site": "x", "n": "1"}));

    assert_eq!(shell.ok(&["stop", "edge", "--wait"]), format!("edge ({id}): stopped\n"));
    assert_eq!(
        shell.ok(&["start", &id[..7], "--wait", "--for", "100ms"]),
        format!("edge ({id}): running\n")
    );
    assert_eq!(
        shell.ok(&["restart", "-t", "site=x", "-w", "--for", "100ms"]),
        format!("edge ({id}): running\n")
    );
    assert_eq!(shell.ok(&["reset", "edge"]), format!("edge ({id}): counters are 0\n"));
    shell.ok(&["set", &id, "--alias", "core", "--restart", "on", "--untag", "n", "-t", "k=v"]);
    let after = master.api().instance(&id);
    assert_eq!(after["alias"], "core");
    assert_eq!(after["restart"], true);
    assert_eq!(after["meta"]["tags"], json!({"site": "x", "k": "v"}));
    assert_eq!(shell.ok(&["url", "core", "stub://y"]), format!("core ({id}): running\n"));
    assert_eq!(master.api().instance(&id)["url"], "stub://y");
    assert_eq!(shell.ok(&["delete", "core"]), format!("core ({id}): deleted\n"));
    assert_eq!(json(&shell.ok(&["list", "-o", "json"])), json!([]));
}

#[test]
fn lists_are_tables_json_and_yaml() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let (b, a) = (create(&shell, "b"), create(&shell, "a"));
    shell.ok(&["stop", "b", "--wait"]);
    let listed = shell.ok(&["list"]);
    let mut lines = listed.lines();
    let words = |line: Option<&str>| {
        line.expect("a line").split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let heading = ["NAME", "STATUS", "REASON", "PID", "UPTIME", "RESTARTS", "CPU", "MEM"];
    assert_eq!(words(lines.next()), heading, "no columns of tunnels: {listed}");
    assert_eq!(words(lines.next())[..2], ["a", "running"]);
    assert_eq!(words(lines.next())[..2], ["b", "stopped"]);
    assert_eq!(lines.next(), None);
    for name in ["ls", "status", "ps"] {
        assert_eq!(shell.ok(&[name]).lines().next(), listed.lines().next(), "{name}");
    }
    let mut listed = json(&shell.ok(&["ls", "-o", "json"]));
    let processes: Vec<Value> = ["/process"; 2]
        .into_iter()
        .zip([&a, &b])
        .map(|(path, id)| master.api().get(&format!("/instances/{id}{path}")).expect(200).json())
        .collect();
    for (one, process) in listed.as_array_mut().expect("a list").iter_mut().zip(&processes) {
        let taken = one.as_object_mut().expect("an object").remove("process").expect("its process");
        for field in ["id", "pid", "starts", "restarts", "reason", "lastExit"] {
            assert_eq!(taken[field], process[field], "{field}: {taken}");
        }
        assert!(taken.get("memoryBytes").is_some() && taken.get("cpuPercent").is_some());
    }
    assert_eq!(listed, json!([master.api().instance(&a), master.api().instance(&b)]));
    let running = json(&shell.ok(&["list", "--status", "running", "-o", "json"]));
    assert_eq!((running.as_array().map(Vec::len), &running[0]["id"]), (Some(1), &json!(a)));
    let shown = json(&shell.ok(&["show", "a", "-o", "json"]));
    assert_eq!(shown[0]["process"]["pid"], processes[0]["pid"]);
    let yaml = shell.ok(&["list", "-o", "yaml"]);
    assert!(yaml.starts_with(&format!("- id: \"{a}\"\n  alias: \"a\"\n")), "{yaml}");
    assert!(shell.ok(&["list", "-o", "wide"]).contains(&a), "the ids are there");
    assert!(!shell.ok(&["list", "-o", "json"]).contains(master.key()), "the key is not listed");
}

#[test]
fn a_list_says_why_and_has_columns_of_tunnels_where_there_are_any() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let mut events = master.events();
    let crash = master.api().run_once(&Script::new().exit(9));
    events.wait_status(&crash, "error");
    let listed = shell.ok(&["list"]);
    let line = listed.lines().nth(1).expect("a line").to_owned();
    assert!(line.starts_with(&format!("{crash}  error   exited with code 9")), "{listed}");
    assert!(!listed.contains("PING"), "{listed}");
    let checkpoint = Script::new().checkpoint([1, 23, 0, 4, 5, 0, 0, 0, 0]).wait();
    let tunnel = master.run(&mut events, &checkpoint);
    events.wait_value(&tunnel, "ping", 23);
    let listed = shell.ok(&["list"]);
    let heading = listed.lines().next().expect("a heading");
    assert!(heading.ends_with("MEM  PING  SESSIONS  RX  TX"), "{listed}");
}

#[test]
fn top_prints_a_table_without_a_terminal() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    create(&shell, "a");
    let once = shell.ok(&["top", "-n", "1"]);
    assert!(once.starts_with("NAME  STATUS"), "{once}");
    assert!(once.lines().nth(1).expect("a line").starts_with("a     running"), "{once}");
    assert_eq!(shell.ok(&["top", "-n", "2"]).matches("NAME").count(), 2);
    shell.fails(2, &["top", "-n", "0"]);
}

#[test]
fn some_of_several_may_fail() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let good = create(&shell, "good");
    let mut events = master.events();
    let bad = master.api().run_once(&Script::new().exit(3));
    events.wait_status(&bad, "error");
    shell.ok(&["stop", "good", "--wait"]);
    let ran = shell.run(&["start", &good, &bad, "--wait", "--for", "100ms"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_eq!(ran.stdout, format!("good ({good}): running\n"));
    assert!(
        ran.stderr.starts_with(&format!("openctrl: {bad}: it failed at once")),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_wait_has_an_end() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let script = Script::new().ignore_term().print("up").wait();
    let mut events = master.events();
    let id = master.run(&mut events, &script);
    events.wait_log(&id, "up");
    let late = shell.fails(6, &["stop", &id, "--wait", "--timeout", "300ms"]);
    assert!(late.starts_with(&format!("{id}: timed out after 0.3 s")), "{late}");
    assert_eq!(shell.ok(&["stop", &id, "--wait"]), format!("{id}: stopped\n"));
}

#[test]
fn more_than_one_is_deleted_only_when_that_is_said() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    create(&shell, "a");
    create(&shell, "b");
    let asked = shell.fails(2, &["delete", "--all"]);
    assert!(asked.starts_with("Delete 2 instances, a ("), "{asked}");
    assert!(asked.contains("--yes"), "{asked}");
    assert_eq!(master.api().list().len(), 3);
    assert_eq!(shell.ok(&["delete", "a", "b", "--yes"]).lines().count(), 2);
    assert_eq!(master.api().list().len(), 1);
}

#[test]
fn logs_are_printed_followed_and_searched() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let cue = master.cue("more");
    let script = Script::new().print("one").print("two").cue(&cue).print("three").wait();
    let mut events = master.events();
    let id = master.run(&mut events, &script);
    events.wait_log(&id, "two");
    assert_eq!(shell.ok(&["logs", &id]), "one\ntwo\n");
    assert_eq!(shell.ok(&["logs", &id, "-n", "1"]), "two\n");
    assert_eq!(shell.ok(&["logs", &id, "--grep", "^o"]), "one\n");
    assert_eq!(shell.ok(&["logs", &id, "--since-start"]), "one\ntwo\n");
    let bad = shell.fails(1, &["logs", &id, "--grep", "("]);
    assert!(bad.starts_with("--grep: "), "{bad}");
    let mut following = shell.start(&["logs", &id, "--follow"]);
    following.wait_for("two\n");
    cue.give();
    assert_eq!(following.wait_for("three\n"), "one\ntwo\nthree\n");
    openctrl_tests::process::send(following.pid(), Signal::INT);
    assert_eq!(following.wait().0, Some(130));
}

#[test]
fn a_follower_goes_on_with_the_next_master() {
    let mut master = Master::start();
    let shell = Shell::beside(&master);
    let cue = master.cue("again");
    let id = master.api().run(&Script::new().print("hello").cue(&cue).print("more").wait());
    let mut following = shell.start(&["logs", &id, "--follow"]);
    following.wait_for("hello\n");
    let port = master.endpoint().address.port();
    master.stop();
    master.reconfigure(|builder| builder.authority(&format!("127.0.0.1:{port}")));
    master.restart();
    assert_eq!(following.wait_for("hello\nhello\n"), "hello\nhello\n");
    cue.give();
    following.wait_for("more\n");
    openctrl_tests::process::send(following.pid(), Signal::INT);
    assert_eq!(following.wait().0, Some(130));
}

#[test]
fn events_are_printed_and_followed() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let id = create(&shell, "a");
    shell.ok(&["stop", "a", "--wait"]);
    let last = shell.ok(&["events", "-n", "1"]);
    assert!(last.ends_with(&format!(" update   a ({id})  stopped\n")), "{last}");
    let lines = shell.ok(&["events", "a", "--json"]);
    let kinds: Vec<Value> = lines.lines().map(|line| json(line)["type"].clone()).collect();
    assert_eq!(kinds[0], "create");
    let mut following = shell.start(&["events", "--follow", "-n", "1"]);
    following.wait_for(&format!(" a ({id})  stopped"));
    shell.ok(&["start", "a"]);
    following.wait_for(&format!(" a ({id})  running"));
    assert_eq!(following.close_after(|| drop(shell.ok(&["stop", "a"]))), Some(0));
}

/// The last events of one instance, however much the others have to say.
#[test]
fn events_of_one_instance_are_counted_alone() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let id = create(&shell, "quiet");
    shell.ok(&["stop", "quiet", "--wait"]);
    let mut events = master.events();
    let chatty = (0..200).fold(Script::new(), |script, n| script.print(format!("line {n}")));
    let other = master.run(&mut events, &chatty.wait());
    events.wait_log(&other, "line 199");
    let last = shell.ok(&["events", "quiet", "-n", "2"]);
    let expected = [format!("  quiet ({id})  running"), format!(" update   quiet ({id})  stopped")];
    let lines: Vec<&str> = last.lines().collect();
    assert_eq!(lines.len(), 2, "{last}");
    assert!(lines[1].ends_with(&expected[1]), "{last}");
    let mut following = shell.start(&["events", "quiet", "--follow", "-n", "1"]);
    following.wait_for(&expected[1]);
    shell.ok(&["start", "quiet"]);
    following.wait_for(&expected[0].replacen("  ", " ", 1));
    assert_eq!(following.close_after(|| drop(shell.ok(&["stop", "quiet"]))), Some(0));
}

#[test]
fn a_list_of_some_instances() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    for alias in ["a", "b", "c"] {
        create(&shell, alias);
    }
    let names = |listed: &str| -> Vec<String> {
        listed.lines().skip(1).map(|line| line[..1].to_owned()).collect()
    };
    assert_eq!(names(&shell.ok(&["list", "c", "a"])), ["a", "c"]);
    assert_eq!(names(&shell.ok(&["status", "b"])), ["b"]);
    let documents = json(&shell.ok(&["list", "b", "-o", "json"]));
    assert_eq!(
        (documents.as_array().map(Vec::len), &documents[0]["alias"]),
        (Some(1), &json!("b"))
    );
    assert!(shell.fails(5, &["list", "nope"]).contains("no instance has the id or alias"));
}

#[test]
fn the_restart_policy_is_set_by_its_name() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let id = create(&shell, "a");
    let policy = || master.api().get(&format!("/instances/{id}/policy")).expect(200).json();
    for (word, expected) in
        [("always", "always"), ("on", "on-failure"), ("off", "never"), ("on-failure", "on-failure")]
    {
        shell.ok(&["set", "a", "--restart", word]);
        assert_eq!(policy()["restart"], expected, "{word}");
    }
}

#[test]
fn what_names_nothing_or_two_is_noted() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    create(&shell, "web");
    let ran = shell.run(&["create", "stub://x", "--alias", "web"]);
    let note = "openctrl: another instance has the alias \"web\"; commands take its id\n";
    assert_eq!((ran.code, &*ran.stderr), (Some(0), note));
    let other = ran.stdout.trim();
    let ran = shell.run(&["set", other, "--alias", "web"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), note));
    let ran = shell.run(&["set", other, "--alias", "own"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));

    let ran = shell.run(&["run", "--name", "late", "--after", "dbb", "--", "sleep", "1000"]);
    let note = "openctrl: no instance is called \"dbb\"; late waits until one is, and is ready\n";
    assert_eq!((ran.code, &*ran.stderr), (Some(0), note));
    let late = shell.fails(6, &["start", "late", "--wait", "--timeout", "100ms"]);
    assert!(late.contains("timed out after 0.1 s: ") && late.contains("dbb"), "{late}");
}

#[test]
fn a_url_that_no_runtime_knows_is_noted() {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    let noted = |words: &[&str]| {
        let ran = shell.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}", ran.stderr);
        ran.stderr
    };
    let note = "the built-in runtime knows no URL with the scheme \"managed\"";
    assert_eq!(noted(&["create", "demo://a", "--alias", "a"]), "");
    let said = noted(&["create", "MANAGED://b"]);
    assert!(said.contains(note) && said.contains("bin=") && said.lines().count() == 1, "{said}");
    assert_eq!(noted(&["url", "a", "demo://c"]), "");
    let said = noted(&["url", "a", "managed://c"]);
    assert!(said.contains(note) && said.lines().count() == 1, "{said}");

    // Where an instance of it runs, there is a runtime for it.
    let master = Master::start();
    let shell = Shell::beside(&master);
    shell.ok(&["create", "stub://a", "--wait", "--for", "100ms"]);
    assert_eq!(shell.run(&["create", "stub://b", "--alias", "b"]).stderr, "");
    assert_eq!(shell.run(&["url", "b", "stub://c"]).stderr, "");
}

/// The API speaks of its query there.
#[test]
fn the_remedy_for_a_missing_command_is_an_option() {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    shell.ok(&["create", "demo://a", "--alias", "a"]);
    let file = master.folder().join("f.toml");
    fs::write(&file, "[instance.a]\ncommand = \"no-such-command\"\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    for words in [
        &["create", "exec:no-such-command"][..],
        &["url", "a", "exec:no-such-command"],
        &["apply", "--yes", "-f", file],
    ] {
        let ran = shell.run(words);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("use --force to accept it anyway"), "{words:?}: {said}");
        assert!(!said.contains("force=true"), "{words:?}: {said}");
    }
}

/// Of a master that the configuration names by its state directory.
#[test]
fn a_configured_state_directory_is_checked() {
    let master = Master::start();
    let config = master.folder().join("config.toml");
    let state = master.folder().join("gob");
    let text = format!("default = \"own\"\n[master.own]\nstate = {state:?}\n");
    fs::write(&config, text).expect("written");
    let shell = Shell::new(&master.folder().join("openctrl"), std::path::Path::new("/nonexistent"))
        .with("OPENCTRL_CONFIG", config.to_str().expect("UTF-8"));
    for words in [&["doctor"][..], &["doctor", "--master", "own"]] {
        let checked = shell.ok(words);
        assert!(checked.lines().any(|line| line.starts_with("state       ok")), "{checked}");
    }
}

#[test]
fn what_children_print_cannot_act_on_the_terminal() {
    let attack = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m pay\u{202e}gpj.exe";
    let master = Master::start();
    let shell = Shell::beside(&master);
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print(attack).print("end").wait());
    events.wait_log(&id, "end");
    master.api().patch(&id, &json!({"alias": attack, "meta": {"tags": {attack: attack}}}));
    let is_hostile = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{9b}".contains(c);
    for words in [
        &["logs", &id][..],
        &["logs", &id, "-o", "json"],
        &["logs", &id, "-o", "yaml"],
        &["list"],
        &["list", "-o", "wide"],
        &["list", "-o", "json"],
        &["list", "-o", "yaml"],
        &["show", &id],
        &["events"],
        &["events", "--json"],
        &["restart", &id],
    ] {
        let shown = shell.ok(words);
        assert!(!shown.contains(is_hostile), "{words:?}: {shown:?}");
    }
    assert!(shell.ok(&["logs", &id]).contains(r"\x1b]0;owned\x07"));
    assert!(shell.ok(&["logs", &id, "--raw"]).contains(attack));
    assert_eq!(json(&shell.ok(&["show", &id, "-o", "json"]))[0]["alias"], attack);
}

#[test]
fn a_line_of_a_megabyte_is_cut_and_said_to_be() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let mut events = master.events();
    let fill = openctrl_tests::script::Step::Fill(b'x', 1_000_000);
    let id = master.run(&mut events, &Script::new().step(fill).print("").print("end").wait());
    events.wait_log(&id, "end");
    let shown = shell.ok(&["logs", &id]);
    let first = shown.lines().next().expect("a line");
    assert!(first.starts_with("xxx") && first.ends_with(" bytes cut)"), "{}", first.len());
    assert!(first.len() < 70_000, "{}", first.len());
}

#[test]
fn ten_thousand_instances_are_listed() {
    let one = |number: u32| {
        json!({"id": format!("{number:08x}"), "alias": "", "status": "running",
        "url": "stub://x", "meta": {"peer": {}, "tags": {}}})
    };
    let body = Value::Array((0..10_000).map(one).collect()).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = format!("http://{}/api/v2", listener.local_addr().expect("bound"));
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.expect("a client");
            let mut request = [0; 4096];
            let count = socket.read(&mut request).expect("a request");
            let is_list = request[..count].starts_with(b"GET /api/v2/instances ");
            let (status, body) = if is_list { ("200 OK", &*body) } else { ("404 Not Found", "") };
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = socket.write_all(head.as_bytes());
            let _ = socket.write_all(body.as_bytes());
        }
    });
    let master = Master::start();
    let shell = Shell::beside(&master).with("OPENCTRL_API", &api).with("OPENCTRL_KEY", "k");
    let shown = shell.ok(&["list"]);
    assert_eq!(shown.lines().count(), 10_001);
    assert!(shown.contains("\n0000270f  running"), "{}", shown.len());
}

#[test]
fn nobody_reading_is_no_failure() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let cue = master.cue("flood");
    let flood = openctrl_tests::script::Step::Flood(20_000, 100);
    let mut events = master.events();
    let script = Script::new().print("first").cue(&cue).step(flood).wait();
    let id = master.run(&mut events, &script);
    let mut following = shell.start(&["logs", &id, "--follow"]);
    following.wait_for("first\n");
    assert_eq!(following.close_after(|| cue.give()), Some(0));
}

#[test]
fn the_master_itself() {
    let master = Master::builder().path("/deep/down").start();
    let shell = Shell::beside(&master);
    let info = shell.ok(&["info"]);
    assert!(info.starts_with(&format!("api         {}\n", master.url())), "{info}");
    assert_eq!(json(&shell.ok(&["info", "-o", "json"]))["tls"], "0");
    assert_eq!(shell.ok(&["alias", "home"]), "home\n");
    assert_eq!(shell.ok(&["alias"]), "home\n");
    assert_eq!(shell.ok(&["alias", "--clear"]), "\n");
    let long = shell.fails(1, &["alias", &"x".repeat(257)]);
    assert!(long.starts_with("ALIAS: alias is 257 bytes long"), "{long}");

    let address = master.endpoint().address.to_string();
    assert!(shell.ok(&["ping", &address]).starts_with(&format!("{address}: connected in ")));
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let refused = shell.fails(1, &["ping", &free.to_string()]);
    assert!(refused.contains("refused"), "{refused}");
}

#[test]
fn a_key_is_rotated() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    assert!(shell.fails(2, &["key", "rotate"]).contains("--yes"));
    let key = shell.ok(&["key", "rotate", "--yes"]).trim().to_owned();
    assert_eq!(key.len(), 32);
    let old = shell.clone().with("OPENCTRL_API", master.url()).with("OPENCTRL_KEY", master.key());
    let refused = old.fails(4, &["list"]);
    assert!(refused.contains("does not take the key from OPENCTRL_KEY"), "{refused}");
    // Without a word about it, the state has the new one.
    shell.ok(&["list"]);
    let new = shell.clone().with("OPENCTRL_API", master.url()).with("OPENCTRL_KEY", &key);
    new.ok(&["list"]);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    for (name, word) in
        [("bash", "complete"), ("zsh", "#compdef openctrl"), ("fish", "complete -c")]
    {
        let script = shell.ok(&["completions", name]);
        assert!(script.contains(word) && script.contains("since-start"), "{name}");
    }
    let file = master.folder().join("completions.bash");
    fs::write(&file, shell.ok(&["completions", "bash"])).expect("a writable folder");
    let bash = std::process::Command::new("bash").arg("-n").arg(&file).status();
    assert!(bash.expect("there is a bash").success());
    let page = shell.ok(&["man"]);
    assert!(page.contains(".TH openctrl 1") && page.contains(r"openctrl\-list(1)"), "{page}");
    assert!(shell.ok(&["man", "logs"]).contains(r"\-\-since\-start"));
    let folder = master.folder().join("man");
    fs::create_dir(&folder).expect("a writable folder");
    shell.ok(&["man", "--dir", folder.to_str().expect("UTF-8")]);
    assert!(folder.join("openctrl.1").exists() && folder.join("openctrl-top.1").exists());
}
