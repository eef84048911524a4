//! The event stream.

mod window;

pub use window::{Cursor, EventId, Read, Window, WindowLimits};
