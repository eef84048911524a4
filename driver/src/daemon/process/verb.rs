//! Commands that are run to their end: the verbs of services, and hooks.
//!
//! A command has no input, its output is thrown away, and it leads a group of its own. When its
//! time is up the group is killed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openctrl_core::process::{Exit, Scope, Signal};
use rustix::process::Pid;
use tokio::time::timeout;

use super::ended::Ended;
use super::group::Group;
use super::launch::{environment, start_command};

/// How a command ended.
#[derive(Debug)]
pub(crate) enum VerbEnd {
    /// By itself.
    Exited(Exit),
    /// It was killed when its time was up.
    TimedOut,
    /// It never ran.
    NotStarted(io::Error),
}

/// The commands that were not reaped.
static COMMANDS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Kills all commands that run.
pub(crate) fn end_commands() {
    for pid in commands().iter().filter_map(|pid| Pid::from_raw(*pid)) {
        Group::new(pid, None).signal(Scope::Group, Signal::KILL);
    }
}

fn commands() -> MutexGuard<'static, BTreeSet<i32>> {
    COMMANDS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the command when it is dropped before it has ended.
struct Running(Group);

impl Running {
    fn new(leader: Pid) -> Self {
        commands().insert(leader.as_raw_pid());
        Self(Group::new(leader, None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        commands().remove(&self.0.pid());
        self.0.signal(Scope::Group, Signal::KILL);
        // It cannot refuse, and a process that is not reaped would keep its number.
        let _ = rustix::process::waitpid(
            Some(Pid::from_raw(self.0.pid()).expect("a child has a number")),
            rustix::process::WaitOptions::empty(),
        );
    }
}

/// Runs `argv`, whose first word is looked for in `PATH` unless it has a `/`, for at most `limit`.
/// Dropping the future ends the command.
pub(crate) async fn run(
    argv: &[String],
    variables: &[(String, String)],
    limit: Duration,
) -> VerbEnd {
    let started = start(argv, variables).and_then(|leader| {
        let running = Running::new(leader);
        Ended::of(leader).map(|ended| (running, ended))
    });
    let (running, mut ended) = match started {
        Ok(started) => started,
        Err(error) => return VerbEnd::NotStarted(error),
    };
    if timeout(limit, ended.wait()).await.is_err() {
        return VerbEnd::TimedOut;
    }
    commands().remove(&running.0.pid());
    let exit = running.0.reap().map_or(Exit::Code(-1), |reaped| reaped.exit);
    std::mem::forget(running);
    VerbEnd::Exited(exit)
}

fn start(argv: &[String], variables: &[(String, String)]) -> io::Result<Pid> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    start_command(argv, environment(variables, false), None, &[null.as_fd(); 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn an_exit_is_told_by_code_or_signal() {
        let run = |script: &'static str| async move {
            run(&argv(&["sh", "-c", script]), &[("X".into(), "7".into())], LONG).await
        };
        assert!(matches!(run("exit 0").await, VerbEnd::Exited(Exit::Code(0))));
        assert!(matches!(run("exit $X").await, VerbEnd::Exited(Exit::Code(7))));
        assert!(matches!(run("kill -9 $$").await, VerbEnd::Exited(Exit::Signal(9))));
        // What it leaves in the background is not waited for.
        assert!(matches!(run("sleep 1000 & exit 3").await, VerbEnd::Exited(Exit::Code(3))));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_not_started() {
        for words in [&["/no/such/program"][..], &["openctrl-no-such-program"], &[]] {
            assert!(matches!(run(&argv(words), &[], LONG).await, VerbEnd::NotStarted(_)));
        }
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_group() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("pid");
        let script =
            format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let words = argv(&["sh", "-c", &script]);
        let ended = run(&words, &[], Duration::from_millis(300)).await;
        assert!(matches!(ended, VerbEnd::TimedOut));
        if let Ok(pid) = std::fs::read_to_string(&file) {
            let pid = pid.trim().parse().expect("a number");
            let has_ended = || {
                let stat = super::super::stat::Stat::read(pid);
                stat.is_err() || stat.is_ok_and(|stat| stat.has_ended())
            };
            // It is no child: when the signal takes effect is seen only by looking.
            let deadline = std::time::Instant::now() + LONG;
            while !has_ended() {
                assert!(std::time::Instant::now() < deadline, "process {pid} runs on");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }

    #[tokio::test]
    async fn dropping_the_future_ends_the_command() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 1000", file.display());
        let words = argv(&["sh", "-c", &script]);
        let mut running = Box::pin(run(&words, &[], LONG));
        while !file.exists() {
            let _ = timeout(Duration::from_millis(10), &mut running).await;
        }
        drop(running);
        let pid = std::fs::read_to_string(&file).expect("it exists");
        assert!(super::super::stat::Stat::read(pid.trim().parse().expect("a number")).is_err());
    }
}
