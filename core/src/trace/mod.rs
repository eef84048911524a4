//! Traces: what the engine was told, as files that can be told to it again.
//!
//! A trace is a row of segments. Each stands for itself: it begins with the whole state of the
//! engine and goes on with every input, in blocks with a checksum. Beside each input stands a
//! digest of the effects that came before it, and now and then one of the state, so that a replay
//! knows where it comes to differ. No secret gets in: `mask` puts something else in its place. Files, their number and their
//! age are the driver's.
//!
//! ```text
//! magic "OPENCTRT" | version
//! block: kind | length of the body | CRC-32 of these and of the body | body
//!   H, once, first: who recorded this, since when, and the engine at that moment
//!   R: records, each an input with the time that passed, or a digest of the state
//!   E, last, unless the recorder was cut off: why it ends, and the last digests
//! ```

mod block;
mod digest;
mod dto;
mod encoder;
mod error;
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
pub use replay::{Change, Difference, Glance, Replay, Step, Summary, Verdict};
pub use show::{Shown, show_change, show_effect, show_input};

use alloc::string::String;

use crate::formats::Version;
use crate::ids::BootId;
use crate::time::Now;

/// The version of the format that is written. Older ones are read and shown, but not compared.
pub const TRACE_VERSION: u16 = Version::NEWEST.number();

/// What a segment says of itself.
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

/// How a segment was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Why.
    pub why: EndReason,
    /// The digest of all effects of the segment, if the recorder came to know it.
    pub effects: Option<Digest>,
    /// The fingerprint of the engine, which is also that of the header of the next segment.
    pub state: Option<u64>,
}

/// Why a segment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// It was long enough; another one follows without a gap.
    Continued,
    /// So many inputs came faster than they could be written; what follows begins after them.
    Lost(u64),
    /// The master ended.
    Finished,
    /// The loop of the master panicked at the last input.
    Panicked,
}
