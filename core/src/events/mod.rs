//! The event stream.

pub mod window;

pub use window::{Cursor, EventId, Read, Window, WindowLimits};
