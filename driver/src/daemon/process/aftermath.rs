//! What the system tells of the end of a process beyond its status: a core dump, and the kernel's
//! out-of-memory killer.
//!
//! Only what is proven is said. The kernel counts what it killed for each control group; children
//! are in that of the master unless somebody moved them.

use std::fs;
use std::path::{Path, PathBuf};

use openctrl_core::cgroup::group_above;
use openctrl_core::process::Exit;

use super::group::Reaped;

/// A shell says with a code of 128 and this that its command was killed.
const SIGKILL: i32 = 9;

/// How many processes of the master's control group the out-of-memory killer has killed.
#[derive(Debug)]
pub(crate) struct OomKills {
    /// Where the kernel counts them; `None` where it does not.
    file: Option<PathBuf>,
    seen: u64,
}

impl Default for OomKills {
    /// Counts from now on.
    fn default() -> Self {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::at(counting_file(Path::new("/sys/fs/cgroup"), &groups))
    }
}

impl OomKills {
    fn at(file: Option<PathBuf>) -> Self {
        let mut kills = Self { file, seen: 0 };
        kills.take_new();
        kills
    }

    /// How many there were since the last look.
    fn take_new(&mut self) -> u64 {
        let text = self.file.as_ref().and_then(|file| fs::read_to_string(file).ok());
        let count = text.as_deref().and_then(oom_kills).unwrap_or(self.seen);
        count.saturating_sub(std::mem::replace(&mut self.seen, count))
    }

    /// What there is to say of an end, for people; `None` if nothing but its status. `was_killed`:
    /// the master itself sent KILL.
    pub(crate) fn explain(&mut self, reaped: Reaped, was_killed: bool) -> Option<String> {
        let kills = self.take_new();
        if reaped.has_dumped_core {
            return Some(core_dumped());
        }
        let killed = [Exit::Signal(SIGKILL), Exit::Code(128 + SIGKILL)];
        let looks_killed = killed.contains(&reaped.exit);
        (looks_killed && !was_killed && kills > 0).then(|| {
            let processes = if kills == 1 { "a process" } else { "processes" };
            format!(
                "out of memory: the kernel killed {processes} of the control group of this master"
            )
        })
    }
}

/// The file that counts for the group that `/proc/self/cgroup` names.
fn counting_file(mount: &Path, groups: &str) -> Option<PathBuf> {
    let of = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let path = path.trim_start_matches('/');
        if controllers.split(',').any(|controller| controller == "memory") {
            return Some(mount.join("memory").join(path).join("memory.oom_control"));
        }
        // What is below counts, too: the control groups of processes.
        let is_version_2 = controllers.is_empty();
        is_version_2.then(|| mount.join(group_above(path)).join("memory.events"))
    };
    groups.lines().filter_map(of).find(|file| file.exists())
}

fn oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

fn core_dumped() -> String {
    match fs::read_to_string("/proc/sys/kernel/core_pattern") {
        Ok(pattern) => format!("core dumped; kernel.core_pattern is {}", pattern.trim_end()),
        Err(_) => "core dumped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_that_of_the_own_group_in_either_version() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (one, two) = (home.path().join("memory/a/b"), home.path().join("c"));
        fs::create_dir_all(&one).expect("made");
        fs::create_dir_all(&two).expect("made");
        let (one, two) = (one.join("memory.oom_control"), two.join("memory.events"));
        fs::write(&one, "").expect("written");
        fs::write(&two, "").expect("written");
        let found = |groups: &str| counting_file(home.path(), groups);
        assert_eq!(found("3:cpu:/x\n2:hugetlb,memory:/a/b\n0::/y\n"), Some(one));
        assert_eq!(found("0::/c\n"), Some(two));
        assert_eq!(found("0::/elsewhere\n"), None);
    }

    #[test]
    fn only_what_is_proven_is_said() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let file = home.path().join("memory.events");
        let count = |kills: u32| {
            let text = format!("low 0\nmax 7\noom 9\noom_kill {kills}\noom_group_kill 0\n");
            fs::write(&file, text).expect("written");
        };
        count(3);
        let mut kills = OomKills::at(Some(file.clone()));
        let killed = Reaped { exit: Exit::Signal(9), has_dumped_core: false };
        assert_eq!(kills.explain(killed, false), None, "nothing was counted");
        count(4);
        assert_eq!(kills.explain(killed, true), None, "it was the master");
        assert_eq!(kills.explain(killed, false), None, "that was before");
        count(5);
        let said = kills.explain(killed, false).expect("it is proven");
        assert!(said.starts_with("out of memory: the kernel killed a process"), "{said}");
        count(6);
        let other = Reaped { exit: Exit::Code(1), has_dumped_core: false };
        assert_eq!(kills.explain(other, false), None);
        count(8);
        let shell = Reaped { exit: Exit::Code(137), has_dumped_core: false };
        assert!(kills.explain(shell, false).is_some_and(|said| said.contains("killed processes")));
        let dumped = Reaped { exit: Exit::Signal(6), has_dumped_core: true };
        assert!(kills.explain(dumped, false).is_some_and(|said| said.starts_with("core dumped")));
        assert_eq!(OomKills::at(None).explain(killed, false), None);
    }
}
