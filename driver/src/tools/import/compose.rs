//! Compose files: services as commands of this machine. Images have no counterpart.
//!
//! Numbers in an environment are what docker compose makes of them: `010` is 8, `1e3` is 1000.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::entries::{Imported, Policy, split};
use crate::manifest::{Entry, EnvFile, Program, Restart, escape, yaml_reason};

/// Keys without a counterpart that change which program runs or who can reach it.
const WITHOUT: [(&str, &str); 10] = [
    ("build", "images are not built"),
    ("ports", "a process listens on the ports of this machine"),
    ("volumes", "a process sees the files of this machine"),
    ("networks", "a process uses the network of this machine"),
    ("healthcheck", "it runs in a container; set ready or live"),
    ("secrets", "use secrets with file: and env:"),
    ("configs", "a process sees the files of this machine"),
    ("logging", "the master keeps the output; see logs= of the master URL"),
    ("container_name", "the name of the service is the name"),
    ("profiles", "every service is imported"),
];

/// Keys that are policy.
const POLICY: [&str; 3] = ["stop_signal", "stop_grace_period", "user"];

/// How long docker waits before KILL by default.
const STOP_TIMEOUT: &str = "10s";

/// The most processes of one service.
const PROCESSES_MAX: u64 = 1000;

#[derive(Deserialize)]
struct File {
    name: Option<String>,
    #[serde(default)]
    services: BTreeMap<String, BTreeMap<String, Value>>,
    include: Option<Value>,
}

/// Any YAML.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Value {
    Null,
    Bool(bool),
    Whole(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

/// Reads the services.
pub(super) fn read(text: &str) -> Result<Imported, String> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true, strict_booleans: true };
    let file: File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let line = error.location().map_or(1, |location| location.line());
        format!("line {line}: {}", yaml_reason(error))
    })?;
    let mut imported = Imported { name: file.name, ..Imported::default() };
    if file.include.is_some() {
        imported.note("include", "import these files by themselves");
    }
    for (name, service) in &file.services {
        let place = format!("service {name:?}");
        Service(service)
            .add(&mut imported, name, &place)
            .map_err(|reason| format!("{place}: {reason}"))?;
    }
    if file.services.is_empty() {
        return Err("there are no services in it".to_owned());
    }
    order(&mut imported);
    Ok(imported)
}

/// Services become the instances that they have; of others nothing can be waited for.
fn order(imported: &mut Imported) {
    let names: Vec<String> = imported.instances.keys().cloned().collect();
    let of_service = |service: &str| -> Vec<String> {
        let is_its = |name: &&String| {
            let rest = name.strip_prefix(service);
            let number = rest.and_then(|rest| rest.strip_prefix('-'));
            rest == Some("") || number.is_some_and(|number| number.parse::<u64>().is_ok())
        };
        names.iter().filter(is_its).cloned().collect()
    };
    let mut missing = Vec::new();
    for (name, entry) in &mut imported.instances {
        for service in std::mem::take(&mut entry.after) {
            let found = of_service(&service);
            if found.is_empty() {
                missing.push((name.clone(), service));
            }
            entry.after.extend(found);
        }
    }
    for (name, service) in missing {
        imported
            .note(&format!("instance {name:?}"), format!("depends_on: {service} is not imported"));
    }
}

struct Service<'a>(&'a BTreeMap<String, Value>);

impl Service<'_> {
    fn add(&self, imported: &mut Imported, name: &str, place: &str) -> Result<(), String> {
        let mut words = self.words("entrypoint")?;
        words.extend(self.words("command")?);
        let image = self.0.get("image").and_then(Value::scalar).unwrap_or_default();
        if words.is_empty() {
            let what = format!(
                "it is not imported: it has no command of its own, and what the image {image:?} runs is \
                 not known here"
            );
            imported.note(place, what);
            return Ok(());
        }
        if !image.is_empty() {
            let what =
                format!("image {image:?} has no counterpart: {:?} runs on this machine", words[0]);
            imported.note(place, what);
        }
        self.notes(imported, place);
        let mut entry = Entry { program: Program::Command(words), ..Entry::default() };
        if let Some(folder) = self.0.get("working_dir").and_then(Value::scalar) {
            entry.cwd = Some(template(&folder)?.into());
        }
        entry.restart = match self.0.get("restart").and_then(Value::scalar).as_deref() {
            None | Some("no" | "false") => Restart::Never,
            Some("always" | "unless-stopped") => Restart::Always,
            Some("on-failure") => Restart::OnFailure,
            Some(limited) if limited.starts_with("on-failure:") => {
                let what = format!(
                    "restart: the limit of {limited} has no counterpart: max_restarts counts those of a time"
                );
                imported.note(place, what);
                Restart::OnFailure
            }
            Some(other) => return Err(format!("restart: {other:?} is not a policy")),
        };
        self.policy(imported, &mut entry.policy, place)?;
        entry.after = match self.0.get("depends_on") {
            Some(Value::Map(services)) => services.keys().cloned().collect(),
            Some(Value::List(services)) => services.iter().filter_map(Value::scalar).collect(),
            _ => Vec::new(),
        };
        entry.env = self.environment()?;
        entry.env_file = self.env_files()?;
        entry.tags = self.labels()?;
        let count = self.replicas()?;
        for number in 1..=count {
            let name = if count == 1 { name.to_owned() } else { format!("{name}-{number}") };
            imported.add(&name, entry.clone())?;
        }
        Ok(())
    }

    fn policy(
        &self,
        imported: &mut Imported,
        policy: &mut Policy,
        place: &str,
    ) -> Result<(), String> {
        let get = |key: &str| {
            self.0.get(key).and_then(Value::scalar).map(|value| template(&value)).transpose()
        };
        if let Some(signal) = get("stop_signal")? {
            imported.set_policy(policy, &format!("{place}: stop_signal"), "stop_signal", &signal);
        }
        let wait = get("stop_grace_period")?.unwrap_or_else(|| STOP_TIMEOUT.to_owned());
        imported.set_stop_timeout(policy, &format!("{place}: stop_grace_period"), &wait);
        if let Some(user) = get("user")? {
            let place = format!("{place}: user");
            // A colon in `${…}` is that of a default.
            let (user, group) = match user.split_once(':') {
                Some((user, group)) if !user.contains('$') => (user.to_owned(), Some(group)),
                _ => (user.clone(), None),
            };
            imported.set_policy(policy, &place, "user", &user);
            if let Some(group) = group {
                imported.set_policy(policy, &place, "group", group);
            }
        }
        Ok(())
    }

    fn notes(&self, imported: &mut Imported, place: &str) {
        let taken = [
            "entrypoint",
            "command",
            "image",
            "working_dir",
            "restart",
            "depends_on",
            "environment",
            "env_file",
            "labels",
            "scale",
            "deploy",
        ];
        let is_taken = |key: &str| taken.contains(&key) || POLICY.contains(&key);
        for key in self.0.keys().filter(|key| !is_taken(key) && !key.starts_with("x-")) {
            match WITHOUT.iter().find(|(name, _)| name == key) {
                Some((_, why)) => imported.note(place, format!("{key} has no counterpart: {why}")),
                None => imported.note(place, format!("{key} has no counterpart")),
            }
        }
        if let Some(Value::Map(deploy)) = self.0.get("deploy") {
            for key in deploy.keys().filter(|key| *key != "replicas") {
                imported.note(place, format!("deploy.{key} has no counterpart"));
            }
        }
    }

    fn words(&self, key: &str) -> Result<Vec<String>, String> {
        let words = match self.0.get(key) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::List(words)) => words
                .iter()
                .map(|word| word.scalar().ok_or_else(|| format!("{key} is not a list of texts")))
                .collect::<Result<Vec<_>, _>>()?,
            Some(value) => {
                let line = value.scalar().ok_or_else(|| format!("{key} is not a command"))?;
                split(&line).map_err(|reason| format!("{key}: {reason}"))?
            }
        };
        words
            .iter()
            .map(|word| template(word).map_err(|reason| format!("{key}: {reason}")))
            .collect()
    }

    fn environment(&self) -> Result<BTreeMap<String, String>, String> {
        let wrong = |name: &str| format!("environment {name}: it is not a text");
        let mut all = BTreeMap::new();
        match self.0.get("environment") {
            None | Some(Value::Null) => {}
            Some(Value::Map(map)) => {
                for (name, value) in map {
                    // Without a value it is passed on from where compose runs.
                    let text = if *value == Value::Null {
                        format!("${{{name}:-}}")
                    } else {
                        template(&value.scalar().ok_or_else(|| wrong(name))?)?
                    };
                    all.insert(name.clone(), text);
                }
            }
            Some(Value::List(list)) => {
                for one in list {
                    let one = one.scalar().ok_or("environment is not a list of NAME=VALUE")?;
                    let (name, value) = match one.split_once('=') {
                        Some((name, value)) => (name.to_owned(), template(value)?),
                        None => (one.clone(), format!("${{{one}:-}}")),
                    };
                    all.insert(name, value);
                }
            }
            Some(_) => return Err("environment is neither a map nor a list".to_owned()),
        }
        Ok(all)
    }

    fn env_files(&self) -> Result<Vec<EnvFile>, String> {
        let given = match self.0.get("env_file") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::List(list)) => list.clone(),
            Some(one) => vec![one.clone()],
        };
        let mut files = Vec::new();
        for one in given {
            let map = if let Value::Map(map) = &one { Some(map) } else { None };
            let required = map.and_then(|map| map.get("required"));
            let is_required = required != Some(&Value::Bool(false));
            let path = map.map_or(Some(&one), |map| map.get("path")).and_then(Value::scalar);
            let path = template(&path.ok_or("env_file is not a path")?)?;
            files.push(EnvFile { path, is_required });
        }
        Ok(files)
    }

    fn labels(&self) -> Result<BTreeMap<String, String>, String> {
        let mut all = BTreeMap::new();
        match self.0.get("labels") {
            Some(Value::Map(map)) => {
                for (name, value) in map {
                    all.insert(name.clone(), template(&value.scalar().unwrap_or_default())?);
                }
            }
            Some(Value::List(list)) => {
                for one in list {
                    let one = one.scalar().ok_or("labels is not a list of NAME=VALUE")?;
                    let (name, value) = one.split_once('=').unwrap_or((&one, ""));
                    all.insert(name.to_owned(), template(value)?);
                }
            }
            _ => {}
        }
        Ok(all)
    }

    fn replicas(&self) -> Result<u64, String> {
        let deployed = match self.0.get("deploy") {
            Some(Value::Map(deploy)) => deploy.get("replicas"),
            _ => None,
        };
        match deployed.or_else(|| self.0.get("scale")) {
            None => Ok(1),
            Some(Value::Whole(count)) => u64::try_from(*count)
                .ok()
                .filter(|count| *count <= PROCESSES_MAX)
                .ok_or_else(|| format!("the number of replicas is 0 to {PROCESSES_MAX}")),
            Some(_) => Err("the number of replicas is not a number".to_owned()),
        }
    }
}

impl Value {
    /// As docker compose passes it on.
    fn scalar(&self) -> Option<String> {
        match self {
            Self::Bool(is) => Some(is.to_string()),
            Self::Whole(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Text(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }
}

/// Variables of compose as ours: `$NAME` and `${NAME}` are empty when they are not set, `$$` is `$`.
fn template(text: &str) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        whole.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            whole.push_str(if after.starts_with('{') { "$$" } else { "$" });
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('{') {
            let (inside, after) = inside.split_once('}').ok_or("${ without a }")?;
            whole.push_str(&braced(inside)?);
            rest = after;
        } else {
            let end =
                rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            if end == 0 {
                return Err("a single $ is written $$".to_owned());
            }
            whole.push_str(&format!("${{{}:-}}", &rest[..end]));
            rest = &rest[end..];
        }
    }
    whole.push_str(rest);
    Ok(whole)
}

fn braced(inside: &str) -> Result<String, String> {
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, form) = inside.split_at(end);
    if name.is_empty() {
        return Err(format!("${{{inside}}} is not a variable"));
    }
    let default = form.strip_prefix(":-").or_else(|| form.strip_prefix('-'));
    match default {
        _ if form.is_empty() => Ok(format!("${{{name}:-}}")),
        Some(default) if !default.contains('$') => Ok(format!("${{{name}:-{}}}", escape(default))),
        _ if form.starts_with(":?") || form.starts_with('?') => Ok(format!("${{{name}}}")),
        _ => Err(format!("${{{inside}}} has no counterpart; replace it")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::shown;
    use super::*;

    const FILE: &str = r#"
name: shop
services:
  db:
    image: postgres:16
    volumes: [data:/var/lib/postgresql]
  web:
    image: node:22
    command: node server.js --port ${PORT:-80} $HOST $$HOME
    working_dir: /srv/shop
    environment: {ZERO: 010, EXPONENT: 1e3, WORD: yes, CLOCK: 12:30, QUOTED: "010", PASSED: }
    env_file: [.env, {path: more.env, required: false}]
    restart: unless-stopped
    ports: ["80:80"]
    depends_on: [db, worker]
    healthcheck: {test: curl}
    labels: ["a=b"]
    x-note: ignored
  worker:
    entrypoint: ["/bin/sh", "-c"]
    command: ["echo $${HOME}; ${MUST:?it is needed}"]
    environment: ["A=1", "B"]
    deploy: {replicas: 2, resources: {}}
"#;

    #[test]
    fn services_become_commands() {
        insta::assert_snapshot!(shown(read(FILE)));
    }

    #[test]
    fn numbers_are_what_docker_compose_passes() {
        let read = read(FILE).expect("a compose file");
        let env = &read.instances["web"].env;
        let of = |name: &str| env[name].as_str();
        assert_eq!(
            ["ZERO", "EXPONENT", "WORD", "CLOCK", "QUOTED", "PASSED"].map(of),
            ["8", "1000", "yes", "12:30", "010", "${PASSED:-}"]
        );
    }

    #[test]
    fn what_cannot_be_read_is_one_line() {
        let service = |inside: &str| format!("services: {{a: {{command: x, {inside}}}}}");
        let all = [
            String::new(),
            "services: {}".to_owned(),
            "services: [".to_owned(),
            "services: {a: 1}".to_owned(),
            "services: {a: {command: x}, a: {command: y}}".to_owned(),
            service("environment: 1"),
            service("environment: {A: [1]}"),
            service("restart: often"),
            service("deploy: {replicas: many}"),
            service("environment: {A: $}"),
            service("environment: {A: '${X:+y}'}"),
            "services: {a: {command: \"x 'y\"}}".to_owned(),
        ];
        let said: Vec<String> = all.iter().map(|text| shown(read(text))).collect();
        assert!(said.iter().all(|line| line.lines().count() == 1), "{said:#?}");
        insta::assert_snapshot!(said.join("\n"));
    }
}
