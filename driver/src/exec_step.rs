//! The exec step: this program, between the start of a process and its runtime. It does in the new
//! process what the system cannot do for it at the start, then becomes the runtime, with the same
//! process id and start time.
//!
//! Owns the form of its orders and the report of a failure. The master (`daemon/process/launch.rs`)
//! runs it as `<this program> --become ORDERS RUNTIME URL`; it is no command for users. The report
//! is a pipe that ends when the runtime takes over and says why if that fails.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getpid, getsid, setrlimit, setsid};

use crate::promises::{Disposition, execve, inherited, set_disposition, unblock_signals};
use crate::runtime;

/// The first argument of a step.
pub(crate) const WORD: &str = "--become";

/// The exit status of a step whose runtime cannot be executed: that of a shell.
const CANNOT_EXECUTE: u8 = 126;

/// What a step does before it becomes the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orders {
    /// The descriptor of the report.
    pub(crate) report: RawFd,
    /// The limit on open files, soft and hard; as it is if `None`.
    pub(crate) open_files: Option<(Option<u64>, Option<u64>)>,
    /// Ignore SIGHUP, as `nohup` asked the master to.
    pub(crate) ignores_hang_up: bool,
    /// The runtime is this program.
    pub(crate) is_own: bool,
}

impl fmt::Display for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "report={}", self.report)?;
        if let Some((soft, hard)) = self.open_files {
            write!(f, ",nofile={}:{}", Bound(soft), Bound(hard))?;
        }
        if self.ignores_hang_up {
            write!(f, ",nohup")?;
        }
        if self.is_own {
            write!(f, ",own")?;
        }
        Ok(())
    }
}

/// A limit; `-` is none.
struct Bound(Option<u64>);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl Orders {
    fn parse(text: &str) -> Option<Self> {
        let mut orders =
            Self { report: -1, open_files: None, ignores_hang_up: false, is_own: false };
        for order in text.split(',') {
            match order.split_once('=').unwrap_or((order, "")) {
                ("report", number) => orders.report = number.parse().ok()?,
                ("nofile", limits) => {
                    let (soft, hard) = limits.split_once(':')?;
                    orders.open_files = Some((bound(soft)?, bound(hard)?));
                }
                ("nohup", "") => orders.ignores_hang_up = true,
                ("own", "") => orders.is_own = true,
                _ => return None,
            }
        }
        (orders.report > 2).then_some(orders)
    }
}

fn bound(text: &str) -> Option<Option<u64>> {
    if text == "-" { Some(None) } else { text.parse().ok().map(Some) }
}

/// Does what the arguments after [`WORD`] order; returns only if the runtime did not take over.
/// Call it before any other thread exists.
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let [orders, bin, url] = arguments else { return not_for_users() };
    let Some(orders) = orders.to_str().and_then(Orders::parse) else { return not_for_users() };
    let Ok(report) = inherited(orders.report) else { return not_for_users() };
    let Err(reason) = prepare(&orders) else { return become_runtime(orders, bin, url, report) };
    fail(report, &reason)
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
    unblock_signals().map_err(|error| format!("cannot unblock signals: {error}"))?;
    default_signals();
    if orders.ignores_hang_up {
        set_disposition(libc::SIGHUP, Disposition::Ignore);
    }
    if let Some((current, maximum)) = orders.open_files {
        setrlimit(Resource::Nofile, Rlimit { current, maximum })
            .map_err(|error| format!("cannot set the limit on open files: {error}"))?;
    }
    Ok(())
}

/// SIGPIPE too, which the standard library ignores.
fn default_signals() {
    // Beyond the signals of every system there are the real-time ones; a number that is no signal
    // changes nothing.
    for signal in (1..=64).filter(|signal| crate::promises::is_ignored(*signal)) {
        set_disposition(signal, Disposition::Default);
    }
}

fn become_runtime(orders: Orders, bin: &OsStr, url: &OsStr, report: OwnedFd) -> ExitCode {
    // A second start of this program would say the same, and take longer.
    if orders.is_own
        && let Some(url) = url.to_str().filter(|url| runtime::replaces_itself(url))
    {
        // Its own failures are lines of the instance. It prints them as any program prints.
        return runtime::run(url);
    }
    let error = execute(bin, url);
    fail(report, &error.to_string())
}

fn fail(report: OwnedFd, reason: &str) -> ExitCode {
    // A master that does not listen any more does not need the reason.
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

/// A variable as the system takes it.
pub(crate) fn variable((name, value): (OsString, OsString)) -> Option<CString> {
    CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok()
}

fn candidates(bin: &OsStr) -> Vec<OsString> {
    if bin.as_bytes().contains(&b'/') {
        return vec![bin.to_owned()];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).map(|folder| Path::new(&folder).join(bin).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_were_written() {
        let plain = Orders { report: 3, open_files: None, ignores_hang_up: false, is_own: false };
        let all = Orders {
            report: 17,
            open_files: Some((Some(1024), None)),
            ignores_hang_up: true,
            is_own: true,
        };
        for (orders, text) in [(plain, "report=3"), (all, "report=17,nofile=1024:-,nohup,own")] {
            assert_eq!(orders.to_string(), text);
            assert_eq!(Orders::parse(text), Some(orders));
        }
        for bad in ["", "report=1", "report=x", "report=3,nofile=1", "report=3,nohup=1", "own"] {
            assert_eq!(Orders::parse(bad), None, "{bad}");
        }
    }
}
