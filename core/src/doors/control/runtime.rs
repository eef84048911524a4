//! `RuntimeStats`: the resource usage of the master. Values that Rust does not have are 0.

use alloc::string::String;

use serde::Serialize;

use super::CONTROL_API_VERSION;
use super::wire::is_zero;
use crate::go::ZERO_TIME;

/// The figures, as the driver collected them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeStats {
    /// When, in RFC 3339.
    pub collected_at: String,
    /// Resident memory, in bytes.
    pub resident_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
    /// Stack, in bytes.
    pub stack_bytes: u64,
    /// Memory of the control group, in bytes; 0 without one.
    pub cgroup_current_bytes: u64,
    /// The most it ever was.
    pub cgroup_peak_bytes: u64,
    /// Tasks of the async runtime.
    pub tasks: u64,
    /// Open descriptors.
    pub open_fds: u64,
    /// How many there may be.
    pub max_fds: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuntimeWire<'a> {
    api_version: &'static str,
    kind: &'static str,
    collected_at: &'a str,
    heap_alloc_bytes: u64,
    heap_inuse_bytes: u64,
    heap_objects: u64,
    stack_inuse_bytes: u64,
    sys_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cgroup_memory_current_bytes: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cgroup_memory_peak_bytes: u64,
    num_goroutine: u64,
    #[serde(rename = "numGC")]
    num_gc: u64,
    gc_pause_total_ns: u64,
    #[serde(rename = "lastGC")]
    last_gc: &'static str,
    open_fds: u64,
    max_fds: u64,
}

impl<'a> From<&'a RuntimeStats> for RuntimeWire<'a> {
    fn from(stats: &'a RuntimeStats) -> Self {
        Self {
            api_version: CONTROL_API_VERSION,
            kind: "RuntimeStats",
            collected_at: &stats.collected_at,
            heap_alloc_bytes: stats.resident_bytes,
            heap_inuse_bytes: stats.resident_bytes,
            heap_objects: 0,
            stack_inuse_bytes: stats.stack_bytes,
            sys_bytes: stats.virtual_bytes,
            cgroup_memory_current_bytes: stats.cgroup_current_bytes,
            cgroup_memory_peak_bytes: stats.cgroup_peak_bytes,
            num_goroutine: stats.tasks,
            num_gc: 0,
            gc_pause_total_ns: 0,
            last_gc: ZERO_TIME,
            open_fds: stats.open_fds,
            max_fds: stats.max_fds,
        }
    }
}
