//! A child in the list of a keeper.

use std::os::fd::OwnedFd;

use openctrl_core::keeper::Child;

/// A child as a keeper knows it, and its output.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) child: Child,
    pub(super) output: Option<OwnedFd>,
}
