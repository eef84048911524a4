//! Tries the program that is to take the place of this one: it is started beside the master, reads
//! what it would have to go on with, changes nothing, and says what it is.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use openctrl_core::handover::{HANDOVER_VERSION, Preflight};
use openctrl_core::keeper;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process_group, pidfd_open, waitpid,
};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::own_program::OwnProgram;
use crate::promises::{self, Program, register};

/// The first argument of a program that is tried. Then follow the state directory and the arguments
/// of the master.
pub(crate) const WORD: &str = "--preflight";

/// The descriptor that the trial of a handover has in the program that is tried.
pub(crate) const TRIAL: i32 = 3;

/// The lowest number of a descriptor that is handed over.
const COPIES_FROM: i32 = 16;

/// How long a program may take to say what it is.
const TAKES: Duration = Duration::from_secs(10);

/// How much of what it says is read.
const SAYS_MAX_BYTES: u64 = 64 * 1024;

/// A program that can take over.
#[derive(Debug)]
pub(super) struct Tried {
    /// What it says about itself.
    pub(super) said: Preflight,
    file: Stamp,
}

impl Tried {
    /// Whether `path` still is the file that was tried.
    pub(super) fn is_still_at(&self, path: &Path) -> bool {
        Stamp::of(path).is_ok_and(|stamp| stamp == self.file)
    }
}

/// What changes when a file is replaced, or written to in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let data = fs::metadata(path)?;
        let written = (data.mtime(), data.mtime_nsec());
        Ok(Self { device: data.dev(), inode: data.ino(), bytes: data.size(), written })
    }
}

/// Starts the program and returns what it says about itself; else why it cannot take over.
pub(super) async fn try_program(
    program: &OwnProgram,
    state: &Path,
    trial: OwnedFd,
) -> Result<Tried, String> {
    let path = program.path.display().to_string();
    let failed = |reason: &dyn std::fmt::Display| format!("{path}: {reason}");
    let file = Stamp::of(&program.path).map_err(|error| failed(&error))?;
    let (pid, output, errors) = start(program, state, &trial).map_err(|error| failed(&error))?;
    drop(trial);
    let watched = pidfd_open(pid, PidfdFlags::NONBLOCK).map(register);
    let said = timeout(TAKES, listen(output, errors)).await;
    if let (Ok(Ok(handle)), true) = (&watched, said.is_ok()) {
        let _ = timeout(TAKES, handle.readable()).await;
    } else {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    // Fails if it was reaped with what the master adopts.
    let status = waitpid(Some(pid), WaitOptions::NOHANG).ok().flatten().map(|(_, status)| status);
    let Ok(said) = said else {
        let seconds = TAKES.as_secs();
        return Err(failed(&format_args!("it does not answer within {seconds} s")));
    };
    let (output, errors) = said.map_err(|error| failed(&error))?;
    let said = judge(&output, &errors, status).map_err(|reason| failed(&reason))?;
    Ok(Tried { said, file })
}

fn judge(output: &[u8], errors: &[u8], status: Option<WaitStatus>) -> Result<Preflight, String> {
    let said = Preflight::read(output).filter(|_| status.is_none_or(has_succeeded));
    let Some(said) = said else {
        let text = String::from_utf8_lossy(errors);
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        let last = last.map(|line| line.trim_start_matches("openctrl: ").to_owned());
        return Err(last.unwrap_or_else(|| match status.and_then(WaitStatus::exit_status) {
            Some(code) if code != 0 => {
                format!("it exits with status {code} and does not say why")
            }
            Some(_) | None => "it is no program that can take over".to_owned(),
        }));
    };
    if said.handover != HANDOVER_VERSION {
        return Err(format!(
            "it takes over from other versions only (handover {}, and this is {HANDOVER_VERSION}); \
             stop the master and start it again",
            said.handover
        ));
    }
    if said.keeper != keeper::VERSION {
        return Err(format!(
            "it needs a keeper of another version ({}, and {} runs); stop the master and start it \
             again",
            said.keeper,
            keeper::VERSION
        ));
    }
    Ok(said)
}

fn has_succeeded(status: WaitStatus) -> bool {
    status.exit_status() == Some(0)
}

fn start(
    program: &OwnProgram,
    state: &Path,
    trial: &OwnedFd,
) -> io::Result<(Pid, OwnedFd, OwnedFd)> {
    let nothing = File::open("/dev/null")?;
    let (output, output_end) = io::pipe()?;
    let (errors, errors_end) = io::pipe()?;
    let given = [nothing.as_fd(), output_end.as_fd(), errors_end.as_fd(), trial.as_fd()];
    // The numbers that they get in the new process must not be among those they have here.
    let copies = given.map(|descriptor| fcntl_dupfd_cloexec(descriptor, COPIES_FROM));
    let copies = copies.into_iter().collect::<Result<Vec<OwnedFd>, _>>()?;
    let descriptors: Vec<BorrowedFd<'_>> = copies.iter().map(AsFd::as_fd).collect();
    let mut arguments = vec![program.path(), CString::new(WORD)?];
    arguments.push(CString::new(state.as_os_str().as_bytes())?);
    arguments.extend_from_slice(program.words());
    let pid = promises::start(&Program {
        path: &program.path(),
        arguments: &arguments,
        environment: &program.environment,
        descriptors: &descriptors,
        directory: None,
    })?;
    Ok((pid, output.into(), errors.into()))
}

async fn listen(output: OwnedFd, errors: OwnedFd) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let read = async |end: OwnedFd| {
        let mut text = Vec::new();
        let mut reader = pipe::Receiver::from_owned_fd(end)?.take(SAYS_MAX_BYTES);
        reader.read_to_end(&mut text).await?;
        Ok::<_, io::Error>(text)
    };
    let (output, errors) = tokio::join!(read(output), read(errors));
    Ok((output?, errors?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_replaced_or_written_to_is_another_one() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (path, other) = (home.path().join("a"), home.path().join("b"));
        let said = || Preflight { version: String::new(), handover: 0, keeper: 0 };
        fs::write(&path, "one").expect("written");
        let tried = Tried { said: said(), file: Stamp::of(&path).expect("it is there") };
        assert!(tried.is_still_at(&path));
        fs::write(&other, "one").expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert!(!tried.is_still_at(&path), "replaced");
        let tried = Tried { said: said(), file: Stamp::of(&path).expect("it is there") };
        fs::write(&path, "longer").expect("written");
        assert!(!tried.is_still_at(&path), "written to");
        fs::remove_file(&path).expect("removed");
        assert!(!tried.is_still_at(&path), "removed");
    }

    #[test]
    fn a_program_is_judged_by_what_it_says() {
        let good = Preflight {
            version: "3.0.0".to_owned(),
            handover: HANDOVER_VERSION,
            keeper: keeper::VERSION,
        };
        let judged = |said: &Preflight| judge(said.to_string().as_bytes(), b"", None);
        assert_eq!(judged(&good), Ok(good.clone()));
        let other = Preflight { handover: 9, ..good.clone() };
        assert!(judged(&other).is_err_and(|reason| reason.contains("handover 9")));
        let other = Preflight { keeper: 9, ..good };
        assert!(judged(&other).is_err_and(|reason| reason.contains("keeper of another version")));
        let errors = b"warning\nopenctrl: the state is damaged\n\n";
        assert_eq!(judge(b"", errors, None), Err("the state is damaged".to_owned()));
        assert!(judge(b"hello", b"", None).is_err());
    }
}
