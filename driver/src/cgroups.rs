//! The control groups of this master (cgroup v2): one for each run of an instance, below
//! `openctrl-<id of the master>` in the group that the master may use.
//!
//! A process that changes its session, or loses its parents, stays in its group. Nothing in here is
//! required: where no group can be made, processes are found by their parents, sessions and pipes.
//! Where groups are made is decided in `openctrl_core::cgroup`. Groups that the master did not make
//! are neither changed nor removed.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use openctrl_core::cgroup::{Grouping, Obstacle, Site, group_above, is_unit, unified_group};
use openctrl_core::ids::RunId;
use rustix::fs::{Access, access};

/// Where the unified hierarchy is: alone, or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The file that lists the processes of a group, and takes those that are moved to it.
const MEMBERS: &str = "cgroup.procs";

/// The most members of a group that are looked at: a fork bomb must not hold up the master.
const MEMBERS_MAX: usize = 10_000;

/// How deep groups that processes made in their own group are removed.
const DEPTH_MAX: u32 = 8;

/// How long the processes of a group may take to end of KILL.
const KILL_TAKES: Duration = Duration::from_secs(1);

/// How often the last groups are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The groups of one master.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    folder: PathBuf,
}

impl Groups {
    /// The groups of the master with this id, in the group `path`. Removes those of an earlier run
    /// that are empty.
    ///
    /// # Errors
    /// When no group can be made there.
    pub(crate) fn open(path: &Path, master: &str) -> io::Result<Self> {
        let groups = Self { folder: path.join(format!("openctrl-{master}")) };
        make(&groups.folder)?;
        groups.runs().for_each(|group| _ = remove(&group, DEPTH_MAX));
        Ok(groups)
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the group of a run.
    pub(crate) fn make(&self, run: RunId) -> io::Result<PathBuf> {
        let path = self.of(run);
        make(&path).map(|()| path)
    }

    /// The processes in the group of a run; none if it has no group.
    pub(crate) fn members(&self, run: RunId) -> Vec<i32> {
        let mut found = Vec::new();
        members(&self.of(run), DEPTH_MAX, &mut found);
        found
    }

    /// Kills every process in the group of a run.
    pub(crate) fn kill(&self, run: RunId) {
        kill(&self.of(run));
    }

    /// Removes the group of a run. Returns false if it has members.
    pub(crate) fn remove(&self, run: RunId) -> bool {
        remove(&self.of(run), DEPTH_MAX)
    }

    /// The run whose group a process is in.
    pub(crate) fn run_of(&self, pid: i32) -> Option<RunId> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let mut parts = unified_group(&text)?.split('/');
        let own = self.folder.file_name()?.to_str()?;
        parts.find(|part| *part == own)?;
        u128::from_str_radix(parts.next()?, 16).ok().map(RunId)
    }

    /// The CPU time of the group of a run, in hundredths of a second, with that of members that have
    /// ended.
    pub(crate) fn cpu_centis(&self, run: RunId) -> Option<u64> {
        const MICROS_PER_CENTI: u64 = 10_000;
        let text = fs::read_to_string(self.of(run).join("cpu.stat")).ok()?;
        let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(micros.trim().parse::<u64>().ok()? / MICROS_PER_CENTI)
    }

    /// Kills what is left in all of them and removes them, at the end of the master.
    pub(crate) fn finish(&self) {
        let begun = Instant::now();
        loop {
            let mut is_clean = true;
            for group in self.runs() {
                if !remove(&group, DEPTH_MAX) {
                    kill(&group);
                    is_clean = false;
                }
            }
            if is_clean || begun.elapsed() >= KILL_TAKES {
                break;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        if let Err(error) = fs::remove_dir(&self.folder) {
            tracing::warn!(
                "Master.run: cannot remove the control group {}: {error}",
                self.folder.display()
            );
        }
    }

    fn of(&self, run: RunId) -> PathBuf {
        self.folder.join(run.to_string())
    }

    fn runs(&self) -> impl Iterator<Item = PathBuf> {
        below(&self.folder)
    }
}

/// Moves this process to a group. It must have one thread.
pub(crate) fn enter(group: &str) -> io::Result<()> {
    fs::write(Path::new(group).join(MEMBERS), "0")
}

/// The group that those of a master are made in; `None` if it makes none.
///
/// # Errors
/// With `cgroups=on`, why it cannot.
pub(crate) fn find(grouping: Grouping) -> Result<Option<PathBuf>, Obstacle> {
    if grouping == Grouping::Off {
        return Ok(None);
    }
    match site().and_then(|(path, site)| site.admit(grouping).map(|()| path)) {
        Ok(path) => Ok(Some(path)),
        Err(obstacle) if grouping == Grouping::On => Err(obstacle),
        Err(_) => Ok(None),
    }
}

/// The group that those of a master are made in, and what is known of it.
///
/// # Errors
/// When there is none.
pub(crate) fn site() -> Result<(PathBuf, Site), Obstacle> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = unified_group(&own).ok_or(Obstacle::NoHierarchy)?;
    let mount = MOUNTS.iter().map(Path::new).find(|mount| mount.join(MEMBERS).exists());
    let mount = mount.ok_or(Obstacle::NoHierarchy)?;
    let group = group_above(own);
    let path = mount.join(group);
    let is_root_of_namespace = group.is_empty();
    let may_write = |path: &Path| access(path, Access::WRITE_OK).is_ok();
    let site = Site {
        // The root of the machine has no limits and no events.
        is_root_of_machine: is_root_of_namespace && !path.join("cgroup.events").exists(),
        is_root_of_namespace,
        is_writable: may_write(&path) && may_write(&path.join(MEMBERS)),
        is_marked: is_marked(&path),
        is_of_user: is_of_user(&path),
        is_unit: is_unit(group),
    };
    Ok((path, site))
}

/// Whether systemd says that it has delegated a group.
#[cfg(target_os = "linux")]
fn is_marked(path: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0_u8; 1];
        rustix::fs::getxattr(path, *name, &mut value).is_ok_and(|_| value == *b"1")
    })
}

#[cfg(not(target_os = "linux"))]
fn is_marked(_: &Path) -> bool {
    false
}

fn is_of_user(path: &Path) -> bool {
    let own = rustix::process::geteuid();
    let owner = rustix::fs::stat(path).map(|stat| stat.st_uid);
    !own.is_root() && owner.is_ok_and(|owner| owner == own.as_raw())
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The groups in a group.
fn below(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(path).ok().into_iter().flatten().filter_map(Result::ok);
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path())
}

/// The processes in a group and in those that were made in it.
fn members(path: &Path, depth: u32, found: &mut Vec<i32>) {
    let text = fs::read_to_string(path.join(MEMBERS)).unwrap_or_default();
    let room = MEMBERS_MAX.saturating_sub(found.len());
    // A process that cannot be seen from here has the number 0.
    found.extend(
        text.lines().filter_map(|pid| pid.parse().ok()).filter(|pid: &i32| *pid > 0).take(room),
    );
    if depth > 0 && found.len() < MEMBERS_MAX && has_members(path) {
        below(path).for_each(|below| members(&below, depth - 1, found));
    }
}

/// Whether a process is in a group or in one that was made in it.
fn has_members(path: &Path) -> bool {
    let text = fs::read_to_string(path.join("cgroup.events")).unwrap_or_default();
    text.lines().any(|line| line == "populated 1")
}

fn kill(path: &Path) {
    // Kernels before 5.14 have no such file. The members are signaled one by one in any case.
    let _ = fs::write(path.join("cgroup.kill"), "1");
}

/// Removes a group with those that were made in it. Returns false if it has members.
fn remove(path: &Path, depth: u32) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => return true,
        Err(error) if error.kind() == ErrorKind::NotFound => return true,
        Err(_) if depth == 0 || has_members(path) => return false,
        Err(_) => {}
    }
    below(path).for_each(|below| _ = remove(&below, depth - 1));
    fs::remove_dir(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folders that stand in for a hierarchy.
    fn groups() -> (tempfile::TempDir, Groups) {
        let home = tempfile::tempdir().expect("a temporary directory");
        let groups = Groups { folder: home.path().join("openctrl-1") };
        make(&groups.folder).expect("made");
        (home, groups)
    }

    #[test]
    fn a_group_is_named_after_its_run_and_removed_with_what_is_in_it() {
        let (_home, groups) = groups();
        let path = groups.make(RunId(7)).expect("made");
        assert_eq!(groups.make(RunId(7)).expect("it is there"), path);
        assert!(path.ends_with("openctrl-1/00000000000000000000000000000007"), "{path:?}");
        fs::create_dir_all(path.join("made/by/it")).expect("made");
        assert!(groups.remove(RunId(7)), "it is empty");
        assert!(!path.exists());
        assert!(groups.remove(RunId(7)), "it does not exist");
        groups.make(RunId(8)).expect("made");
        groups.finish();
        assert!(!groups.folder.exists());
    }

    #[test]
    fn members_and_cpu_time_are_read() {
        let (_home, groups) = groups();
        let path = groups.make(RunId(7)).expect("made");
        assert_eq!((groups.members(RunId(7)), groups.cpu_centis(RunId(7))), (Vec::new(), None));
        let below = path.join("below");
        fs::create_dir(&below).expect("made");
        fs::write(path.join("cgroup.events"), "populated 1\nfrozen 0\n").expect("written");
        fs::write(path.join(MEMBERS), "12\n0\n13\n").expect("written");
        fs::write(below.join(MEMBERS), "14\n").expect("written");
        let stat = "usage_usec 1234567\nuser_usec 1\n";
        fs::write(path.join("cpu.stat"), stat).expect("written");
        assert_eq!(groups.members(RunId(7)), [12, 13, 14]);
        assert_eq!(groups.cpu_centis(RunId(7)), Some(123));
        assert!(!groups.remove(RunId(7)), "it has members");
    }
}
