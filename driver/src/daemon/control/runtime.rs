//! What the master itself uses, for `/runtime`.

use std::fs;

use openctrl_core::cgroup::{group_above, unified_group};
use openctrl_core::doors::control::RuntimeStats;
use openctrl_core::time::Wall;
use rustix::process::{Resource, getrlimit};

/// Collects the figures. What the system does not tell is 0.
pub(super) fn collect(now: Wall) -> RuntimeStats {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        number.unwrap_or_default() * 1024
    };
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_above(unified_group(&group).unwrap_or_default());
    let cgroup = |file: &str| {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{group}/{file}")).ok();
        text.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    };
    let open_fds = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64);
    RuntimeStats {
        collected_at: openctrl_core::go::rfc3339_nano(now),
        resident_bytes: kib("VmRSS"),
        virtual_bytes: kib("VmSize"),
        stack_bytes: kib("VmStk"),
        cgroup_current_bytes: cgroup("memory.current"),
        cgroup_peak_bytes: cgroup("memory.peak"),
        tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64,
        open_fds,
        max_fds: getrlimit(Resource::Nofile).current.unwrap_or_default(),
    }
}
