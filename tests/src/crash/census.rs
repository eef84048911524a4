//! Who is alive: the processes of one harness, and whether they are those that there should be.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::Value;

use super::child::{Kind, Task};
use super::model::{Definition, Model};

/// A live process of the harness's runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// The URL that it received.
    pub task: Task,
    /// Whether it was started by the instance's process, into its group.
    pub is_member: bool,
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An instance that is to run does not.
    Down(String),
    /// An instance has more than one process.
    Doubled(String),
    /// A process is alive that should not be.
    LeftOver(String),
    /// A process ended that nothing had asked to.
    EndedUnasked(String),
    /// How a process ended is not known.
    StatusLost(String),
}

/// Every live process that runs `program`, which is the harness's own file.
pub fn processes(program: &Path) -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| read(pid, program)).collect()
}

/// The first thing that is not as the model wants it, given the list of a master and the live
/// processes; `started` says whether the process of a token was started since the master was, or
/// ever if processes survive.
pub fn trouble(
    model: &Model,
    list: &[Value],
    alive: &[Process],
    started: impl Fn(u32) -> bool,
    survives: bool,
) -> Option<Trouble> {
    let wanted = |task: &Task| {
        model.instances.values().any(|known| {
            let definition = &known.acknowledged;
            definition.task == *task && (definition.restart || survives)
        })
    };
    if let Some(process) = alive.iter().find(|process| !wanted(&process.task)) {
        return Some(Trouble::LeftOver(format!("{process:?} is alive")));
    }
    model.instances.iter().find_map(|(id, known)| {
        let found = list.iter().find(|found| found["id"] == id.as_str())?;
        let status = found["status"].as_str().unwrap_or("");
        trouble_of(&known.acknowledged, status, alive, &started, survives)
    })
}

fn trouble_of(
    definition: &Definition,
    status: &str,
    alive: &[Process],
    started: &impl Fn(u32) -> bool,
    survives: bool,
) -> Option<Trouble> {
    let task = definition.task;
    let count =
        |is_member| alive.iter().filter(|p| p.task == task && p.is_member == is_member).count();
    let (leaders, members) = (count(false), count(true));
    let text = || format!("{} is {status} with {leaders}+{members} processes", task.url());
    if leaders > 1 || members > task.kind.members() && task.kind.stays() {
        return Some(Trouble::Doubled(text()));
    }
    let is_whole = status == "running" && leaders == 1 && members == task.kind.members();
    let is_well = if !definition.restart && survives {
        // It keeps running until it ends, and is not started again.
        is_whole && task.kind.stays() || status != "running" && leaders + members == 0
    } else if !definition.restart {
        status == "stopped"
    } else if task.kind == Kind::Crash {
        // It comes and goes.
        started(task.token)
    } else if task.kind.stays() {
        is_whole
    } else {
        status == "stopped" && started(task.token) && leaders == 0 && members == 0
    };
    (!is_well).then(|| Trouble::Down(text()))
}

fn read(pid: i32, program: &Path) -> Option<Process> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0);
    if words.next()? != program.as_os_str().as_bytes() {
        return None;
    }
    let url = std::str::from_utf8(words.next()?).ok()?;
    let (task, is_member) = Task::from_url(url)?;
    // A zombie has no command line, but may become one now: that is looked at again.
    crate::process::is_alive(pid).then_some(Process { pid, task, is_member })
}
