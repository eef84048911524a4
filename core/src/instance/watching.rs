//! What an instance knows of the files that it is restarted for.

use alloc::string::String;

use crate::time::Time;

/// The part of an instance that changes of files move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// Whether its files are watched now.
    pub is_on: bool,
    /// The first change that it is to be restarted for, and when it was reported.
    pub changed: Option<(String, Time)>,
    /// The change that it is being restarted for.
    pub cause: Option<String>,
}
