//! Whose a process is, by `/proc`: what may be signalled under a number that somebody else named.
//!
//! A number in a pid file or in a ping proves nothing by itself. It is an app's if its process runs
//! the app's program (for a script, if its path is in the argument list) or descends from a process
//! that the server started for the app.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use openctrl_core::process::Identity;

use super::kin::adopted;
use super::stat::Stat;

/// How many generations of parents are followed.
const ANCESTORS_MAX: usize = 64;

/// What a process has to be.
#[derive(Clone, Debug)]
pub(crate) struct Claim<'a> {
    /// The app's program, absolute.
    pub(crate) program: &'a Path,
    /// The process that was started for the app, while its number is still its own.
    pub(crate) leader: Option<Identity>,
    /// `PATROL_ID=…`: what the environment of the app's processes has.
    pub(crate) variable: &'a str,
}

/// What was found out about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// There is no such process.
    Absent,
    /// There is one, and nothing says that it is the app's.
    Stranger(Identity),
    /// It descends from the app's process.
    Descendant(Identity),
    /// It runs the app's program.
    Program(Identity),
}

impl Proof {
    /// The process, if it may be signalled; with `verify`, only if it runs the program.
    pub(crate) const fn admits(self, verify: bool) -> Option<Identity> {
        match self {
            Self::Program(identity) => Some(identity),
            Self::Descendant(identity) if !verify => Some(identity),
            Self::Descendant(_) | Self::Stranger(_) | Self::Absent => None,
        }
    }
}

/// Finds out whose the process `pid` is.
pub(crate) fn prove(pid: u32, claim: &Claim<'_>) -> Proof {
    // 1 is the system's, and this process is nobody's app.
    let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 1) else { return Proof::Absent };
    let Some(before) = identify(pid) else { return Proof::Absent };
    if i64::from(pid) == i64::from(std::process::id()) {
        return Proof::Stranger(before);
    }
    let found = if runs(pid, claim.program) {
        Proof::Program(before)
    } else if descends(pid, claim) {
        Proof::Descendant(before)
    } else {
        Proof::Stranger(before)
    };
    // The number may have changed hands while it was looked at.
    if identify(pid) == Some(before) { found } else { Proof::Absent }
}

/// A process that lives, by its number.
pub(crate) fn identify(pid: i32) -> Option<Identity> {
    let stat = Stat::read(pid).ok().filter(|stat| !stat.has_ended())?;
    Some(Identity { pid: u32::try_from(pid).ok()?, start_ticks: stat.start_ticks })
}

/// Whether a process runs `program`, or an interpreter that was given it.
fn runs(pid: i32, program: &Path) -> bool {
    let Ok(program) = fs::canonicalize(program) else { return false };
    let executable = fs::read_link(format!("/proc/{pid}/exe"));
    executable.is_ok_and(|found| found == program) || is_given(pid, &program)
}

/// Whether `program` is a script and among the arguments of a process. The first argument is what
/// the process calls itself, so it does not count. Relative paths count from its directory.
fn is_given(pid: i32, program: &Path) -> bool {
    if !is_script(program) {
        return false;
    }
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let mut arguments = arguments.split(|byte| *byte == 0).skip(1);
    arguments.any(|argument| {
        let Ok(argument) = std::str::from_utf8(argument) else { return false };
        // Cheap, and spares the look-up of every flag.
        let is_named = Path::new(argument).file_name() == program.file_name();
        is_named
            && fs::canonicalize(directory.join(PathBuf::from(argument)))
                .is_ok_and(|found| found == program)
    })
}

fn is_script(program: &Path) -> bool {
    let mut head = [0; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && head == *b"#!"
}

/// Whether a process descends from the app's. A child of this process is one whose parents have
/// exited: it is the app's if its environment says so.
fn descends(pid: i32, claim: &Claim<'_>) -> bool {
    let us = std::process::id();
    let mut current = pid;
    for _ in 0..ANCESTORS_MAX {
        let Ok(stat) = Stat::read(current) else { return false };
        let identity =
            u32::try_from(current).map(|pid| Identity { pid, start_ticks: stat.start_ticks });
        if identity.ok().is_some_and(|identity| Some(identity) == claim.leader) {
            return true;
        }
        if u32::try_from(stat.parent) == Ok(us) {
            return has_variable(pid, claim.variable);
        }
        if stat.parent <= 1 {
            return false;
        }
        current = stat.parent;
    }
    false
}

/// Whether a process that has `variable` in its environment lost its parent to this one, and lives.
pub(crate) fn has_descendants(variable: &str) -> bool {
    adopted(|_| false).iter().any(|stat| has_variable(stat.pid, variable))
}

/// Whether the environment that a process began with is that of an app of a Patrol configuration.
pub(super) fn is_of_an_app(pid: i32) -> bool {
    has_entry(pid, |entry| entry.starts_with(b"PATROL_ID="))
}

/// Whether the environment that a process began with has this entry.
fn has_variable(pid: i32, variable: &str) -> bool {
    has_entry(pid, |entry| entry == variable.as_bytes())
}

fn has_entry(pid: i32, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn start(command: &mut Command) -> Ended {
        Ended(command.stdin(Stdio::null()).spawn().expect("it can be started"))
    }

    fn pid(child: &Ended) -> u32 {
        child.0.id()
    }

    fn claim<'a>(program: &'a Path, leader: Option<u32>, variable: &'a str) -> Claim<'a> {
        let leader = leader.and_then(|pid| identify(i32::try_from(pid).expect("a pid fits")));
        Claim { program, leader, variable }
    }

    /// Waits until the process has replaced the copy of this one that it begins as.
    fn wait_for(pid: u32, program: &str) {
        let start = std::time::Instant::now();
        loop {
            let found = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&found).contains(program) {
                return;
            }
            assert!(start.elapsed().as_secs() < 30, "{program} does not start");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_program_is_known_by_its_file_or_by_its_script() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let link = home.path().join("app");
        std::os::unix::fs::symlink("/bin/sleep", &link).expect("writable");
        let sleep = start(Command::new(&link).arg("1000"));
        wait_for(pid(&sleep), "1000");
        assert!(matches!(prove(pid(&sleep), &claim(&link, None, "X=1")), Proof::Program(_)));

        let script = home.path().join("script");
        fs::write(&script, "#!/bin/sh\nread x").expect("writable");
        let mut command = Command::new("/bin/sh");
        let shell = Ended(command.arg(&script).stdin(Stdio::piped()).spawn().expect("sh"));
        wait_for(pid(&shell), "script");
        let proof = prove(pid(&shell), &claim(&script, None, "X=1"));
        assert!(matches!(proof, Proof::Program(_)), "{proof:?}");
        assert!(proof.admits(true).is_some());
        let relative =
            start(Command::new("/bin/sh").args(["./script", "x"]).current_dir(home.path()));
        drop(relative);
    }

    #[test]
    fn a_stranger_is_none_of_the_apps_whatever_it_calls_itself() {
        use std::os::unix::process::CommandExt;
        let home = tempfile::tempdir().expect("a temporary directory");
        let program = home.path().join("app");
        fs::write(&program, "").expect("writable");
        let stranger = start(Command::new("sleep").arg0(&program).arg("1000"));
        wait_for(pid(&stranger), "1000");
        let proof = prove(pid(&stranger), &claim(&program, None, "PATROL_ID=no-such-app"));
        assert!(matches!(proof, Proof::Stranger(_)), "{proof:?}");
        assert_eq!((proof.admits(false), proof.admits(true)), (None, None));
        for none in [0, 1, u32::MAX, 4_194_305] {
            assert_eq!(prove(none, &claim(&program, None, "X=1")), Proof::Absent, "{none}");
        }
        let ourselves = prove(std::process::id(), &claim(Path::new("/proc/self/exe"), None, "X=1"));
        assert!(matches!(ourselves, Proof::Stranger(_)), "{ourselves:?}");
    }

    #[test]
    fn a_descendant_is_known_by_its_parents() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let program = home.path().join("app");
        fs::write(&program, "").expect("writable");
        let file = home.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}.new; mv {0}.new {0}; wait", file.display());
        let leader = start(Command::new("/bin/sh").args(["-c", &script]).env("PATROL_ID", "web"));
        let child: u32 = loop {
            if let Ok(text) = fs::read_to_string(&file) {
                break text.trim().parse().expect("a number");
            }
            std::thread::yield_now();
        };
        let of_leader = claim(&program, Some(pid(&leader)), "PATROL_ID=web");
        let proof = prove(child, &of_leader);
        assert!(matches!(proof, Proof::Descendant(_)), "{proof:?}");
        assert!(proof.admits(false).is_some() && proof.admits(true).is_none());
        // As if its leader had exited: its environment tells whose it is.
        let without = prove(child, &claim(&program, None, "PATROL_ID=web"));
        assert!(matches!(without, Proof::Descendant(_)), "{without:?}");
        let other = prove(child, &claim(&program, None, "PATROL_ID=other"));
        assert!(matches!(other, Proof::Stranger(_)), "{other:?}");
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_raw(i32::try_from(child).expect("fits")).expect("not 0"),
            rustix::process::Signal::KILL,
        );
    }
}
