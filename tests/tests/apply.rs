//! `openctrl plan`, `apply` and `export`: instances as a file declares them.

use std::fs;
use std::path::PathBuf;

use openctrl_tests::{Master, Shell, binary};
use serde_json::{Value, json};

/// A master that is its own runtime, and a folder of files.
struct Place {
    master: Master,
    shell: Shell,
}

impl Place {
    fn new() -> Self {
        Self::of(Master::builder_for(binary::openctrl()).start())
    }

    fn of(master: Master) -> Self {
        let shell = Shell::beside(&master).with("PORT", "80 80");
        Self { master, shell }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.master.folder().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// An output without the path of the folder.
    fn shown(&self, text: &str) -> String {
        text.replace(self.folder(), "[folder]")
    }

    fn folder(&self) -> &str {
        self.master.folder().to_str().expect("UTF-8")
    }

    fn instance(&self, alias: &str) -> Value {
        let list = self.master.api().list();
        let mut found = list.into_iter().filter(|one| one["alias"] == alias);
        let one = found.next().unwrap_or_else(|| panic!("no {alias}"));
        assert!(found.next().is_none(), "two {alias}");
        one
    }
}

const FILE: &str = r#"
name = "shop"
[instance.web]
command = "sleep 1000 "
env = { PORT = "${PORT}" }
tags = { site = "x" }
restart = "never"
[instance.demo]
url = "demo://one"
"#;

#[test]
fn a_file_is_applied_and_then_nothing_changes() {
    let place = Place::new();
    let file = place.write("openctrl.toml", FILE);
    let plan = place.shell.run(&["plan", "-f", &file]);
    assert_eq!(plan.code, Some(2), "{}", plan.stderr);
    insta::assert_snapshot!(place.shown(&plan.stdout), @r"
    + demo: create
        url: demo://one
        restart: on-failure
    + web: create
        command: sleep 1000
        cwd: [folder]
        env: PORT
        restart: never
        tags: site=x
    2 to create
    ");
    assert_eq!(place.master.api().list().len(), 1, "a plan changes nothing");
    let asked = place.shell.run(&["apply", "-f", &file]);
    assert_eq!(asked.code, Some(2));
    let question = "Apply these changes (2 to create)? There is no terminal to ask on: use --yes";
    assert!(asked.stderr.contains(question), "{}", asked.stderr);
    let words = ["apply", "-f", &file, "--yes", "--wait", "--for", "100ms", "--detailed-exitcode"];
    let applied = place.shell.run(&words);
    assert_eq!(applied.code, Some(2), "{}", applied.stderr);
    assert!(applied.stdout.ends_with("demo: created\nweb: created\n"), "{}", applied.stdout);
    let web = place.instance("web");
    let url = format!("exec:sleep?arg=1000&env=PORT%3D80+80&cwd={}", place.folder());
    assert_eq!(web["url"], url);
    assert_eq!(web["restart"], false);
    assert_eq!(web["meta"]["tags"], json!({"site": "x"}));
    assert!(!web["meta"].to_string().contains("shop"), "what is owned is kept elsewhere");

    let before = place.master.api().list();
    assert_eq!(place.shell.ok(&["apply", "-f", &file, "--detailed-exitcode"]), "2 unchanged\n");
    assert_eq!(place.shell.ok(&["plan", "-f", &file]), "2 unchanged\n");
    let ids = |list: &[Value]| list.iter().map(|one| one["id"].to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&place.master.api().list()), ids(&before));
}

#[test]
fn only_what_differs_is_changed() {
    let place = Place::new();
    let file = place.write("f.toml", FILE);
    place.shell.ok(&["apply", "-f", &file, "--yes", "--wait", "--for", "100ms"]);
    let web = place.instance("web");
    let file = place.write(
        "f.yaml",
        "
name: shop
instance:
  web: {command: [sleep, '1000'], env: {PORT: '${PORT}'}, tags: {site: y}, restart: on-failure}
  demo: {url: 'demo://two'}
",
    );
    let dry = place.shell.ok(&["apply", "-f", &file, "--dry-run"]);
    insta::assert_snapshot!(dry, @r"
    ~ demo: change, restarts
        url: demo://one -> demo://two
    ~ web: change
        restart: never -> on-failure
        tags: site=x -> site=y
    2 to change
    ");
    assert_eq!(place.instance("web"), web, "a dry run changes nothing");
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    let after = place.instance("web");
    assert_eq!(after["id"], web["id"]);
    assert_eq!(after["restart"], true);
    assert_eq!(after["meta"]["tags"], json!({"site": "y"}));
    assert_eq!(place.instance("demo")["url"], "demo://two");
}

#[test]
fn a_policy_is_declared_and_comes_back() {
    let place = Place::new();
    let text = r#"
[instance.web]
command = ["sleep", "1000"]
restart = "always"
max_restarts = "3"
restart_window = "2m"
stop_signal = "INT"
stop_timeout = "500ms"
"#;
    let file = place.write("f.toml", text);
    let plan = place.shell.run(&["plan", "-f", &file]);
    insta::assert_snapshot!(place.shown(&plan.stdout), @r"
    + web: create
        command: sleep 1000
        cwd: [folder]
        restart: always
        max_restarts: 3
        restart_window: 2m
        stop_signal: INT
        stop_timeout: 500ms
    1 to create
    ");
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    let id = place.instance("web")["id"].as_str().expect("an id").to_owned();
    let path = format!("/instances/{id}/policy");
    let policy = place.master.api().request("GET", &path).send().expect(200).json();
    assert_eq!(policy["restart"], "always");
    assert_eq!((&policy["maxRestarts"], &policy["restartWindowMs"]), (&json!(3), &json!(120_000)));
    assert_eq!(policy["stop"]["steps"][0], json!({"signal": "SIGINT", "waitMs": 500}));
    assert_eq!(place.shell.ok(&["apply", "-f", &file, "--detailed-exitcode"]), "1 unchanged\n");
    let exported = place.shell.ok(&["export", "web"]);
    let whole = text.replace("restart = ", "cwd = \"[folder]\"\nrestart = ");
    assert_eq!(place.shown(&exported).trim(), whole.trim());

    let file = place.write("f.toml", &text.replace("\"INT\"", "\"HUP\""));
    let plan = place.shell.run(&["plan", "-f", &file]);
    insta::assert_snapshot!(plan.stdout, @r"
    ~ web: change, restarts
        stop_signal: INT -> HUP
    1 to change
    ");
}

#[test]
fn a_wrong_policy_is_one_line_that_names_the_key() {
    let place = Place::new();
    let all = [
        ("stop_signal = \"LOUD\"", "stop_signal: stop_signal must be a signal"),
        ("stop_timeout = \"2h\"", "stop_timeout: stop_timeout must be a time"),
        ("max_restarts = 0", "max_restarts: max_restarts must be a whole number"),
        ("restart_window = \"1m\"", "restart_window: restart_window has no effect without"),
        ("umask = \"9\"", "umask: umask must be octal"),
        ("user = \"\"", "user: user must be a name"),
        ("memory = [1]", "line 4"),
    ];
    for (line, expected) in all {
        let file = place.write("f.toml", &format!("\n[instance.a]\ncommand = \"x\"\n{line}\n"));
        let said = place.shell.run(&["plan", "-f", &file]);
        assert!(said.stderr.contains(expected), "{line}: {}", said.stderr);
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
    let file = place.write("f.toml", "[instance.a]\nurl = \"demo://a\"\nuser = \"x\"\n");
    let said = place.shell.run(&["plan", "-f", &file]);
    assert!(said.stderr.contains("it goes with command or shell, not with url"), "{}", said.stderr);
}

#[test]
fn only_what_the_file_owns_is_pruned() {
    let place = Place::new();
    let shop = place.write("shop.toml", FILE);
    let other = place.write("other.toml", "[instance.other]\nurl = \"demo://other\"");
    place.shell.ok(&["create", "demo://hand", "--alias", "hand"]);
    place.shell.ok(&["apply", "-f", &shop, "--yes"]);
    place.shell.ok(&["apply", "-f", &other, "--yes"]);
    let less = place.write("shop.toml", "name = \"shop\"\n[instance.demo]\nurl = \"demo://one\"");
    let kept = "web: no longer declared, kept (--prune deletes it)\n1 unchanged, 1 kept\n";
    assert_eq!(place.shell.ok(&["plan", "-f", &less]), kept);
    assert_eq!(place.shell.ok(&["apply", "-f", &less, "--yes"]), kept);
    assert_eq!(place.shell.ok(&["apply", "-f", &less, "--yes"]), kept, "it is still owned");
    let pruned = place.shell.ok(&["apply", "-f", &less, "--prune", "--yes"]);
    assert_eq!(pruned, "- web: delete\n1 to delete, 1 unchanged\nweb: deleted\n");
    assert_eq!(place.master.api().list().len(), 4, "the key, demo, hand and other stay");
    let theirs = place.write("theirs.toml", "[instance.other]\nurl = \"demo://mine\"");
    let refused = place.shell.fails(1, &["apply", "-f", &theirs, "--yes"]);
    assert!(refused.starts_with("instance \"other\" is owned by /"), "{refused}");
    assert!(refused.contains("set name = \"/") && refused.contains("other.toml\""), "{refused}");
}

#[test]
fn an_instance_moves_from_a_file_that_leaves_it_to_another() {
    let place = Place::new();
    let both = "[instance.a]\nurl = \"demo://a\"\n[instance.b]\nurl = \"demo://b\"\n";
    let from = place.write("from.toml", both);
    place.shell.ok(&["apply", "-f", &from, "--yes"]);
    place.write("from.toml", "[instance.a]\nurl = \"demo://a\"\n");
    place.shell.ok(&["apply", "-f", &from, "--yes"]);
    let to = place.write("to.toml", "[instance.b]\nurl = \"demo://c\"\n");
    let applied = place.shell.ok(&["apply", "-f", &to, "--yes"]);
    let note = format!("(no longer declared by {from}; apply takes it over)");
    assert!(applied.starts_with(&format!("~ b: change, restarts {note}\n")), "{applied}");
    assert_eq!(place.shell.ok(&["plan", "-f", &from, "--prune"]), "1 unchanged\n");
    assert_eq!(place.shell.ok(&["plan", "-f", &to, "--prune"]), "1 unchanged\n");
}

#[test]
fn an_exported_file_is_no_change_even_where_another_file_owns_the_instances() {
    let place = Place::new();
    let file = place.write("f.toml", FILE);
    place.shell.ok(&["create", "exec:sleep?arg=1000", "--alias", "hand"]);
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    let exported = place.write("exported.toml", &place.shell.ok(&["export"]));
    assert_eq!(place.shell.ok(&["plan", "-f", &exported]), "3 unchanged\n");
    assert_eq!(place.shell.ok(&["apply", "-f", &exported]), "3 unchanged\n");
    assert_eq!(place.shell.ok(&["plan", "-f", &file, "--prune"]), "2 unchanged\n", "it owns them");
    let text = fs::read_to_string(&exported).expect("it is there");
    let changed = place.write("exported.toml", &text.replace("demo://one", "demo://two"));
    let refused = place.shell.fails(1, &["plan", "-f", &changed]);
    let way_out = "is owned by shop, and this file would change it; change it there, or set name = \
                   \"shop\" in this file";
    assert!(refused.contains(way_out), "{refused}");
    let named = format!("name = \"shop\"\n{}", text.replace("demo://one", "demo://two"));
    let named = place.write("exported.toml", &named);
    assert_eq!(place.shell.run(&["plan", "-f", &named]).code, Some(2));
}

#[test]
fn a_plan_says_that_an_instance_made_by_hand_is_taken_over() {
    let place = Place::new();
    place.shell.ok(&["create", "demo://hand", "--alias", "web"]);
    let file = place.write("f.toml", "[instance.web]\nurl = \"demo://file\"\n");
    let plan = place.shell.run(&["plan", "-f", &file]);
    assert_eq!(plan.code, Some(2), "{}", plan.stderr);
    insta::assert_snapshot!(plan.stdout, @r"
    ~ web: change, restarts (not owned by a file; apply takes it over)
        url: demo://hand -> demo://file
    1 to change
    ");
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    assert_eq!(place.shell.ok(&["plan", "-f", &file]), "1 unchanged\n");
}

#[test]
fn a_command_without_a_folder_runs_in_that_of_the_file() {
    let place = Place::new();
    let text = "[instance.web]\nshell = \"pwd; exec sleep 1000\"\nready = \"line:/\"\n";
    let file = place.write("f.toml", text);
    place.shell.ok(&["apply", "-f", &file, "--yes", "--wait", "--for", "100ms"]);
    assert_eq!(place.shell.ok(&["logs", "web"]).trim(), place.folder());
    // One that runs in the folder of the master stays there.
    place.shell.ok(&["create", "exec:sleep?arg=1000", "--alias", "old"]);
    let file = place.write("old.toml", "[instance.old]\ncommand = \"sleep 1000\"\n");
    assert_eq!(place.shell.ok(&["plan", "-f", &file]), "1 unchanged\n");
    let text = "[instance.old]\ncommand = \"sleep 1000\"\ncwd = \".\"\n";
    let plan = place.shell.run(&["plan", "-f", &place.write("old.toml", text)]);
    assert!(plan.stdout.contains("cwd: (none) -> /"), "{}", plan.stdout);
}

#[test]
fn watched_files_are_in_the_plan() {
    let place = Place::new();
    fs::create_dir(place.master.folder().join("src")).expect("made");
    let text = "[instance.e]\ncommand = \"sleep 1000\"\nwatch = [\"src\"]\n";
    let file = place.write("f.toml", text);
    let plan = place.shell.run(&["plan", "-f", &file]);
    insta::assert_snapshot!(place.shown(&plan.stdout), @r"
    + e: create
        command: sleep 1000
        cwd: [folder]
        restart: on-failure
        watch: [folder]/src
    1 to create
    ");
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    let file = place.write("f.toml", &format!("{text}watch_ignore = [\"*.log\", \"tmp\"]\n"));
    let plan = place.shell.run(&["plan", "-f", &file]);
    insta::assert_snapshot!(plan.stdout, @r"
    ~ e: change, restarts
        watch_ignore: (none) -> *.log, tmp
    1 to change
    ");
}

#[test]
fn a_plan_warns_of_a_command_that_cannot_be_started() {
    // With bin= it is up to the runtime which commands there are.
    let place = Place::of(Master::builder().without_bin().start());
    let text = "[instance.a]\ncommand = \"nonexistent-cmd x\"\n[instance.b]\nurl = \"demo://b\"\n";
    let file = place.write("f.toml", text);
    let warning = "    warning: command not found: nonexistent-cmd is not in PATH; apply fails";
    let plan = place.shell.run(&["plan", "-f", &file]);
    assert_eq!(plan.code, Some(2), "{}", plan.stderr);
    assert_eq!(plan.stdout.matches(warning).count(), 1, "{}", plan.stdout);
    let applied = place.shell.run(&["apply", "-f", &file, "--yes"]);
    assert_eq!(applied.code, Some(1), "{}", applied.stdout);
    assert!(applied.stdout.contains(warning), "{}", applied.stdout);
    let forced = place.shell.ok(&["apply", "-f", &file, "--yes", "--force"]);
    assert!(!forced.contains("warning"), "{forced}");
}

#[test]
fn what_is_exported_is_applied_without_a_change() {
    let place = Place::new();
    let file = place.write("f.toml", FILE);
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    place.shell.ok(&[
        "run",
        "--name",
        "sh",
        "-e",
        "A=${x}",
        "--",
        "/bin/sh",
        "-c",
        "sleep 1000; $A",
    ]);
    let exported = place.shell.ok(&["export"]);
    let file = place.write("exported.toml", &format!("name = \"shop\"\n{exported}"));
    assert_eq!(place.shell.ok(&["apply", "-f", &file]), "3 unchanged\n", "{exported}");
    assert!(place.shell.ok(&["export", "web"]).starts_with("[instance.web]\ncommand = [\"sleep\""));
}

#[test]
fn a_token_applies_what_it_cannot_read_and_exports_no_mask() {
    let place = Place::new();
    let body = json!({"name": "bot", "role": "operate"});
    let made = place.master.api().post("/tokens", &body).expect(201).json();
    let bot = Shell::beside(&place.master)
        .with("PORT", "80 80")
        .with("OPENCTRL_API", place.master.url())
        .with("OPENCTRL_KEY", made["token"].as_str().expect("a token"));
    let file = place.write("f.toml", FILE);
    bot.ok(&["apply", "-f", &file, "--yes", "--wait"]);
    let pid = |place: &Place| {
        let id = place.instance("web")["id"].as_str().expect("an id").to_owned();
        place.master.api().process(&id)["pid"].clone()
    };
    let before = pid(&place);
    assert!(bot.ok(&["ls", "-o", "json"]).contains("env=PORT%3D***"), "it sees no value");
    let same = bot.ok(&["apply", "-f", &file, "--yes", "--wait"]);
    assert!(same.contains("web: unchanged\n"), "{same}");
    assert_eq!(pid(&place), before, "it was not restarted");
    let other = place.write("f.toml", &FILE.replace("${PORT}", "81"));
    let changed = bot.ok(&["apply", "-f", &other, "--yes", "--wait"]);
    assert!(changed.contains("web: changed\n"), "{changed}");
    assert!(place.instance("web")["url"].as_str().expect("a text").contains("PORT%3D81&cwd"));
    place.shell.ok(&["apply", "-f", &other]);

    let refused = bot.fails(1, &["export"]);
    assert!(refused.contains("a token does not see the secrets of its URL"), "{refused}");
    let masked = place.write("m.toml", &FILE.replace("${PORT}", "***"));
    let refused = place.shell.fails(1, &["apply", "-f", &masked, "--yes"]);
    assert!(refused.contains("env=PORT is the mask ***"), "{refused}");
}

#[test]
fn variables_come_from_the_caller_and_from_files() {
    let place = Place::new();
    place.write("vars.env", "# c\nDOMAIN=example.org\nPORT=1\n");
    place.write("web.env", "export A=1\nB='two words'\n");
    let text = "env_file = \"vars.env\"\n[instance.web]\ncommand = \"sleep 1000\"\n\
                env_file = [\"web.env\"]\nenv = { B = \"${DOMAIN}:${PORT}\", C = \"${NO:-d}\" }\n";
    let file = place.write("f.toml", text);
    place.shell.ok(&["apply", "-f", &file, "--yes"]);
    let url = "exec:sleep?arg=1000&env=A%3D1&env=B%3Dexample.org:80+80&env=C%3Dd";
    assert_eq!(place.instance("web")["url"], format!("{url}&cwd={}", place.folder()));
}

#[test]
fn a_bad_file_changes_nothing() {
    let place = Place::new();
    let good = "[instance.good]\nurl = \"demo://good\"\n";
    for (name, text, said) in [
        (
            "f.toml",
            "[instance.a]\ncommand = \"x ${NO_SUCH}\"",
            "instance \"a\", command: ${NO_SUCH}",
        ),
        ("f.toml", "[instance.a]\nurl = \"master://x\"", "instance \"a\", url"),
        ("f.toml", "[instance.a]\nbogus = 1", "line 4: unknown field `bogus`"),
        ("f.json", "", "unknown format; its name must end in"),
    ] {
        let file = place.write(name, &format!("{good}{text}"));
        let refused = place.shell.fails(1, &["apply", "-f", &file, "--yes"]);
        place.shell.fails(1, &["plan", "-f", &file]);
        assert!(refused.starts_with(&file) && refused.contains(said), "{refused}");
    }
    let large = place.write("large.toml", &"#".repeat(10 * 1024 * 1024));
    let refused = place.shell.fails(1, &["apply", "-f", &large, "--yes"]);
    assert!(refused.contains("larger than 4 MiB"), "{refused}");
    let missing = place.shell.fails(1, &["plan", "-f", "/no/such.toml"]);
    assert!(missing.starts_with("/no/such.toml: cannot read it"), "{missing}");
    assert_eq!(place.master.api().list().len(), 1, "nothing was made");
}

#[test]
fn one_that_is_refused_leaves_the_others_whole() {
    let place = Place::new();
    let long = "x".repeat(300);
    let text = format!(
        "[instance.bad]\nurl = \"demo://bad\"\ntags = {{ a = \"{long}\" }}\n\
         [instance.good]\nurl = \"demo://good\"\n"
    );
    let file = place.write("f.toml", &text);
    let ran = place.shell.run(&["apply", "-f", &file, "--yes"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stderr.contains("bad: --tag"), "{}", ran.stderr);
    assert!(ran.stdout.ends_with("good: created\n"), "{}", ran.stdout);
    assert_eq!(place.master.api().list().len(), 2, "the bad one was not left half made");
}
