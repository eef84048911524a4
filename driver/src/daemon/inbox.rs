//! The loop's inbox: three lanes, each bounded in its way, emptied in order of urgency.
//!
//! Facts (results of effects) come first: there is one for each effect under way, which is what
//! bounds them. Requests come second; a client that finds the lane full waits. Output comes last;
//! a process that finds the lane full waits on its pipe.

use std::sync::Arc;

use openctrl_core::access::TokenChange;
use openctrl_core::command::{Caller, Command, Outcome};
use openctrl_core::control::ControlInput;
use openctrl_core::engine::Input;
use openctrl_core::ids::ProcessRef;
use openctrl_core::keeper::Ended;
use openctrl_core::line::UnfinishedLine;
use openctrl_core::stream::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::daemon::control::Ask;
use crate::daemon::gate::Gate;
use crate::daemon::logs::LogRoom;
use crate::daemon::process::Newcomer;
use crate::daemon::standstill::Freeze;

/// Requests that may wait here; those of more connections wait outside.
const REQUESTS_MAX: usize = 1024;

/// Maximum number of pending batches of output. A batch is the result of one read of 32 KiB, which
/// takes half a mebibyte if every line is empty, so all of them take at most about 10 MiB: a batch
/// is only made when there is room for it. A larger number would only delay the exit of a process,
/// which comes after its output.
const OUTPUT_MAX: usize = 16;

/// How much is taken from a lane at a time, so that none starves another for long.
const REQUESTS_PER_BATCH: usize = 256;
const OUTPUT_LINES_PER_BATCH: usize = 4096;

/// Something for the loop.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A fact for the engine, passed on unchanged.
    Fact(Input),
    /// A request, its sender, and the channel for its answer.
    Request(Caller, Command, oneshot::Sender<Outcome>),
    /// A process started.
    Spawned(ProcessRef, Newcomer),
    /// A process has written an unfinished line to a stream and then nothing for a while: the line so
    /// far.
    Unfinished(ProcessRef, Stream, String),
    /// A process printed its last and is waiting to be reaped.
    Exited(ProcessRef),
    /// The keeper reported how a process ended and, unless it was lost then, whether others of its
    /// group are left. What the process printed comes before its `Exited`.
    KeptEnded(ProcessRef, Ended, Option<bool>),
    /// The keeper of a process was lost.
    Orphaned(ProcessRef),
    /// The keeper with this id was lost.
    KeeperLost(i32),
    /// There is no process of a start that was lost with a keeper: its id, if it was a child of this
    /// process.
    StartLost(ProcessRef, Option<i32>),
    /// A keeper with this id was started in its place.
    KeeperStarted(i32),
    /// Something for the machine of the control API.
    Ask(Ask),
    /// A change of the tokens to make durable, and where to say how that went.
    Tokens(TokenChange, Option<oneshot::Sender<Result<(), String>>>),
    /// A fact for the machine of the control API, passed on unchanged.
    Control(ControlInput),
    /// What became known at the same time, in order.
    Several(Vec<Notice>),
    /// A check whether the loop answers.
    Ping(oneshot::Sender<()>),
    /// The readers of a process have paused, within these lines.
    Paused(ProcessRef, Vec<(Stream, UnfinishedLine)>),
    /// A copy of the engine is wanted, to try whether another program understands it.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux replaces it"))]
    Trial(oneshot::Sender<Vec<u8>>),
    /// The loop has to pause: its program is replaced.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux replaces it"))]
    Freeze(Freeze),
}

impl Notice {
    /// How many lines of output it has, as a measure of the work that it is.
    fn lines(&self) -> usize {
        match self {
            Self::Fact(Input::OutputRead { batch, .. }) => batch.items.len(),
            Self::Fact(_)
            | Self::Request(..)
            | Self::Spawned(..)
            | Self::Unfinished(..)
            | Self::Exited(_)
            | Self::KeptEnded(..)
            | Self::Orphaned(_)
            | Self::KeeperLost(_)
            | Self::StartLost(..)
            | Self::KeeperStarted(_)
            | Self::Ask(_)
            | Self::Tokens(..)
            | Self::Control(_)
            | Self::Several(_)
            | Self::Paused(..)
            | Self::Trial(_)
            | Self::Freeze(_)
            | Self::Ping(_) => 1,
        }
    }
}

/// The sender of notices to the loop. Sending fails only after the loop has ended, when the notice
/// no longer matters.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    facts: mpsc::UnboundedSender<Notice>,
    requests: mpsc::Sender<Notice>,
    output: mpsc::Sender<Notice>,
    readers: Arc<Gate>,
    log_room: Arc<LogRoom>,
}

impl Mailbox {
    /// What readers of output pass.
    pub(crate) fn readers(&self) -> &Arc<Gate> {
        &self.readers
    }

    /// What readers of output ask before they read.
    pub(crate) fn log_room(&self) -> &Arc<LogRoom> {
        &self.log_room
    }

    /// Leaves the result of an effect.
    pub(crate) fn fact(&self, notice: Notice) {
        let _ = self.facts.send(notice);
    }

    /// Sends a request and waits for its answer; `None` if the loop has ended.
    pub(crate) async fn call(&self, caller: Caller, command: Command) -> Option<Outcome> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Notice::Request(caller, command, answer)).await.ok()?;
        answered.await.ok()
    }

    /// Makes a change of the tokens durable.
    ///
    /// # Errors
    /// Why it could not be.
    pub(crate) async fn save_tokens(&self, change: TokenChange) -> Result<(), String> {
        let ending = || "the master is shutting down".to_owned();
        let (answer, answered) = oneshot::channel();
        let notice = Notice::Tokens(change, Some(answer));
        self.requests.send(notice).await.map_err(|_| ending())?;
        answered.await.map_err(|_| ending())?
    }

    /// Has a change of the tokens saved that nothing rests on; dropped where much waits.
    pub(crate) fn note_tokens(&self, change: TokenChange) {
        let _ = self.requests.try_send(Notice::Tokens(change, None));
    }

    /// Leaves something for the machine of the control API, in the order of requests.
    pub(crate) async fn ask(&self, ask: Ask) {
        let _ = self.requests.send(Notice::Ask(ask)).await;
    }

    /// Waits until the loop has handled this, which shows that it works; `false` if it has ended.
    pub(crate) async fn ping(&self) -> bool {
        let (answer, answered) = oneshot::channel();
        self.fact(Notice::Ping(answer));
        answered.await.is_ok()
    }

    /// How much waits in the lanes that are bounded.
    pub(crate) fn waiting(&self) -> [(&'static str, usize); 2] {
        [
            ("requests", self.requests.max_capacity() - self.requests.capacity()),
            ("output", self.output.max_capacity() - self.output.capacity()),
        ]
    }

    /// Waits for room for output or the exit of a process; `None` if the loop has ended.
    pub(crate) async fn output(&self) -> Option<mpsc::Permit<'_, Notice>> {
        self.output.reserve().await.ok()
    }
}

/// The receiver of the loop.
#[derive(Debug)]
pub(crate) struct Inbox {
    facts: mpsc::UnboundedReceiver<Notice>,
    requests: mpsc::Receiver<Notice>,
    output: mpsc::Receiver<Notice>,
}

/// A mailbox and the inbox behind it.
pub(crate) fn inbox() -> (Mailbox, Inbox) {
    let (facts, facts_in) = mpsc::unbounded_channel();
    let (requests, requests_in) = mpsc::channel(REQUESTS_MAX);
    let (output, output_in) = mpsc::channel(OUTPUT_MAX);
    let mailbox =
        Mailbox { facts, requests, output, readers: Gate::new(), log_room: Arc::default() };
    (mailbox, Inbox { facts: facts_in, requests: requests_in, output: output_in })
}

impl Inbox {
    /// Whether nothing is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.facts.is_empty() && self.requests.is_empty() && self.output.is_empty()
    }

    /// Waits for a notice, then takes all others that are pending, most urgent first.
    ///
    /// The lanes are emptied in reverse order, because output can depend on a fact: the start of a
    /// process is sent before its output, so that whoever receives the output finds the fact.
    pub(crate) async fn fill(&mut self, batch: &mut Vec<Notice>) {
        let mut output = Vec::new();
        let mut requests = Vec::new();
        tokio::select! {
            biased;
            notice = self.facts.recv() => batch.extend(notice),
            notice = self.requests.recv() => requests.extend(notice),
            notice = self.output.recv() => output.extend(notice),
        }
        let mut lines: usize = output.iter().map(Notice::lines).sum();
        while lines < OUTPUT_LINES_PER_BATCH
            && let Ok(notice) = self.output.try_recv()
        {
            lines += notice.lines();
            output.push(notice);
        }
        let waiting = std::iter::from_fn(|| self.requests.try_recv().ok());
        requests.extend(waiting.take(REQUESTS_PER_BATCH));
        batch.extend(std::iter::from_fn(|| self.facts.try_recv().ok()));
        batch.append(&mut requests);
        batch.append(&mut output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::{Generation, KeyEpoch, SlotId};

    #[tokio::test]
    async fn facts_come_before_requests_and_output_whatever_came_first() {
        let process = ProcessRef { slot: SlotId(0), generation: Generation(1) };
        let (mailbox, mut inbox) = inbox();
        mailbox.output().await.expect("there is room").send(Notice::Exited(process));
        let client = mailbox.clone();
        let asking = tokio::spawn(async move {
            client.call(Caller::v2(KeyEpoch(0)), Command::SetAlias(None)).await
        });
        while mailbox.requests.capacity() == REQUESTS_MAX {
            tokio::task::yield_now().await;
        }
        mailbox.fact(Notice::Fact(Input::ProcessStarted { process }));

        let mut batch = Vec::new();
        inbox.fill(&mut batch).await;
        assert!(matches!(&batch[..], [Notice::Fact(_), Notice::Request(..), Notice::Exited(_)]));
        drop(batch);
        assert!(asking.await.expect("no panic").is_none(), "a dropped request is no answer");
    }
}
