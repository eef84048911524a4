//! What to do: the orders that the engine gives. They are to be carried out in order.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::Outcome;
use crate::counters::SavedTotals;
use crate::event::{Event, LogRun};
use crate::ids::{InstanceId, KeyEpoch, ProcessRef, RecordSeq, RequestId, RunId, StoreEpoch};
use crate::instance::{
    CheckKind, Definition, InstanceView, Label, ProcessFacts, RunShown, Target, VerbKind,
};
use crate::master::{ApiKey, MasterFace};
use crate::mixer::Digest;
use crate::process::{Identity, Scope, Signal};
use crate::store::Record;
use crate::time::Wall;
use crate::webhook::{Delivery, HookId, HookShown};

/// An order to the driver. A visible effect is ordered only when the record it depends on is
/// durable, so the driver never has to delay one.
#[derive(Clone, Debug, Hash)]
pub enum Effect {
    /// Use this master to check requests and to answer `/info`.
    ShowMaster(MasterFace),
    /// Let reads see this instance, without an event: it was there before anybody could listen.
    ShowInstance(InstanceView),
    /// Show these facts about the processes of an instance to clients. Precedes an event that
    /// reports the same fact, and is sent only when something changed. It depends on no record:
    /// the facts are observations, which a failed write does not revert.
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
        /// The first epoch whose streams continue; `None` ends all.
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
    /// Renew the leases of all processes that have one.
    RenewLeases,
    /// Make a record durable and report it; the driver can group records, in order.
    Persist {
        /// To be dropped if this epoch has failed.
        epoch: StoreEpoch,
        /// Its place in the order.
        seq: RecordSeq,
        /// The record, apart because an effect is moved often and a record is large.
        record: Box<Record>,
    },
    /// Save these totals; no request waits for it.
    SaveTotals(Vec<(InstanceId, SavedTotals)>),
    /// Start a process: the runtime with the URL as its argument.
    Spawn {
        /// What to call it.
        process: ProcessRef,
        /// The id of its run, by which later masters know it.
        run: RunId,
        /// The definition that it runs.
        definition: Arc<Definition>,
    },
    /// Watch the process of this instance that an earlier run of the master left behind, and read
    /// its output if that was held.
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
        /// The request to answer.
        request: RequestId,
        /// `host:port`.
        target: String,
    },
    /// Print the new key in the log.
    AnnounceKey(ApiKey),
    /// Read the offsets of a time zone, and report them as
    /// [`Input::ZoneRead`](super::Input::ZoneRead).
    ReadZone {
        /// Its name; empty for that of the system.
        name: String,
    },
    /// Everything is stopped and saved: exit.
    Finish,
    /// Connect to what a process should answer at, and report the outcome as
    /// [`Input::CheckEnded`](super::Input::CheckEnded).
    Check {
        /// Which process.
        process: ProcessRef,
        /// What for.
        check: CheckKind,
        /// Where.
        target: Target,
        /// How long it may take, in ms.
        timeout_ms: u64,
    },
    /// Watch the files of an instance, instead of those of before, and report changes as
    /// [`Input::FilesChanged`](super::Input::FilesChanged).
    Watch {
        /// Which instance; its checks name the files.
        definition: Arc<Definition>,
    },
    /// Watch no files of an instance any more.
    Unwatch {
        /// Which.
        instance: InstanceId,
    },
    /// Send a report to a webhook, and report the outcome as
    /// [`Input::DeliveryEnded`](super::Input::DeliveryEnded).
    Deliver {
        /// Which webhook.
        hook: HookId,
        /// The report.
        delivery: Arc<Delivery>,
    },
    /// Show operators the state of a webhook.
    ShowHook {
        /// Which.
        hook: HookId,
        /// Its counts, and why its last try failed.
        shown: Box<HookShown>,
    },
}

// A move of more takes a call, and each checkpoint moves an effect four times.
const _: () = assert!(size_of::<Effect>() <= 120);

impl Digest {
    /// Takes in the numbers of an effect: they are the same with masks in the place of texts.
    pub fn effect(&mut self, effect: &Effect) {
        self.numbers(effect);
    }
}
