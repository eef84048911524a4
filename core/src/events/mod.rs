//! The event stream: how an event looks on the wire, and the bounded window that readers replay.

mod frame;
mod window;

pub use frame::{
    EventKind, EventName, FRAME_MAX_BYTES, LogFrames, RETRY_FRAME, event_frame, gap_frame,
    write_event,
};
pub use window::{Cursor, EventId, Read, Window, WindowLimits};
