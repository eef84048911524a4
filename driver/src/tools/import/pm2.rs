//! Ecosystem files of pm2: JSON, or JavaScript that contains only data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use openctrl_core::instance::Schedule;
use serde_json::{Map, Value, json};

use super::entries::{Imported, split};
use crate::manifest::{Entry, Program, Restart, escape};

/// Settings that are taken or need no counterpart.
const TAKEN: [&str; 24] = [
    "name",
    "script",
    "args",
    "cwd",
    "interpreter",
    "exec_interpreter",
    "interpreter_args",
    "node_args",
    "env",
    "instances",
    "exec_mode",
    "autorestart",
    "namespace",
    "merge_logs",
    "combine_logs",
    "automation",
    "kill_timeout",
    "cron_restart",
    "cron",
    "uid",
    "gid",
    "pmx",
    "watch",
    "ignore_watch",
];

/// The signal of a stop by default.
const STOP_SIGNAL: &str = "INT";

/// How long pm2 waits before KILL by default.
const STOP_TIMEOUT_MS: u64 = 1_600;

/// Settings without a counterpart, with the behavior of OpenCtrl.
const WITHOUT: [(&str, &str); 11] = [
    (
        "max_restarts",
        "restarts back off and do not end; pm2 counts runs shorter than min_uptime only",
    ),
    ("min_uptime", "delays start afresh after a healthy run"),
    ("restart_delay", "restarts back off"),
    ("exp_backoff_restart_delay", "restarts back off always"),
    ("max_memory_restart", "memory is shown, not limited"),
    ("wait_ready", "it is a message to pm2: set ready"),
    ("listen_timeout", "it belongs to wait_ready: set ready and ready_timeout"),
    ("stop_exit_codes", "every exit code but 0 is a failure"),
    ("out_file", "the master keeps the output; see logs= of the master URL"),
    ("error_file", "the master keeps the output; see logs= of the master URL"),
    ("log_date_format", "times are kept with the lines; see 'openctrl logs --time'"),
];

/// The most processes of one app.
const PROCESSES_MAX: u64 = 1000;

const REMEDY: &str = "it is not plain data; run 'pm2 jlist' or \
    'node -p \"JSON.stringify(require(\\'./FILE\\'))\"' and import what that prints";

/// Reads an ecosystem file, or what `pm2 jlist` prints. Apps without a folder run in `folder`.
pub(super) fn read(text: &str, folder: &str) -> Result<Imported, String> {
    let whole: Value = json5::from_str(data(text)).map_err(|error| {
        let error = error.to_string();
        format!("{}: {REMEDY}", error.lines().next().unwrap_or_default())
    })?;
    let apps = match whole {
        Value::Array(apps) => apps,
        Value::Object(mut object) if object.contains_key("apps") => match object.remove("apps") {
            Some(Value::Array(apps)) => apps,
            Some(app @ Value::Object(_)) => vec![app],
            _ => return Err("apps is not a list".to_owned()),
        },
        app @ Value::Object(_) => vec![app],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            return Err("there are no apps in it".to_owned());
        }
    };
    let mut all = Vec::new();
    for (index, app) in apps.into_iter().enumerate() {
        let Value::Object(app) = app else {
            return Err(format!("app {}: it is not an object", index + 1));
        };
        all.push(App::new(index, app));
    }
    number(&mut all);
    let mut imported = Imported::default();
    for app in &all {
        let place = &app.place;
        add(&mut imported, app, folder, place).map_err(|reason| format!("{place}: {reason}"))?;
    }
    // The processes of an app are the same.
    let mut seen = BTreeSet::new();
    imported.notes.retain(|note| seen.insert(note.clone()));
    if imported.instances.is_empty() {
        return Err("there are no apps in it".to_owned());
    }
    Ok(imported)
}

/// The object that a module exports.
fn data(text: &str) -> &str {
    let text = text.trim().trim_end_matches(';').trim_end();
    let module = text.find("module.exports").filter(|at| {
        // Only comments can precede it; otherwise the JSON5 parser refuses the file.
        text[..*at].lines().all(|line| {
            let line = line.trim();
            line.is_empty()
                || ["//", "/*", "*", "\"use strict\"", "'use strict'"]
                    .iter()
                    .any(|start| line.starts_with(start))
        })
    });
    let assigned = module.and_then(|at| text[at..].split_once('=')).map(|(_, value)| value);
    assigned.or_else(|| text.strip_prefix("export default")).unwrap_or(text)
}

/// The settings of an app.
struct App {
    settings: Map<String, Value>,
    /// Where it is in the file, for the report.
    place: String,
    /// Whether it is one process of the list of pm2, and not an app with as many as it asks for.
    is_process: bool,
}

impl App {
    fn new(index: usize, app: Map<String, Value>) -> Self {
        let (settings, is_process) = match process(&app) {
            Some(settings) => (settings, true),
            None => (app, false),
        };
        let place = match settings.get("name").and_then(Value::as_str) {
            Some(name) => format!("app {name:?}"),
            None => format!("app {}", index + 1),
        };
        Self { settings, place, is_process }
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.settings.get(key).and_then(Value::as_str)
    }

    /// Its name, else that of the script.
    fn name(&self) -> Option<&str> {
        let script = self.text("script").map(|script| {
            let stem = script.rsplit('/').next().unwrap_or(script);
            stem.split('.').next().unwrap_or(stem)
        });
        self.text("name").or(script)
    }
}

/// Settings of a process in the list of pm2 that have another name there.
const RENAMED: [(&str, &str); 4] = [
    ("name", "name"),
    ("script", "pm_exec_path"),
    ("cwd", "pm_cwd"),
    ("interpreter", "exec_interpreter"),
];

/// The settings of a process in the list of `pm2 jlist`, which are in `pm2_env` among the state of
/// pm2. `env` is not taken, as it has the whole environment.
fn process(app: &Map<String, Value>) -> Option<Map<String, Value>> {
    let Some(Value::Object(inner)) = app.get("pm2_env") else { return None };
    let of_list = ["env", "instances", "exec_interpreter"];
    let same = TAKEN.into_iter().chain(WITHOUT.map(|(name, _)| name));
    let same = same.filter(|name| !of_list.contains(name)).map(|name| (name, name));
    let all = RENAMED.into_iter().chain(same);
    // pm2 lists settings that are not in use with an empty value.
    let is_set = |value: &&Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(true) | Value::Object(_) => true,
    };
    let mut settings = Map::new();
    for (to, from) in all {
        // An app that is not restarted says so with false.
        let value = inner.get(from).filter(|value| from == "autorestart" || is_set(value));
        if let Some(value) = value.filter(|_| !settings.contains_key(to)) {
            settings.insert(to.to_owned(), value.clone());
        }
    }
    if let Some(number) = inner.get("NODE_APP_INSTANCE").filter(|number| scalar(number).is_some()) {
        settings.insert("env".to_owned(), json!({ "NODE_APP_INSTANCE": number }));
    }
    Some(settings)
}

/// Numbers the processes of an app with several: the list has one entry for each, all of one name.
/// Only these know their number.
fn number(all: &mut [App]) {
    let name = |app: &App| app.name().map(str::to_owned);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for app in all.iter().filter(|app| app.is_process) {
        *counts.entry(name(app).unwrap_or_default()).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = all.iter().filter_map(name).collect();
    for app in all.iter_mut().filter(|app| app.is_process) {
        let Some(base) = name(app).filter(|base| counts[base] > 1) else {
            app.settings.remove("env");
            continue;
        };
        let mut numbered = (0..).map(|number| format!("{base}-{number}"));
        let free = numbered.find(|name| !taken.contains(name));
        let free = free.expect("there are more numbers than processes");
        taken.insert(free.clone());
        app.settings.insert("name".to_owned(), Value::String(free));
    }
}

fn add(imported: &mut Imported, app: &App, folder: &str, place: &str) -> Result<(), String> {
    let name = app.name().ok_or("there is no script")?;
    let App { settings: app, is_process, .. } = app;
    notes(imported, app, place);
    if *is_process {
        let why = "the list has the whole environment of pm2; set what the app needs in env";
        imported.note(place, format!("its variables are not taken: {why}"));
    }
    let text = |key: &str| app.get(key).and_then(Value::as_str);
    let script = text("script").ok_or("there is no script")?;
    let mut words = interpreter(script, text("interpreter").or_else(|| text("exec_interpreter")));
    if !words.is_empty() {
        for key in ["interpreter_args", "node_args"] {
            words.extend(list(app.get(key), key)?);
        }
    }
    if text("interpreter").is_none() && words.is_empty() && script.contains(' ') {
        words.extend(split(script)?);
    } else {
        // A name alone would be looked up in PATH; a script is a file of the folder.
        let is_file = script.contains('.') && !script.contains('/') && words.is_empty();
        words.push(if is_file { format!("./{script}") } else { script.to_owned() });
    }
    words.extend(list(app.get("args"), "args")?);
    let cwd = text("cwd").map_or_else(|| folder.into(), |cwd| Path::new(folder).join(cwd));
    let mut entry = Entry {
        program: Program::Command(words.iter().map(|word| escape(word)).collect()),
        cwd: Some(escape(&cwd.to_string_lossy()).into()),
        ..Entry::default()
    };
    entry.restart = match app.get("autorestart") {
        Some(Value::Bool(false)) => Restart::Never,
        _ => Restart::Always,
    };
    if let Some((key, times)) = cron(app) {
        schedule(imported, &mut entry, place, key, &times);
    }
    entry.policy.insert("stop_signal".to_owned(), STOP_SIGNAL.to_owned());
    for (key, name) in [("uid", "user"), ("gid", "group")] {
        if let Some(value) = app.get(key).and_then(scalar) {
            imported.set_policy(&mut entry.policy, &format!("{place}: {key}"), name, &value);
        }
    }
    let wait_ms = app.get("kill_timeout").and_then(Value::as_u64).unwrap_or(STOP_TIMEOUT_MS);
    imported.set_stop_timeout(&mut entry.policy, "kill_timeout", &format!("{wait_ms}ms"));
    if let Some(namespace) = text("namespace").filter(|name| *name != "default") {
        entry.tags.insert("namespace".to_owned(), escape(namespace));
    }
    if let Some(Value::Object(env)) = app.get("env") {
        for (name, value) in env {
            let value = scalar(value).ok_or_else(|| format!("env {name} is not a text"))?;
            entry.env.insert(name.clone(), escape(&value));
        }
    }
    watch(imported, app, place, &mut entry)?;
    let count = instances(imported, app, place)?;
    for number in 0..count {
        let mut entry = entry.clone();
        let is_one = count == 1;
        if !is_one {
            entry.env.insert("NODE_APP_INSTANCE".to_owned(), number.to_string());
        }
        let name = if is_one { name.to_owned() } else { format!("{name}-{number}") };
        imported.add(&name, entry)?;
    }
    Ok(())
}

/// The times at which pm2 starts an app, or restarts it if it runs; 0 means none.
fn cron(app: &Map<String, Value>) -> Option<(&'static str, String)> {
    ["cron_restart", "cron"].into_iter().find_map(|key| {
        let times = scalar(app.get(key)?).filter(|times| !matches!(&**times, "0" | "" | "false"));
        times.map(|times| (key, times))
    })
}

/// Without `autorestart`, such an app runs to its end at these times: that is a schedule. With it,
/// the app always runs and only its restarts are timed, which has no counterpart.
fn schedule(imported: &mut Imported, entry: &mut Entry, place: &str, key: &str, times: &str) {
    if entry.restart == Restart::Always {
        let why = "it restarts what runs; schedule starts what does not run";
        return imported.note(place, format!("{key} has no counterpart: {why}"));
    }
    match Schedule::parse(times, None) {
        Ok(_) => {
            entry.policy.insert("schedule".to_owned(), times.to_owned());
            let change = "it starts at these times only, and not while it still runs";
            imported.note(place, format!("{key} became schedule: {change}"));
        }
        Err(reason) => {
            imported.note(place, format!("{key}: {times:?} has no counterpart: {reason}"));
        }
    }
}

/// `watch` is a switch for the folder of the app, or names paths in it. What is left out are names
/// here, and patterns of paths there.
fn watch(
    imported: &mut Imported,
    app: &Map<String, Value>,
    place: &str,
    entry: &mut Entry,
) -> Result<(), String> {
    entry.watch = match app.get("watch") {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(()),
        Some(Value::Bool(true)) => vec![PathBuf::from(".")],
        other => list(other, "watch")?.iter().map(|path| PathBuf::from(escape(path))).collect(),
    };
    for pattern in list(app.get("ignore_watch"), "ignore_watch")? {
        let name = pattern.trim_start_matches("**/").trim_start_matches("./");
        let name = name.trim_end_matches("/**").trim_end_matches("/*").trim_end_matches('/');
        let end = name.strip_prefix('*').unwrap_or(name);
        if end.is_empty() || end.contains(|letter: char| "/*?[]{}()^$\\|+".contains(letter)) {
            let why = "watch_ignore takes names, and * with the end of names";
            imported.note(place, format!("ignore_watch {pattern:?} is not taken: {why}"));
        } else if !name.starts_with('.') && name != "node_modules" {
            entry.watch_ignore.push(escape(name));
            entry.watch_ignore.dedup();
        }
    }
    Ok(())
}

fn notes(imported: &mut Imported, app: &Map<String, Value>, place: &str) {
    for (key, value) in app {
        if TAKEN.contains(&&**key) || matches!(value, Value::Null | Value::Bool(false)) {
            continue;
        }
        let why = WITHOUT.iter().find(|(name, _)| name == key).map(|(_, why)| *why);
        match why {
            Some(why) => imported.note(place, format!("{key} has no counterpart: {why}")),
            None if key.starts_with("env_") => {
                imported
                    .note(place, format!("{key} is not taken: make a file for each environment"));
            }
            None => imported.note(place, format!("{key} is not known")),
        }
    }
    if app.get("exec_mode").and_then(Value::as_str).is_some_and(|mode| mode.starts_with("cluster"))
    {
        imported.note(place, "exec_mode cluster has no counterpart: processes share no port");
    }
}

fn instances(
    imported: &mut Imported,
    app: &Map<String, Value>,
    place: &str,
) -> Result<u64, String> {
    match app.get("instances") {
        None | Some(Value::Null) => Ok(1),
        Some(Value::Number(number))
            if number.as_u64().is_some_and(|n| (1..=PROCESSES_MAX).contains(&n)) =>
        {
            Ok(number.as_u64().unwrap_or(1))
        }
        Some(Value::String(text))
            if text.parse().is_ok_and(|n: u64| (1..=PROCESSES_MAX).contains(&n)) =>
        {
            Ok(text.parse().unwrap_or(1))
        }
        Some(Value::String(text)) if text == "max" => {
            imported.note(place, "instances: \"max\" is one here; repeat the entry for more");
            Ok(1)
        }
        Some(Value::Number(_)) => {
            imported.note(place, "instances by the number of CPUs is one here; repeat the entry");
            Ok(1)
        }
        Some(_) => Err(format!("instances is 1 to {PROCESSES_MAX}, or \"max\"")),
    }
}

/// The interpreter that pm2 takes for a script; none if it is a program itself.
fn interpreter(script: &str, given: Option<&str>) -> Vec<String> {
    let by_end = match script.rsplit_once('.').map(|(_, end)| end) {
        _ if script.contains(' ') => None,
        Some("js" | "mjs" | "cjs") => Some("node"),
        Some("py") => Some("python3"),
        Some("sh") => Some("bash"),
        Some("rb") => Some("ruby"),
        Some("pl") => Some("perl"),
        Some("php") => Some("php"),
        Some("ts") => Some("ts-node"),
        _ => None,
    };
    match given {
        Some("none") => Vec::new(),
        Some(given) => vec![given.to_owned()],
        None => by_end.map(str::to_owned).into_iter().collect(),
    }
}

fn list(value: Option<&Value>, key: &str) -> Result<Vec<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(line)) => split(line).map_err(|reason| format!("{key}: {reason}")),
        Some(Value::Array(words)) => {
            let words = words
                .iter()
                .map(|word| scalar(word).ok_or_else(|| format!("{key} is not a list of texts")));
            words.collect()
        }
        Some(_) => Err(format!("{key} is neither a text nor a list")),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    #[test]
    fn json_and_plain_javascript_say_the_same() {
        let json = r#"{"apps":[{"name":"web","script":"server.js","args":"--port 80 'a b'",
            "node_args":["--max-old-space-size=200"],"cwd":"/srv/shop","env":{"PORT":8080,"X":"${y}"},
            "env_production":{"PORT":80},"max_restarts":2,"watch":false,"autorestart":true},
            {"script":"./bin/tool","instances":2,"autorestart":false,"namespace":"jobs"},
            {"name":"shell","script":"npm","args":"start","exec_mode":"cluster","instances":"max"},
            {"name":"line","script":"echo hello","odd":1},
            {"name":"sh","script":"run.sh","interpreter":"none"}]}"#;
        let script = r"// the shop
            'use strict'
            module.exports = {
              apps: [
                { name: 'web', script: 'server.js', args: `--port 80`, },
              ],
            };";
        insta::assert_snapshot!(shown(read(json, "/srv")));
        let refused = shown(read(script, "/srv"));
        assert!(refused.contains("pm2 jlist") && refused.lines().count() == 1, "{refused}");
        let read = shown(read(&script.replace('`', "'"), "/srv"));
        assert!(read.contains("command = [\"node\", \"server.js\", \"--port\", \"80\"]"), "{read}");
    }

    /// pm2 has no other way to run a program at times than an app that is not restarted.
    #[test]
    fn an_app_that_runs_at_times_becomes_a_schedule() {
        let of = |settings: &str| {
            shown(read(&format!("{{apps: [{{script: 'job', {settings}}}]}}"), "/srv"))
        };
        let job = of("autorestart: false, cron_restart: '30 2 * * 1-5'");
        assert!(job.contains("restart = \"never\""), "{job}");
        assert!(job.contains("schedule = \"30 2 * * 1-5\""), "{job}");
        assert!(job.contains("app 1: cron_restart became schedule: "), "{job}");
        let short = of("autorestart: false, cron: '@daily'");
        assert!(short.contains("schedule = \"@daily\""), "{short}");
        // What always runs is restarted at these times.
        let service = of("cron_restart: '0 3 * * *'");
        assert!(!service.contains("schedule ="), "{service}");
        assert!(
            service.contains("app 1: cron_restart has no counterpart: it restarts"),
            "{service}"
        );
        // Seconds, and no times at all.
        let seconds = of("autorestart: false, cron_restart: '0 30 2 * * *'");
        assert!(!seconds.contains("schedule ="), "{seconds}");
        assert!(seconds.contains("\"0 30 2 * * *\" has no counterpart: schedule"), "{seconds}");
        let none = of("autorestart: false, cron_restart: 0");
        assert!(!none.contains("schedule") && !none.contains("cron"), "{none}");
    }

    #[test]
    fn an_app_runs_as_its_user() {
        let read = shown(read("{apps: [{script: 'job', uid: 'www-data', gid: 33}]}", "/srv"));
        assert!(read.contains("user = \"www-data\"") && read.contains("group = \"33\""), "{read}");
        assert!(!read.contains("counterpart"), "{read}");
    }

    #[test]
    fn watched_files_are_taken_as_far_as_names_go() {
        let json = r#"[{"name":"a","script":"a.js","watch":true,"ignore_watch":["node_modules",
            "logs","**/*.tmp","./dist/","[\\/\\\\]\\./","src/*.map"]},
            {"name":"b","script":"b.js","watch":["server","client"]}]"#;
        let read = shown(read(json, "/srv"));
        assert!(read.contains("watch = [\".\"]"), "{read}");
        assert!(read.contains("watch_ignore = [\"logs\", \"*.tmp\", \"dist\"]"), "{read}");
        assert!(read.contains("watch = [\"server\", \"client\"]"), "{read}");
        assert!(read.contains("ignore_watch \"src/*.map\" is not taken"), "{read}");
    }

    #[test]
    fn the_list_of_pm2_is_read() {
        let list = r#"[{"pid":1,"name":"web","pm2_env":{"name":"web","pm_exec_path":"/srv/a.js",
            "pm_cwd":"/srv","exec_interpreter":"node","args":["x"],"autorestart":true,
            "env":{"SECRET":"hush"},"status":"online"},"monit":{}}]"#;
        let read = shown(read(list, "/srv"));
        assert!(read.contains("command = [\"node\", \"/srv/a.js\", \"x\"]"), "{read}");
        assert!(!read.contains("hush"), "the whole environment is in there: {read}");
    }

    #[test]
    fn each_entry_of_the_list_is_one_process() {
        let one = |name: &str, number: u32, more: &str| {
            format!(
                r#"{{"name":"{name}","pm2_env":{{"name":"{name}","pm_exec_path":"/srv/{name}.js",
                "pm_cwd":"/srv","exec_interpreter":"node","instances":2,"NODE_APP_INSTANCE":{number},
                "restart_delay":0,"stop_exit_codes":[],"merge_logs":true,"watch":false{more}}}}}"#
            )
        };
        let list = [
            one("napp", 0, r#","max_memory_restart":209715200,"kill_timeout":3000"#),
            one("napp", 1, r#","max_memory_restart":209715200,"kill_timeout":3000"#),
            one("napp-1", 0, r#","autorestart":false,"uid":"www-data""#),
        ];
        let list = format!("[{}]", list.join(","));
        insta::assert_snapshot!(shown(read(&list, "/")));
    }

    #[test]
    fn what_is_not_data_is_refused_with_the_remedy() {
        let all = [
            "",
            "{}",
            "[]",
            "[1]",
            "{apps: 1}",
            "module.exports = { apps: [{ script: process.env.X }] }",
            "const x = 1;\nmodule.exports = { apps: [] }",
            "{apps: [{name: 'a'}]}",
            "{apps: [{script: 'a', instances: 'many'}]}",
            "{apps: [{script: 'a', args: 1}]}",
            "{apps: [{script: 'a', env: {A: []}}]}",
            "{apps: [{script: 'a'}, {script: 'a'}]}",
        ];
        let said: Vec<String> = all.iter().map(|text| shown(read(text, "/srv"))).collect();
        assert!(said.iter().all(|line| line.lines().count() == 1), "{said:#?}");
        insta::assert_snapshot!(said.join("\n"));
    }
}
