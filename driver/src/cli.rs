//! The command line (Contract §1): one URL, or a command of the grammar.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
#[cfg(target_os = "linux")]
use std::path::Path;
use std::process::ExitCode;

use crate::daemon::{self, go_arch, go_os};
use crate::grammar::{self, Answer, Command, Line, Patrol, State};
use crate::tools::{import, inspect, repair, replay, service};
use crate::version::VERSION;
use crate::{client, orders, runtime};

/// Carries out the arguments, without the name of the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    #[cfg(canary)]
    if let Err(reason) = choose_canary() {
        return fail(&reason);
    }
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some((word, rest)) = arguments.split_first()
        && word == orders::WORD
    {
        return runtime::step::run(rest);
    }
    #[cfg(target_os = "linux")]
    if arguments.first().is_some_and(|word| word == crate::keeper::WORD) {
        return crate::keeper::run();
    }
    #[cfg(target_os = "linux")]
    if let [word, state, rest @ ..] = &arguments[..]
        && word == daemon::PREFLIGHT
    {
        return preflight(state, rest);
    }
    let words: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
    let Some(words) = words else {
        return fail("an argument is not UTF-8");
    };
    match words[..] {
        [] => fail("no command and no master URL; see 'openctrl help'"),
        ["--version" | "-v"] => print(&version()),
        // A URL, as a master or a runtime is started with, costs them no grammar.
        [url] if is_url(url) => dispatch(url),
        [url, ..] if is_url(url) => {
            fail("more than one argument; quote the URL if it has an & in it")
        }
        ref words => command(words),
    }
}

/// A master wants to know whether this program can take its place; `rest` are its arguments.
#[cfg(target_os = "linux")]
fn preflight(state: &OsString, rest: &[OsString]) -> ExitCode {
    let [url] = rest else { return fail("this is for the master's own use; try 'openctrl help'") };
    match daemon::preflight(Path::new(state), &url.to_string_lossy()) {
        Ok(text) => print(&text),
        Err(reason) => fail(&reason),
    }
}

fn is_url(word: &str) -> bool {
    !word.starts_with('-') && word.contains(':')
}

fn command(words: &[&str]) -> ExitCode {
    match grammar::read(words) {
        Ok(line) => carry_out(line),
        Err(Answer::Help(text)) => print(&text),
        Err(Answer::Wrong(reason)) => {
            fail(&reason);
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other command asks a master")]
fn carry_out(line: Line) -> ExitCode {
    match line.command {
        Command::Import(question) => match import::import(&question) {
            Ok(import::Printed { file, report }) => {
                for line in report {
                    let _ = writeln!(io::stderr(), "openctrl: {line}");
                }
                print(&file)
            }
            Err(reason) => fail(&reason),
        },
        Command::Patrol(Patrol { config, check: true, .. }) => {
            match daemon::check_patrol(&config) {
                Ok(text) => print(&text),
                Err(reason) => started(Err(reason)),
            }
        }
        Command::Patrol(Patrol { config, state, check: false }) => {
            let options = daemon::PatrolOptions { config, state };
            started(daemon::run_patrol(&options, daemon::Extras::default()))
        }
        Command::Replay(options) => replay::run(&options),
        Command::Service(question) => answered(service::answer(&question)),
        Command::State(State::Check { directory }) => answered(inspect::check(&directory)),
        Command::State(State::Export { directory, secrets }) => {
            answered(inspect::export(&directory, secrets))
        }
        Command::State(State::Repair { directory, yes }) => match repair::run(&directory, yes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                fail(&failure.to_string());
                ExitCode::from(failure.exit_code())
            }
        },
        Command::Master => command(&["help", "master"]),
        Command::Runtime => command(&["help", "runtime"]),
        Command::Version => print(&version()),
        _ => client::run(line),
    }
}

fn version() -> String {
    format!("openctrl-{VERSION} {}/{}\n", go_os(), go_arch())
}

/// Lets the known bug be there that the environment names, so that it can be recorded.
#[cfg(canary)]
fn choose_canary() -> Result<(), String> {
    use openctrl_core::canary::{Canary, choose};
    let Ok(name) = std::env::var("OPENCTRL_CANARY") else { return Ok(()) };
    let canary = Canary::find(&name);
    choose(Some(canary.ok_or_else(|| format!("no canary {name}; see core/src/canary.rs"))?));
    Ok(())
}

fn dispatch(url: &str) -> ExitCode {
    let (scheme, _) = url.split_once(':').unwrap_or_default();
    if scheme.eq_ignore_ascii_case("master") {
        return started(daemon::run(url));
    }
    runtime::run(url)
}

fn started(result: Result<(), daemon::StartError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            fail(&reason.to_string());
            ExitCode::from(reason.exit_status())
        }
    }
}

fn answered(result: Result<String, impl Display>) -> ExitCode {
    match result {
        Ok(text) => print(&text),
        Err(reason) => fail(&reason.to_string()),
    }
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(reason: &str) -> ExitCode {
    // If standard error fails, only the exit status reports the error.
    let _ = writeln!(io::stderr(), "openctrl: {reason}");
    ExitCode::FAILURE
}
