//! Why a file cannot be replayed.

use core::fmt;

use super::TRACE_VERSION;
use crate::formats::FormatError;

/// Why a file cannot be replayed at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// It does not start like a trace.
    NotATrace,
    /// It has a version that this program does not know.
    Version(u16),
    /// It was cut off before its header was whole.
    NoHeader,
    /// Its header is damaged, or is not what its version writes.
    BadHeader(FormatError),
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATrace => f.write_str("it is not a trace of OpenCtrl"),
            Self::Version(version) => write!(
                f,
                "it has format version {version}; this program knows up to {TRACE_VERSION}: use the openctrl that recorded it"
            ),
            Self::NoHeader => f.write_str("it was cut off before its header was written"),
            Self::BadHeader(reason) => write!(f, "its header cannot be read: {reason}"),
        }
    }
}

impl core::error::Error for TraceError {}
