//! How the spawner hands a new process to the rest of the master where threads cannot have
//! descriptor tables of their own: through a channel.

use std::io::{self, PipeReader};
use std::os::fd::BorrowedFd;

use openctrl_core::ids::ProcessRef;
use rustix::process::Pid;
use tokio::sync::mpsc;

use super::newborn::Newborn;

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
    /// Hands a process over.
    pub(super) fn send(
        &self,
        process: ProcessRef,
        leader: Pid,
        output: BorrowedFd<'_>,
        report: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let output = Some(PipeReader::from(output.try_clone_to_owned()?));
        let report = report.map(|report| report.try_clone_to_owned()).transpose()?;
        let newborn = Newborn { process, leader, output, report: report.map(PipeReader::from) };
        self.0.send(newborn).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Receiver {
    /// The next process; an error when the spawner is gone.
    pub(super) async fn receive(&mut self) -> io::Result<Newborn> {
        self.0.recv().await.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
