//! The connection to a keeper where there are no keepers: there is never one.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use openctrl_core::keeper::{Order, Report};
use rustix::process::WaitOptions;

use super::link_error::LinkError;
use super::listed::Listed;

/// No value of this type exists.
#[derive(Clone, Debug)]
pub(super) struct Link {
    never: Infallible,
    /// The keeper.
    pub(super) pid: i32,
    /// Whether it is a child of this process.
    pub(super) is_child: bool,
}

impl Link {
    /// None is found.
    pub(super) const fn find(_: &Path, _: &[CString]) -> Result<Option<Self>, LinkError> {
        Ok(None)
    }

    /// None can be started.
    pub(super) fn launch(directory: &Path, _: &[CString]) -> Result<Self, LinkError> {
        let error = io::Error::from(io::ErrorKind::Unsupported);
        Err(LinkError::NotStarted("start a keeper for", directory.to_owned(), error))
    }

    pub(super) const fn order(&self, _: &Order, _: &[BorrowedFd<'_>]) -> io::Result<()> {
        match self.never {}
    }

    pub(super) const fn list(&self) -> io::Result<Vec<Listed>> {
        match self.never {}
    }

    pub(super) async fn read_reports(&self, _: impl FnMut(Report)) {
        match self.never {}
    }

    pub(super) const fn wait_closed(&self, _: Duration) -> bool {
        match self.never {}
    }

    pub(super) const fn reap(&self, _: WaitOptions) {
        match self.never {}
    }
}

pub(super) const fn is_closed(_: &io::Error) -> bool {
    false
}

pub(super) const fn remove_socket(_: &Path) {}
