//! One stored event: the facts of both wire forms, DaemonEvent and StoredEvent (control contract
//! B 3.1, 3.2).
//!
//! Owns: the content of an event, and its size in memory. Does not own: JSON, ids, order.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Deref;

use super::attributes::{Attributes, Text};
use crate::ids::InstanceId;
use crate::time::Wall;

/// The place of a stored event in the one order of all; from 1, never used twice. The cursor of
/// every reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredId(pub u64);

impl StoredId {
    /// The id after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for StoredId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// For debugging.
    Debug,
    /// Expected events.
    #[default]
    Info,
    /// Events that an operator may have to examine.
    Warning,
    /// A failure.
    Error,
}

impl Severity {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Who published an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonRef {
    /// The name of the daemon: `openctrl-process-web`.
    pub name: Text,
    /// The kind of daemon: `openctrl-process`.
    pub kind: Text,
    /// Which of its kind: `web`. Empty if there is only one.
    pub instance: Text,
}

/// The subject of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceRef {
    /// Group and version: `openctrl/v1alpha1`.
    pub api_version: Text,
    /// `Process`, `EventRule` or `DerivedEvent`.
    pub kind: Text,
    /// Its name when the event was published.
    pub name: Text,
}

/// The instance whose history contains an event, independent of its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventSubject {
    /// An instance.
    Process(InstanceId),
    /// An EventRule, by name.
    EventRule(Arc<str>),
    /// A DerivedEvent, by name.
    DerivedEvent(Arc<str>),
}

/// An event before it has its place and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its topic: dot-separated words.
    pub topic: Text,
    /// Who publishes it.
    pub daemon: DaemonRef,
    /// What it is about.
    pub resource: Option<ResourceRef>,
    /// Whose history it belongs to.
    pub subject: Option<EventSubject>,
    /// How much it matters.
    pub severity: Severity,
    /// One word for programs; may be empty.
    pub reason: Text,
    /// One sentence for people; may be empty.
    pub message: Text,
    /// Details, as text.
    pub attributes: Attributes,
}

impl Draft {
    /// The event with this place and time.
    pub const fn stored(self, id: StoredId, time: Wall) -> StoredEvent {
        StoredEvent { id, time, draft: self }
    }
}

/// A retained event. Dereferences to its draft.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the order.
    pub id: StoredId,
    /// When it was published; also `createdAt`.
    pub time: Wall,
    /// All the rest.
    pub draft: Draft,
}

impl Deref for StoredEvent {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.draft
    }
}

impl StoredEvent {
    /// The instance whose managed socket lists the event: its daemon must be that instance, so a
    /// change of its stored status is not among them.
    pub fn managed_by(&self) -> Option<InstanceId> {
        match self.subject {
            Some(EventSubject::Process(id)) if self.daemon.kind == PROCESS_DAEMON_KIND => Some(id),
            _ => None,
        }
    }

    /// How much memory it takes, roughly; no less than its texts.
    pub fn bytes(&self) -> usize {
        let owned = |text: &Text| match text {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.len(),
        };
        let attributes: usize = self
            .attributes
            .iter()
            .map(|(name, value)| owned(name) + value.len() + size_of::<(Text, String)>())
            .sum();
        let resource = self.resource.as_ref().map_or(0, |resource| owned(&resource.name));
        let daemon = owned(&self.daemon.name) + owned(&self.daemon.instance);
        size_of::<Self>()
            + attributes
            + resource
            + daemon
            + owned(&self.topic)
            + owned(&self.reason)
            + owned(&self.message)
    }
}

/// The daemon kind of instances.
pub(crate) const PROCESS_DAEMON_KIND: &str = "openctrl-process";

/// Whether `text` may be the name of a resource: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`.
pub fn is_resource_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= 63
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(inner)
}
