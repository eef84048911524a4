//! What to do: the orders that the engine gives. They are to be carried out in order.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use crate::api::Reply;
use crate::events::{EventId, EventKind};
use crate::ids::{InstanceId, KeyEpoch, ProcessRef, RecordSeq, RequestId, StoreEpoch};
use crate::instance::{Definition, InstanceView, ProcessFacts, render_key_instance};
use crate::master::{ApiKey, MasterIdentity};
use crate::output::{LogLine, OutputBatch, OutputItem};
use crate::store::{Record, SavedTotals};
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
        reply: Reply,
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
    /// Signal the whole group of a process.
    Signal {
        /// Whose group.
        process: ProcessRef,
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

/// What everybody may know of the master, and the key that requests need.
#[derive(Clone, Debug)]
pub struct MasterFace {
    /// Who it is.
    pub identity: MasterIdentity,
    /// How often the key changed.
    pub key_epoch: KeyEpoch,
}

impl MasterFace {
    /// The JSON of the key instance.
    pub fn json(&self) -> Bytes {
        render_key_instance(&self.identity)
    }
}

/// Something that happened to an instance, for subscribers. A reader that keeps the last object
/// of each instance has what reads see.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its place in the one order of all events.
    pub id: EventId,
    /// Never earlier than that of the event before.
    pub time: Wall,
    /// Create, update or delete.
    pub kind: EventKind,
    /// The object after it.
    pub object: Object,
}

/// What an event is about, as it stands after it.
#[derive(Clone, Debug)]
pub enum Object {
    /// The key instance, as JSON.
    Key(Bytes),
    /// An instance.
    Instance(InstanceView),
}

impl Object {
    /// Which it is.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Key(_) => Subject::Key,
            Self::Instance(view) => Subject::Instance(view.definition().id),
        }
    }

    /// It as clients get it.
    pub fn json(&self) -> Bytes {
        match self {
            Self::Key(json) => json.clone(),
            Self::Instance(view) => view.json(),
        }
    }

    /// Appends what clients get.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key(json) => out.extend_from_slice(json),
            Self::Instance(view) => view.write_json(out),
        }
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The key instance.
    Key,
    /// An instance.
    Instance(InstanceId),
}

/// Consecutive log lines of one process; each is an event of its own.
#[derive(Clone, Debug)]
pub struct LogRun {
    /// The id of the first; the others follow without a gap.
    pub first: EventId,
    /// The time of all of them.
    pub time: Wall,
    /// Who printed them.
    pub instance: InstanceId,
    /// The object as it stands.
    pub view: InstanceView,
    /// Where the lines are.
    pub batch: Arc<OutputBatch>,
    /// Which items of the batch; all of them are log lines.
    pub items: Range<usize>,
}

impl LogRun {
    /// The lines with the ids of their events, in order.
    pub fn lines(&self) -> impl Iterator<Item = (EventId, &LogLine)> {
        let logs = self.batch.items[self.items.clone()].iter().filter_map(|item| match item {
            OutputItem::Log(line) => Some(line),
            OutputItem::Checkpoint(_) => None,
        });
        (0..).zip(logs).map(|(offset, line)| (self.first.plus(offset), line))
    }
}

/// A signal for a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Please end.
    Terminate,
    /// End.
    Kill,
}
