//! The inputs of the engine: facts that happened.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::presence::Sighting;
use super::verbs::VerbResult;
use crate::command::{Caller, Command, DialOutcome};
use crate::ids::{InstanceId, ProcessRef, RecordSeq, RequestId, StoreEpoch};
use crate::instance::{CheckKind, Definition, Desired, VerbKind, Zone};
use crate::occasion::Occasions;
use crate::output::OutputBatch;
use crate::process::{Exit, Identity};
use crate::webhook::{DeliveryId, DeliveryResult, HookId};

/// A fact from outside. Every one about a process names its generation.
#[derive(Clone, Debug)]
pub enum Input {
    /// A request that only the engine can answer passed routing and decoding.
    RequestArrived {
        /// Under which name to answer.
        request: RequestId,
        /// Who sent it.
        caller: Caller,
        /// The command.
        command: Command,
    },
    /// A process started.
    ProcessStarted {
        /// Which.
        process: ProcessRef,
    },
    /// A process of an instance from a configuration file has this number.
    PidTold {
        /// Which.
        process: ProcessRef,
        /// Its number.
        identity: Identity,
    },
    /// A pid file was read.
    PidFileRead {
        /// Whose.
        instance: InstanceId,
        /// What it says.
        sighting: Sighting,
    },
    /// A process that a pid file or a report named ended.
    TrackedGone {
        /// For which process it was watched.
        process: ProcessRef,
        /// Which.
        identity: Identity,
    },
    /// A command of a service ended.
    VerbEnded {
        /// Whose.
        instance: InstanceId,
        /// Which.
        verb: VerbKind,
        /// How.
        result: VerbResult,
    },
    /// A check of a process has ended, or the process said by itself that it is ready.
    CheckEnded {
        /// Which process.
        process: ProcessRef,
        /// What the check was for.
        check: CheckKind,
        /// Why it failed, for people, if it did.
        failure: Option<String>,
    },
    /// A configuration was read again: its instances, and what is wanted of those that are new.
    Configured {
        /// All of them.
        set: Arc<Vec<(Definition, Desired)>>,
    },
    /// A process is still alive after more than one KILL.
    KillFailed {
        /// Which.
        process: ProcessRef,
        /// What keeps it alive, for people.
        reason: String,
    },
    /// A process could not be started.
    StartFailed {
        /// Which.
        process: ProcessRef,
        /// Why, for people.
        reason: String,
    },
    /// The start of a process was lost with its keeper, or with an earlier program of the master:
    /// there is no process.
    StartLost {
        /// Which.
        process: ProcessRef,
        /// Whether there may have been one that has ended since.
        may_have_run: bool,
    },
    /// A process printed something. Comes after `ProcessStarted`, and before `ProcessExited`.
    OutputRead {
        /// Which.
        process: ProcessRef,
        /// The lines, and the stream that they were written to.
        batch: Arc<OutputBatch>,
    },
    /// The keeper ended a process because no master renewed its lease. Comes right before
    /// `ProcessExited`.
    LeaseExpired {
        /// Which.
        process: ProcessRef,
    },
    /// A process exited, and all its output was reported before.
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
        /// The epoch that ends with this input.
        epoch: StoreEpoch,
        /// Why, for people.
        reason: String,
    },
    /// A dial has finished.
    Dialled {
        /// Who asked for it.
        request: RequestId,
        /// How it ended.
        outcome: DialOutcome,
    },
    /// A time zone was read.
    ZoneRead {
        /// Its name; empty for that of the system.
        name: String,
        /// Its offsets; `None` if this machine has no such zone.
        zone: Option<Zone>,
    },
    /// A file changed that an instance watches, or files did.
    FilesChanged {
        /// Whose.
        instance: InstanceId,
        /// One of them, for people.
        path: String,
    },
    /// The files of an instance cannot be watched, or not all of them.
    WatchFailed {
        /// Whose.
        instance: InstanceId,
        /// Why, for people.
        reason: String,
    },
    /// The webhooks of the master are known, and nothing is on its way to them: what each reports.
    WebhooksConfigured {
        /// In the order of their ids.
        hooks: Vec<Occasions>,
    },
    /// A try to deliver a report has ended.
    DeliveryEnded {
        /// To which webhook.
        hook: HookId,
        /// Which report.
        delivery: DeliveryId,
        /// How.
        result: DeliveryResult,
    },
    /// The clock reached the time that `poll_timeout` named, or passed it.
    TimeAdvanced,
    /// The operator stops the master; the second time: at once.
    ShutdownRequested,
}
