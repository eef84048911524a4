//! Reads one output stream of a process: its lines, and the line that has not ended yet.
//!
//! When the process has ended, and when readers pause, is the business of its watch.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use openctrl_core::doors::v2::UNFINISHED_MAX_BYTES;
use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::line::UnfinishedLine;
use openctrl_core::output::{OutputBatch, OutputParser};
use openctrl_core::stream::Stream;
use openctrl_core::terminal::displayed;
use rustix::io::ioctl_fionbio;
use rustix::pipe::fcntl_setpipe_size;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::Permit;
use tokio::time::Instant;

use super::pace::Pace;
use crate::daemon::inbox::{Mailbox, Notice};
use crate::promises::register;

/// What is read at a time: enough that a read costs little beside its lines, and not so much that
/// the lines of one read hold up everything else.
const READ_BYTES: usize = 32 * 1024;

/// What a pipe is made to hold while its reader rests: the most that the system grants an
/// unprivileged process.
const WIDE_PIPE_BYTES: usize = 1024 * 1024;

/// What is read of a stream at most once the process has ended: everything that it can have left in
/// a pipe of the largest size an unprivileged process may set. Beyond that another process writes.
const DRAIN_MAX_BYTES: usize = 1024 * 1024;

/// How long a line may go without an end before it is shown as it is, and how often it is shown
/// again while it changes.
const UNFINISHED_AFTER: Duration = Duration::from_secs(1);

thread_local! {
    /// Shared by all tasks of a worker: a read and the parsing of it do not wait in between.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Reads one stream of a process.
#[derive(Debug)]
pub(super) struct Reader {
    output: AsyncFd<Arc<OwnedFd>>,
    parser: OutputParser,
    unfinished: Unfinished,
    pace: Pace,
    /// Until when it rests.
    rests_until: Option<Instant>,
    /// Whether its end was not read yet.
    is_open: bool,
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

impl Reader {
    /// Reads the stream from where it is.
    pub(super) fn new(stream: Stream, output: OwnedFd) -> io::Result<Self> {
        ioctl_fionbio(&output, true)?;
        Ok(Self {
            output: register(output)?,
            parser: OutputParser::of(stream),
            unfinished: Unfinished::default(),
            pace: Pace::new(),
            rests_until: None,
            is_open: true,
        })
    }

    /// Goes on within a line.
    pub(super) fn resume(&mut self, line: UnfinishedLine) {
        self.parser = OutputParser::resuming(self.stream(), line);
        self.unfinished.update(&self.parser, false);
    }

    /// A copy of the line that has not ended yet, with its stream.
    pub(super) fn pause(&self) -> Option<(Stream, UnfinishedLine)> {
        Some((self.stream(), self.parser.pause()?))
    }

    /// The stream that it reads.
    pub(super) const fn stream(&self) -> Stream {
        self.parser.stream()
    }

    /// The pipe that it reads.
    pub(super) fn output(&self) -> &Arc<OwnedFd> {
        self.output.get_ref()
    }

    /// Whether there is something to read, or the end; never again once that was read. Wakes the task
    /// that asks. A future of its own for each stream would take more memory for each process.
    pub(super) fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_open || self.rests_until.is_some() {
            return Poll::Pending;
        }
        match self.output.poll_read_ready(context) {
            Poll::Ready(Ok(_)) => Poll::Ready(()),
            // After an error the async runtime ends, and this task with it.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Until when it rests; `None` if it does not.
    pub(super) const fn rests_until(&self) -> Option<Instant> {
        self.rests_until
    }

    /// It has rested: there is more to read.
    pub(super) const fn resume_reading(&mut self) {
        self.rests_until = None;
    }

    /// When the line that has not ended is shown next; `None` if there is nothing to show.
    pub(super) const fn shows_at(&self) -> Option<Instant> {
        self.unfinished.due
    }

    /// The process has ended: passes on what it had written, the last line without an end too.
    pub(super) async fn drain(&mut self, process: ProcessRef, mailbox: &Mailbox) {
        let mut drained = 0;
        while self.is_open && drained < DRAIN_MAX_BYTES {
            match self.forward(process, mailbox, State::Ended).await {
                Some(bytes) if bytes > 0 => drained += bytes,
                Some(_) | None => break,
            }
        }
        if let Some(room) = mailbox.output().await {
            self.end(process, room);
        }
    }

    /// Passes on what is in the pipe. Nothing is read before there is room for it in the lane.
    pub(super) async fn read_ready(&mut self, process: ProcessRef, mailbox: &Mailbox) {
        let Some(bytes) = self.forward(process, mailbox, State::Alive).await else { return };
        let widen = || fcntl_setpipe_size(self.output.get_ref(), WIDE_PIPE_BYTES).is_ok();
        let was_all = bytes < READ_BYTES;
        self.rests_until = self.pace.took(bytes, was_all, Instant::now(), widen);
    }

    /// In the lane of output: what ends the line comes behind it.
    pub(super) async fn show_unfinished(&mut self, process: ProcessRef, mailbox: &Mailbox) {
        let Some(room) = mailbox.output().await else { return };
        if let Some(text) = self.unfinished.take(&self.parser) {
            room.send(Notice::Unfinished(process, self.stream(), text));
        }
    }

    /// Passes on what is in the pipe: how many bytes, or `None` at its end.
    async fn forward(
        &mut self,
        process: ProcessRef,
        mailbox: &Mailbox,
        state: State,
    ) -> Option<usize> {
        let Some(room) = mailbox.output().await else {
            self.is_open = false;
            return None;
        };
        match self.read(state) {
            Chunk::Bytes(bytes, batch) => {
                self.unfinished.update(&self.parser, !batch.is_empty());
                post(process, batch, room);
                Some(bytes)
            }
            Chunk::NothingNow => Some(0),
            Chunk::EndOfFile => {
                self.end(process, room);
                None
            }
        }
    }

    /// Nothing more is read: the line that has not ended ends here.
    fn end(&mut self, process: ProcessRef, room: Permit<'_, Notice>) {
        self.is_open = false;
        self.unfinished = Unfinished::default();
        post(process, self.parser.finish(), room);
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
