//! Service units of systemd: one unit, one instance.

use std::collections::BTreeMap;

use super::entries::{Imported, time, time_ms};
use crate::manifest::{Entry, EnvFile, Program, Restart, escape};

/// Directives of `[Service]` without a counterpart, with the behavior of OpenCtrl.
const WITHOUT: [(&str, &str); 11] = [
    ("DynamicUser", "processes run as the user of the master"),
    ("ExecStartPre", "put it into the command"),
    ("ExecStartPost", "there is no command after a start"),
    ("ExecStop", "a stop sends TERM"),
    ("ExecStopPost", "there is no command after a stop"),
    ("ExecReload", "there is no reload"),
    ("RestartSec", "restarts back off"),
    ("KillMode", "signals go to the process group"),
    ("WatchdogSec", "there is no watchdog"),
    ("StandardOutput", "the master keeps the output"),
    ("StandardError", "the master keeps the output"),
];

/// Directives that are policy, with the name of the key.
const POLICY: [(&str, &str); 5] = [
    ("User", "user"),
    ("Group", "group"),
    ("KillSignal", "stop_signal"),
    ("UMask", "umask"),
    ("LimitNOFILE", "open_files"),
];

/// How long systemd waits before KILL by default.
const STOP_TIMEOUT: &str = "90s";

/// How long systemd waits for a unit to be ready by default, in ms.
const START_TIMEOUT_MS: u64 = 90_000;

/// What `ready_timeout` can be, in ms.
const READY_LIMIT_MS: std::ops::RangeInclusive<u64> = 100..=24 * 3_600_000;

/// Directives of `[Unit]` about other units.
const ORDER: [&str; 6] = ["After", "Before", "Requires", "Requisite", "Wants", "BindsTo"];

/// The window of a limit of starts by default.
const START_LIMIT_INTERVAL: &str = "10s";

/// Reads a unit; `unit_name` is the name of its file, without its extension.
pub(super) fn read(text: &str, unit_name: &str) -> Result<Imported, String> {
    let unit = directives(text)?;
    let mut imported = Imported::default();
    let of = |section: &str, key: &str| unit.get(&(section.to_owned(), key.to_owned()));
    let last = |key: &str| of("Service", key).and_then(|values| values.last()).map(String::as_str);
    if !unit.keys().any(|(section, _)| section == "Service") {
        return Err("there is no [Service] in it".to_owned());
    }
    let commands = of("Service", "ExecStart").cloned().unwrap_or_default();
    let command = match &commands[..] {
        [command] => command.as_str(),
        [] => return Err("there is no ExecStart in it".to_owned()),
        [..] => return Err("it has several ExecStart; make a unit of each".to_owned()),
    };
    let program = command.trim_start_matches(['@', '-', ':', '+', '!', '|']);
    if program != command {
        imported.note("ExecStart", "the prefix before the path has no counterpart");
    }
    let mut env = BTreeMap::new();
    for line in of("Service", "Environment").into_iter().flatten() {
        for word in words(line)? {
            let (name, value) = word
                .split_once('=')
                .ok_or_else(|| format!("Environment: {word:?} is not NAME=VALUE"))?;
            env.insert(name.to_owned(), specifiers(value, unit_name, &mut imported)?);
        }
    }
    let mut list = Vec::new();
    for word in words(program)? {
        let word = specifiers(&word, unit_name, &mut imported)?;
        list.push(variables(&word, &env, &mut imported));
    }
    let folder = last("WorkingDirectory").map(|folder| folder.trim_start_matches('-'));
    let mut entry = Entry { program: Program::Command(list), ..Entry::default() };
    entry.cwd = Some("/".into());
    if let Some(folder) = folder.filter(|folder| !folder.is_empty()) {
        if folder == "~" {
            imported.note("WorkingDirectory", "~ is written out: set cwd");
        } else {
            entry.cwd = Some(specifiers(folder, unit_name, &mut imported)?.into());
        }
    }
    for file in of("Service", "EnvironmentFile").into_iter().flatten() {
        let optional = file.strip_prefix('-');
        let path = escape(optional.unwrap_or(file));
        entry.env_file.push(EnvFile { path, is_required: optional.is_none() });
    }
    for (key, name) in POLICY {
        if let Some(value) = last(key) {
            let value = specifiers(value, unit_name, &mut imported)?;
            imported.set_policy(&mut entry.policy, key, name, &value);
        }
    }
    let stop_timeout = last("TimeoutStopSec").or(last("TimeoutSec")).unwrap_or(STOP_TIMEOUT);
    imported.set_stop_timeout(&mut entry.policy, "TimeoutStopSec", stop_timeout);
    let limit = |key: &str| {
        let values = of("Unit", key).or_else(|| of("Service", key));
        values.and_then(|values| values.last()).map(String::as_str)
    };
    if is_notify(last("Type")) {
        let timeout = last("TimeoutStartSec").or(last("TimeoutSec"));
        ready(&mut entry, timeout, &mut imported);
    }
    if let Some(burst) = limit("StartLimitBurst") {
        imported.set_policy(&mut entry.policy, "StartLimitBurst", "max_restarts", burst);
        let interval = limit("StartLimitIntervalSec").unwrap_or(START_LIMIT_INTERVAL);
        match time_ms(interval).filter(|ms| *ms > 0) {
            Some(ms) if entry.policy.contains_key("max_restarts") => {
                entry.policy.insert("restart_window".to_owned(), time(ms));
            }
            Some(_) => {}
            None => {
                imported.note(&format!("StartLimitIntervalSec={interval}"), "it has no counterpart")
            }
        }
    }
    entry.env = env.into_iter().collect();
    entry.restart = restart(last("Restart").unwrap_or("no"), &mut imported)?;
    notes(&unit, &mut imported);
    imported.add(unit_name, entry)?;
    Ok(imported)
}

/// Whether the program says itself when it is ready.
fn is_notify(kind: Option<&str>) -> bool {
    matches!(kind, Some("notify" | "notify-reload"))
}

fn ready(entry: &mut Entry, timeout: Option<&str>, imported: &mut Imported) {
    entry.policy.insert("ready".to_owned(), "notify".to_owned());
    let limit = match timeout {
        Some("infinity" | "0") => "off".to_owned(),
        Some(text) => match time_ms(text).filter(|ms| READY_LIMIT_MS.contains(ms)) {
            Some(ms) => time(ms),
            None => {
                imported.note(&format!("TimeoutStartSec={text}"), "it has no counterpart");
                return;
            }
        },
        None => time(START_TIMEOUT_MS),
    };
    entry.policy.insert("ready_timeout".to_owned(), limit);
}

fn restart(word: &str, imported: &mut Imported) -> Result<Restart, String> {
    match word {
        "no" | "never" => return Ok(Restart::Never),
        "on-failure" => {}
        "always" => return Ok(Restart::Always),
        "on-abnormal" | "on-abort" | "on-watchdog" => {
            imported.note(&format!("Restart={word}"), "every failure is a reason to restart here");
        }
        "on-success" => {
            imported.note("Restart=on-success", "it has no counterpart: it is not restarted");
            return Ok(Restart::Never);
        }
        other => return Err(format!("Restart: {other:?} is not a policy")),
    }
    Ok(Restart::OnFailure)
}

fn notes(unit: &BTreeMap<(String, String), Vec<String>>, imported: &mut Imported) {
    let taken = [
        "ExecStart",
        "Environment",
        "EnvironmentFile",
        "WorkingDirectory",
        "Restart",
        "TimeoutStopSec",
        "TimeoutSec",
        "StartLimitBurst",
        "StartLimitIntervalSec",
    ];
    let kind = unit.get(&("Service".to_owned(), "Type".to_owned())).and_then(|kind| kind.last());
    let waits = is_notify(kind.map(String::as_str));
    for ((section, key), values) in unit {
        match section.as_str() {
            "Service" if key == "Type" => {
                let kind = values.last().map(String::as_str).unwrap_or_default();
                if !matches!(kind, "simple" | "exec") && !is_notify(Some(kind)) {
                    let what = "it is started and watched as Type=exec";
                    imported.note(&format!("Type={kind}"), what);
                }
            }
            "Service" if taken.contains(&&**key) => {}
            "Service" if key == "TimeoutStartSec" && waits => {}
            "Service" if POLICY.iter().any(|(name, _)| name == key) => {}
            "Service" => match WITHOUT.iter().find(|(name, _)| name == key) {
                Some((_, why)) => imported.note(key, format!("it has no counterpart: {why}")),
                None => imported.note(key, "it has no counterpart"),
            },
            "Unit" if matches!(&**key, "Description" | "Documentation") => {}
            "Unit" if taken.contains(&&**key) => {}
            "Unit" if ORDER.contains(&&**key) => {
                imported
                    .note(key, "units have no counterpart: name instances of the master in after");
            }
            "Unit" => imported.note(key, "it has no counterpart"),
            _ => {}
        }
    }
}

/// The values of each directive by section and key. An empty one drops those before it.
fn directives(text: &str) -> Result<BTreeMap<(String, String), Vec<String>>, String> {
    let mut all: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name = name.strip_suffix(']');
            name.ok_or_else(|| format!("line {}: a ] is missing", index + 1))?
                .clone_into(&mut section);
            continue;
        }
        let mut whole = line.to_owned();
        while let Some(before) = whole.strip_suffix('\\') {
            let next = lines.find(|(_, line)| !line.trim_start().starts_with(['#', ';']));
            whole = format!("{before} {}", next.map_or("", |(_, line)| line.trim()));
        }
        let (key, value) = whole
            .split_once('=')
            .filter(|_| !section.is_empty())
            .ok_or_else(|| format!("line {}: write Key=value in a [Section]", index + 1))?;
        let values = all.entry((section.clone(), key.trim().to_owned())).or_default();
        match value.trim() {
            "" => values.clear(),
            value => values.push(value.to_owned()),
        }
    }
    Ok(all)
}

/// Words as systemd splits them: quotes anywhere, and escapes as in C.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', _) => {
                let escaped = match rest.next().ok_or("a \\ at the end")? {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    's' => ' ',
                    'x' => {
                        let digits: String = rest.by_ref().take(2).collect();
                        let byte = u8::from_str_radix(&digits, 16).ok().filter(u8::is_ascii);
                        char::from(byte.ok_or("\\x takes two digits of an ASCII character")?)
                    }
                    other => other,
                };
                word.get_or_insert_default().push(escaped);
            }
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    all.extend(word);
    Ok(all)
}

/// `%n`, `%N`, `%p`, `%i` and `%%`; others are left for the reader to replace.
fn specifiers(text: &str, name: &str, imported: &mut Imported) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            whole.push(c);
            continue;
        }
        match rest.next() {
            Some('%') => whole.push('%'),
            Some('n') => whole.push_str(&format!("{name}.service")),
            Some('N') => whole.push_str(name),
            Some('p') => whole.push_str(name.split('@').next().unwrap_or(name)),
            Some('i') => whole.push_str(name.split_once('@').map_or("", |(_, instance)| instance)),
            Some('h') => whole.push_str("${HOME}"),
            Some(other) => {
                imported.note(&format!("%{other}"), "replace it by hand");
                whole.extend(['%', other]);
            }
            None => return Err("a single % is written %%".to_owned()),
        }
    }
    Ok(whole)
}

/// `$NAME` and `${NAME}` in a command are variables of its own environment.
fn variables(word: &str, env: &BTreeMap<String, String>, imported: &mut Imported) -> String {
    let mut whole = word.replace("$$", "\0");
    for (name, value) in env {
        whole = whole.replace(&format!("${{{name}}}"), value);
        if whole == format!("${name}") {
            whole.clone_from(value);
        }
    }
    if whole.contains('$') {
        let what =
            format!("{whole:?}: a variable that Environment does not set; apply sets ${{NAME}}");
        imported.note("ExecStart", what);
    }
    whole.replace('\0', "$")
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    const UNIT: &str = r#"
[Unit]
Description=The shop
After=network-online.target
# a comment
[Service]
Type=notify
User=www
KillSignal=SIGRTMIN+3
TimeoutStopSec=1min 30s
StartLimitBurst=3
Environment="PORT=80 80" MODE=a
Environment=EMPTY=
EnvironmentFile=-/etc/default/shop
ExecStartPre=/bin/true
ExecStart=
ExecStart=-/usr/bin/node server.js \
    # between
    --port ${PORT} "a b" x\x20y --unit %n 50%%
WorkingDirectory=/srv/shop
Restart=always
RestartSec=3
LimitNOFILE=1024
[Install]
WantedBy=multi-user.target
"#;

    #[test]
    fn a_unit_becomes_an_instance() {
        insta::assert_snapshot!(shown(read(UNIT, "shop")));
    }

    #[test]
    fn a_unit_that_notifies_is_ready_when_it_says_so() {
        let of = |lines: &str| {
            let text = format!("[Service]\nExecStart=/a\nType=notify-reload\n{lines}");
            let read = read(&text, "u").expect("a unit");
            assert!(read.notes.is_empty(), "{:?}", read.notes);
            let policy = read.instances["u"].policy.clone();
            assert_eq!(policy.get("ready").map(String::as_str), Some("notify"));
            policy.get("ready_timeout").cloned()
        };
        assert_eq!(of("").as_deref(), Some("90s"));
        assert_eq!(of("TimeoutStartSec=2min\n").as_deref(), Some("120s"));
        assert_eq!(of("TimeoutSec=3min\n").as_deref(), Some("180s"));
        assert_eq!(of("TimeoutStartSec=infinity\n").as_deref(), Some("off"));
        let odd = "[Service]\nExecStart=/a\nType=notify\nTimeoutStartSec=1y\n";
        let odd = read(odd, "u").expect("a unit");
        assert_eq!(odd.notes, ["TimeoutStartSec=1y: it has no counterpart"]);
    }

    #[test]
    fn an_empty_directive_drops_those_before_it() {
        let text = "[Service]\nExecStart=/a\nExecStart=\nExecStart=/b\n";
        let read = read(text, "u").expect("a unit");
        assert_eq!(read.instances["u"].program, Program::Command(vec!["/b".to_owned()]));
        assert_eq!(read.instances["u"].restart, Restart::Never);
    }

    #[test]
    fn what_cannot_be_read_is_one_line() {
        let service = |inside: &str| format!("[Service]\nExecStart=/bin/x\n{inside}\n");
        let all = [
            String::new(),
            "[Unit]\nA=b\n".to_owned(),
            "[Service]\nType=simple\n".to_owned(),
            "[Service\n".to_owned(),
            "ExecStart=/x\n".to_owned(),
            "[Service]\njunk\n".to_owned(),
            "[Service]\nExecStart=/a\nExecStart=/b\n".to_owned(),
            "[Service]\nExecStart=/a \"b\n".to_owned(),
            service("Environment=A"),
            service("Restart=sometimes"),
        ];
        let said: Vec<String> = all.iter().map(|text| shown(read(text, "unit"))).collect();
        assert!(said.iter().all(|line| line.lines().count() == 1), "{said:#?}");
        insta::assert_snapshot!(said.join("\n"));
    }
}
