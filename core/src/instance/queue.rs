//! What waits until an instance has no process: replacements and deletions.

use crate::expect::Expect;
use crate::ids::RequestId;
use crate::url::InstanceUrl;

/// What has to wait until an instance has no process.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The request, which is answered at the end.
    pub request: RequestId,
    /// What the newest revision has to be when its turn comes.
    pub expect: Expect,
    /// What is to be done.
    pub kind: OperationKind,
    /// Whether its record is on its way to the disk.
    pub committing: bool,
    /// Whether a start follows once it is done; a `stop` takes that back.
    pub starts: bool,
}

impl Operation {
    /// An operation at the end of the queue.
    pub const fn new(request: RequestId, expect: Expect, kind: OperationKind) -> Self {
        let starts = matches!(kind, OperationKind::Replace(_));
        Self { request, expect, kind, committing: false, starts }
    }
}

/// The operations that need a stopped instance.
#[derive(Clone, Debug)]
pub enum OperationKind {
    /// Run something else from now on.
    Replace(InstanceUrl),
    /// Delete the instance.
    Delete,
}
