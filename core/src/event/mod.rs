//! The event stream: what an event is, and the bounded window that readers replay.

#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod event;
mod window;

pub use event::{Event, EventKind, EventName, LogRun, Object, Subject};
pub use window::{Cursor, Read, Window, WindowLimits};
