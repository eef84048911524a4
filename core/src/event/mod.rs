//! Events: what one is, the bounded window that readers of the stream replay, and the stored events
//! of the control API with the patterns that select their topics.

mod attributes;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod event;
mod log;
mod stored;
mod topic;
mod window;

pub use attributes::{Attributes, Text};
pub use event::{Event, EventKind, EventName, LogRun, Object, Subject};
pub use log::{EventLog, Page, PageQuery, Selection, StoredFilter};
pub(crate) use stored::PROCESS_DAEMON_KIND;
pub use stored::{
    DaemonRef, Draft, EventSubject, ResourceRef, Severity, StoredEvent, StoredId, is_resource_name,
};
pub use topic::TopicPattern;
pub use window::{Cursor, Read, Window, WindowLimits};
