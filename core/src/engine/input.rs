//! What happened: the facts that the engine is told.

use alloc::string::String;
use alloc::sync::Arc;

use crate::command::{Caller, Command, DialOutcome};
use crate::ids::{ProcessRef, RecordSeq, RequestId, StoreEpoch};
use crate::output::OutputBatch;
use crate::process::Exit;

/// A fact from outside. Every one about a process names its generation.
#[derive(Clone, Debug)]
pub enum Input {
    /// A request that only the engine can answer passed routing and decoding.
    RequestArrived {
        /// Under which name to answer.
        request: RequestId,
        /// Who sent it.
        caller: Caller,
        /// What it asks for.
        command: Command,
    },
    /// A process came to life.
    ProcessStarted {
        /// Which.
        process: ProcessRef,
    },
    /// A process could not be started.
    StartFailed {
        /// Which.
        process: ProcessRef,
        /// Why, for people.
        reason: String,
    },
    /// A process printed something. Comes after `ProcessStarted`, and before `ProcessExited`.
    OutputRead {
        /// Which.
        process: ProcessRef,
        /// The lines.
        batch: Arc<OutputBatch>,
    },
    /// A process is gone, and everything it had printed was told before.
    ProcessExited {
        /// Which.
        process: ProcessRef,
        /// How it ended.
        exit: Exit,
        /// Whether processes of its group are still there.
        group_left: bool,
    },
    /// Every record up to this one is durable.
    RecordsPersisted {
        /// The last of them.
        upto: RecordSeq,
    },
    /// Records of this epoch could not be made durable; none of it that was not reported durable
    /// before will be.
    PersistFailed {
        /// The epoch that ends with this.
        epoch: StoreEpoch,
        /// Why, for people.
        reason: String,
    },
    /// A dial ended.
    Dialled {
        /// Who asked for it.
        request: RequestId,
        /// How it ended.
        outcome: DialOutcome,
    },
    /// The clock reached the time that `poll_timeout` named, or passed it.
    TimeAdvanced,
    /// The operator wants the master to end; a second time: at once.
    ShutdownRequested,
}
