//! One run of an instance, as a value.

use super::decide::Why;
use crate::ids::{Generation, RunId};
use crate::process::Exit;
use crate::time::Now;

/// One run of an instance: one process, from its start to its exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// Its number in this run of the master.
    pub generation: Generation,
    /// Where its process came from.
    pub origin: RunOrigin,
    /// When it was started, or found.
    pub started: Now,
    /// When its process last reported.
    pub last_seen: Now,
}

/// Where the process of a run came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOrigin {
    /// The master started it.
    Spawned,
    /// It was there, and its output is lost.
    Found,
    /// It outlived an earlier run of the master, and its output goes on.
    Survivor,
}

/// A run that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRecord {
    /// The run.
    pub run: Run,
    /// When its process exited.
    pub ended: Now,
    /// How.
    pub exit: Exit,
    /// What it was asked to end for; `None` if it exited by itself.
    pub requested: Option<Why>,
}
