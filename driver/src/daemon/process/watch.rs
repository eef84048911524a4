//! One task a process: reads what it prints until it ends, then what it had printed before that.
//!
//! A process that floods waits on its pipe while the loop's lane is full. What holds the pipe open
//! beyond the end of the process is not waited for.

use std::cell::RefCell;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use openctrl_core::doors::v2::UNFINISHED_MAX_BYTES;
use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::keeper;
use openctrl_core::line::UnfinishedLine;
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::terminal::displayed;
use rustix::io::ioctl_fionbio;
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Permit;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::ended::{Ended, Handle};
use super::job::{Job, Orphan};
use super::orphan_end::OrphanEnd;
use super::woken::Woken;
use crate::daemon::gate::Passage;
use crate::daemon::inbox::{Mailbox, Notice};
use crate::promises::register;

/// What is read at a time: enough that a read costs little beside its lines, and not so much that
/// the lines of one read hold up everything else.
const READ_BYTES: usize = 32 * 1024;

/// What is read at most once the process has ended: everything that it can have left in a pipe of
/// the largest size an unprivileged process may set. Beyond that it is somebody else who writes.
const DRAIN_MAX_BYTES: usize = 1024 * 1024;

/// How long a line may go without an end before it is shown as it is, and how often it is shown
/// again while it changes.
const UNFINISHED_AFTER: Duration = Duration::from_secs(1);

thread_local! {
    /// Shared by all tasks of a worker: a read and the parsing of it do not wait in between.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// A process that was just started.
#[derive(Debug)]
pub(super) struct Watch {
    ended: Ending,
    output: AsyncFd<Arc<OwnedFd>>,
    parser: OutputParser,
    unfinished: Unfinished,
    begun: Instant,
    /// Who hands its output to another keeper if the one that it has is lost.
    jobs: Option<mpsc::Sender<Job>>,
}

/// How the end of a process is learned.
#[derive(Debug)]
pub(super) enum Ending {
    /// From the system.
    Own(Ended),
    /// From the system, of a process whose keeper was lost. Another keeper has its output.
    Orphan {
        ended: OrphanEnd,
        /// Wakes if that keeper is lost; `None` if there is none.
        woken: Option<oneshot::Receiver<Woken>>,
        leader: Pid,
        start_ticks: u64,
    },
    /// From the keeper, which is its parent.
    Kept { woken: oneshot::Receiver<Woken>, leader: Pid, start_ticks: u64 },
    /// It has ended.
    Over,
}

impl Ending {
    /// Returns once the process has ended, or its keeper was lost.
    async fn wait(&mut self) -> News {
        match self {
            Self::Own(ended) => ended.wait().await,
            Self::Kept { woken, leader, start_ticks } => {
                let (leader, start_ticks) = (*leader, *start_ticks);
                let woken = woken.await;
                if let Ok(Woken::Ended(ended, has_group)) = woken {
                    *self = Self::Over;
                    return News::Reported(ended, has_group);
                }
                *self = match OrphanEnd::of(leader, start_ticks) {
                    Some(ended) => Self::Orphan { ended, woken: None, leader, start_ticks },
                    None => Self::Over,
                };
                return News::Orphaned(leader, start_ticks);
            }
            Self::Orphan { ended, woken: keeper, leader, start_ticks } => {
                let woken = match keeper {
                    Some(woken) => tokio::select! {
                        biased;
                        () = ended.wait() => return News::Ended,
                        woken = woken => woken.ok(),
                    },
                    None => None,
                };
                *keeper = None;
                if woken == Some(Woken::Orphaned) {
                    return News::Orphaned(*leader, *start_ticks);
                }
                // What a keeper says of its end is less than what the system says.
                ended.wait().await;
            }
            Self::Over => {}
        }
        News::Ended
    }

    /// The process is handed to another keeper; returns what wakes if that is lost.
    fn keep_again(&mut self) -> oneshot::Sender<Woken> {
        let (wake, receiver) = oneshot::channel();
        if let Self::Orphan { woken, .. } = self {
            *woken = Some(receiver);
        }
        wake
    }
}

/// What a watch learns of its process.
enum News {
    /// It has ended.
    Ended,
    /// It has ended, as its keeper reported.
    Reported(keeper::Ended, Option<bool>),
    /// Its keeper was lost: its id and start time.
    Orphaned(Pid, u64),
}

/// When the line that has not ended yet is shown next.
#[derive(Debug, Default)]
struct Unfinished {
    due: Option<Instant>,
    /// How many bytes of the line had been read when it was shown.
    shown_bytes: u64,
}

impl Unfinished {
    /// Something was read, and with it lines ended or not.
    fn update(&mut self, parser: &OutputParser, has_ended_lines: bool) {
        let seen_bytes = parser.unfinished().map_or(0, |(_, seen_bytes)| seen_bytes);
        if has_ended_lines {
            *self = Self::default();
        }
        if seen_bytes == self.shown_bytes {
            self.due = None;
        } else {
            self.due.get_or_insert_with(|| Instant::now() + UNFINISHED_AFTER);
        }
    }

    /// Waits until it is due; for ever if there is nothing to show.
    async fn wait(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// What to show now.
    fn take(&mut self, parser: &OutputParser) -> Option<String> {
        self.due = None;
        let (line, seen_bytes) = parser.unfinished()?;
        self.shown_bytes = seen_bytes;
        Some(unfinished_text(line))
    }
}

/// The end of a line as a terminal shows it. A character that is not whole yet is left out.
fn unfinished_text(line: &[u8]) -> String {
    let whole = match str::from_utf8(line) {
        Err(error) if error.error_len().is_none() => &line[..error.valid_up_to()],
        Ok(_) | Err(_) => line,
    };
    let text = String::from_utf8_lossy(whole);
    let text = displayed(&text);
    let start = text.ceil_char_boundary(text.len().saturating_sub(UNFINISHED_MAX_BYTES));
    text[start..].to_owned()
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
    /// A process that the system tells of, and the process.
    pub(super) fn new(leader: Pid, output: PipeReader) -> io::Result<(Self, Handle)> {
        let handle = Handle::of(leader)?;
        let ended = Ended::by(handle.clone())?;
        Ok((Self::with(Ending::Own(ended), OwnedFd::from(output))?, handle))
    }

    /// A process whose end is learned in this way.
    pub(super) fn with(ended: Ending, output: OwnedFd) -> io::Result<Self> {
        ioctl_fionbio(&output, true)?;
        Ok(Self {
            ended,
            output: register(output)?,
            parser: OutputParser::default(),
            unfinished: Unfinished::default(),
            begun: Instant::now(),
            jobs: None,
        })
    }

    /// Hands its output to another keeper if the one that it has is lost.
    pub(super) fn keep_with(self, jobs: mpsc::Sender<Job>) -> Self {
        Self { jobs: Some(jobs), ..self }
    }

    /// Goes on within a line.
    pub(super) fn resuming(mut self, line: Option<UnfinishedLine>) -> Self {
        if let Some(line) = line {
            self.parser = OutputParser::resuming(line);
            self.unfinished.update(&self.parser, false);
        }
        self
    }

    /// Passes on what was learned of the process; true if it has ended.
    fn take(&mut self, process: ProcessRef, mailbox: &Mailbox, news: News) -> bool {
        match news {
            News::Ended => true,
            News::Reported(ended, has_group) => {
                mailbox.fact(Notice::KeptEnded(process, ended, has_group));
                true
            }
            News::Orphaned(leader, start_ticks) => {
                mailbox.fact(Notice::Orphaned(process));
                self.orphaned(process, leader, start_ticks);
                false
            }
        }
    }

    fn orphaned(&mut self, process: ProcessRef, leader: Pid, start_ticks: u64) {
        let Some(jobs) = &self.jobs else { return };
        let output = Arc::clone(self.output.get_ref());
        let age_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wake = self.ended.keep_again();
        let orphan = Orphan { pid: leader.as_raw_pid(), start_ticks, age_ms, output, wake };
        // Fails when the thread has ended with the loop.
        let _ = jobs.send(Job::Orphaned(process, orphan));
    }

    /// Runs until the process has ended and everything it printed was handed on.
    pub(super) async fn run(mut self, process: ProcessRef, mailbox: Mailbox) {
        let mut is_open = true;
        let mut passage = mailbox.readers().pass().await;
        while is_open {
            tokio::select! {
                () = passage.closed() => {
                    passage = self.pause(process, &mailbox, passage).await;
                }
                news = self.ended.wait() => if self.take(process, &mailbox, news) { break },
                () = self.unfinished.wait() => self.show_unfinished(process, &mailbox).await,
                is_ready = async { self.output.readable().await.is_ok() } => {
                    is_open = is_ready
                        && self.forward(process, &mailbox, State::Alive).await.is_some();
                }
            }
        }
        let mut is_waited_for = !is_open;
        while is_waited_for {
            tokio::select! {
                () = passage.closed() => {
                    passage = self.pause(process, &mailbox, passage).await;
                }
                news = self.ended.wait() => {
                    is_waited_for = !self.take(process, &mailbox, news);
                }
            }
        }
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

    /// Pauses until readers may go on, and says within which line.
    async fn pause(&self, process: ProcessRef, mailbox: &Mailbox, passage: Passage) -> Passage {
        if let Some(room) = mailbox.output().await {
            room.send(Notice::Paused(process, self.parser.pause()));
        }
        drop(passage);
        mailbox.readers().pass().await
    }

    /// In the lane of output: what ends the line comes behind it.
    async fn show_unfinished(&mut self, process: ProcessRef, mailbox: &Mailbox) {
        let Some(room) = mailbox.output().await else { return };
        if let Some(text) = self.unfinished.take(&self.parser) {
            room.send(Notice::Unfinished(process, text));
        }
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
                self.unfinished.update(&self.parser, !batch.is_empty());
                post(process, batch, room);
                Some(bytes)
            }
            Chunk::NothingNow => Some(0),
            Chunk::EndOfFile => None,
        }
    }

    fn read(&mut self, state: State) -> Chunk {
        let read = |scratch: &mut Vec<u8>| match state {
            State::Alive => self.output.try_io(Interest::READABLE, |output| {
                Ok(rustix::io::read(output, &mut scratch[..])?)
            }),
            // The runtime only reads what it was told is there, and may not have been told yet of
            // the last that the process wrote: the system knows.
            State::Ended => Ok(rustix::io::read(self.output.get_ref(), &mut scratch[..])?),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_a_terminal_shows_is_shown() {
        assert_eq!(unfinished_text(b"  5 %\r 10 %"), " 10 %");
        assert_eq!(unfinished_text(b"name \xc3"), "name ");
        assert_eq!(unfinished_text(b"a\xffb"), "a\u{fffd}b");
        let long = ["\u{e9}".repeat(5_000), "?".to_owned()].concat();
        let shown = unfinished_text(long.as_bytes());
        assert!(shown.len() <= UNFINISHED_MAX_BYTES && shown.ends_with("\u{e9}?"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_shown_after_a_second_and_again_when_it_changed() {
        let begun = Instant::now();
        let (mut parser, mut unfinished) = (OutputParser::default(), Unfinished::default());
        let mut read = |unfinished: &mut Unfinished, text: &[u8]| {
            let batch = parser.push(text);
            unfinished.update(&parser, !batch.is_empty());
            unfinished.due.map(|due| (due - begun).as_millis())
        };
        assert_eq!(read(&mut unfinished, b"done\nna"), Some(1_000));
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(read(&mut unfinished, b"me: "), Some(1_000));
        assert_eq!(read(&mut unfinished, b"x\n"), None);
        assert_eq!(read(&mut unfinished, b"again: "), Some(1_400));
        unfinished.wait().await;
        assert_eq!((Instant::now() - begun).as_millis(), 1_400);
        let mut parser = OutputParser::default();
        parser.push(b"again: ");
        assert_eq!(unfinished.take(&parser).as_deref(), Some("again: "));
        assert_eq!(unfinished.due, None);
        unfinished.update(&parser, false);
        assert_eq!(unfinished.due, None, "nothing has changed");
        parser.push(b"y");
        unfinished.update(&parser, false);
        assert_eq!(unfinished.due, Some(Instant::now() + UNFINISHED_AFTER));
    }
}
