//! How the spawner hands a new process to the rest of the master: its name, its id, the pipe that it
//! prints to, and the report of its exec step if there is one, as one message.
//!
//! The two sides have different descriptor tables, so the pipes go through a socket, which gives
//! them numbers on the other side.

use std::io::{self, IoSlice, IoSliceMut, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use openctrl_core::ids::{Generation, ProcessRef, SlotId};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::newborn::Newborn;
use crate::promises::register;

/// Slot, generation and process id.
const MESSAGE_BYTES: usize = 4 + 8 + 4;

/// The spawner's end.
#[derive(Debug)]
pub(super) struct Sender(OwnedFd);

/// The other end.
#[derive(Debug)]
pub(super) struct Receiver(AsyncFd<Arc<OwnedFd>>);

/// Both ends; to be called on a thread of the async runtime.
pub(super) fn handover() -> io::Result<(Sender, Receiver)> {
    // Keeps messages apart, and tells the receiver when the sender is gone.
    let kind = SocketType::SEQPACKET;
    let (sender, receiver) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&receiver, true)?;
    Ok((Sender(sender), Receiver(register(receiver)?)))
}

impl Sender {
    /// Hands a process over; waits while too many are on their way.
    pub(super) fn send(
        &self,
        process: ProcessRef,
        leader: Pid,
        output: BorrowedFd<'_>,
        report: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut message = Vec::with_capacity(MESSAGE_BYTES);
        message.extend_from_slice(&process.slot.0.to_le_bytes());
        message.extend_from_slice(&process.generation.0.to_le_bytes());
        message.extend_from_slice(&leader.as_raw_nonzero().get().to_le_bytes());
        let mut descriptors = vec![output];
        descriptors.extend(report);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)), "there is room for 2");
        let slices = [IoSlice::new(&message)];
        rustix::io::retry_on_intr(|| sendmsg(&self.0, &slices, &mut control, SendFlags::NOSIGNAL))?;
        Ok(())
    }
}

impl Receiver {
    /// The next process; an error when the spawner is gone.
    pub(super) async fn receive(&mut self) -> io::Result<Newborn> {
        self.0.async_io(Interest::READABLE, |socket| read(socket.as_fd())).await
    }
}

fn read(socket: BorrowedFd<'_>) -> io::Result<Newborn> {
    let mut message = [0; MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut message)];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut slices, &mut control, flags)?;
    if received.bytes != MESSAGE_BYTES {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut pipes = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            pipes.extend(received.map(PipeReader::from));
        }
    }
    let mut pipes = pipes.into_iter();
    let (output, report) = (pipes.next(), pipes.next());
    let is_whole = !received.flags.contains(ReturnFlags::CTRUNC);
    let (slot, rest) = message.split_first_chunk().expect("4 bytes are there");
    let (generation, rest) = rest.split_first_chunk().expect("8 bytes are there");
    let (pid, _) = rest.split_first_chunk().expect("4 bytes are there");
    let leader = Pid::from_raw(i32::from_le_bytes(*pid)).expect("the id of a process is not 0");
    Ok(Newborn {
        process: ProcessRef {
            slot: SlotId(u32::from_le_bytes(*slot)),
            generation: Generation(u64::from_le_bytes(*generation)),
        },
        leader,
        output: output.filter(|_| is_whole),
        report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[tokio::test]
    async fn a_pipe_arrives_with_its_process() {
        let (sender, mut receiver) = handover().expect("sockets");
        let process = ProcessRef { slot: SlotId(7), generation: Generation(u64::MAX) };
        let leader = Pid::from_raw(4711).expect("not 0");
        let (output, mut input) = io::pipe().expect("a pipe");
        let (report, end) = io::pipe().expect("a pipe");
        let spawner = std::thread::spawn(move || {
            sender.send(process, leader, output.as_fd(), Some(report.as_fd())).expect("it is sent");
        });
        let newborn = receiver.receive().await.expect("it arrives");
        spawner.join().expect("no panic");
        assert_eq!((newborn.process, newborn.leader), (process, leader));
        input.write_all(b"hello").expect("the reader is open");
        drop(input);
        let mut text = String::new();
        newborn.output.expect("a pipe").read_to_string(&mut text).expect("text");
        assert_eq!(text, "hello");
        drop(end);
        let mut report = newborn.report.expect("a pipe");
        assert_eq!(report.read_to_string(&mut text).expect("its end"), 0);
        receiver.receive().await.expect_err("the sender does not exist any more");
    }
}
