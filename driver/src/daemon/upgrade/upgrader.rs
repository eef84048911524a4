//! Leads through an upgrade, step by step. Until the last step everything can be taken back.

use std::os::fd::{OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openctrl_core::handover::{Answer, Descriptor, Handover, Question, Role};
use openctrl_core::ids::RunId;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;

use super::channel::{self, Tell};
use super::departure::{LAST_LINES, become_program, write};
use super::parts::{Fixed, Running};
use super::preflight::{Tried, try_program};
use crate::daemon::inbox::Notice;
use crate::daemon::standstill::{Freeze, Frozen};
use crate::version::VERSION;

/// How long connections may take to finish their answers. What has no answer under way is not
/// waited for longer.
const ANSWERS: Duration = Duration::from_secs(5);

/// How long requests and changes under way may take after that.
const STANDSTILL: Duration = Duration::from_secs(10);

/// The master, seen by its upgrade.
pub(crate) struct Upgrader {
    fixed: Fixed,
    running: Running,
    /// One at a time.
    turn: Mutex<()>,
}

/// Lets upgrades be asked for; `channel` is what was handed over of the channel. Returns what USR2
/// does.
pub(crate) fn start(
    mut fixed: Fixed,
    running: Running,
    channel: Option<OwnedFd>,
) -> Box<dyn FnMut() + Send> {
    // A master that refuses every upgrade has no channel.
    let channel = match fixed.obstacle {
        None => channel::open(&fixed.state, channel).map(Some),
        Some(_) => Ok(None),
    };
    if let Ok(Some(channel)) = &channel {
        fixed.descriptors.push(Descriptor { number: channel.number(), role: Role::Channel });
    }
    let upgrader = Arc::new(Upgrader { fixed, running, turn: Mutex::default() });
    let runtime = Handle::current();
    let (asked, handle) = (Arc::clone(&upgrader), runtime.clone());
    let answer = move |question, tell: &Tell<'_>| match question {
        Question::Who => tell(&asked.who()),
        Question::Upgrade => {
            let reason = handle.block_on(asked.upgrade(tell));
            tell(&Answer::Refused(reason));
        }
    };
    if let Err(error) =
        channel.and_then(|channel| channel.map_or(Ok(()), |channel| channel.serve(answer)))
    {
        tracing::warn!("Master.upgrade: 'openctrl upgrade' does not work, only USR2: {error}");
    }
    Box::new(move || {
        let upgrader = Arc::clone(&upgrader);
        runtime.spawn(async move { upgrader.upgrade(|_| {}).await });
    })
}

impl Upgrader {
    /// Which program this is.
    pub(crate) fn who(&self) -> Answer {
        Answer::Running { generation: self.fixed.generation, version: VERSION.to_owned() }
    }

    /// Becomes the program that is at the path of this one now, after `tell` was told. Returns why
    /// if that does not succeed; the master goes on then.
    pub(crate) async fn upgrade(&self, tell: impl FnOnce(&Answer) + Send) -> String {
        let Ok(_turn) = self.turn.try_lock() else {
            return "another upgrade is in progress".to_owned();
        };
        let reason = self.try_to(tell).await;
        tracing::error!("Master.upgrade: the master continues unchanged: {reason}");
        reason
    }

    async fn try_to(&self, tell: impl FnOnce(&Answer) + Send) -> String {
        if let Some(obstacle) = self.fixed.obstacle {
            return obstacle.to_owned();
        }
        let next = match self.preflight().await {
            Ok(next) => next,
            Err(reason) => return reason,
        };
        let path = self.fixed.program.path.display();
        let version = &next.said.version;
        tracing::info!("Master.upgrade: {VERSION} becomes {version}, the program at {path}");
        self.running.notifier.reloading();
        for gate in &self.running.gates {
            gate.close();
        }
        self.running.hub.pause();
        let reason = self.leave(tell, next).await;
        self.running.hub.go_on();
        for gate in &self.running.gates {
            gate.open();
        }
        self.running.notifier.ready(&self.fixed.address);
        reason
    }

    /// Lets the program at the path show that it can take over: with all that this master has, but
    /// for what it says later.
    async fn preflight(&self) -> Result<Tried, String> {
        let (answer, answered) = oneshot::channel();
        self.running.mailbox.fact(Notice::Trial(answer));
        let engine = answered.await.map_err(|_| ENDING.to_owned())?;
        let trial = Frozen { engine, last_request: 0, unfinished: Vec::new(), notify: Vec::new() };
        let trial = write(&self.handover(trial, false)).map_err(|error| error.to_string())?;
        try_program(&self.fixed.program, &self.fixed.state, trial).await
    }

    async fn leave(&self, tell: impl FnOnce(&Answer) + Send, next: Tried) -> String {
        let clear = async {
            for gate in &self.running.gates {
                gate.is_clear().await;
            }
        };
        let _ = timeout(ANSWERS, clear).await;
        let (frozen, is_frozen) = oneshot::channel();
        let (stay, resume) = oneshot::channel();
        self.running.mailbox.fact(Notice::Freeze(Freeze { frozen, resume }));
        let frozen = match timeout(STANDSTILL, is_frozen).await {
            Ok(Ok(frozen)) => frozen,
            Ok(Err(_)) => return ENDING.to_owned(),
            Err(_) => {
                let seconds = STANDSTILL.as_secs();
                return format!(
                    "requests or changes are still in progress after {seconds} s; try again"
                );
            }
        };
        let handover = self.handover(frozen, true);
        let memory = match write(&handover) {
            Ok(memory) => memory,
            Err(error) => return format!("cannot write the handover: {error}"),
        };
        let version = next.said.version.clone();
        tell(&Answer::Begun { generation: self.fixed.generation, version });
        self.running.audit.settle().await;
        self.running.logs.flush(LAST_LINES);
        for console in &self.running.consoles {
            console.flush(LAST_LINES);
        }
        let path = &self.fixed.program.path;
        // A program that was not tried may end at once.
        if !next.is_still_at(path) {
            return format!("{} was replaced while it was tried; try again", path.display());
        }
        let error = become_program(&self.fixed.program, &memory, &handover.descriptors);
        drop(stay);
        format!("cannot execute {}: {error}", path.display())
    }

    fn handover(&self, frozen: Frozen, is_whole: bool) -> Handover {
        let Frozen { engine, last_request, unfinished, notify } = frozen;
        let (time, next_event, window) = self.running.hub.hand_over(is_whole);
        let (origin_micros, started_micros) = self.running.clock.readings();
        Handover {
            product: VERSION.to_owned(),
            generation: self.fixed.generation.saturating_add(1),
            boot: self.fixed.boot,
            origin_micros,
            started_micros,
            last_request,
            engine,
            next_event,
            time,
            window,
            logs: if is_whole { self.running.logs.hand_over() } else { Vec::new() },
            unfinished,
            descriptors: if is_whole { self.descriptors(&notify) } else { Vec::new() },
            certificate: self.fixed.certificate.clone(),
        }
    }

    fn descriptors(&self, notify: &[(RunId, RawFd)]) -> Vec<Descriptor> {
        let lock = self.fixed.lock.load(Ordering::Relaxed);
        let mut descriptors = self.fixed.descriptors.clone();
        descriptors.push(Descriptor { number: lock, role: Role::StateLock });
        descriptors.extend(self.running.sockets.descriptors());
        let notify = notify.iter();
        descriptors.extend(
            notify.map(|(run, number)| Descriptor { number: *number, role: Role::Notify(*run) }),
        );
        descriptors
    }
}

const ENDING: &str = "the master is shutting down";
