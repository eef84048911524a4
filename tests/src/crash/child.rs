//! The runtime of the crash harness: a process as light as can be, which proves that it is alone.
//!
//! Each instance has a token that its URL keeps through every change. A process holds a lock with
//! the name of its token for as long as it lives, so two at the same time are noticed by the
//! second one itself, however short they overlap; and it leaves a byte at each start, so that
//! starts can be counted. Its files lie beside its program.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, fcntl_lock};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use super::witness;
use crate::script::checkpoint;

/// Scheme of the URLs that this runtime understands.
pub const SCHEME: &str = "crash";
/// Scheme of the URL that a process gives to one that it starts itself.
pub const MEMBER_SCHEME: &str = "crash-member";
/// What one process of the kind [`Kind::Counter`] adds to the totals, however long it lives.
pub const COUNT: u64 = 1_000_000;

/// How long [`Kind::Slow`] takes to end after TERM.
const SLOW: Duration = Duration::from_millis(30);
/// Between two checkpoints: often enough for 15 s of silence never to be seen.
const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Waits.
    Steady,
    /// Prints checkpoints that say [`COUNT`], and waits.
    Counter,
    /// Takes its time to end.
    Slow,
    /// Has a second process in its group, and waits.
    Family,
    /// Ends well, at once.
    Quick,
    /// Ends badly, at once.
    Crash,
    /// Leaves a second process in its group behind and ends well.
    Orphan,
    /// The first process with a URL ignores TERM; later ones are steady.
    Deaf,
    /// As `Orphan`; the process that is left behind by the first one ignores TERM.
    DeafOrphan,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Steady,
        Self::Counter,
        Self::Slow,
        Self::Family,
        Self::Quick,
        Self::Crash,
        Self::Orphan,
        Self::Deaf,
        Self::DeafOrphan,
    ];

    /// Its name in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Counter => "counter",
            Self::Slow => "slow",
            Self::Family => "family",
            Self::Quick => "quick",
            Self::Crash => "crash",
            Self::Orphan => "orphan",
            Self::Deaf => "deaf",
            Self::DeafOrphan => "deaf-orphan",
        }
    }

    /// Whether a process of this kind lives until it is ended.
    pub const fn stays(self) -> bool {
        match self {
            Self::Steady | Self::Counter | Self::Slow | Self::Family | Self::Deaf => true,
            Self::Quick | Self::Crash | Self::Orphan | Self::DeafOrphan => false,
        }
    }

    /// How many processes a settled instance of this kind has besides its own.
    pub const fn members(self) -> usize {
        match self {
            Self::Family => 1,
            Self::Steady
            | Self::Counter
            | Self::Slow
            | Self::Quick
            | Self::Crash
            | Self::Orphan
            | Self::Deaf
            | Self::DeafOrphan => 0,
        }
    }
}

/// The URL of a process: `crash://<token>/<version>?<kind>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Stays the same for an instance.
    pub token: u32,
    /// Counts the URLs of an instance.
    pub version: u32,
    /// What to do.
    pub kind: Kind,
}

impl Task {
    /// The URL of an instance.
    pub fn url(self) -> String {
        self.url_of(SCHEME)
    }

    /// Reads [`Task::url`]; the second value says whether it is that of a member of a group.
    pub fn from_url(url: &str) -> Option<(Self, bool)> {
        let (scheme, rest) = url.split_once("://")?;
        let (path, name) = rest.split_once('?')?;
        let (token, version) = path.split_once('/')?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name)?;
        let task = Self { token: token.parse().ok()?, version: version.parse().ok()?, kind };
        match scheme {
            SCHEME => Some((task, false)),
            MEMBER_SCHEME => Some((task, true)),
            _ => None,
        }
    }

    fn url_of(self, scheme: &str) -> String {
        format!("{scheme}://{}/{}?{}", self.token, self.version, self.kind.name())
    }
}

/// How often processes of a token were started, as far as they came to say so.
pub fn starts(folder: &Path, token: u32) -> u64 {
    fs::metadata(runs_file(folder, token)).map_or(0, |file| file.len())
}

/// What processes said that found another of their token alive, a line each.
pub fn doubles(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("doubles")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Lives the life of a process that was called as `<program> <url>`, and ends the program.
pub fn run(program: &Path, url: &str) -> ! {
    let folder = program.parent().unwrap_or(Path::new("."));
    witness::run(folder, url);
    let Some((task, is_member)) = Task::from_url(url) else { exit(64) };
    if is_member {
        live_as_member(folder, task)
    }
    let _lock = prove_alone(folder, task).unwrap_or_else(|_| exit(65));
    match task.kind {
        Kind::Steady => wait(),
        Kind::Counter => count(),
        Kind::Slow => end_slowly(),
        Kind::Family => {
            start_member(program, task);
            wait()
        }
        Kind::Quick => exit(0),
        Kind::Crash => exit(1),
        Kind::Orphan | Kind::DeafOrphan => {
            start_member(program, task);
            exit(0)
        }
        Kind::Deaf => {
            ignore_term_once(folder, task);
            wait()
        }
    }
}

fn live_as_member(folder: &Path, task: Task) -> ! {
    if task.kind == Kind::DeafOrphan {
        ignore_term_once(folder, task);
    }
    wait()
}

/// The lock is the process's own: it is neither handed on to a child nor outlives the process.
fn prove_alone(folder: &Path, task: Task) -> io::Result<File> {
    prove_alone_as(folder, task.token, &task.url())
}

/// The same for any token.
pub(super) fn prove_alone_as(folder: &Path, token: u32, url: &str) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let mut runs = options.open(runs_file(folder, token))?;
    if fcntl_lock(&runs, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut said = options.open(folder.join("doubles"))?;
        said.write_all(format!("{url} pid {}\n", std::process::id()).as_bytes())?;
    }
    runs.write_all(b".")?;
    Ok(runs)
}

fn runs_file(folder: &Path, token: u32) -> PathBuf {
    folder.join(format!("{token}.runs"))
}

fn start_member(program: &Path, task: Task) {
    let mut command = Command::new(program);
    command.arg(task.url_of(MEMBER_SCHEME)).stdin(Stdio::null());
    if command.spawn().is_err() {
        exit(66);
    }
}

fn ignore_term_once(folder: &Path, task: Task) {
    let name = format!("{}-{}.deaf", task.token, task.version);
    if OpenOptions::new().write(true).create_new(true).open(folder.join(name)).is_ok() {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGTERM, flag).expect("TERM can be handled");
    }
}

fn count() -> ! {
    let line = checkpoint([1, 2, 3, 4, 5, COUNT, COUNT, COUNT, COUNT]) + "\n";
    loop {
        if io::stdout().write_all(line.as_bytes()).is_err() {
            // The output is closed; the rest is stopped.
            wait();
        }
        thread::sleep(CHECKPOINT_PAUSE);
    }
}

fn end_slowly() -> ! {
    let mut signals = Signals::new([SIGTERM]).expect("TERM can be handled");
    let _ = signals.forever().next();
    thread::sleep(SLOW);
    exit(0)
}

fn wait() -> ! {
    loop {
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_survives_the_way_through_a_url() {
        for kind in Kind::ALL {
            let task = Task { token: 7, version: 12, kind };
            assert_eq!(Task::from_url(&task.url()), Some((task, false)));
            assert_eq!(Task::from_url(&task.url_of(MEMBER_SCHEME)), Some((task, true)));
        }
        assert_eq!(Task::from_url("crash://7/12?unknown"), None);
        assert_eq!(Task::from_url("stub://7/12?steady"), None);
    }

    #[test]
    fn a_lock_is_not_had_twice_and_starts_are_counted() {
        let folder = tempfile::TempDir::new().expect("a temporary directory");
        let task = Task { token: 3, version: 1, kind: Kind::Steady };
        assert_eq!(starts(folder.path(), 3), 0);
        // Locks of one process do not exclude each other: only the counting is seen here.
        let _first = prove_alone(folder.path(), task).expect("a file can be made");
        let _second = prove_alone(folder.path(), task).expect("a file can be made");
        assert_eq!(starts(folder.path(), 3), 2);
        assert_eq!(doubles(folder.path()), Vec::<String>::new());
    }
}
