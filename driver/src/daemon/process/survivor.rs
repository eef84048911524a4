//! A run that outlived the last master.

use std::os::fd::OwnedFd;

use openctrl_core::keeper::{Child, ChildState, Ended};

/// A run that outlived the last master. Its process may have ended since.
#[derive(Debug)]
pub(crate) struct Survivor {
    pub(super) child: Child,
    pub(super) output: OwnedFd,
    /// The number of its pipe.
    pub(super) pipe: u64,
    /// Its number in the ledger.
    pub(super) number: Option<u64>,
}

impl Survivor {
    /// How it ended; `None` if it has not.
    pub(super) const fn ended(&self) -> Option<Ended> {
        match self.child.state {
            ChildState::Alive | ChildState::Taken => None,
            ChildState::Ended(ended) => Some(ended),
        }
    }
}
