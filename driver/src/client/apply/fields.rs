//! What differs between two instances, as the keys of a file. Pure.
//!
//! Every key of a file is compared here. Values of variables and secrets of URLs are not shown.

use std::path::Path;

use openctrl_core::instance::{AFTER, WATCH, WATCH_IGNORE};
use openctrl_core::url::{InstanceUrl, mask_url};

use super::wanted::Wanted;
use crate::manifest::{Entry, PARAMETERS, Program, Restart};

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// As the file calls it.
    pub(super) name: &'static str,
    /// The value before, for display; empty if there is none.
    pub(super) before: String,
    /// The value after, for display; empty if there is none.
    pub(super) after: String,
}

impl Field {
    /// Secrets that a token does not see.
    pub(super) fn masked() -> Self {
        let after = "compared by the master".to_owned();
        Self { name: "url", before: "secrets that this token does not see".to_owned(), after }
    }
}

/// The keys that differ. Without an instance before, those that are set.
pub(super) fn fields(before: Option<&Wanted>, after: &Wanted) -> Vec<Field> {
    let after = keys(after);
    let before = before.map_or_else(|| after.iter().map(Key::unset).collect(), keys);
    let pairs = before.into_iter().zip(after);
    let differing = pairs.filter(|(before, after)| before.whole != after.whole);
    differing
        .map(|(before, after)| Field { name: after.name, before: before.shown, after: after.shown })
        .collect()
}

/// A key with its value as it is shown and as it is compared; both are empty if it is not set.
struct Key {
    name: &'static str,
    shown: String,
    whole: String,
}

impl Key {
    fn new(name: &'static str, whole: String) -> Self {
        Self { name, shown: whole.clone(), whole }
    }

    fn unset(&self) -> Self {
        Self { name: self.name, shown: String::new(), whole: String::new() }
    }
}

/// Every key in the order of a file.
fn keys(one: &Wanted) -> Vec<Key> {
    // Without `..`: a new part of an entry has to be shown, too. Tags and peer are not in the URL,
    // and the variables of files are in `env`.
    let Entry {
        program,
        cwd,
        env,
        env_file: _,
        secrets,
        restart,
        policy,
        after,
        watch,
        watch_ignore,
        tags: _,
        peer: _,
    } = Entry::of_url(&one.url);
    let mut keys = of_program(&program);
    keys.push(Key::new("cwd", cwd.as_deref().map(text).unwrap_or_default()));
    let names: Vec<&str> = env.keys().map(String::as_str).collect();
    keys.push(Key { name: "env", shown: names.join(", "), whole: pairs(env.iter()) });
    let secrets: Vec<(String, String)> =
        secrets.iter().map(|(name, at)| (name.clone(), at.to_string())).collect();
    keys.push(Key::new("secrets", pairs(secrets.iter().map(|(name, at)| (name, at)))));
    let restart = if one.restart { restart } else { Restart::Never };
    for name in PARAMETERS {
        let whole = match name {
            "restart" => restart.word().to_owned(),
            name => policy.get(name).cloned().unwrap_or_default(),
        };
        // A check can be of a URL with a token.
        let shown = if whole.contains("://") { mask_url(&whole) } else { whole.clone() };
        keys.push(Key { name, shown, whole });
    }
    keys.push(Key::new(AFTER, after.join(", ")));
    keys.push(Key::new(WATCH, watch.iter().map(|path| text(path)).collect::<Vec<_>>().join(", ")));
    keys.push(Key::new(WATCH_IGNORE, watch_ignore.join(", ")));
    keys.push(Key::new("tags", pairs(one.tags.iter().map(|(name, value)| (name, value)))));
    keys.push(Key::new("peer", one.peer.join(" ").trim().to_owned()));
    keys
}

fn of_program(program: &Program) -> Vec<Key> {
    let [mut url, mut command, mut shell] =
        ["url", "command", "shell"].map(|name| Key::new(name, String::new()));
    match program {
        Program::Url(whole) => {
            let shown = InstanceUrl::parse(whole).map(|url| url.redacted());
            url = Key { shown: shown.unwrap_or_default(), whole: whole.clone(), ..url };
        }
        Program::Command(words) => {
            let shown = shell_words::join(words);
            command = Key { shown, whole: words.join("\0"), ..command };
        }
        Program::Shell(line) => shell = Key::new("shell", line.clone()),
    }
    vec![url, command, shell]
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn pairs<'a>(all: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    all.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::read;

    /// What a file of one instance declares.
    fn declared(folder: &Path, lines: &str) -> Wanted {
        let file = folder.join("f.toml");
        let text = format!("[instance.a]\n{lines}\n");
        let manifest = read(&file, &text, &|_| None).unwrap_or_else(|error| panic!("{error}"));
        let entry = &manifest.instances["a"];
        Wanted::new("a", entry.url(folder).expect("a good entry"), entry)
    }

    /// The keys that an instance can have in a file.
    fn known() -> Vec<String> {
        let text = "[instance.a]\nno_such_key = 1\n";
        let error = read(Path::new("/f.toml"), text, &|_| None).expect_err("there is no such key");
        let error = error.to_string();
        let (_, list) = error.split_once("expected one of ").expect("the keys are listed");
        list.split(", ").map(|key| key.trim_matches('`').to_owned()).collect()
    }

    /// A line that sets the key, and the lines that it needs.
    fn example(key: &str) -> (&'static str, &'static str) {
        match key {
            "command" => ("", "command = 'x'"),
            "shell" => ("", "shell = 'x'"),
            "url" => ("", "url = 'demo://a'"),
            "cwd" => ("command = 'x'", "cwd = '/srv'"),
            "env" => ("command = 'x'", "env = { A = '1' }"),
            "env_file" => ("command = 'x'", "env_file = 'vars.env'"),
            "secrets" => ("command = 'x'", "secrets = { A = 'env:B' }"),
            "restart" => ("command = 'x'", "restart = 'always'"),
            "max_restarts" => ("command = 'x'", "max_restarts = 3"),
            "restart_window" => ("command = 'x'\nmax_restarts = 3", "restart_window = '2m'"),
            "boot" => ("command = 'x'", "boot = 'saved'"),
            "stop_signal" => ("command = 'x'", "stop_signal = 'INT'"),
            "stop_timeout" => ("command = 'x'", "stop_timeout = '9s'"),
            "user" => ("command = 'x'", "user = 'www'"),
            "group" => ("command = 'x'", "group = 'www'"),
            "umask" => ("command = 'x'", "umask = '022'"),
            "open_files" => ("command = 'x'", "open_files = 64"),
            "memory" => ("command = 'x'", "memory = '64M'"),
            "lease" => ("command = 'x'", "lease = '30s'"),
            "error" => ("command = 'x'", "error = 'bad'"),
            "stderr" => ("command = 'x'", "stderr = 'joined'"),
            "ready" => ("command = 'x'", "ready = 'after:1s'"),
            "ready_timeout" => ("command = 'x'\nready = 'line:up'", "ready_timeout = '9s'"),
            "live" => ("command = 'x'", "live = 'tcp:127.0.0.1:1'"),
            "live_interval" => ("command = 'x'\nlive = 'tcp:127.0.0.1:1'", "live_interval = '20s'"),
            "live_timeout" => ("command = 'x'\nlive = 'tcp:127.0.0.1:1'", "live_timeout = '2s'"),
            "live_threshold" => ("command = 'x'\nlive = 'tcp:127.0.0.1:1'", "live_threshold = 5"),
            "schedule" => ("command = 'x'", "schedule = '@daily'"),
            "schedule_tz" => ("command = 'x'\nschedule = '@daily'", "schedule_tz = 'UTC'"),
            "after" => ("command = 'x'", "after = 'b'"),
            "watch" => ("command = 'x'", "watch = 'src'"),
            "watch_ignore" => ("command = 'x'\nwatch = 'src'", "watch_ignore = '*.log'"),
            "tags" => ("command = 'x'", "tags = { a = 'b' }"),
            "peer" => ("command = 'x'", "peer = { alias = 'hub' }"),
            other => panic!("give an example of {other}, and show it"),
        }
    }

    #[test]
    fn every_key_of_a_file_is_shown() {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::write(home.path().join("vars.env"), "B=2\n").expect("written");
        let all = known();
        assert!(all.len() > 30, "{all:?}");
        for key in all {
            let (needed, line) = example(&key);
            let after = declared(home.path(), &format!("{needed}\n{line}"));
            let name = if key == "env_file" { "env" } else { &*key };
            let created = fields(None, &after);
            let shown = created.iter().find(|field| field.name == name);
            assert!(shown.is_some_and(|field| !field.after.is_empty()), "{key}: {created:?}");
            if !needed.is_empty() {
                let changed = fields(Some(&declared(home.path(), needed)), &after);
                let names: Vec<&str> = changed.iter().map(|field| field.name).collect();
                assert_eq!(names, [name]);
            }
        }
    }

    #[test]
    fn no_value_of_a_variable_and_no_token_of_a_check_is_shown() {
        let with = |secret: &str| {
            let lines = format!(
                "command = 'x'\nenv = {{ A = '{secret}' }}\n\
                 live = 'http://h:1/?token={secret}'"
            );
            declared(Path::new("/srv"), &lines)
        };
        let changed = fields(Some(&with("hunter1")), &with("hunter2"));
        assert_eq!(changed.iter().map(|field| field.name).collect::<Vec<_>>(), ["env", "live"]);
        let shown = format!("{changed:?}{:?}", fields(None, &with("hunter2")));
        assert!(!shown.contains("hunter"), "{shown}");
    }
}
