//! One task a process: reads what it prints until it ends, then what it had printed before that.
//!
//! A process that floods waits on its pipe while the loop's lane is full. What holds the pipe open
//! beyond the end of the process is not waited for.

use std::cell::RefCell;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::output::{OutputBatch, OutputParser};
use rustix::process::Pid;
use tokio::net::unix::pipe;
use tokio::sync::mpsc::Permit;

use super::ended::{Ended, Handle};
use crate::daemon::inbox::{Mailbox, Notice};

/// What is read at a time: enough that a read costs little beside its lines, and not so much that
/// the lines of one read hold up everything else.
const READ_BYTES: usize = 32 * 1024;

/// What is read at most once the process has ended: everything that it can have left in a pipe of
/// the largest size an unprivileged process may set. Beyond that it is somebody else who writes.
const DRAIN_MAX_BYTES: usize = 1024 * 1024;

thread_local! {
    /// Shared by all tasks of a worker: a read and the parsing of it do not wait in between.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A process that was just started.
#[derive(Debug)]
pub(super) struct Watch {
    ended: Ended,
    output: pipe::Receiver,
    parser: OutputParser,
}

/// Waits for the end of a process whose output goes to an earlier master's pipe.
pub(super) async fn wait_for_leftover(
    process: ProcessRef,
    leader: Option<Ended>,
    mailbox: Mailbox,
) {
    if let Some(mut leader) = leader {
        leader.wait().await;
    }
    tell_end(process, &mailbox).await;
}

/// Whether the process still writes.
#[derive(Clone, Copy)]
enum State {
    Alive,
    Ended,
}

enum Chunk {
    Bytes(usize, OutputBatch),
    NothingNow,
    EndOfFile,
}

impl Watch {
    pub(super) fn new(leader: Pid, output: PipeReader) -> io::Result<Self> {
        Ok(Self {
            ended: Ended::of(leader)?,
            output: pipe::Receiver::from_owned_fd(OwnedFd::from(output))?,
            parser: OutputParser::default(),
        })
    }

    /// The process.
    pub(super) fn handle(&self) -> Handle {
        self.ended.handle()
    }

    /// Runs until the process has ended and everything it printed was handed on.
    pub(super) async fn run(mut self, process: ProcessRef, mailbox: Mailbox) {
        let mut is_open = true;
        while is_open {
            tokio::select! {
                () = self.ended.wait() => break,
                ready = self.output.readable() => {
                    is_open = ready.is_ok()
                        && self.forward(process, &mailbox, State::Alive).await.is_some();
                }
            }
        }
        self.ended.wait().await;
        let mut drained = 0;
        while is_open && drained < DRAIN_MAX_BYTES {
            match self.forward(process, &mailbox, State::Ended).await {
                Some(bytes) if bytes > 0 => drained += bytes,
                Some(_) | None => is_open = false,
            }
        }
        if let Some(room) = mailbox.output().await {
            post(process, self.parser.finish(), room);
        }
        tell_end(process, &mailbox).await;
    }

    /// Hands on what is in the pipe: how many bytes, or `None` at its end. Nothing is read before
    /// there is room for it in the lane.
    async fn forward(
        &mut self,
        process: ProcessRef,
        mailbox: &Mailbox,
        state: State,
    ) -> Option<usize> {
        let room = mailbox.output().await?;
        match self.read(state) {
            Chunk::Bytes(bytes, batch) => {
                post(process, batch, room);
                Some(bytes)
            }
            Chunk::NothingNow => Some(0),
            Chunk::EndOfFile => None,
        }
    }

    fn read(&mut self, state: State) -> Chunk {
        let read = |scratch: &mut Vec<u8>| match state {
            State::Alive => self.output.try_read(scratch),
            // The runtime only reads what it was told is there, and may not have been told yet of
            // the last that the process wrote: the system knows.
            State::Ended => Ok(rustix::io::read(&self.output, &mut scratch[..])?),
        };
        SCRATCH.with_borrow_mut(|scratch| match read(scratch) {
            Ok(0) => Chunk::EndOfFile,
            Ok(bytes) => Chunk::Bytes(bytes, self.parser.push(&scratch[..bytes])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Chunk::NothingNow,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Chunk::NothingNow,
            Err(_) => Chunk::EndOfFile,
        })
    }
}

fn post(process: ProcessRef, batch: OutputBatch, room: Permit<'_, Notice>) {
    if !batch.is_empty() {
        room.send(Notice::Fact(Input::OutputRead { process, batch: Arc::new(batch) }));
    }
}

async fn tell_end(process: ProcessRef, mailbox: &Mailbox) {
    if let Some(room) = mailbox.output().await {
        room.send(Notice::Exited(process));
    }
}
