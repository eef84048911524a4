//! CPU and memory of process groups, from one walk through `/proc`.
//!
//! A walk over all processes is the only way that also finds members of a group that their leader
//! did not start, or that were orphaned. If most processes of a machine are instances, it is also
//! the cheapest. The caller limits its cost.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;

/// The usage of a group, summed over its members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupUse {
    /// CPU time, in hundredths of a second, including members that have exited and were reaped.
    pub(super) cpu_centis: u64,
    /// Resident memory.
    pub(super) memory_bytes: u64,
    /// How many members there are.
    pub(super) processes: u64,
}

/// Reads every process, and sums up those that `of` names the same group for. It is given the id of
/// the process and that of its process group.
pub(super) fn look(of: impl Fn(i32, i32) -> Option<i32>) -> HashMap<i32, GroupUse> {
    let mut found: HashMap<i32, GroupUse> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else { return found };
    let (ticks, page) = (procfs::ticks_per_second().max(1), procfs::page_size());
    let mut text = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        text.clear();
        // It may have exited in between.
        let read = File::open(format!("/proc/{pid}/stat"))
            .and_then(|mut file| file.read_to_end(&mut text));
        let Some(stat) = read.ok().and_then(|_| Stat::parse(&text)) else { continue };
        if let Some(group) = pid.parse().ok().and_then(|pid| of(pid, stat.group)) {
            let sum = found.entry(group).or_default();
            sum.cpu_centis += stat.cpu_ticks.saturating_mul(100) / ticks;
            let pages = match stat.resident_pages {
                0 => resident_of_threads(pid),
                pages => pages,
            };
            sum.memory_bytes += pages.saturating_mul(page);
            sum.processes += 1;
        }
    }
    found
}

/// The memory of a process whose first thread has exited, from its other threads; 0 if the process
/// has exited.
fn resident_of_threads(pid: &str) -> u64 {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let stats = threads.filter_map(|thread| fs::read(thread.ok()?.path().join("stat")).ok());
    stats.filter_map(|text| Some(Stat::parse(&text)?.resident_pages)).max().unwrap_or(0)
}

/// The used fields of `/proc/<pid>/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    cpu_ticks: u64,
    resident_pages: u64,
}

impl Stat {
    /// Reads `pid (name) state ppid pgrp …`; the name may hold anything. A zombie has no memory,
    /// and is a member until it is waited for.
    fn parse(text: &[u8]) -> Option<Self> {
        const GROUP: usize = 2;
        const USER_TIME: usize = 11;
        const RESIDENT: usize = 21;
        let after_name = &text[text.iter().rposition(|byte| *byte == b')')? + 1..];
        let text = str::from_utf8(after_name).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let group = fields.nth(GROUP)?.parse().ok()?;
        let mut cpu_ticks = 0_u64;
        let mut times = fields.by_ref().skip(USER_TIME - GROUP - 1);
        // Of itself in user and kernel mode, and the same of its children that were waited for.
        for _ in 0..4 {
            // The latter two were once seen negative.
            let ticks: i64 = times.next()?.parse().ok()?;
            cpu_ticks = cpu_ticks.saturating_add(u64::try_from(ticks).unwrap_or(0));
        }
        let resident: i64 = fields.nth(RESIDENT - USER_TIME - 4)?.parse().ok()?;
        Some(Self { group, cpu_ticks, resident_pages: u64::try_from(resident).unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    #[test]
    fn a_line_of_proc_is_read_whatever_the_name() {
        let line = "42 (a b) c) S 1 40 41 0 -1 4194304 2605 9876 0 3 17 5 100 -1 20 0 4 0 1234 \
                    9000000 321 18446744073709551615 1 1 0";
        let expected = Stat { group: 40, cpu_ticks: 122, resident_pages: 321 };
        assert_eq!(Stat::parse(line.as_bytes()), Some(expected));
        for bad in ["", "42 (x", "42 (x) S 1", "42 (x) S 1 g 41"] {
            assert_eq!(Stat::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_group_is_summed_up() {
        // The shell reports when its child runs, and both wait until the pipe is closed.
        // A shell gives a command in the background an empty input unless it is told otherwise.
        let script = "exec 3<&0; cat <&3 & echo; cat";
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.process_group(0).spawn().expect("sh is there");
        let mut line = [0];
        child.stdout.as_mut().expect("piped").read_exact(&mut line).expect("a line");
        let group = i32::try_from(child.id()).expect("a pid");
        let found = look(|_, wanted| (wanted == group).then_some(group));
        let used = found[&group];
        assert!(used.processes >= 2 && used.memory_bytes > 4096, "{used:?}");
        assert_eq!(found.len(), 1);
        let leader = look(|pid, _| (pid == group).then_some(7));
        assert_eq!(leader[&7].processes, 1, "by their own ids, too");
        drop(child.stdin.take());
        child.wait().expect("it ends");
    }
}
