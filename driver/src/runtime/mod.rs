//! The built-in runtime: runs `<self> <instance-url>` when the master has no `bin`.
//!
//! Owns the schemes that this program serves as a runtime, and the exit codes of a refused start.
//! It is independent of the master; the two share only the process contract (Contract §6, §7): one
//! argument in, lines and an exit status out. An error is one line on stderr, which the master
//! passes on as a log line. No line repeats the value of a parameter, because values may be
//! secrets.

mod demo;
mod exec;
mod failure;
mod params;
mod program;
mod secret;
pub(crate) mod step;
mod surroundings;

use std::io::{self, Write};
use std::process::ExitCode;

pub(crate) use exec::Spec as Exec;
use failure::{Failure, SCHEMES, UrlError};
use params::parse;
pub(crate) use program::{check_command, find_program};
pub(crate) use secret::SecretSource;

/// Whether [`run`] has a runtime for `scheme`, in any letter case.
pub fn serves(scheme: &str) -> bool {
    SCHEMES.iter().any(|served| served.eq_ignore_ascii_case(scheme))
}

/// Runs the instance at `url` to its end; the result is this process's exit status.
///
/// For `exec:` this does not return once the command has been started, so call it from the main
/// thread before any other thread or async runtime exists. A refused start prints a reason on
/// stderr and returns 2 (bad URL), 126 (the command cannot be executed) or 127 (it was not found).
pub fn run(url: &str) -> ExitCode {
    exit_code(dispatch(url, false))
}

/// As [`run`], in an environment that the master has already prepared.
///
/// # Errors
/// Why the value of a secret cannot be read: without it the command is not started, and the master
/// names the reason.
fn run_prepared(url: &str) -> Result<ExitCode, String> {
    match dispatch(url, true) {
        Err(failure @ Failure::Secret { .. }) => Err(failure.to_string()),
        done => Ok(exit_code(done)),
    }
}

fn exit_code(done: Result<ExitCode, Failure>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(failure) => {
            // If stderr fails too, only the exit status reports the error.
            let _ = writeln!(io::stderr(), "openctrl: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(text: &str, is_prepared: bool) -> Result<ExitCode, Failure> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    // Asked before the URL is parsed: a foreign scheme may have a form of its own.
    if !serves(scheme) {
        return Err(UrlError::UnknownScheme(scheme.to_owned()).into());
    }
    let url = parse(text)?;
    match url.scheme() {
        "demo" => demo::run(&demo::Spec::parse(&url)?),
        "exec" => exec::run(exec::Spec::parse(&url)?, is_prepared),
        other => Err(UrlError::UnknownScheme(other.to_owned()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serves_its_schemes_in_any_case() {
        assert!(serves("exec") && serves("demo") && serves("EXEC"));
        assert!(!serves("master") && !serves("managed") && !serves(""));
    }
}
