//! A child in the list of a keeper.

use std::os::fd::OwnedFd;

use openctrl_core::keeper::Child;

use crate::outputs::Outputs;

/// A child as a keeper knows it, and its outputs.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) child: Child,
    pub(super) outputs: Option<Outputs<OwnedFd>>,
}
