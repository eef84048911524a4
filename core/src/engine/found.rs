//! The processes of an earlier master that a new one finds.

use crate::ids::{InstanceId, RunId};
use crate::keeper::Note;
use crate::time::Now;

/// The remaining processes of an earlier master. No instance occurs twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Instances with processes whose output is lost. They are stopped before anything else is
    /// started for these instances (Contract §11).
    pub leftovers: &'a [InstanceId],
    /// Runs that continue, or ended meanwhile.
    pub survivors: &'a [Survivor],
    /// The notes of the last master about instances that have no process.
    pub notes: &'a [(InstanceId, Note)],
}

/// A run that outlived the master that started it: a keeper held its output and its exit status.
///
/// It may have ended. Then its output follows, and `ProcessExited`, as for every other run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// The instance.
    pub instance: InstanceId,
    /// Its id.
    pub run: RunId,
    /// The start time of its process.
    pub since: Now,
    /// Whether a stop of it was in progress, which continues.
    pub is_stopping: bool,
    /// Whether it has a lease.
    pub is_leased: bool,
    /// The note of the last master.
    pub note: Note,
}
