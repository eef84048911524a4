//! Revisions of definitions, and what a command expects of them.

use alloc::vec::Vec;

/// A version of the definition of an instance. The first is 1, and every change adds one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// That of a new instance.
    pub const FIRST: Self = Self(1);

    /// That of the next change.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

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
