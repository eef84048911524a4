//! The text forms of Go's standard library that clients of the control API expect: durations,
//! RFC 3339 times with a variable fraction, and JSON that is safe inside HTML.
//!
//! Owns: these texts, both ways. Does not own: which field is written in which form.

mod duration;
mod json;
mod time;

pub use duration::{format_duration, parse_duration};
pub use json::{to_json, to_json_indented};
pub use time::{ZERO_TIME, rfc3339_nano};
