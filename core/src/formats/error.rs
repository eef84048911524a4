//! Why the content of a file cannot be read.

use alloc::boxed::Box;
use core::fmt;

use crate::codec::Malformed;
use crate::ids::InstanceId;
use crate::url::InstanceUrlError;

/// An error in content whose checksum may be right. The texts name the faulty part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// The checksum is wrong.
    Checksum,
    /// It is not a valid encoding.
    Malformed(Malformed),
    /// An entry that this program does not know, or knows in other versions only: a newer program
    /// wrote it.
    UnknownEntry {
        /// What kind of entry.
        tag: u8,
        /// The version of its body.
        version: u8,
    },
    /// A number has no meaning in this version.
    Unknown(&'static str),
    /// Something is named or needed, and is not there.
    Missing(&'static str),
    /// A number is larger than any can be.
    TooLarge(&'static str),
    /// Two parts contradict each other.
    Contradiction(&'static str),
    /// A URL that no instance may have.
    Url(InstanceUrlError),
    /// Something is wrong with this instance.
    In(InstanceId, Box<Self>),
}

impl FormatError {
    /// Whether a newer program wrote it, so that it is not damage.
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::UnknownEntry { .. })
    }

    /// The same, about an instance.
    pub(crate) fn of(self, id: InstanceId) -> Self {
        Self::In(id, Box::new(self))
    }
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Malformed(error) => write!(f, "its content cannot be read: {error}"),
            Self::UnknownEntry { tag, version } => write!(
                f,
                "it has an entry of kind {tag}, version {version}, which this program does not know: use a newer one"
            ),
            Self::Unknown(what) => write!(f, "{what} is unknown"),
            Self::Missing(what) => write!(f, "{what} is missing"),
            Self::TooLarge(what) => write!(f, "{what} is larger than any"),
            Self::Contradiction(what) => f.write_str(what),
            Self::Url(error) => error.fmt(f),
            Self::In(id, error) => write!(f, "instance {id}: {error}"),
        }
    }
}

impl core::error::Error for FormatError {}

impl From<Malformed> for FormatError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<InstanceUrlError> for FormatError {
    fn from(error: InstanceUrlError) -> Self {
        Self::Url(error)
    }
}
