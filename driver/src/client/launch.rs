//! `openctrl run`: a command as an instance.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hyper::Method;

use super::act::wait_for_start;
use super::api::{Api, REPLACE, object};
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::{Outlet, if_interrupted, note};
use super::select::pick;
use super::tags::{at_word, check_tags, tags_json};
use super::text::plain;
use crate::grammar::{Run, RunRestart};
use crate::manifest::{Entry, Program, Restart, check_name};
use crate::runtime::find_program;

/// Lines that are shown of a process that failed at once.
const LAST_LINES: usize = 20;

/// Creates an instance of a command and prints its id.
pub(crate) async fn run(api: &Arc<Api>, out: &Outlet, question: &Run) -> Result<(), Failure> {
    check_tags(&question.tag)?;
    if let Some(name) = &question.name {
        check_name(name).map_err(|reason| Failure::Usage(format!("--name: {reason}")))?;
    }
    let url = url(question, api.is_local())?;
    let instances = api.instances().await?;
    let name = name(&instances, question)?;
    if question.waiting.wait && question.schedule.is_some() {
        let reason = "--wait: with --schedule it starts at its times; leave one of them out";
        return Err(Failure::Usage(reason.to_owned()));
    }
    // Opened before it is created, so that its start is not missed.
    let stream = if question.waiting.wait { Some(api.events(None).await?) } else { None };
    let new = New { name: &name, url: &url, force: question.force };
    let mut instance = create(api, new, &rest(question)).await?;
    if_interrupted(&created_note(&instance));
    for after in question.after.iter().filter(|after| pick(&instances, after).is_err()) {
        let (name, after) = (plain(&name), plain(after));
        note(&format!("no instance is called {after:?}; {name} waits until one is, and is ready"));
    }
    if let Some(stream) = stream {
        let created = std::slice::from_ref(&instance);
        match wait_for_start(api, stream, created, &question.waiting).await {
            Ok(mut started) => instance = started.swap_remove(0),
            Err(failure) => {
                show_last_lines(api, instance.id(), &failure).await;
                let is_late = matches!(failure, Failure::TimedOut(_));
                return Err(if is_late { failure.of(&plain(&instance.name())) } else { failure });
            }
        }
    }
    if out.is_for_programs() {
        return out.document(instance.document());
    }
    out.print(&format!("{}\n", plain(instance.id())))
}

/// What is to be said of an instance that was created if the wait for it is interrupted.
pub(crate) fn created_note(created: &Instance) -> String {
    let (name, id) = (created.name(), created.id());
    let (name, id) = (plain(&name), plain(id));
    format!("{name} was created and is not stopped; see 'openctrl show {id}'")
}

/// An instance to create.
#[derive(Clone, Copy)]
pub(crate) struct New<'a> {
    /// Its alias; may be empty.
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    /// Whether it is created though its command cannot be started.
    pub(crate) force: bool,
}

/// Creates an instance with its settings, or leaves none behind. `rest` is the PATCH with the
/// fields that the API does not accept at creation; it may be empty.
pub(crate) async fn create(api: &Api, new: New<'_>, rest: &str) -> Result<Instance, Failure> {
    let alias = Some(new.name).filter(|name| !name.is_empty());
    let body = object(&[("url", Some(new.url)), ("alias", alias)]);
    let path = forced("/instances", new.force);
    let created = api.change(Method::POST, &path, &body).await.map_err(at_word)?;
    let created = Instance::new(created);
    if rest.is_empty() {
        return Ok(created);
    }
    let path = format!("/instances/{}", created.id());
    match api.change(Method::PATCH, &path, rest).await {
        Ok(after) => Ok(Instance::new(after)),
        Err(failure) => {
            // If this fails too, the remaining instance is reported: the master refuses only when
            // its disk is full or it shuts down.
            if api.change_slowly(Method::DELETE, &path, None, REPLACE).await.is_err() {
                let id = plain(created.id()).into_owned();
                note(&format!("{id} was created without its settings and could not be removed"));
            }
            Err(at_word(failure))
        }
    }
}

/// The path of a request that sets a URL, also of a command that cannot be started.
pub(crate) fn forced(path: &str, force: bool) -> String {
    if force { format!("{path}?force=true") } else { path.to_owned() }
}

/// Tags and policy as a PATCH; empty if they are those of a new instance.
pub(crate) fn settings(
    is_restarted: bool,
    tags: &[(String, String)],
    peer: &[String; 3],
) -> String {
    let mut fields = Vec::new();
    if !is_restarted {
        fields.push("\"restart\":false".to_owned());
    }
    let mut meta = Vec::new();
    if !tags.is_empty() {
        meta.push(format!("\"tags\":{}", tags_json(tags)));
    }
    if peer.iter().any(|text| !text.is_empty()) {
        let [sid, kind, alias] = peer.each_ref().map(|text| Some(&**text));
        meta.push(format!(
            "\"peer\":{}",
            object(&[("sid", sid), ("type", kind), ("alias", alias)])
        ));
    }
    if !meta.is_empty() {
        fields.push(format!("\"meta\":{{{}}}", meta.join(",")));
    }
    if fields.is_empty() { String::new() } else { format!("{{{}}}", fields.join(",")) }
}

fn rest(question: &Run) -> String {
    settings(question.restart != RunRestart::Never, &question.tag, &Default::default())
}

/// The URL of the command. On this machine the command is found as the caller's shell would find it.
fn url(question: &Run, is_local: bool) -> Result<String, Failure> {
    let wrong = |reason: String| Failure::Usage(reason);
    let here = std::env::current_dir()
        .map_err(|error| wrong(format!("this folder cannot be found: {error}; use --cwd")))?;
    let cwd = match &question.cwd {
        Some(cwd) => Some(here.join(cwd)),
        None => is_local.then(|| here.clone()),
    };
    if let Some(cwd) = cwd.as_ref().filter(|cwd| is_local && !question.force && !cwd.is_dir()) {
        return Err(wrong(format!("--cwd: {} is not a folder", plain(&cwd.to_string_lossy()))));
    }
    let mut words = question.command.clone();
    if is_local {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // As the caller's shell finds it.
        match find_program(Path::new(&words[0]), &here, &path) {
            Ok(found) => words[0] = found.to_string_lossy().into_owned(),
            Err(_) if question.force => {}
            Err(reason) => {
                let reason = plain(&reason);
                return Err(Failure::Refused(format!("{reason}; --force creates it anyway")));
            }
        }
    }
    let entry = Entry {
        program: Program::Command(words),
        cwd,
        env: once("--env", &question.env)?,
        secrets: once("--secret", &question.secret)?,
        restart: match question.restart {
            RunRestart::OnFailure => Restart::OnFailure,
            RunRestart::Never => Restart::Never,
            RunRestart::Always => Restart::Always,
        },
        policy: policy(question),
        after: question.after.clone(),
        watch: question.watch.iter().map(|path| here.join(path)).collect(),
        watch_ignore: question.watch_ignore.clone(),
        ..Entry::default()
    };
    entry.url(&here).map_err(|(key, reason)| {
        let option = match key {
            "env" => "--env",
            "secrets" => "--secret",
            "cwd" => "--cwd",
            "command" => "COMMAND",
            // The reason begins with the name of the parameter.
            _ => return wrong(format!("--{}", reason.replacen('_', "-", 1))),
        };
        wrong(format!("{option}: {reason}"))
    })
}

fn policy(question: &Run) -> BTreeMap<String, String> {
    let given = [
        ("max_restarts", &question.max_restarts),
        ("stop_signal", &question.stop_signal),
        ("stop_timeout", &question.stop_timeout),
        ("user", &question.user),
        ("group", &question.group),
        ("umask", &question.umask),
        ("memory", &question.memory),
        ("boot", &question.boot),
        ("lease", &question.lease),
        ("error", &question.error),
        ("ready", &question.ready),
        ("ready_timeout", &question.ready_timeout),
        ("live", &question.live),
        ("schedule", &question.schedule),
        ("schedule_tz", &question.schedule_tz),
        ("stderr", &question.stderr),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
    given.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Names that are given twice are a mistake; the last one does not win.
fn once<T: Clone>(option: &str, pairs: &[(String, T)]) -> Result<BTreeMap<String, T>, Failure> {
    let mut all = BTreeMap::new();
    for (name, value) in pairs {
        if all.insert(name.clone(), value.clone()).is_some() {
            let name = plain(name);
            return Err(Failure::Usage(format!(
                "{option} {name}: it is given twice; give it once"
            )));
        }
    }
    Ok(all)
}

/// The name that was asked for, or that of the command with a number if it is taken.
fn name(instances: &[Instance], question: &Run) -> Result<String, Failure> {
    let is_taken = |name: &str| instances.iter().any(|one| one.alias() == name);
    if let Some(name) = &question.name {
        if !question.allow_duplicate && is_taken(name) {
            let shown = plain(name);
            return Err(Failure::Refused(format!(
                "--name: there is an instance {shown:?}; choose another name, 'openctrl delete \
                 {shown}', or use --allow-duplicate"
            )));
        }
        return Ok(name.clone());
    }
    let command = Path::new(&question.command[0]);
    let base = command.file_name().map(|name| name.to_string_lossy().into_owned());
    let base = base.filter(|base| check_name(base).is_ok()).unwrap_or_else(|| "command".to_owned());
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let free = std::iter::once(base.clone()).chain(numbered).find(|name| !is_taken(name));
    Ok(free.expect("there are more numbers than instances"))
}

/// Shows the last lines of a process that failed at once. The failure itself ends with the last one.
async fn show_last_lines(api: &Api, id: &str, failure: &Failure) {
    let page = api.get_if_known(&format!("/instances/{id}/logs?limit={LAST_LINES}")).await;
    let Ok(Some(page)) = page else { return };
    let lines = page.at("lines").clone().into_list();
    let mut lines: Vec<&str> = lines.iter().map(|line| line.at("text").text()).collect();
    let failure = failure.to_string();
    let is_in_failure = |line: &&str| failure.ends_with(&format!(": {}", plain(line)));
    lines.pop_if(|line| is_in_failure(&&**line));
    lines.iter().for_each(|line| note(&plain(line)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::document::Document;
    use crate::grammar::{Command, read};

    fn asked(words: &[&str]) -> Run {
        let words: Vec<&str> = std::iter::once("run").chain(words.iter().copied()).collect();
        let command = read(&words).expect("a good line").command;
        let Command::Run(run) = command else { panic!("not a run: {command:?}") };
        *run
    }

    #[test]
    fn everything_after_the_command_is_its_own() {
        let run = asked(&["--name", "p", "ping", "-c", "3", "--name", "x"]);
        assert_eq!(run.name.as_deref(), Some("p"));
        assert_eq!(run.command, ["ping", "-c", "3", "--name", "x"]);
        assert_eq!(asked(&["--", "-odd", "--"]).command, ["-odd", "--"]);
    }

    #[test]
    fn a_command_elsewhere_is_not_looked_for_here() {
        let run = asked(&["-e", "K=a b", "--", "no-such-command", "x=1&y"]);
        let url = url(&run, false).expect("it is elsewhere");
        assert_eq!(url, "exec:no-such-command?arg=x%3D1%26y&env=K%3Da+b");
    }

    #[test]
    fn names_are_found_or_refused() {
        let one = |alias: &str| {
            let json = format!(r#"{{"id":"00000001","alias":"{alias}"}}"#);
            Instance::new(Document::parse(json.as_bytes()).expect("JSON"))
        };
        let there = [one("ping"), one("web")];
        let named = |words: &[&str]| name(&there, &asked(words)).map_err(|error| error.to_string());
        assert_eq!(named(&["/bin/ping"]), Ok("ping-2".to_owned()));
        assert_eq!(named(&["sleep"]), Ok("sleep".to_owned()));
        assert!(named(&["--name", "web", "x"]).is_err());
        assert_eq!(named(&["--name", "web", "--allow-duplicate", "x"]), Ok("web".to_owned()));
        assert_eq!(named(&["./deadbeef"]), Ok("command".to_owned()));
    }
}
