//! Traces: the inputs of the engine and of the machine of the control API, as files that can be
//! replayed.
//!
//! A trace is a sequence of independent segments. Each starts with the whole state of both and
//! continues with every input, in blocks with a checksum. Each input has a digest of the
//! effects before it, and some have one of the state, so that a replay finds where it differs. No
//! secret is recorded: `mask` replaces it. The driver owns the files, their number and their age.
//!
//! ```text
//! magic "OPENCTRT" | version
//! block: kind | length of the body | CRC-32 of these and of the body | body
//!   H, once, first: the recording program, the start time, and the engine at that time
//!   R: records, each an input with the elapsed time, a digest of the state, or what followed from
//!      an input in the machine of the control API: a digest of its effects
//!   E, last, unless the recorder was killed: why the segment ends, and the last digests
//! ```

mod block;
mod control;
mod dto;
mod encoder;
mod error;
mod found;
#[cfg(test)]
mod found_tests;
mod items;
mod reader;
mod replay;
mod show;
#[cfg(test)]
mod tests;

pub use crate::formats::FormatError;
pub use crate::mixer::Digest;
pub use encoder::Encoder;
pub use error::TraceError;
pub use reader::{Ending, Reader, Record};
pub use replay::{Change, Difference, Glance, Happened, Replay, Step, Summary, Verdict};
pub use show::{show_change, show_control_effect, show_happened};

pub use crate::engine::{Shown, show_effect, show_input};

use alloc::string::String;

use crate::formats::Version;
use crate::ids::BootId;
use crate::time::Now;

/// The version of the format that is written. Older ones are read and shown, but not compared.
pub const TRACE_VERSION: u16 = Version::NEWEST.number();

/// The header of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the program that recorded it.
    pub product: String,
    /// The run of the master.
    pub boot: BootId,
    /// Its place among the segments of that run, from 1.
    pub sequence: u32,
    /// When it begins.
    pub started: Now,
    /// Whether the text of log lines was recorded.
    pub has_text: bool,
}

/// The end of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub why: EndReason,
    /// The digest of all effects of the segment, if the recorder received it.
    pub effects: Option<Digest>,
    /// The fingerprint of the engine, which is also that of the header of the next segment.
    pub state: Option<u64>,
}

/// Why a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It was long enough; another one follows without a gap.
    Continued,
    /// This many inputs arrived faster than they could be written; the next segment starts after
    /// them.
    Lost(u64),
    /// The master stopped.
    Finished,
    /// The loop of the master panicked at the last input.
    Panicked,
}
