//! What to do: the orders that the engine gives. They are to be carried out in order.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::Outcome;
use crate::counters::SavedTotals;
use crate::event::{Event, LogRun};
use crate::ids::{InstanceId, KeyEpoch, ProcessRef, RecordSeq, RequestId, StoreEpoch};
use crate::instance::{Definition, InstanceView, Label, ProcessFacts, RunShown, VerbKind};
use crate::master::{ApiKey, MasterFace};
use crate::process::{Identity, Scope, Signal};
use crate::store::Record;
use crate::time::Wall;

/// An order to the driver. Nothing visible is ordered before what it rests on is durable, so the
/// driver never has to hold one back.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Let this be the master that requests are checked against and `/info` tells of.
    ShowMaster(MasterFace),
    /// Let reads see this instance, without an event: it was there before anybody could listen.
    ShowInstance(InstanceView),
    /// Let those who ask see what became of the processes of an instance. Comes before an event
    /// that tells of the same, and only when something changed. It rests on nothing durable: these
    /// are facts about the world, which no disk can take back.
    ShowProcess {
        /// Whose.
        instance: InstanceId,
        /// What.
        facts: Box<ProcessFacts>,
    },
    /// Tell every subscriber, and let reads see the same.
    Publish(Event),
    /// Forward lines of output to standard output and to every subscriber.
    PublishLogs(LogRun),
    /// End the streams that were opened with a key of an earlier epoch than `keep_from`, each
    /// with a `shutdown` event.
    CloseStreams {
        /// The first epoch whose streams go on; `None` ends all.
        keep_from: Option<KeyEpoch>,
        /// The time of the event.
        time: Wall,
    },
    /// Answer a request.
    Respond {
        /// Which.
        request: RequestId,
        /// With what.
        outcome: Outcome,
    },
    /// Make a record durable and say so; group it with others as you like, in order.
    Persist {
        /// To be dropped if this epoch has failed.
        epoch: StoreEpoch,
        /// Its place in the order.
        seq: RecordSeq,
        /// The record.
        record: Record,
    },
    /// Keep these totals; nobody waits for it.
    SaveTotals(Vec<(InstanceId, SavedTotals)>),
    /// Start a process: the runtime with the URL as its argument.
    Spawn {
        /// What to call it.
        process: ProcessRef,
        /// What it runs for.
        definition: Arc<Definition>,
    },
    /// Watch the process of this instance that an earlier run of the master left behind.
    Adopt {
        /// What to call it.
        process: ProcessRef,
        /// Whose it was.
        instance: InstanceId,
    },
    /// Watch this process for the process `process`, too, and signal it with that.
    Track {
        /// For which process.
        process: ProcessRef,
        /// Which process; it is proven to be the instance's.
        identity: Identity,
    },
    /// Read the pid file of an instance, and find out whose the process in it is.
    ReadPidFile {
        /// The instance.
        definition: Arc<Definition>,
        /// The process that was started for it, while that is alive.
        leader: Option<Identity>,
    },
    /// Run a command of a service.
    RunVerb {
        /// The service.
        definition: Arc<Definition>,
        /// Which command.
        verb: VerbKind,
    },
    /// Let reads see what is wanted of an instance, and its runs.
    ShowRun {
        /// Its name in the configuration.
        label: Label,
        /// Which instance.
        instance: InstanceId,
        /// What to show.
        shown: Box<RunShown>,
    },
    /// Signal a process or its whole group.
    Signal {
        /// Which.
        process: ProcessRef,
        /// Whether its group gets the signal too.
        scope: Scope,
        /// Which signal.
        signal: Signal,
    },
    /// Try to connect, for at most 5 s.
    Dial {
        /// Whom to tell.
        request: RequestId,
        /// `host:port`.
        target: String,
    },
    /// Print the new key for those who read the log.
    AnnounceKey(ApiKey),
    /// All is stopped and saved: end.
    Finish,
}
