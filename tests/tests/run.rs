//! `openctrl run`: commands as instances, as people write them.

use std::fs;

use openctrl_tests::{Master, Shell, binary, until};
use serde_json::{Value, json};

/// A master that is its own runtime, for `exec:`.
fn own() -> Master {
    Master::builder_for(binary::openctrl()).start()
}

fn only(master: &Master, id: &str) -> Value {
    master.api().instance(id.trim())
}

#[test]
fn a_command_runs_as_it_would_in_the_shell() {
    let master = own();
    let shell = Shell::beside(&master);
    let line = r#"echo "$1|$2|$A|$PWD"; exec sleep 1000"#;
    let words = [
        "run",
        "--name",
        "echo",
        "-e",
        "A=x & y=50%",
        "-t",
        "site=x",
        "--restart",
        "never",
        "-w",
        "--for",
        "100ms",
        "--",
        "sh",
        "-c",
        line,
        "sh",
        "a b",
        "#&%+",
    ];
    let id = shell.ok(&words);
    let shown = only(&master, &id);
    assert_eq!(shown["alias"], "echo");
    assert_eq!(shown["restart"], false);
    assert_eq!(shown["meta"]["tags"], json!({"site": "x"}));
    assert_eq!(shown["status"], "running");
    let folder = std::env::current_dir().expect("a folder");
    let expected = format!("a b|#&%+|x & y=50%|{}\n", folder.display());
    assert_eq!(shell.ok(&["logs", "echo"]), expected);
}

#[test]
fn without_a_name_it_has_that_of_its_command() {
    let master = own();
    let shell = Shell::beside(&master);
    for alias in ["sleep", "sleep-2"] {
        let id = shell.ok(&["run", "sleep", "1000"]);
        assert_eq!(only(&master, &id)["alias"], alias);
    }
    let taken = shell.fails(1, &["run", "--name", "sleep", "sleep", "1000"]);
    assert!(taken.starts_with("--name: there is an instance \"sleep\""), "{taken}");
    shell.ok(&["run", "--name", "sleep", "--allow-duplicate", "sleep", "1000"]);
}

#[test]
fn a_secret_is_read_at_the_start_and_is_nowhere_to_be_seen() {
    let master = own();
    let shell = Shell::beside(&master);
    let file = master.folder().join("token");
    fs::write(&file, "hunter2\n").expect("written");
    let secret = format!("TOKEN=file:{}", file.display());
    let line = r#"test "$TOKEN" = hun""ter2 && echo right; exec sleep 1000"#;
    shell
        .ok(&["run", "--name", "s", "--secret", &secret, "-w", "--for", "300ms", "sh", "-c", line]);
    assert_eq!(shell.ok(&["logs", "s"]), "right\n");
    assert!(!shell.ok(&["list", "-o", "json"]).contains("hunter2"));
    let gone = format!("TOKEN=file:{}/no", master.folder().display());
    let failed = shell.run(&["run", "--name", "t", "--secret", &gone, "-w", "sh", "-c", line]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("secret TOKEN: file:/"), "{}", failed.stderr);
}

#[test]
fn a_secret_that_is_missing_is_named_in_the_reason() {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    let id = shell.ok(&["run", "--name", "u", "--secret", "TOKEN=env:NO_SUCH", "sleep", "1000"]);
    let process = || {
        let path = format!("/instances/{}/process", id.trim());
        master.api().get(&path).expect(200).json()
    };
    until("its start has failed", || process()["failures"] != 0);
    let process = process();
    assert_eq!(process["starts"], 0, "{process}");
    let reason = "could not be started: secret TOKEN: env:NO_SUCH: it is not set";
    assert_eq!(process["lastExit"]["reason"], reason);
    assert!(shell.ok(&["list", "u"]).contains(reason), "the list names it");
    let failed = shell.fails(1, &["start", "u", "--wait"]);
    assert!(failed.contains("secret TOKEN: env:NO_SUCH: it is not set"), "{failed}");
}

#[test]
fn a_wait_that_is_interrupted_says_what_was_created() {
    let master = own();
    let shell = Shell::beside(&master);
    let words = ["run", "--name", "n", "--after", "no-such-name", "--wait", "sleep", "1000"];
    let mut terminal = shell.terminal(120, 10, &words);
    terminal.wait_output("no instance is called");
    terminal.press("\x03");
    assert_eq!(terminal.wait(), Some(130));
    let list = master.api().list();
    let id = list.iter().find(|one| one["alias"] == "n").expect("it is there")["id"].clone();
    let id = id.as_str().expect("a string");
    terminal
        .wait_output(&format!("n ({id}) was created and is not stopped; see 'openctrl show {id}'"));
}

#[test]
fn a_process_that_exits_at_once_has_not_started() {
    let master = own();
    let shell = Shell::beside(&master);
    for (name, end, said) in
        [("bad", "exit 3", "it failed at once"), ("good", "true", "it exited at once")]
    {
        let line = format!("echo first; echo no such port; sleep 0.2; {end}");
        let ran = shell.run(&["run", "--name", name, "--wait", "--", "sh", "-c", &line]);
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines[0], "openctrl: first", "{}", ran.stderr);
        let twice = ran.stderr.matches("no such port").count();
        assert_eq!((lines.len(), twice), (2, 1), "each line once: {}", ran.stderr);
        let last = lines.last().expect("a line");
        assert!(last.contains(said) && last.contains("no such port"), "{last}");
    }
}

#[test]
fn what_cannot_run_is_refused_before_it_is_created() {
    let master = own();
    let shell = Shell::beside(&master);
    let text = master.folder().join("text");
    fs::write(&text, "").expect("written");
    let text = text.to_str().expect("UTF-8");
    for (code, words, said) in [
        (1, &["run", "no-such-command", "x"][..], "command not found: no-such-command"),
        (1, &["run", "/no/such/command"], "command not found: /no/such/command"),
        (1, &["run", text], "cannot be executed"),
        (
            2,
            &["run", "--cwd", "/no/such/folder", "sleep"],
            "--cwd: /no/such/folder is not a folder",
        ),
        (2, &["run", "--name", "deadbeef", "sleep"], "looks like an id"),
        (2, &["run", "--name", &"x".repeat(230), "sleep"], "the name has 230 bytes"),
        (2, &["run", "--name", "", "sleep"], "a name is needed"),
        (2, &["run", "-e", "A=1", "-e", "A=2", "sleep"], "--env A: it is given twice"),
        (2, &["run", "-e", "=1", "sleep"], "a variable needs a name"),
        (2, &["run", "--secret", "T=hunter2", "sleep"], "NAME=file:/absolute/path"),
        (
            2,
            &["run", "--restart", "sometimes", "sleep"],
            "possible values: on-failure, never, always",
        ),
        (2, &["run"], "<COMMAND>"),
        (2, &["create", "ping 127.0.0.1"], "use: openctrl run -- ping 127.0.0.1"),
        (2, &["create", "ping"], "use: openctrl run -- ping"),
        (2, &["create", "ping ::1"], "use: openctrl run -- ping ::1"),
        (2, &["create", "demo://x", "--alias", "DEADBEEF"], "looks like an id"),
    ] {
        let reason = shell.fails(code, words);
        assert!(reason.contains(said), "{words:?}: {reason}");
    }
    assert_eq!(master.api().list().len(), 1, "only the key is there");
    shell.ok(&["run", "--force", "no-such-command"]);
}

#[test]
fn the_master_refuses_a_command_that_cannot_be_started() {
    let master = Master::builder().without_bin().start();
    let shell = Shell::beside(&master);
    let api = master.api();
    let folder = master.folder().display().to_string();
    let text = master.folder().join("text");
    fs::write(&text, "").expect("written");
    let post = |path: &str, url: &str| api.request("POST", path).json(&json!({"url": url})).send();
    for (url, what) in [
        ("exec:no-such-command?arg=hidden", "command not found: no-such-command is not in PATH"),
        ("exec:///no/such/command", "command not found: /no/such/command: No such file"),
        (&format!("exec://{}", text.display()), "cannot be executed: is not an executable file"),
        (&format!("exec://{folder}"), "cannot be executed: is a directory"),
        ("exec:sh?cwd=/no/such", "cwd /no/such: No such file or directory"),
        ("exec:sh?env=PATH%3D/no/such", "command not found: sh is not in PATH"),
        ("exec:sh?agr=x", "unknown parameter \"agr\""),
    ] {
        let error = post("/instances", url).expect(400).json()["error"].to_string();
        assert!(error.contains(&what.replace('"', "\\\"")), "{url}: {error}");
        assert!(error.contains("force=true") && !error.contains("hidden"), "{error}");
    }
    assert_eq!(api.list().len(), 1, "nothing was created");
    post("/instances?force=yes", "exec:sh").expect(400);
    post("/instances?force=true", "exec:no-such-command").expect(201);

    let id = shell.ok(&["run", "--name", "one", "sleep", "1000"]);
    let path = format!("/instances/{}", id.trim());
    let before = api.instance(id.trim())["url"].clone();
    let put = |path: &str, url: &str| api.request("PUT", path).json(&json!({"url": url})).send();
    put(&path, "exec:no-such-command").expect(400);
    assert_eq!(api.instance(id.trim())["url"], before);
    let own_path = json!({"env": {"PATH": "/no/such"}});
    api.request("PATCH", &format!("{path}/policy")).json(&own_path).send().expect(200);
    put(&path, "exec:sh").expect(400);
    put(&format!("{path}?force=true"), "exec:sh").expect(200);

    let said = shell.fails(1, &["create", "exec:no-such-command"]);
    assert!(said.contains("command not found"), "{said}");
    shell.ok(&["create", "--force", "exec:no-such-command"]);
    shell.ok(&["url", "--force", "one", "exec:another-command"]);
    let file = master.folder().join("f.toml");
    fs::write(&file, "[instance.a]\ncommand = \"no-such-command\"\n").expect("written");
    let file = file.to_str().expect("UTF-8");
    let said = shell.fails(1, &["apply", "-f", file, "--yes"]);
    assert!(said.contains("command not found: no-such-command"), "{said}");
    shell.ok(&["apply", "-f", file, "--yes", "--force"]);
}

#[test]
fn a_policy_is_part_of_the_command_line() {
    let master = own();
    let shell = Shell::beside(&master);
    let words =
        ["run", "--name", "p", "--restart", "always", "--stop-signal", "INT", "--stop-timeout"];
    let line = "trap 'echo asked; exit 0' INT; while :; do sleep 0.1; done";
    let id = shell.ok(&[&words[..], &["30s", "-w", "--for", "100ms", "sh", "-c", line]].concat());
    let path = format!("/instances/{}/policy", id.trim());
    let policy = master.api().request("GET", &path).send().expect(200).json();
    assert_eq!(policy["restart"], "always");
    assert_eq!(policy["stop"]["steps"][0], json!({"signal": "SIGINT", "waitMs": 30000}));
    shell.ok(&["stop", "p", "--wait"]);
    assert_eq!(shell.ok(&["logs", "p"]), "asked\n");
    let bad = shell.fails(2, &["run", "--stop-signal", "LOUD", "sleep", "1"]);
    assert!(bad.starts_with("--stop-signal must be a signal"), "{bad}");
}

#[test]
fn an_environment_may_have_line_ends() {
    let master = own();
    let shell = Shell::beside(&master);
    let line = r#"echo "$A"; exec sleep 1000"#;
    shell.ok(&["run", "--name", "n", "-e", "A=one\ntwo", "-w", "--for", "300ms", "sh", "-c", line]);
    assert_eq!(shell.ok(&["logs", "n"]), "one\ntwo\n");
}

#[test]
fn a_start_on_error_tries_again() {
    let master = own();
    let shell = Shell::beside(&master);
    let flag = master.folder().join("flag");
    let line = format!("test -e {} && exec sleep 1000; exit 3", flag.display());
    let id = shell.ok(&["run", "--name", "x", "--restart", "never", "sh", "-c", &line]);
    let mut events = master.events();
    if only(&master, &id)["status"] != "error" {
        events.wait_status(id.trim(), "error");
    }
    fs::write(&flag, "").expect("written");
    let started = shell.ok(&["start", "x", "--wait", "--for", "100ms"]);
    assert_eq!(started, format!("x ({}): running\n", id.trim()));
}
