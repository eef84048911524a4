//! What a process has used, from `/proc`.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A server that used no more than this in [`SETTLED`] has nothing to do.
const IDLE_NS: f64 = 2e6;
const SETTLED: Duration = Duration::from_millis(200);

/// Nanoseconds of CPU time that the threads of `pid` have used.
///
/// `schedstat` counts nanoseconds but forgets threads that have ended, `stat` remembers them but
/// counts ticks of 10 ms: the larger one is closer.
pub fn cpu_ns(pid: i32) -> f64 {
    by_threads(pid).max(by_ticks(pid))
}

/// Nanoseconds of CPU time that this thread has used.
pub fn thread_cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Resident memory in bytes.
pub fn resident(pid: i32) -> f64 {
    status_kib(pid, "VmRSS:") * 1024.0
}

/// Resident memory at its highest, in bytes.
pub fn peak_resident(pid: i32) -> f64 {
    status_kib(pid, "VmHWM:") * 1024.0
}

/// Waits until a server has nothing to do.
pub fn settle(pid: i32) {
    let mut before = cpu_ns(pid);
    loop {
        thread::sleep(SETTLED);
        let now = cpu_ns(pid);
        if now - before < IDLE_NS {
            return;
        }
        before = now;
    }
}

/// Resident memory in bytes; what it shares with other processes counts in equal parts for each.
pub fn proportional(pid: i32) -> f64 {
    sum_of_maps(pid, "Pss:")
}

/// Resident memory in bytes that is no part of a file.
pub fn anonymous(pid: i32) -> f64 {
    sum_of_maps(pid, "Anonymous:")
}

fn sum_of_maps(pid: i32, name: &str) -> f64 {
    kib_in(&format!("/proc/{pid}/smaps_rollup"), name) * 1024.0
}

fn by_threads(pid: i32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let used = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    used.sum()
}

fn by_ticks(pid: i32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks * 1e9 / rustix::param::clock_ticks_per_second() as f64
}

fn status_kib(pid: i32, name: &str) -> f64 {
    kib_in(&format!("/proc/{pid}/status"), name)
}

fn kib_in(path: &str, name: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    value.unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{anonymous, cpu_ns, peak_resident, proportional, resident, thread_cpu_ns};

    #[test]
    fn work_and_memory_are_seen() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let (process, thread) = (cpu_ns(pid), thread_cpu_ns());
        while thread_cpu_ns() - thread < 30e6 {
            std::hint::black_box(0);
        }
        assert!(cpu_ns(pid) - process >= 10e6, "the process used what its thread used");
        // In this order: other tests of this process take memory meanwhile.
        let anonymous = anonymous(pid);
        assert!(anonymous > 100e3 && proportional(pid) >= anonymous);
        let resident = resident(pid);
        assert!(resident > 100e3 && peak_resident(pid) >= resident);
    }
}
