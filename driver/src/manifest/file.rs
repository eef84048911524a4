//! The content of a file, and its errors.

use std::collections::BTreeMap;
use std::fmt;

use super::entry::Entry;

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The name under which its instances are owned.
    pub(crate) name: Option<String>,
    /// The instances by name.
    pub(crate) instances: BTreeMap<String, Entry>,
}

/// Why a file cannot be used: one line that names the place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestError {
    /// The file, with the line or the key as far as they are known.
    pub(crate) place: String,
    /// The error, and the remedy.
    pub(crate) reason: String,
}

impl ManifestError {
    pub(crate) fn new(place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place: place.into(), reason: reason.into() }
    }

    /// The same, in a file.
    pub(crate) fn of(self, file: &str) -> Self {
        let place =
            if self.place.is_empty() { file.to_owned() } else { format!("{file}, {}", self.place) };
        Self { place, reason: self.reason }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}

impl std::error::Error for ManifestError {}
