//! Why a file is not taken for the state of a Go master.

use alloc::string::String;
use core::fmt;

use crate::ids::InstanceId;
use crate::url::UrlFault;

/// Why a gob file cannot be imported. Contains no part of a URL or of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GobError {
    /// It is not as the Go master writes it.
    Format {
        /// Where in the file, in bytes.
        offset: usize,
        /// The actual type.
        what: &'static str,
    },
    /// A field is of another type than the Go master gives it.
    FieldType {
        /// Where its value is, in bytes.
        offset: usize,
        /// The name of the field.
        field: &'static str,
        /// The expected type.
        expected: &'static str,
    },
    /// An entry has a name that is no instance id.
    BadId {
        /// Where the name is, in bytes.
        offset: usize,
        /// The name, or a description if the text could be something else, such as a secret.
        shown: String,
    },
    /// An instance is filed under the id of another one.
    OtherId(InstanceId),
    /// An instance has a URL that is not one.
    BadUrl(InstanceId, UrlFault),
    /// An instance has a URL with the scheme `master`.
    MasterUrl(InstanceId),
    /// There is no key instance, or it has no key.
    NoKey,
}

impl GobError {
    pub(super) const fn format(offset: usize, what: &'static str) -> Self {
        Self::Format { offset, what }
    }
}

impl fmt::Display for GobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format { offset, what } => {
                write!(f, "at byte {offset}: {what}; it is damaged, or of another program")
            }
            Self::FieldType { offset, field, expected } => write!(
                f,
                "at byte {offset}: the field {field} is not {expected}; it is of another program"
            ),
            Self::BadId { offset, shown } => write!(
                f,
                "at byte {offset}: the id of an instance is 8 lower-case hex digits, not {shown}"
            ),
            Self::OtherId(id) => {
                write!(f, "instance {id} says that it is another one; the file is damaged")
            }
            Self::BadUrl(id, fault) => write!(f, "instance {id}: its url is not valid: {fault}"),
            Self::MasterUrl(id) => write!(
                f,
                "instance {id}: url scheme \"master\" is for the master itself; \
                 use the scheme of the runtime"
            ),
            Self::NoKey => f.write_str("it holds no API key (the entry ******** or its URL)"),
        }
    }
}

impl core::error::Error for GobError {}
