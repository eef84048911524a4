//! How the spawner hands a new process to the rest of the master where threads cannot have
//! descriptor tables of their own: through a channel.

use std::io::{self, PipeReader};
use std::os::fd::BorrowedFd;

use openctrl_core::ids::ProcessRef;
use rustix::process::Pid;
use tokio::sync::mpsc;

use super::newborn::Newborn;
use crate::descriptors::are_enough_for_two;
use crate::outputs::Outputs;

/// The spawner's end.
#[derive(Debug)]
pub(super) struct Sender(mpsc::UnboundedSender<Newborn>);

/// The other end.
#[derive(Debug)]
pub(super) struct Receiver(mpsc::UnboundedReceiver<Newborn>);

/// Both ends.
pub(super) fn handover() -> io::Result<(Sender, Receiver)> {
    let (sender, receiver) = mpsc::unbounded_channel();
    Ok((Sender(sender), Receiver(receiver)))
}

impl Sender {
    /// Whether there is room for a second pipe, given the one that was opened last.
    pub(super) fn has_room_for_two(&self, newest: &PipeReader) -> bool {
        are_enough_for_two(newest)
    }

    /// Hands a process over.
    pub(super) fn send(
        &self,
        process: ProcessRef,
        leader: Pid,
        outputs: Outputs<BorrowedFd<'_>>,
        report: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let copy = |output: BorrowedFd<'_>| output.try_clone_to_owned().map(PipeReader::from);
        let outputs = Some(outputs.try_map(copy)?);
        let report = report.map(copy).transpose()?;
        let newborn = Newborn { process, leader, outputs, report };
        self.0.send(newborn).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Receiver {
    /// The next process; an error when the spawner is gone.
    pub(super) async fn receive(&mut self) -> io::Result<Newborn> {
        self.0.recv().await.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
