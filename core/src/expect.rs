//! The revision of an instance that a command expects.

use alloc::vec::Vec;

use crate::ids::Revision;

/// Which revisions of an instance a command may change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// Whichever there is.
    #[default]
    Any,
    /// One of these. None at all if the list is empty.
    OneOf(Vec<Revision>),
}

impl Expect {
    /// Whether a command may change an instance of this revision.
    pub fn admits(&self, revision: Revision) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(revisions) => revisions.contains(&revision),
        }
    }
}
