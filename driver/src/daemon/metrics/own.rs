//! The resource usage of the master, with the names that scrapers know.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::text::Kind::{Counter, Gauge};
use super::text::{Exposition, Value};

/// Writes the known figures; on systems other than Linux there are fewer.
pub(super) fn write(text: &mut Exposition, uptime: Duration) {
    let micros = |time: Duration| Value::Micros(u64::try_from(time.as_micros()).unwrap_or(0));
    let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    let help = "CPU time of the master, its children not included.";
    text.single("process_cpu_seconds_total", Counter, help, micros(cpu));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let help = "When the master started, since the epoch.";
    text.single("process_start_time_seconds", Gauge, help, micros(now.saturating_sub(uptime)));
    if let Some(bytes) = resident_bytes() {
        let help = "Resident memory of the master.";
        text.single("process_resident_memory_bytes", Gauge, help, Value::Count(bytes));
    }
    if let Some(count) = open_descriptors() {
        let help = "Open file descriptors of the master.";
        text.single("process_open_fds", Gauge, help, Value::Count(count));
    }
    if let Some(limit) = getrlimit(Resource::Nofile).current {
        let help = "How many file descriptors it may have.";
        text.single("process_max_fds", Gauge, help, Value::Count(limit));
    }
}

/// The second number of `/proc/self/statm`, in pages.
fn resident_bytes() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

fn open_descriptors() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is that of the directory.
    Some(entries.saturating_sub(1))
}
