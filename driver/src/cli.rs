//! The command line (Contract §1): one master URL, or a question about the program.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::daemon::{self, go_arch, go_os};
use crate::tools::inspect::Inspection;
use crate::tools::replay;
use crate::version::VERSION;
use crate::{client, orders, runtime};

const USAGE: &str = "\
OpenCtrl keeps instances, each a URL, runs one process for each, and serves a REST API.

Usage:
  openctrl master://<host>:<port>[/prefix][?<query>]   run the master
  openctrl exec:... | demo://...                       run one instance in the foreground
  openctrl state check DIR                             whether the state in DIR is complete
  openctrl state export DIR [--secrets]                the state in DIR as JSON
  openctrl replay FILE [--until T] [--instance ID] [--json]
                                                       a trace, told to the same core again
  openctrl help [COMMAND]                              this text, or that of a command
  openctrl version                                     the version
  openctrl COMMAND ...                                 ask a master that runs

Commands, with -o table|wide|json|yaml; see 'openctrl help COMMAND':
{commands}
Query parameters of the master URL:
  bin=<path>     runtime that instances are run with (default: this program)
  tls=0|1|2      HTTP, HTTPS with a certificate made at start, HTTPS with crt and key
  crt=<path>     certificate chain in PEM, for tls=2
  key=<path>     private key in PEM, for tls=2
  state=<dir>    where the state is kept (default: gob/ beside this program)
  logs=<dir>     keep what instances print in files there
                 (log_lines, log_memory, log_size, log_keep, log_age: see docs/OPERATIONS.md)
  metrics=open   serve /metrics without a key; metrics_instances=on: of each instance, too
  log_format=json     the master's own log as JSON (default: plain)
  page=on|off    whether the page for operators is served at / (default: on)
  trace=off|<dir>     whether and where inputs are recorded (default: trace/ in the state)
  trace_size=<MiB>    what the trace may take (default: 64)
  trace_text=on|off   whether the text of log lines is recorded too (default: off)

Examples:
  openctrl 'master://127.0.0.1:8080'
  openctrl 'master://0.0.0.0:8443/admin?tls=1&bin=/opt/runtime'
  openctrl 'exec:///bin/sleep?arg=60'
";

/// Does what the arguments, without the program's name, ask for.
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
    let words: Option<Vec<&str>> = arguments.iter().map(|argument| argument.to_str()).collect();
    let Some(words) = words else {
        return fail("an argument is not UTF-8");
    };
    match words[..] {
        [] => fail("no master URL; try 'openctrl help'"),
        ["help" | "--help" | "-h"] => print(&usage()),
        ["version" | "--version" | "-v"] => {
            print(&format!("openctrl-{VERSION} {}/{}\n", go_os(), go_arch()))
        }
        ["state", ref question @ ..] => inspect(question),
        ["replay", ref words @ ..] => match replay::Options::parse(words) {
            Some(options) => replay::run(&options),
            None => {
                fail("usage: openctrl replay FILE [--until T] [--instance ID] [--json]");
                ExitCode::from(2)
            }
        },
        ref question if client::knows(question) => client::run(question),
        [url] => dispatch(url),
        [..] => fail("more than one argument; quote the URL if it has an & in it"),
    }
}

fn usage() -> String {
    USAGE.replace("{commands}", client::summary().trim_start_matches('\n'))
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

fn inspect(question: &[&str]) -> ExitCode {
    let Some(inspection) = Inspection::parse(question) else {
        return fail("usage: openctrl state check DIR | openctrl state export DIR [--secrets]");
    };
    match inspection.answer() {
        Ok(text) => print(&text),
        Err(reason) => fail(&reason.to_string()),
    }
}

fn dispatch(url: &str) -> ExitCode {
    let Some((scheme, _)) = url.split_once(':') else {
        return fail("the argument is not a URL; a master is started with master://host:port");
    };
    if scheme.eq_ignore_ascii_case("master") {
        return match daemon::run(url) {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => fail(&reason.to_string()),
        };
    }
    runtime::run(url)
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn fail(reason: &str) -> ExitCode {
    // Without standard error there is nobody to tell; the exit status still does.
    let _ = writeln!(io::stderr(), "openctrl: {reason}");
    ExitCode::FAILURE
}
