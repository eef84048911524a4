//! supervisord.conf, parsed as Python's parser does.
//!
//! A `;` or `#` after a space starts a comment, also within quotes, as in supervisord.
//! `%(ENV_NAME)s` becomes `${NAME}`.

use std::collections::BTreeMap;

use configparser::ini::Ini;
use openctrl_core::limits::{BACKOFF_FIRST_MS, BACKOFF_LONGEST_MS};

use super::entries::{Imported, Policy, split, time};
use crate::manifest::{Entry, Program, Restart, escape};

/// Options of a program that mean nothing here, because what they ask for is so, or is not needed.
const MEANINGLESS: [&str; 4] = ["autostart", "startsecs", "process_name", "numprocs_start"];

/// Options that are policy, with the name of the key.
const POLICY: [(&str, &str); 3] =
    [("stopsignal", "stop_signal"), ("user", "user"), ("umask", "umask")];

/// How long supervisord waits before KILL by default, in seconds.
const STOP_TIMEOUT: &str = "10";

/// How long a process has to run to be started, in seconds, by default.
const START_SECS: u64 = 1;

/// Options without a counterpart, with the behavior of OpenCtrl.
const WITHOUT: [(&str, &str); 14] = [
    ("priority", "numbers set no order: name the instances to wait for in after"),
    ("exitcodes", "every exit code but 0 is a failure"),
    ("stopasgroup", "signals go to the process group always"),
    ("killasgroup", "signals go to the process group always"),
    ("stdout_logfile", "the master keeps the output; see logs= of the master URL"),
    ("stderr_logfile", "the master keeps the output; see logs= of the master URL"),
    ("stdout_logfile_maxbytes", "see log_size= of the master URL"),
    ("stderr_logfile_maxbytes", "see log_size= of the master URL"),
    ("stdout_logfile_backups", "see log_keep= of the master URL"),
    ("stderr_logfile_backups", "see log_keep= of the master URL"),
    ("stdout_capture_maxbytes", "there is no capture mode"),
    ("stderr_capture_maxbytes", "there is no capture mode"),
    ("stdout_events_enabled", "lines are in the event stream always"),
    ("serverurl", "there is no variable SUPERVISOR_SERVER_URL"),
];

/// What supervisord reads as true.
fn is_true(value: &str) -> bool {
    ["true", "yes", "on", "1"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// The most processes of one program.
const PROCESSES_MAX: u32 = 1000;

/// Reads the programs; `here` is the folder of the file.
pub(super) fn read(text: &str, here: &str) -> Result<Imported, String> {
    let mut ini = Ini::new_cs();
    ini.set_multiline(true);
    // Comments are taken out before, as only those after white space are any.
    ini.set_inline_comment_symbols(Some(&[]));
    let sections: BTreeMap<String, Values> = ini
        .read(without_comments(text))?
        .into_iter()
        .map(|(section, values)| (section, lower(values)))
        .collect();
    let mut imported = Imported::default();
    let mut groups: BTreeMap<String, String> = BTreeMap::new();
    for (section, values) in &sections {
        let Some(("group", name)) = section.split_once(':') else { continue };
        let programs = values.get("programs").map(String::as_str).unwrap_or_default();
        let pairs = programs.split(',').map(|one| (one.trim().to_owned(), name.trim().to_owned()));
        groups.extend(pairs);
    }
    for (section, values) in &sections {
        let place = format!("[{section}]");
        match section.split_once(':') {
            Some(("program", name)) => {
                let section = Section { name: name.trim(), values, here };
                section.add(&mut imported, groups.get(name.trim()), &place)?;
            }
            Some(("group" | "rpcinterface", _)) => {}
            Some((kind, _)) => imported.note(&place, format!("a section {kind} is not imported")),
            None if section == "include" => {
                let files = values.get("files").map(String::as_str).unwrap_or_default();
                imported.note(&place, format!("import these files by themselves: {files}"));
            }
            None => {}
        }
    }
    if imported.instances.is_empty() {
        return Err("there is no [program:NAME] in it".to_owned());
    }
    Ok(imported)
}

/// A `;` or `#` after white space ends a line; at its start it makes the line a comment.
fn without_comments(text: &str) -> String {
    let line = |line: &str| {
        if line.starts_with([';', '#']) {
            return String::new();
        }
        let is_space = |at: usize| line[..at].ends_with(char::is_whitespace);
        let end = line.char_indices().find(|(at, c)| matches!(c, ';' | '#') && is_space(*at));
        line[..end.map_or(line.len(), |(at, _)| at)].trim_end().to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The options of a section by name.
type Values = BTreeMap<String, String>;

/// Names of options are the same in any case; an option without a value is empty.
fn lower(values: impl IntoIterator<Item = (String, Option<String>)>) -> Values {
    let values = values.into_iter();
    values.map(|(name, value)| (name.to_lowercase(), value.unwrap_or_default())).collect()
}

/// One `[program:NAME]`.
struct Section<'a> {
    name: &'a str,
    values: &'a Values,
    here: &'a str,
}

impl Section<'_> {
    fn add(
        &self,
        imported: &mut Imported,
        group: Option<&String>,
        place: &str,
    ) -> Result<(), String> {
        let wrong = |reason: String| format!("{place}: {reason}");
        self.notes(imported, place);
        let get = |key: &str| self.values.get(key).map(String::as_str);
        let count = get("numprocs").map_or(Ok(1), |text| {
            let number = text.parse().ok().filter(|number| (1..=PROCESSES_MAX).contains(number));
            number.ok_or_else(|| wrong(format!("numprocs is 1 to {PROCESSES_MAX}, not {text:?}")))
        })?;
        let policy = self.policy(imported, place);
        let first: u32 = get("numprocs_start").and_then(|text| text.parse().ok()).unwrap_or(0);
        let usual =
            if count > 1 { "%(program_name)s_%(process_num)02d" } else { "%(program_name)s" };
        for number in first..first.saturating_add(count) {
            let expand = |text: &str| self.expand(text, number, group).map_err(wrong);
            let name = expand(get("process_name").unwrap_or(usual))?;
            let command = get("command").ok_or_else(|| wrong("there is no command".to_owned()))?;
            let words = split(&expand(command)?).map_err(|reason| {
                wrong(format!("command: {reason}; a ' ;' begins a comment, also within quotes"))
            })?;
            let env = get("environment").map_or(Ok(BTreeMap::new()), |text| {
                environment(&expand(text)?)
                    .map_err(|reason| wrong(format!("environment: {reason}")))
            })?;
            let restart = match get("autorestart").unwrap_or("unexpected") {
                "false" => Restart::Never,
                "true" => Restart::Always,
                _ => Restart::OnFailure,
            };
            let tags = group.map(|group| ("group".to_owned(), group.clone())).into_iter().collect();
            let cwd = get("directory").map(expand).transpose()?.map(Into::into);
            let program = Program::Command(words);
            let policy = policy.clone();
            let entry = Entry { program, cwd, env, restart, policy, tags, ..Entry::default() };
            imported.add(&name, entry).map_err(wrong)?;
        }
        Ok(())
    }

    fn policy(&self, imported: &mut Imported, place: &str) -> Policy {
        let mut policy = Policy::new();
        for (key, name) in POLICY {
            if let Some(value) = self.values.get(key) {
                let value = escape(value);
                imported.set_policy(&mut policy, &format!("{place}: {key}"), name, &value);
            }
        }
        if self.values.get("redirect_stderr").is_some_and(|value| is_true(value)) {
            policy.insert("stderr".to_owned(), "joined".to_owned());
        }
        let wait = self.values.get("stopwaitsecs").map_or(STOP_TIMEOUT, String::as_str);
        imported.set_stop_timeout(&mut policy, &format!("{place}: stopwaitsecs"), wait);
        if let Some(retries) = self.values.get("startretries") {
            self.limit(imported, &mut policy, place, retries);
        }
        policy
    }

    /// `startretries` counts starts in a row that do not last for `startsecs`. The window is so long
    /// that as many of them, with their delays, are within it.
    fn limit(&self, imported: &mut Imported, policy: &mut Policy, place: &str, retries: &str) {
        let place = format!("{place}: startretries={retries}");
        imported.set_policy(policy, &place, "max_restarts", retries);
        let Some(count) = policy.get("max_restarts").and_then(|count| count.parse().ok()) else {
            return;
        };
        let start_secs = self.values.get("startsecs").and_then(|text| text.parse().ok());
        let window_ms = window_ms(count, start_secs.unwrap_or(START_SECS));
        imported.set_policy(policy, &place, "restart_window", &time(window_ms));
        let what = "it became max_restarts, which counts every restart in restart_window";
        imported.note(&place, what);
    }

    fn notes(&self, imported: &mut Imported, place: &str) {
        if self.values.get("autostart").is_some_and(|value| value == "false") {
            imported.note(place, "autostart=false has no counterpart: apply starts it");
        }
        if self.values.get("startsecs").is_some_and(|value| value != "1") {
            imported.note(place, "startsecs has no counterpart: use --for of 'apply --wait'");
        }
        for (key, value) in self.values {
            let known = [
                "command",
                "directory",
                "environment",
                "autorestart",
                "numprocs",
                "stopwaitsecs",
                "startretries",
            ];
            let is_policy = POLICY.iter().any(|(name, _)| name == key);
            if is_policy || known.contains(&&**key) || MEANINGLESS.contains(&&**key) {
                continue;
            }
            match WITHOUT.iter().find(|(name, _)| name == key) {
                Some((_, why)) => {
                    imported.note(place, format!("{key}={value} has no counterpart: {why}"))
                }
                None => imported.note(place, format!("{key} is not known")),
            }
        }
    }

    /// `%(name)s` and `%(name)02d`, as Python's `%` has them.
    fn expand(&self, text: &str, number: u32, group: Option<&String>) -> Result<String, String> {
        let mut whole = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            whole.push_str(&escape(&rest[..at]));
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                whole.push('%');
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(')'))
                .ok_or("a single % is written %%")?;
            let end = after.find(['s', 'd']).ok_or_else(|| format!("%({name}) needs an s or d"))?;
            let (form, after) = after.split_at(end);
            let value = match name {
                "program_name" => self.name.to_owned(),
                "group_name" => group.map_or(self.name, |group| group).to_owned(),
                "process_num" => number.to_string(),
                "here" => escape(self.here),
                name => match name.strip_prefix("ENV_") {
                    Some(variable) => format!("${{{variable}}}"),
                    None => return Err(format!("%({name})s has no counterpart; replace it")),
                },
            };
            let wide: usize = form.parse().unwrap_or(0);
            let fill = if form.starts_with('0') { '0' } else { ' ' };
            whole.extend(std::iter::repeat_n(fill, wide.min(20).saturating_sub(value.len())));
            whole.push_str(&value);
            rest = &after[1..];
        }
        whole.push_str(&escape(rest));
        Ok(whole)
    }
}

/// The time that `count` restarts in a row take at most, in whole seconds as ms, if each process
/// runs for `start_secs`: delays that double, with their jitter of a fifth.
fn window_ms(count: u32, start_secs: u64) -> u64 {
    let delay_ms = |attempt| {
        let doubled_ms = 1_u64.checked_shl(attempt).and_then(|n| n.checked_mul(BACKOFF_FIRST_MS));
        doubled_ms.map_or(BACKOFF_LONGEST_MS, |ms| ms.min(BACKOFF_LONGEST_MS))
    };
    let delays_ms: u64 = (1..=count).map(delay_ms).sum();
    let runs_ms = start_secs.saturating_mul(1_000).saturating_mul(u64::from(count));
    (delays_ms * 6 / 5).saturating_add(runs_ms).div_ceil(1_000).saturating_mul(1_000)
}

/// `A="1",B='2',C=3`.
fn environment(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    let mut rest = text.trim_start_matches([',', ' ', '\n', '\t']);
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=').ok_or("write NAME=\"value\",NAME=\"value\"")?;
        let value = value.trim_start();
        let (value, after) = match value.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) => value[1..].split_once(quote).ok_or("a quote is not closed")?,
            None => value.split_at(value.find([',', '\n']).unwrap_or(value.len())),
        };
        all.insert(name.trim().to_owned(), value.trim_end_matches('\n').to_owned());
        rest = after.trim_start_matches([',', ' ', '\n', '\t']);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    const CONF: &str = r#"
; a comment
[supervisord]
logfile=/tmp/sd.log ; its own log
[unix_http_server]
file=/tmp/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:web]
command=/usr/bin/node server.js --port=%(ENV_PORT)s --literal ${HOME} 50%% ; the shop
directory=%(here)s/web
environment=PATH="/opt/bin:%(ENV_PATH)s",MODE='a,b',
    PLAIN=x
autorestart=true
stopsignal=INT
stopwaitsecs=30
user=www-data
stdout_logfile=/var/log/web.log
made_up=1
[program:tight]
command=/bin/sh -c "echo one; echo two"
autorestart=false
[program:worker]
command=./work --number %(process_num)d
numprocs=2
process_name=%(group_name)s-%(process_num)02d
[group:jobs]
programs=worker,other
[eventlistener:mail]
command=crashmail
[include]
files = conf.d/*.conf
"#;

    #[test]
    fn programs_become_instances() {
        insta::assert_snapshot!(shown(read(CONF, "/etc/supervisor")));
    }

    #[test]
    fn a_semicolon_after_a_space_is_a_comment_even_in_quotes() {
        let spaced = "[program:a]\ncommand=/bin/sh -c \"echo one ; echo two\"\n";
        let tight = "[program:a]\ncommand=/bin/sh -c \"echo one; echo two\"\n";
        assert_eq!(
            shown(read(spaced, "/")),
            "[program:a]: command: a quote is not closed; a ' ;' begins a comment, also within quotes"
        );
        let read = read(tight, "/").expect("it is a command");
        let words = ["/bin/sh", "-c", "echo one; echo two"].map(str::to_owned).to_vec();
        assert_eq!(read.instances["a"].program, Program::Command(words));
    }

    #[test]
    fn retries_of_a_start_become_a_limit_of_restarts() {
        let of = |lines: &str| {
            let read = read(&format!("[program:a]\ncommand=x\n{lines}"), "/").expect("a program");
            let policy = read.instances["a"].policy.clone();
            let value = |name: &str| policy.get(name).cloned().unwrap_or_default();
            (value("max_restarts"), value("restart_window"), read.notes)
        };
        let (count, window, notes) = of("startretries=4\n");
        // 2, 4, 8 and 16 s with their jitter, and 1 s for each start.
        assert_eq!((&*count, &*window), ("4", "40s"));
        assert_eq!(
            notes,
            ["[program:a]: startretries=4: it became max_restarts, which counts every restart in \
              restart_window"]
        );
        assert_eq!(of("startretries=2\nstartsecs=10\n").1, "28s");
        assert_eq!(of("startretries=1000\n").1, "72715s");
        let (count, window, notes) = of("startretries=0\n");
        assert_eq!((&*count, &*window), ("", ""));
        assert!(notes[0].contains("max_restarts must be a whole number from 1"), "{notes:?}");
        let (_, window, notes) = of("startretries=4\nstartsecs=9999999\n");
        assert!(window.is_empty() && notes[1].contains("restart_window must be"), "{notes:?}");
    }

    #[test]
    fn what_cannot_be_read_is_one_line() {
        let all = [
            "",
            "[supervisord]\n",
            "[program:a",
            "[program:a]\ndirectory=/\n",
            "[program:a]\ncommand=x %(host_node_name)s\n",
            "[program:a]\ncommand=x 5%\n",
            "[program:a]\ncommand=x\nnumprocs=many\n",
            "[program:a]\ncommand=x\nenvironment=A\n",
            "[program:a]\ncommand=x\nnumprocs=2\nprocess_name=one\n",
        ];
        let said: Vec<String> = all.iter().map(|text| shown(read(text, "/"))).collect();
        assert!(said.iter().all(|line| line.lines().count() == 1), "{said:#?}");
        insta::assert_snapshot!(said.join("\n"));
    }
}
