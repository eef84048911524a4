//! The exec step: this program, executed between the start of a process and its runtime. It does in
//! the new process what the system cannot do at the start, then becomes the runtime, with the same
//! process id and start time.
//!
//! Owns these actions and the report of a failure: a pipe that closes when the runtime takes over
//! and carries the reason if that fails. `orders` owns the format of its orders.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getpid, getsid, setrlimit, setsid};

use super::surroundings;
use crate::cgroups;
use crate::orders::{Orders, WORD, replaces_itself, variable};
use crate::promises::{
    Disposition, execve, inherited, is_ignored, set_disposition, unblock_signals,
};

/// The exit status of a step whose runtime cannot be executed: that of a shell.
const CANNOT_EXECUTE: u8 = 126;

/// Carries out the orders in the arguments after [`WORD`]; returns only if the runtime did not take
/// over. Call it before any other thread exists.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let [orders, bin, url] = arguments else { return not_for_users() };
    let Some(orders) = orders.to_str().and_then(Orders::parse) else { return not_for_users() };
    let Ok(report) = inherited(orders.report) else { return not_for_users() };
    let Err(reason) = prepare(&orders) else { return become_runtime(orders, bin, url, report) };
    fail(report, &format!("{}: {reason}", bin.display()))
}

fn not_for_users() -> ExitCode {
    let _ =
        writeln!(io::stderr(), "openctrl: {WORD} is for the master's own use; try 'openctrl help'");
    ExitCode::from(2)
}

/// Everything here is done already where the system could do it at the start.
fn prepare(orders: &Orders) -> Result<(), String> {
    if getsid(None) != Ok(getpid()) {
        setsid().map_err(|error| format!("cannot begin a session: {error}"))?;
    }
    // First of all: what it starts later is in the group, too. The user of the instance may not move it.
    if let Some(group) = &orders.control_group {
        cgroups::enter(group).map_err(|error| {
            format!("cannot enter the control group {group}: {error}; cgroups=off starts without")
        })?;
    }
    unblock_signals().map_err(|error| format!("cannot unblock signals: {error}"))?;
    default_signals();
    if orders.ignores_hang_up {
        set_disposition(libc::SIGHUP, Disposition::Ignore);
    }
    if let Some((current, maximum)) = orders.open_files {
        setrlimit(Resource::Nofile, Rlimit { current, maximum })
            .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    }
    surroundings::enter(&orders.setup)
}

/// SIGPIPE too, which the standard library ignores.
fn default_signals() {
    // Beyond the signals of every system there are the real-time ones; a number that is no signal
    // changes nothing.
    for signal in (1..=64).filter(|signal| is_ignored(*signal)) {
        set_disposition(signal, Disposition::Default);
    }
}

fn become_runtime(orders: Orders, bin: &OsStr, url: &OsStr, report: OwnedFd) -> ExitCode {
    // A second start of this program would give the same result, and take longer.
    if orders.is_own
        && let Some(url) = url.to_str().filter(|url| replaces_itself(url))
    {
        // Its own failures are lines of the instance. It prints them as any program prints.
        return match super::run_prepared(url) {
            Ok(code) => code,
            Err(reason) => fail(report, &reason),
        };
    }
    let error = execute(bin, url);
    fail(report, &format!("{}: {error}", bin.display()))
}

fn fail(report: OwnedFd, reason: &str) -> ExitCode {
    // A master that no longer listens does not need the reason.
    let _ = File::from(report).write_all(reason.as_bytes());
    ExitCode::from(CANNOT_EXECUTE)
}

/// Becomes `bin`, looked up in `PATH` if it has no `/`. Unlike `execvp` this does not run a file
/// without a known format in a shell: a start without this step does not either.
fn execute(bin: &OsStr, url: &OsStr) -> io::Error {
    let (Ok(name), Ok(url)) = (CString::new(bin.as_bytes()), CString::new(url.as_bytes())) else {
        return io::Error::from(Errno::INVAL);
    };
    let environment: Vec<CString> = std::env::vars_os().filter_map(variable).collect();
    let arguments = [name, url];
    let mut error = io::Error::from(Errno::NOENT);
    for path in candidates(bin) {
        let Ok(path) = CString::new(path.into_vec()) else { continue };
        let failed = execve(&path, &arguments, &environment);
        match Errno::from_io_error(&failed) {
            Some(Errno::NOENT | Errno::NOTDIR) => {}
            // Another one may be allowed; if none is, this is the reason.
            Some(Errno::ACCESS) => error = failed,
            _ => return failed,
        }
    }
    error
}

fn candidates(bin: &OsStr) -> Vec<OsString> {
    if bin.as_bytes().contains(&b'/') {
        return vec![bin.to_owned()];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).map(|folder| Path::new(&folder).join(bin).into()).collect()
}
