//! A process that was just started.

use std::io::PipeReader;

use openctrl_core::ids::ProcessRef;
use rustix::process::Pid;
use tokio::sync::oneshot;

use super::in_flight::InFlight;
use super::woken::Woken;
use crate::outputs::Outputs;

/// A process that was just started.
#[derive(Debug)]
pub(super) struct Newborn {
    pub(super) process: ProcessRef,
    pub(super) leader: Pid,
    /// `None` when the master has no descriptor left for them.
    pub(super) outputs: Option<Outputs<PipeReader>>,
    /// The report of its exec step, if there was one.
    pub(super) report: Option<PipeReader>,
}

/// The leader of a group that a keeper started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leader {
    pub(super) pid: Pid,
    /// When it started, in clock ticks since the machine did.
    pub(super) start_ticks: u64,
    /// The keeper.
    pub(super) keeper: i32,
}

/// A process that a keeper has just started.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) process: ProcessRef,
    pub(super) leader: Leader,
    pub(super) outputs: Outputs<PipeReader>,
    /// The report of its exec step, if there was one.
    pub(super) report: Option<PipeReader>,
    /// Until its report was read.
    pub(super) in_flight: InFlight,
    /// Wakes when it has ended.
    pub(super) woken: oneshot::Receiver<Woken>,
}
