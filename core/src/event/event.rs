//! Events: what happened to an instance, in the one order that every subscriber sees.
//!
//! Values only. The engine gives ids and times; doors render; the driver keeps the window.

use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Range;

use core::hash::{Hash, Hasher};

use crate::ids::{BootId, EventId, InstanceId};
use crate::instance::InstanceView;
use crate::master::MasterIdentity;
use crate::output::{LogLine, OutputBatch, OutputItem};
use crate::time::Wall;

/// Something that happened to an instance, for subscribers. A reader that keeps the last object
/// of each instance has what reads see.
#[derive(Clone, Debug, Hash)]
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

/// The subject of an event, with its state after the event.
#[derive(Clone, Debug, Hash)]
pub enum Object {
    /// The key instance: the master, with the current key.
    Key(MasterIdentity),
    /// An instance.
    Instance(InstanceView),
}

impl Object {
    /// Which it is.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Key(_) => Subject::Key,
            Self::Instance(view) => Subject::Instance(view.definition.id),
        }
    }
}

/// The subject of an event.
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
    /// The current object.
    pub view: InstanceView,
    /// Where the lines are.
    pub batch: Arc<OutputBatch>,
    /// Which items of the batch; all of them are log lines.
    pub items: Range<usize>,
}

impl Hash for LogRun {
    /// All of it, with the stream and the text of the batch as one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { first, time, instance, view, batch, items } = self;
        (first, time, instance, view, items.start, items.end, batch.stream).hash(state);
        state.write(batch.text());
    }
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

/// The `type` of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The current state of an instance when a stream opens.
    Initial,
    /// An instance was created.
    Create,
    /// Something shown of an instance changed.
    Update,
    /// An instance was deleted.
    Delete,
    /// A process printed a line.
    Log,
    /// The stream ends because the master stops or the key was changed.
    Shutdown,
}

impl EventKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Log => "log",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The id of an event on the wire, `<boot>-<number>`. It distinguishes events of this run of the
/// master from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventName {
    /// The run that gave the event out.
    pub boot: BootId,
    /// Its number in that run.
    pub id: EventId,
}

impl EventName {
    /// Reads a `Last-Event-ID`; `None` for anything that this format would not print.
    pub fn parse(text: &str) -> Option<Self> {
        let (boot, id) = text.trim().split_once('-')?;
        let name = Self {
            boot: BootId(u32::from_str_radix(boot, 16).ok()?),
            id: EventId(id.parse().ok()?),
        };
        (name.to_string() == text.trim()).then_some(name)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.boot, self.id.0)
    }
}
