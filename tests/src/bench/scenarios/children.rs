//! As many children as the limits of the machine allow, up to ten thousand, under a hard limit of
//! two descriptors a child.

use std::fs;
use std::io;
use std::time::Instant;

use rustix::process::Signal;

use super::super::figure::{Figure, short};
use super::super::floor::spawn::Children;
use super::super::meter::{resident, settle};
use super::super::stage::{Measured, Stage, raise_descriptor_limit};
use super::super::subject::{Policy, START_LIMIT, Subject};
use super::Scenario;
use crate::{keeper, process};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "children",
    about: "a start with 10 000 children, or what the limits allow",
    limit_s: 150,
    run,
};

const WANTED: usize = 10_000;
/// The hard limit on descriptors of the master.
const DESCRIPTORS: usize = 20_000;
/// Children that show how many descriptors the master takes for each.
const PROBED: usize = 50;
/// What is left for everything else.
const DESCRIPTORS_SPARE: usize = 200;
const PIDS_SPARE: usize = 1000;
/// Private memory of a child, with what the system holds of it.
const CHILD_KIB: usize = 700;

fn run(stage: &Stage) -> Measured {
    let (allowed, why) = allowed(descriptors_each(stage)?);
    let count = stage.size(WANTED, 500).min(allowed);
    let mut subject = Subject::stored(stage, count, Policy::Running)?;
    let shell = format!("ulimit -n {} && exec \"$0\" \"$@\"", limit(count));
    subject.master.reconfigure(|builder| builder.through(&["/bin/sh", "-c", &shell]));
    stage.step(&format!("starting {count} children"));
    let begun = Instant::now();
    let up = subject.restart_until_up()?;
    let running = subject.wait_all_running()?.duration_since(begun).as_secs_f64();
    let with = resident(subject.pid());
    let held = after_a_loss(stage, &subject, count)?;
    stage.step("stopping them");
    let stopped = subject.stop();
    stage.step("a master with the same instances, stopped");
    let without = {
        let stopped = Subject::with_stopped(stage, count)?;
        resident(stopped.pid())
    };
    // It holds one descriptor a child.
    stage.step("a bare loop starts as many");
    let (children, bare) = Children::start(stage.child(), "bench://wait", count)?;
    drop(children);
    let limits = if count == allowed { format!(", for there are {why}") } else { String::new() };
    let all = Figure::cost("until all run", "s", running)
        .floor("bare posix_spawn loop of the same program", bare.as_secs_f64())
        .note(format!(
            "{count} children{limits}; API up after {} s, all stopped after {} s",
            short(up.as_secs_f64()),
            short(stopped.as_secs_f64())
        ));
    let all = all.wanted(3.0 * count as f64 / WANTED as f64);
    let each = |bytes: f64| bytes / 1024.0 / count as f64;
    let memory = Figure::cost("memory of the master a child", "KiB", each(with - without))
        .wanted(4.0)
        .note(format!("{} KiB an instance that is stopped", short(each(without))));
    let most = limit(count) as f64;
    let held = Figure::cost("descriptors of the master, with its children", "", held[0])
        .wanted(most)
        .note(format!(
            "{} of the keeper; after the loss of the keeper {} and {}; the hard limit is {most}",
            held[1], held[2], held[3]
        ));
    Ok(vec![all, memory, held])
}

/// The hard limit for this many children.
fn limit(count: usize) -> usize {
    raise_descriptor_limit().min(DESCRIPTORS.min(2 * count))
}

/// Kills the keeper: how many descriptors master and keeper have before that and, when the next
/// keeper has every child, after it.
fn after_a_loss(stage: &Stage, subject: &Subject, count: usize) -> io::Result<[f64; 4]> {
    let master = subject.pid();
    let find = || keeper::find(&subject.master).ok_or_else(|| io::Error::other("no keeper"));
    let lost = find()?;
    let before = [held(master)?, held(lost)?];
    stage.step("the keeper is killed, and the next one gets the children");
    process::send(lost, Signal::KILL);
    let next = keeper::wait_other_than(&subject.master, lost);
    let begun = Instant::now();
    while held(next)? < count {
        if begun.elapsed() > START_LIMIT {
            return Err(io::Error::other(format!("keeper {next} has {} of {count}", held(next)?)));
        }
        settle(master);
    }
    subject.wait_all_running()?;
    let after = [held(master)?, held(next)?];
    Ok([before[0], before[1], after[0], after[1]].map(|held| held as f64))
}

/// How many descriptors a process has open.
fn held(pid: i32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// How many descriptors the master takes for a child.
fn descriptors_each(stage: &Stage) -> io::Result<usize> {
    let mut subject = Subject::stored(stage, PROBED, Policy::Running)?;
    subject.restart_until_up()?;
    subject.wait_all_running()?;
    // Its listener, its files and a connection or two are a few, and lost in the division.
    Ok((held(subject.pid())? / PROBED).max(1))
}

/// How many children there may be, and which limit says so.
fn allowed(descriptors_each: usize) -> (usize, String) {
    let number = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().next().and_then(|word| word.parse::<usize>().ok())
    };
    let descriptors = raise_descriptor_limit().min(DESCRIPTORS);
    let pids = number("/proc/sys/kernel/pid_max").unwrap_or(usize::MAX);
    let memory_kib = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.split_whitespace().next()?.parse::<usize>().ok()
    });
    let memory_kib = memory_kib.unwrap_or(usize::MAX);
    let limits = [
        (
            descriptors.saturating_sub(DESCRIPTORS_SPARE) / descriptors_each,
            format!("{descriptors} descriptors a process, {descriptors_each} taken a child"),
        ),
        (pids.saturating_sub(PIDS_SPARE), format!("{pids} process ids")),
        (memory_kib / CHILD_KIB, format!("{} MiB of memory", memory_kib / 1024)),
    ];
    limits.into_iter().min_by_key(|(count, _)| *count).expect("there are three")
}
