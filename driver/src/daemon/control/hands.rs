//! The machine of the control API in the loop: shown each step of the engine, its orders carried
//! out.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openctrl_core::command::Outcome;
use openctrl_core::control::{
    Attached, Cause, Control, ControlEffect, ControlInput, Observed, Pids, Ticket,
};
use openctrl_core::doors::control::Reply;
use openctrl_core::engine::{Effect, Engine};
use openctrl_core::store::Kept;
use openctrl_core::time::{Now, Time};
use tokio::sync::oneshot;

use super::ask::Ask;
use super::hub::ControlHub;
use super::orders::Followed;
use super::projection::Projection;
use super::sockets::Serving;
use crate::daemon::store::{StoreWriter, Urgency};
use crate::daemon::trace::Recorder;

/// The machine, and what its orders are carried out with.
#[derive(Debug)]
pub(crate) struct ControlHands {
    machine: Control,
    hub: Arc<ControlHub>,
    serving: Serving,
    projection: Projection,
    waiting: HashMap<Ticket, Waiting>,
    next_ticket: u64,
    /// What the step at hand published.
    later: Vec<Kept>,
}

#[derive(Debug)]
enum Waiting {
    Note(oneshot::Sender<bool>),
    Rules(oneshot::Sender<Reply>),
}

impl ControlHands {
    pub(crate) fn new(
        machine: Control,
        hub: Arc<ControlHub>,
        serving: Serving,
        projection: Projection,
    ) -> Self {
        let (waiting, later) = (HashMap::new(), Vec::new());
        Self { machine, hub, serving, projection, waiting, next_ticket: 0, later }
    }

    /// What readers of the control API see.
    pub(crate) fn hub(&self) -> Arc<ControlHub> {
        Arc::clone(&self.hub)
    }

    /// The machine.
    pub(crate) const fn machine(&self) -> &Control {
        &self.machine
    }

    /// Shows the machine a step of the engine, before its effects are carried out. Gives the
    /// events that are stored in one piece with changes among them.
    pub(crate) fn observe(
        &mut self,
        now: Now,
        cause: Cause,
        engine: &Engine,
        effects: &[Effect],
        pids: Pids<'_>,
        recorder: &mut Recorder,
    ) -> Vec<Attached> {
        if effects.is_empty() && cause == Cause::Other {
            return Vec::new();
        }
        let begun = Instant::now();
        let Observed { attached, pids } = self.machine.observe(now, cause, engine, effects, pids);
        attached.iter().for_each(|attached| recorder.attached(attached));
        self.later = self.show(now, begun, recorder);
        recorder.followed(pids);
        attached
    }

    /// Orders to be kept what the step published, after the effects of the step were carried out:
    /// what goes with a change comes before. Those that a client waits for are not gathered.
    pub(crate) fn after_effects(&mut self, store: &mut StoreWriter) {
        for kept in self.later.drain(..) {
            let is_awaited = self.hub.is_awaited(&kept.events);
            store.keep(kept, if is_awaited { Urgency::Awaited } else { Urgency::Patient });
        }
    }

    /// Gives an answer once the sockets that were ordered before it are there.
    pub(crate) fn answer(&self, to: oneshot::Sender<Outcome>, outcome: Outcome) {
        self.serving.answer(to, outcome);
    }

    /// The thread of the sockets begins to carry out what the step ordered.
    pub(crate) fn end_step(&self) {
        self.serving.end_step();
    }

    /// Something that a connection asks, as an input of the machine.
    pub(crate) fn ask(&mut self, ask: Ask) -> ControlInput {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        match ask {
            Ask::Note(instance, fact, answer) => {
                self.waiting.insert(ticket, Waiting::Note(answer));
                ControlInput::Noted { ticket, instance, fact }
            }
            Ask::Rules(request, answer) => {
                self.waiting.insert(ticket, Waiting::Rules(answer));
                ControlInput::RulesRequested { ticket, request }
            }
        }
    }

    /// Gives the machine an input, and carries out what it orders.
    pub(crate) fn tell(
        &mut self,
        now: Now,
        input: ControlInput,
        engine: &Engine,
        store: &mut StoreWriter,
        recorder: &mut Recorder,
    ) {
        let begun = Instant::now();
        recorder.control(engine, &self.machine, now, &input);
        self.machine.handle(now, input);
        for kept in self.show(now, begun, recorder) {
            store.keep(kept, Urgency::Awaited);
        }
        recorder.followed(Vec::new());
    }

    /// When the clock is an input next.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.machine.poll_timeout()
    }

    /// Ends the sockets, and writes what is still to be written.
    pub(crate) async fn finish(self, limit: Duration) {
        self.serving.finish(limit).await;
        self.projection.finish();
    }

    /// Carries out all orders but those to keep something, which are returned.
    fn show(&mut self, now: Now, begun: Instant, recorder: &mut Recorder) -> Vec<Kept> {
        let mut to_keep = Vec::new();
        while let Some(effect) = self.machine.poll_effect() {
            recorder.control_effect(&effect);
            let duration_ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.hub.take(&effect, now, duration_ns);
            match effect {
                ControlEffect::Keep(kept) => to_keep.push(kept),
                ControlEffect::Show(events) => self.projection.append(events),
                ControlEffect::ExpectProcess { id, name, definition } => {
                    self.serving.expect(Followed::expected(id, &name, &definition));
                }
                ControlEffect::ShowProcess(entry) => self.serving.put(&entry),
                ControlEffect::RemoveProcess(id) => self.serving.remove(id),
                ControlEffect::RuleLost(rule, fault) => {
                    tracing::warn!("Control.rules: the rule {rule} is left out: {fault}");
                }
                ControlEffect::Noted { ticket, is_kept } => {
                    if let Some(Waiting::Note(answer)) = self.waiting.remove(&ticket) {
                        let _ = answer.send(is_kept);
                    }
                }
                ControlEffect::Answer { ticket, reply } => {
                    if let Some(Waiting::Rules(answer)) = self.waiting.remove(&ticket) {
                        let _ = answer.send(reply);
                    }
                }
                ControlEffect::SawCheckpoint(..)
                | ControlEffect::ShowRule { .. }
                | ControlEffect::RulesInForce { .. }
                | ControlEffect::Durable { .. }
                | ControlEffect::Ran { .. } => {}
            }
        }
        to_keep
    }
}
