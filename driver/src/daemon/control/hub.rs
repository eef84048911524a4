//! What readers of the control API see, and those of them that wait for an event.
//!
//! The loop writes what is durable, connections read. A wait is woken by events of its instance
//! alone.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use bytes::Bytes;
use openctrl_core::control::ControlEffect;
use openctrl_core::doors::control::{
    ControlModel, EventsQuery, Figures, Observed, ProcessEntry, RuleEntry, Run, RunError,
};
use openctrl_core::event::StoredEvent;
use openctrl_core::ids::InstanceId;
use openctrl_core::time::{Now, Wall};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::rendered::{Rendered, Source};
use crate::daemon::hub::Hub;
use crate::daemon::usage::Processes;

/// The published state of the control API.
#[derive(Debug)]
pub(crate) struct ControlHub {
    state: RwLock<State>,
    statuses: Rendered,
    views: Arc<Hub>,
    processes: Arc<Processes>,
}

#[derive(Debug)]
struct State {
    model: ControlModel,
    checkpoints: HashMap<InstanceId, Wall>,
    /// Those who wait, by instance; only while somebody does.
    waiting: HashMap<InstanceId, Arc<Notify>>,
}

impl ControlHub {
    /// A hub that keeps `events_max` events, of which `known` are there.
    pub(crate) fn new(
        events_max: usize,
        known: impl IntoIterator<Item = Arc<StoredEvent>>,
        started: Wall,
        views: Arc<Hub>,
        processes: Arc<Processes>,
    ) -> Arc<Self> {
        let mut model = ControlModel::new(events_max, started);
        known.into_iter().for_each(|event| model.log.push(event));
        let (checkpoints, waiting) = (HashMap::new(), HashMap::new());
        let state = RwLock::new(State { model, checkpoints, waiting });
        Arc::new(Self { state, statuses: Rendered::default(), views, processes })
    }

    /// Reads something of the model.
    pub(super) fn read<T>(&self, read: impl FnOnce(&ControlModel) -> T) -> T {
        read(&self.lock().model)
    }

    /// Reads something of the model for which it needs the figures of instances.
    pub(super) fn read_all<T>(&self, read: impl FnOnce(&ControlModel, Figures<'_>) -> T) -> T {
        let state = self.lock();
        read(&state.model, &|id| self.observed(&state, id))
    }

    /// The answer to `/v1/status` of an instance; `None` without it.
    pub(super) fn status(&self, id: InstanceId) -> Option<Bytes> {
        let state = self.lock();
        let entry = Arc::clone(state.model.process(id)?);
        let not_durable = state.model.not_durable();
        let source = Source { entry, observed: self.observed(&state, id), not_durable };
        let render = || state.model.daemon_status(&source.entry, &source.observed).body;
        // While the state is locked: a deleted instance is forgotten after that.
        Some(self.statuses.get(&source, render))
    }

    /// An instance with its newest events, as JSON; `None` without it.
    pub(crate) fn resource(&self, id: InstanceId, events_limit: usize) -> Option<String> {
        self.read_all(|model, figures| model.process_json(id, events_limit, figures))
    }

    /// An instance.
    pub(super) fn process(&self, id: InstanceId) -> Option<Arc<ProcessEntry>> {
        self.lock().model.process(id).cloned()
    }

    fn observed(&self, state: &State, id: InstanceId) -> Observed {
        let last_checkpoint = state.checkpoints.get(&id).copied();
        Observed { last_checkpoint, ..self.figures(id) }
    }

    /// The figures of an instance, but for the time of its last checkpoint.
    fn figures(&self, id: InstanceId) -> Observed {
        let mut observed = Observed::default();
        if let Some(view) = self.views.view(id) {
            let (metrics, totals) = (view.metrics, view.totals);
            observed.gauges =
                [metrics.mode, metrics.ping, metrics.pool, metrics.tcps, metrics.udps];
            observed.totals = [totals.tcprx, totals.tcptx, totals.udprx, totals.udptx];
        }
        self.processes.with_facts(id, |facts, pid| {
            observed.pid = pid.filter(|_| facts.alive.is_some());
            (observed.starts, observed.restarts) = (facts.starts, facts.restarts);
            observed.exits = facts.exits;
            observed.last_exit = facts.last_exit.as_ref().map(|last| last.end.clone());
            observed.next_restart = facts.next_restart.map(|(at, _)| at);
        });
        observed
    }

    /// Returns when `GET /v1/events` has something to say, or its wait is over.
    pub(super) async fn wait(&self, id: InstanceId, query: &EventsQuery) {
        let deadline = Instant::now() + Duration::from_millis(query.wait_ms);
        while let Some(notify) = self.wait_for(id, query) {
            let mut woken = std::pin::pin!(notify.notified());
            woken.as_mut().enable();
            // Looked at again: what came before this was in place woke no client.
            if self.has_news(id, query) || timeout_at(deadline, woken).await.is_err() {
                break;
            }
        }
    }

    /// Whether there is something to say, or no wait is asked for.
    pub(super) fn has_news(&self, id: InstanceId, query: &EventsQuery) -> bool {
        let state = self.lock();
        query.wait_ms == 0 || state.model.process(id).is_none() || state.model.has_events(id, query)
    }

    /// Whether a client waits for events of an instance that one of these is of.
    pub(super) fn is_awaited(&self, events: &[Arc<StoredEvent>]) -> bool {
        let state = self.lock();
        let mut instances = events.iter().filter_map(|event| event.managed_by());
        !state.waiting.is_empty() && instances.any(|id| state.waiting.contains_key(&id))
    }

    /// What to wait for; `None` if there is nothing to wait for.
    fn wait_for(&self, id: InstanceId, query: &EventsQuery) -> Option<Arc<Notify>> {
        if self.has_news(id, query) {
            return None;
        }
        Some(Arc::clone(self.lock_mut().waiting.entry(id).or_default()))
    }

    /// Takes in what the machine ordered to be shown. `false` for what is not for readers.
    pub(crate) fn take(&self, effect: &ControlEffect, now: Now, duration_ns: u64) -> bool {
        let mut state = self.lock_mut();
        let model = &mut state.model;
        match effect {
            ControlEffect::Show(events) => {
                events.iter().for_each(|event| model.log.push(Arc::clone(event)));
                wake(&mut state.waiting, events);
            }
            ControlEffect::ShowProcess(entry) => {
                model.put_process(entry.clone());
            }
            ControlEffect::RemoveProcess(id) => {
                model.remove_process(*id);
                state.checkpoints.remove(id);
                self.statuses.forget(*id);
                if let Some(waiting) = state.waiting.remove(id) {
                    waiting.notify_waiters();
                }
            }
            ControlEffect::SawCheckpoint(id, time) => {
                state.checkpoints.insert(*id, *time);
            }
            ControlEffect::ShowRule { rule, source, status } => {
                let entry = RuleEntry { source: Arc::clone(source), status: *status };
                model.put_rule(rule.clone(), entry);
            }
            ControlEffect::RulesInForce { rules, generation, last_change } => {
                model.keep_rules(rules);
                model.set_generation(*generation, *last_change);
            }
            ControlEffect::Durable { is_durable, time } => model.set_durable(*is_durable, *time),
            ControlEffect::Ran { controller, trigger, error } => {
                let error = error.as_ref().map(|(name, error)| RunError {
                    resource_kind: "Process".to_owned(),
                    resource_name: name.clone(),
                    error: error.clone(),
                });
                let is_periodic = trigger == "periodic";
                let next = is_periodic.then(|| after_s(now.wall, 5));
                let trigger = trigger.clone();
                let (started, completed) = (now.wall, now.wall);
                let run = Run { trigger, started, completed, duration_ns, next, error };
                model.controllers.record(controller, run);
            }
            ControlEffect::Keep(_)
            | ControlEffect::ExpectProcess { .. }
            | ControlEffect::RuleLost(..)
            | ControlEffect::Noted { .. }
            | ControlEffect::Answer { .. } => return false,
        }
        true
    }

    fn lock(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes those who wait for events of these instances. Who still waits comes back.
fn wake(waiting: &mut HashMap<InstanceId, Arc<Notify>>, events: &[Arc<StoredEvent>]) {
    if waiting.is_empty() {
        return;
    }
    for id in events.iter().filter_map(|event| event.managed_by()) {
        if let Some(waiting) = waiting.remove(&id) {
            waiting.notify_waiters();
        }
    }
}

fn after_s(time: Wall, seconds: u64) -> Wall {
    Wall::from_micros(time.as_micros().saturating_add(seconds * 1_000_000))
}
