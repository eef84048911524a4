//! Sends reports to the master.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use openctrl_core::keeper::{Report, encode};

use crate::packets;

/// Sends a report; waits while the master has many that it has not read.
pub(super) fn report_to(
    master: impl AsFd,
    report: &Report,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let bytes = encode(report).map_err(io::Error::other)?;
    packets::send(master.as_fd(), &bytes, descriptors)
}
