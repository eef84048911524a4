//! The event stream: how an event looks on the wire, and the bounded window that readers replay.

mod frame;
mod window;

pub use frame::{
    EventKind, EventName, FRAME_MAX_BYTES, RETRY_FRAME, event_frame, gap_frame, log_frame,
};
pub use window::{Cursor, EventId, Read, Window, WindowLimits};
