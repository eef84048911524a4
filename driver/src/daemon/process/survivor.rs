//! A run that outlived the last master.

use std::os::fd::OwnedFd;

use openctrl_core::ids::RunId;
use openctrl_core::keeper::{Child, ChildState, Ended};
use openctrl_core::line::UnfinishedLine;
use openctrl_core::stream::Stream;

use crate::outputs::Outputs;

/// A run that outlived the last master. Its process may have ended since.
#[derive(Debug)]
pub(crate) struct Survivor {
    pub(super) child: Child,
    pub(super) outputs: Outputs<OwnedFd>,
    /// The numbers of its pipes.
    pub(super) pipes: Outputs<u64>,
    /// Its number in the ledger.
    pub(super) number: Option<u64>,
    /// The lines that it has not ended, if the program before this one in the same process had read
    /// the start of them.
    pub(super) unfinished: Vec<(Stream, UnfinishedLine)>,
    /// Where it says that it is ready, from the same.
    pub(super) notify: Option<OwnedFd>,
}

impl Survivor {
    /// Its id.
    pub(crate) const fn run(&self) -> RunId {
        self.child.run
    }

    /// Where it says that it is ready.
    pub(crate) const fn take_notify(&mut self) -> Option<OwnedFd> {
        self.notify.take()
    }

    /// How it ended; `None` if it has not.
    pub(super) const fn ended(&self) -> Option<Ended> {
        match self.child.state {
            ChildState::Alive | ChildState::Taken => None,
            ChildState::Ended(ended) => Some(ended),
        }
    }
}
