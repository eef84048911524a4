//! Starts processes in a thread of its own: a start takes a tenth of a millisecond, and hundreds
//! of them at once must not hold up the loop.

use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::Definition;
use rustix::process::Pid;
use tokio::runtime::Handle;

use super::group::Group;
use super::watch::Watch;
use crate::inbox::{Mailbox, Notice};
use crate::limits::restore_descriptor_limit;

/// Starts what it is asked to start, in order.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<(ProcessRef, Arc<Definition>)>,
}

impl Spawner {
    /// Starts the thread. Every process runs `runtime` with the instance's URL.
    pub(crate) fn start(runtime: PathBuf, mailbox: Mailbox) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<(ProcessRef, Arc<Definition>)>();
        let tasks = Handle::current();
        thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            // Pipes and pidfds are registered with the async runtime where they are made.
            let _entered = tasks.enter();
            while let Ok((process, definition)) = queue.recv() {
                start_one(&runtime, process, &definition, &mailbox);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Asks for a process; whether it came to life is said through the mailbox.
    pub(crate) fn spawn(&self, process: ProcessRef, definition: Arc<Definition>) {
        self.jobs.send((process, definition)).expect("the spawner lives as long as the loop");
    }
}

fn start_one(runtime: &PathBuf, process: ProcessRef, definition: &Definition, mailbox: &Mailbox) {
    let started = spawn(runtime, definition.url.as_str()).and_then(|(leader, output)| {
        let watch = Watch::new(leader, output).inspect_err(|_| abort(leader))?;
        Ok((leader, watch))
    });
    match started {
        Ok((leader, watch)) => {
            restore_descriptor_limit(leader);
            mailbox.fact(Notice::Spawned(process, Group::new(leader)));
            tokio::spawn(watch.run(process, mailbox.clone()));
        }
        Err(error) => {
            let reason = format!("{}: {error}", runtime.display());
            mailbox.fact(Notice::Fact(Input::StartFailed { process, reason }));
        }
    }
}

/// Starts `<runtime> <url>` as the leader of its own group, with no input and one pipe for both
/// outputs. Nothing here may need code to run in the child before `exec`: that would make the
/// standard library `fork`, which takes as long as the master is large.
fn spawn(runtime: &PathBuf, url: &str) -> io::Result<(Pid, PipeReader)> {
    let (output, input) = io::pipe()?;
    let child = Command::new(runtime)
        .arg(OsString::from(url))
        .stdin(Stdio::null())
        .stdout(Stdio::from(input.try_clone()?))
        .stderr(Stdio::from(input))
        .process_group(0)
        .spawn()?;
    let leader = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok((leader.expect("a process id is a positive i32"), output))
}

/// Ends a process that cannot be watched.
fn abort(leader: Pid) {
    let group = Group::new(leader);
    group.signal(openctrl_core::engine::Signal::Kill);
    let _ = rustix::process::waitpid(Some(leader), rustix::process::WaitOptions::empty());
}
