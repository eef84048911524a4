//! What a master finds of the processes of the one before it.

use crate::ids::{InstanceId, RunId};
use crate::keeper::Note;
use crate::time::Now;

/// What is left of the processes of an earlier master. No instance is named twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct Found<'a> {
    /// Instances of which processes run whose output is lost. They are ended before anything else
    /// is started for these instances (Contract §11).
    pub leftovers: &'a [InstanceId],
    /// Runs that go on, or ended meanwhile.
    pub survivors: &'a [Survivor],
    /// What the last master noted of instances that have no process.
    pub notes: &'a [(InstanceId, Note)],
}

/// A run that outlived the master that began it: a keeper held its output and its exit status.
///
/// One that has ended is told the same way. Its output comes next, then `ProcessExited`, as with
/// every other run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Whose run it is.
    pub instance: InstanceId,
    /// Its id.
    pub run: RunId,
    /// When its process came to life.
    pub since: Now,
    /// Whether a stop of it was under way, which goes on.
    pub is_stopping: bool,
    /// What the last master noted.
    pub note: Note,
}
