//! One task a process: reads what it prints until it ends, then what it had printed before that.
//!
//! A process that floods waits on its pipe while the loop's lane is full, or while too much of its
//! output waits for the log files. What holds the pipe open beyond the end of the process is not
//! waited for.

use std::future::{pending, poll_fn};
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use openctrl_core::ids::ProcessRef;
use openctrl_core::keeper;
use openctrl_core::line::UnfinishedLine;
use openctrl_core::stream::Stream;
use rustix::process::Pid;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::ended::{Ended, Handle};
use super::job::{Job, Orphan};
use super::orphan_end::OrphanEnd;
use super::reader::Reader;
use super::woken::Woken;
use crate::daemon::gate::Passage;
use crate::daemon::inbox::{Mailbox, Notice};
use crate::outputs::Outputs;

/// A process that was just started.
#[derive(Debug)]
pub(super) struct Watch {
    ended: Ending,
    stdout: Reader,
    /// Boxed, so that a process with one pipe takes no room for a second.
    stderr: Option<Box<Reader>>,
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

/// What a watch has to do.
enum Step {
    /// Readers pause.
    Pause,
    /// Something was learned of the process.
    News(News),
    /// There is something to read of a stream.
    Read(Stream),
    /// The reader of a stream has rested.
    Rested(Stream),
    /// Enough of its output was written to the log files.
    Resume,
    /// The line of a stream that has not ended is shown.
    Show(Stream),
}

impl Watch {
    /// A process that the system tells of, and the process.
    pub(super) fn new(leader: Pid, outputs: Outputs<PipeReader>) -> io::Result<(Self, Handle)> {
        let handle = Handle::of(leader)?;
        let ended = Ended::by(handle.clone())?;
        Ok((Self::with(Ending::Own(ended), outputs.map(OwnedFd::from))?, handle))
    }

    /// A process whose end is learned in this way.
    pub(super) fn with(ended: Ending, outputs: Outputs<OwnedFd>) -> io::Result<Self> {
        let Outputs { stdout, stderr } = outputs;
        let stderr = stderr.map(|output| Reader::new(Stream::Stderr, output)).transpose()?;
        Ok(Self {
            ended,
            stdout: Reader::new(Stream::Stdout, stdout)?,
            stderr: stderr.map(Box::new),
            begun: Instant::now(),
            jobs: None,
        })
    }

    /// Hands its output to another keeper if the one that it has is lost.
    pub(super) fn keep_with(self, jobs: mpsc::Sender<Job>) -> Self {
        Self { jobs: Some(jobs), ..self }
    }

    /// Goes on within lines.
    pub(super) fn resuming(mut self, lines: Vec<(Stream, UnfinishedLine)>) -> Self {
        for (stream, line) in lines {
            if let Some(reader) = self.reader(stream) {
                reader.resume(line);
            }
        }
        self
    }

    fn reader(&mut self, stream: Stream) -> Option<&mut Reader> {
        match stream {
            Stream::Stdout => Some(&mut self.stdout),
            Stream::Stderr => self.stderr.as_deref_mut(),
        }
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
        let of = |reader: &Reader| Arc::clone(reader.output());
        let outputs = Outputs { stdout: of(&self.stdout), stderr: self.stderr.as_deref().map(of) };
        let age_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wake = self.ended.keep_again();
        let orphan = Orphan { pid: leader.as_raw_pid(), start_ticks, age_ms, outputs, wake };
        // Fails when the thread has ended with the loop.
        let _ = jobs.send(Job::Orphaned(process, orphan));
    }

    /// Runs until the process has ended and everything it printed was handed on.
    pub(super) async fn run(mut self, process: ProcessRef, mailbox: Mailbox) {
        let mut passage = mailbox.readers().pass().await;
        let mut last = Stream::Stderr;
        let mut full: Option<oneshot::Receiver<()>> = None;
        loop {
            let Self { ended, stdout, stderr, .. } = &mut self;
            let readers = [Some(&*stdout), stderr.as_deref()];
            let is_full = full.is_some();
            let step = tokio::select! {
                () = passage.closed() => Step::Pause,
                news = ended.wait() => Step::News(news),
                () = has_room(&mut full), if is_full => Step::Resume,
                stream = poll_fn(|context| poll_ready(readers, last, context)), if !is_full => {
                    Step::Read(stream)
                }
                stream = next_rested(readers) => Step::Rested(stream),
                stream = next_shown(readers) => Step::Show(stream),
            };
            match step {
                Step::Pause => passage = self.pause(process, &mailbox, passage).await,
                Step::News(news) => {
                    if self.take(process, &mailbox, news) {
                        break;
                    }
                }
                Step::Rested(stream) => {
                    if let Some(reader) = self.reader(stream) {
                        reader.resume_reading();
                    }
                }
                Step::Resume => full = None,
                Step::Read(stream) => {
                    full = mailbox.log_room().wait(process);
                    if full.is_some() {
                        continue;
                    }
                    last = stream;
                    if let Some(reader) = self.reader(stream) {
                        reader.read_ready(process, &mailbox).await;
                    }
                }
                Step::Show(stream) => {
                    if let Some(reader) = self.reader(stream) {
                        reader.show_unfinished(process, &mailbox).await;
                    }
                }
            }
        }
        // Without waiting for room: a slow disk does not delay the end. The last words of a process
        // that fails are on standard error.
        self.stdout.drain(process, &mailbox).await;
        if let Some(stderr) = &mut self.stderr {
            stderr.drain(process, &mailbox).await;
        }
        tell_end(process, &mailbox).await;
    }

    /// Pauses until readers may go on, and says within which lines.
    async fn pause(&self, process: ProcessRef, mailbox: &Mailbox, passage: Passage) -> Passage {
        if let Some(room) = mailbox.output().await {
            let readers = std::iter::once(&self.stdout).chain(self.stderr.as_deref());
            room.send(Notice::Paused(process, readers.filter_map(Reader::pause).collect()));
        }
        drop(passage);
        mailbox.readers().pass().await
    }
}

/// The stream that can be read. If both can, it is the one that was not read last: neither holds up
/// the other.
fn poll_ready(
    readers: [Option<&Reader>; 2],
    last: Stream,
    context: &mut Context<'_>,
) -> Poll<Stream> {
    // Both are asked, so that both wake the task.
    let is_ready = |reader: Option<&Reader>, context: &mut Context<'_>| {
        reader.is_some_and(|reader| reader.poll_ready(context).is_ready())
    };
    let ready = readers.map(|reader| is_ready(reader, context));
    match (ready, last) {
        ([true, true], Stream::Stderr) | ([true, false], _) => Poll::Ready(Stream::Stdout),
        ([true, true], Stream::Stdout) | ([false, true], _) => Poll::Ready(Stream::Stderr),
        ([false, false], _) => Poll::Pending,
    }
}

/// Waits until the reader of a stream has rested; indefinitely if none rests.
async fn next_rested(readers: [Option<&Reader>; 2]) -> Stream {
    wait_for_first(readers, Reader::rests_until).await
}

/// Waits until the line of a stream is shown that has not ended; indefinitely if there is none.
async fn next_shown(readers: [Option<&Reader>; 2]) -> Stream {
    wait_for_first(readers, Reader::shows_at).await
}

/// Waits for the first of these times of a stream.
async fn wait_for_first(
    readers: [Option<&Reader>; 2],
    time: impl Fn(&Reader) -> Option<Instant>,
) -> Stream {
    let due = |reader: &Reader| Some((time(reader)?, reader.stream()));
    match readers.into_iter().flatten().filter_map(due).min() {
        Some((at, stream)) => {
            sleep_until(at).await;
            stream
        }
        None => pending().await,
    }
}

/// Waits until the log files have room again; indefinitely if they are not full.
async fn has_room(full: &mut Option<oneshot::Receiver<()>>) {
    match full {
        // It is dropped when there is room.
        Some(room) => drop(room.await),
        None => pending().await,
    }
}

async fn tell_end(process: ProcessRef, mailbox: &Mailbox) {
    if let Some(room) = mailbox.output().await {
        room.send(Notice::Exited(process));
    }
}
