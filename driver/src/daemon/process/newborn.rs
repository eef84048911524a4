//! A process that was just started.

use std::io::PipeReader;

use openctrl_core::ids::ProcessRef;
use rustix::process::Pid;

/// A process that was just started.
#[derive(Debug)]
pub(super) struct Newborn {
    pub(super) process: ProcessRef,
    pub(super) leader: Pid,
    /// `None` when the master has no descriptor left for it.
    pub(super) output: Option<PipeReader>,
    /// The report of its exec step, if there was one.
    pub(super) report: Option<PipeReader>,
}
