//! What waits for the process of an instance: replacements and deletions until it exited, and
//! answers until it is known whether it started.

use alloc::collections::VecDeque;

use alloc::sync::Arc;

use super::definition::Definition;
use crate::expect::Expect;
use crate::ids::RequestId;
use crate::url::InstanceUrl;

/// An operation that waits until the instance has no process.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The request, answered when the operation has finished.
    pub request: RequestId,
    /// The revision that the instance must have when the operation is carried out.
    pub expect: Expect,
    /// The operation.
    pub kind: OperationKind,
    /// Whether its record is pending.
    pub committing: bool,
    /// Whether a start follows once it is done; a `stop` takes that back.
    pub starts: bool,
}

impl Operation {
    /// Appends an operation to the queue.
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
    /// Be this from now on: the configuration changed.
    Redefine(Arc<Definition>),
    /// Delete the instance.
    Delete,
}

/// What waits for the process of an instance.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub(super) operations: VecDeque<Operation>,
    /// Requests to answer once it is known whether the process was started.
    pub(super) awaiting_start: VecDeque<RequestId>,
}

impl Queue {
    /// Whether no operation waits.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// The operations, oldest first.
    pub fn operations(&self) -> impl ExactSizeIterator<Item = &Operation> {
        self.operations.iter()
    }

    /// The requests that wait for a start, oldest first.
    pub fn awaiting_start(&self) -> impl ExactSizeIterator<Item = RequestId> + '_ {
        self.awaiting_start.iter().copied()
    }

    /// The oldest operation.
    pub fn first(&self) -> Option<&Operation> {
        self.operations.front()
    }

    /// Whether the record of a deletion is pending.
    pub fn is_deleting(&self) -> bool {
        let is_delete = |first: &Operation| matches!(first.kind, OperationKind::Delete);
        self.first().is_some_and(|first| first.committing && is_delete(first))
    }

    /// Adds an operation.
    pub fn push(&mut self, operation: Operation) {
        self.operations.push_back(operation);
    }

    /// Marks the record of the oldest operation as pending. Returns that operation, unless its
    /// record was already pending.
    pub fn commit_first(&mut self) -> Option<&Operation> {
        let first = self.operations.front_mut()?;
        let was_committing = core::mem::replace(&mut first.committing, true);
        (!was_committing).then_some(&*first)
    }

    /// Takes the oldest operation out.
    pub fn pop(&mut self) -> Option<Operation> {
        self.operations.pop_front()
    }

    /// Takes all operations out.
    pub fn take_operations(&mut self) -> VecDeque<Operation> {
        core::mem::take(&mut self.operations)
    }

    /// No start follows the operations that wait and are older than this request.
    pub fn forget_starts(&mut self, request: RequestId) {
        for operation in &mut self.operations {
            operation.starts &= operation.request > request;
        }
    }

    /// A request is answered once it is known whether the process was started.
    pub fn await_start(&mut self, request: RequestId) {
        self.awaiting_start.push_back(request);
    }

    /// Takes out the oldest request that waits for a start.
    pub fn pop_awaiting(&mut self) -> Option<RequestId> {
        self.awaiting_start.pop_front()
    }
}
