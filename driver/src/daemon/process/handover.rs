//! How the spawner hands a new process to the rest of the master: its name, its id, the pipes that
//! it prints to, and the report of its exec step if there is one, as one message.
//!
//! The two sides have different descriptor tables, so the pipes go through a socket, which gives
//! them numbers on the other side.

use std::io::{self, IoSlice, IoSliceMut, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
use crate::descriptors::are_enough_for_two;
use crate::outputs::Outputs;
use crate::promises::register;

/// Slot, generation, process id, and whether standard error has a pipe of its own.
const MESSAGE_BYTES: usize = 4 + 8 + 4 + 1;

/// Two pipes and a report.
const DESCRIPTORS_MAX: usize = 3;

/// The spawner's end.
#[derive(Debug)]
pub(super) struct Sender {
    socket: OwnedFd,
    /// Whether the other side, which has the descriptors of all processes, has room for a second
    /// pipe.
    has_room: Arc<AtomicBool>,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Receiver {
    socket: AsyncFd<Arc<OwnedFd>>,
    has_room: Arc<AtomicBool>,
}

/// Both ends; to be called on a thread of the async runtime.
pub(super) fn handover() -> io::Result<(Sender, Receiver)> {
    // Keeps messages apart, and tells the receiver when the sender is gone.
    let kind = SocketType::SEQPACKET;
    let (sender, receiver) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    rustix::io::ioctl_fionbio(&receiver, true)?;
    let has_room = Arc::new(AtomicBool::new(true));
    let sender = Sender { socket: sender, has_room: Arc::clone(&has_room) };
    Ok((sender, Receiver { socket: register(receiver)?, has_room }))
}

impl Sender {
    /// Whether there was room for a second pipe when the other side received a process last: a few
    /// hundred may be on their way.
    pub(super) fn has_room_for_two(&self, _newest: &PipeReader) -> bool {
        self.has_room.load(Ordering::Relaxed)
    }

    /// Hands a process over; waits while too many are on their way.
    pub(super) fn send(
        &self,
        process: ProcessRef,
        leader: Pid,
        outputs: Outputs<BorrowedFd<'_>>,
        report: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        let mut message = Vec::with_capacity(MESSAGE_BYTES);
        message.extend_from_slice(&process.slot.0.to_le_bytes());
        message.extend_from_slice(&process.generation.0.to_le_bytes());
        message.extend_from_slice(&leader.as_raw_nonzero().get().to_le_bytes());
        message.push(u8::from(outputs.stderr.is_some()));
        let descriptors: Vec<BorrowedFd<'_>> = outputs.iter().copied().chain(report).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)), "there is room for 3");
        let slices = [IoSlice::new(&message)];
        rustix::io::retry_on_intr(|| {
            sendmsg(&self.socket, &slices, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }
}

impl Receiver {
    /// The next process; an error when the spawner is gone.
    pub(super) async fn receive(&mut self) -> io::Result<Newborn> {
        let newborn =
            self.socket.async_io(Interest::READABLE, |socket| read(socket.as_fd())).await?;
        let newest = newborn.outputs.as_ref().and_then(|outputs| outputs.iter().last());
        self.has_room.store(newest.is_some_and(are_enough_for_two), Ordering::Relaxed);
        Ok(newborn)
    }
}

fn read(socket: BorrowedFd<'_>) -> io::Result<Newborn> {
    let mut message = [0; MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
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
    let has_stderr = message.last() == Some(&1);
    let outputs = Outputs::of_list(pipes.by_ref().take(1 + usize::from(has_stderr)));
    let report = pipes.next();
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
        outputs: outputs.filter(|_| is_whole),
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
        let (errors, mut error) = io::pipe().expect("a pipe");
        let (report, end) = io::pipe().expect("a pipe");
        let spawner = std::thread::spawn(move || {
            let outputs = Outputs { stdout: output.as_fd(), stderr: Some(errors.as_fd()) };
            sender.send(process, leader, outputs, Some(report.as_fd())).expect("it is sent");
        });
        let newborn = receiver.receive().await.expect("it arrives");
        spawner.join().expect("no panic");
        assert_eq!((newborn.process, newborn.leader), (process, leader));
        input.write_all(b"hello").expect("the reader is open");
        error.write_all(b"oh").expect("the reader is open");
        drop((input, error));
        let text = |mut output: PipeReader| {
            let mut text = String::new();
            output.read_to_string(&mut text).expect("text");
            text
        };
        let outputs = newborn.outputs.expect("pipes").map(text);
        assert_eq!(outputs, Outputs { stdout: "hello".to_owned(), stderr: Some("oh".to_owned()) });
        drop(end);
        let mut report = newborn.report.expect("a pipe");
        let mut text = String::new();
        assert_eq!(report.read_to_string(&mut text).expect("its end"), 0);
        receiver.receive().await.expect_err("the sender does not exist any more");
    }
}
