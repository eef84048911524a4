//! No upgrade in place: without a keeper, the children are the master's own.

use std::os::fd::OwnedFd;
use std::path::Path;

use super::parts::{Fixed, Running};

/// There is no channel.
pub(crate) fn remove(_: &Path) {}

/// What USR2 does.
pub(crate) fn start(_: Fixed, _: Running, _: Option<OwnedFd>) -> Box<dyn FnMut() + Send> {
    Box::new(|| tracing::warn!("Master.upgrade: only Linux has upgrades in place"))
}
