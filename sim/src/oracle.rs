//! The expected state, derived from inputs and effects alone: what clients were shown, what is
//! durable, what was requested, and the value of every counter.
//!
//! The oracle only records; [`crate::invariants`] check whether what happens is right, each before
//! the oracle handles the same input or effect.

mod counter;
mod ledger;
mod resumed;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openctrl_core::checkpoint::Checkpoint;
use openctrl_core::command::{Command, InstanceAction, Outcome, Trust};
use openctrl_core::counters::Counters;
use openctrl_core::engine::{Effect, Input, Survivor};
use openctrl_core::event::{Event, EventKind, Subject};
use openctrl_core::ids::{InstanceId, ProcessRef, RequestId};
use openctrl_core::instance::{Boot, Goal, Restart, Status};
use openctrl_core::master::MasterFace;
use openctrl_core::output::OutputItem;
use openctrl_core::store::{Image, Record, StoredInstance};

pub use self::counter::CounterModel;
pub use self::ledger::{Asked, Ledger};
pub use self::resumed::image_of;
pub use self::wish::Wish;
use crate::object::Shown;
use crate::world::{Phase, World};

/// The books.
#[derive(Debug)]
pub struct Oracle {
    /// Requests and records.
    pub ledger: Ledger,
    /// The last object that subscribers saw of each subject.
    pub shown: BTreeMap<Subject, Shown>,
    /// The master as it was shown last.
    pub face: Option<MasterFace>,
    /// The key instance that follows from it.
    pub key: Option<Shown>,
    /// The desired state of each instance.
    pub wishes: BTreeMap<InstanceId, Wish>,
    /// Instances whose limit of restarts was reached.
    limited: BTreeSet<InstanceId>,
    /// Instances that are no longer at that limit since the current input.
    unlimited: BTreeSet<InstanceId>,
    /// The newest request when the last process of each instance was started.
    spawned: BTreeMap<InstanceId, RequestId>,
    /// The request that is the current input.
    arriving: Option<RequestId>,
    /// The goals in the records of requests: of a start, whether the engine accepted it.
    stored_goals: BTreeMap<(RequestId, InstanceId), Goal>,
    /// What each instance's byte counters ought to show.
    pub counters: BTreeMap<InstanceId, [CounterModel; 4]>,
    /// Instances whose totals were reset with the input under way.
    pub resets: BTreeSet<InstanceId>,
    /// Instances whose runtime restarted its counters with the current input.
    pub recounts: BTreeSet<InstanceId>,
    /// The process whose exit is the current input.
    ending: Option<ProcessRef>,
    /// How often a shutdown was requested.
    pub shutdowns: u32,
    /// Whether the engine has reported that it is done.
    pub finished: bool,
    /// Whether it did not wait for the disk then.
    pub gave_up: bool,
    /// The last event of this run of the master; 0 before the first.
    pub last_event: u64,
    /// Rises with every change of `shown` and `counters`.
    pub changes: u64,
}

/// What an action found when it took effect.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Whether the instance did not need to be started.
    has_run: bool,
    /// Whether the disk may have had the action until it was answered.
    was_pending: bool,
}

impl Oracle {
    /// The books of a master that starts with `image`.
    pub fn new(image: &Image) -> Self {
        let counters = image.instances.iter().map(|(id, stored)| {
            let totals = stored.totals.totals();
            let each = [totals.tcprx, totals.tcptx, totals.udprx, totals.udptx];
            (*id, each.map(CounterModel::from_total))
        });
        let wishes = image.instances.iter();
        Self {
            ledger: Ledger::new(image),
            shown: BTreeMap::new(),
            face: None,
            key: None,
            wishes: wishes.map(|(id, stored)| (*id, Wish::new(starts_at_boot(stored)))).collect(),
            limited: BTreeSet::new(),
            unlimited: BTreeSet::new(),
            spawned: BTreeMap::new(),
            arriving: None,
            stored_goals: BTreeMap::new(),
            counters: counters.collect(),
            resets: BTreeSet::new(),
            recounts: BTreeSet::new(),
            ending: None,
            shutdowns: 0,
            finished: false,
            gave_up: false,
            last_event: 0,
            changes: 1,
        }
    }

    /// The same of a master that finds runs of the last one.
    pub fn restarted(image: &Image, survivors: &[Survivor], world: &World) -> Self {
        let mut oracle = Self::new(image);
        for survivor in survivors {
            let stored = &image.instances[&survivor.instance];
            let has_to_end = world.processes.survivor(survivor.instance).is_none_or(|it| it.0);
            if !has_to_end {
                oracle.wish(survivor.instance).running = true;
            }
            if stored.totals.run == Some(survivor.run) {
                let Counters { tcprx, tcptx, udprx, udptx } = stored.totals.counters;
                let counters = [tcprx, tcptx, udprx, udptx].map(CounterModel::of);
                oracle.counters.insert(survivor.instance, counters);
            }
        }
        oracle
    }

    /// The instances that clients know.
    pub fn known(&self) -> impl Iterator<Item = InstanceId> {
        self.shown.keys().filter_map(|subject| instance(*subject))
    }

    /// Takes an input in, before the engine does.
    pub fn on_input(&mut self, world: &World, input: &Input, is_late: bool) {
        self.resets.clear();
        self.recounts.clear();
        self.unlimited.clear();
        self.ending = None;
        self.arriving = None;
        self.ledger.on_input(input, self.is_admitted(input), world.disk.lingers());
        #[expect(clippy::wildcard_enum_match_arm, reason = "others change nothing here")]
        match input {
            Input::RequestArrived { request, command, .. } => self.on_request(*request, command),
            Input::ProcessExited { process, exit, .. } if !is_late => {
                self.ending = Some(*process);
                let process = world.processes.get(*process);
                if let Some(process) = process
                    .filter(|p| exit.is_clean() && p.terminated_at.is_none() && !p.has_lost_lease)
                {
                    let id = process.definition.id;
                    let is_restarted = self.restarts_always(id);
                    let is_scheduled = process.definition.checks.schedule.is_some();
                    self.wish(id).ended(is_restarted, is_scheduled);
                }
            }
            Input::OutputRead { process, batch } if !is_late => {
                let id = world.processes.get(*process).map(|process| process.definition.id);
                for item in &batch.items {
                    if let (OutputItem::Checkpoint(checkpoint), Some(id)) = (item, id) {
                        self.count(id, checkpoint);
                    }
                }
            }
            Input::ShutdownRequested => self.shutdowns += 1,
            _ => {}
        }
    }

    /// Takes an effect in, before the world carries it out. `object` is the one in it.
    pub fn on_effect(&mut self, world: &World, effect: &Effect, object: Option<&Shown>) {
        self.ledger.on_effect(effect);
        #[expect(clippy::wildcard_enum_match_arm, reason = "others change nothing here")]
        match effect {
            Effect::ShowMaster(face) => {
                self.face = Some(face.clone());
                self.key = object.cloned();
                self.show(Subject::Key, object);
            }
            Effect::ShowInstance(view) => {
                self.show(Subject::Instance(view.definition.id), object);
            }
            Effect::Publish(event) => self.on_event(world, event, object),
            Effect::PublishLogs(run) => self.last_event += run.items.len() as u64,
            Effect::Respond { request, outcome } => self.on_outcome(*request, outcome),
            Effect::ShowProcess { instance, facts } => {
                if facts.limit_reached.is_some() {
                    self.limited.insert(*instance);
                } else if self.limited.remove(instance) {
                    self.unlimited.insert(*instance);
                }
            }
            Effect::Persist { record, .. } => self.on_record(record),
            Effect::Spawn { definition, .. } => {
                self.changes += 1;
                self.wish(definition.id).spawned();
                let newest = self.ledger.asked.keys().next_back().copied();
                self.spawned.extend(newest.map(|newest| (definition.id, newest)));
                for counter in self.counters.entry(definition.id).or_default() {
                    counter.rebase();
                }
            }
            Effect::Finish => {
                self.finished = true;
                self.gave_up = world.disk.waiting() > 0;
            }
            _ => {}
        }
    }

    fn on_request(&mut self, request: RequestId, command: &Command) {
        self.arriving = Some(request);
        #[expect(clippy::wildcard_enum_match_arm, reason = "others change nothing here")]
        match command {
            Command::Replace { id, .. } => {
                if let Some(wish) = self.wishes.get_mut(id) {
                    wish.put_arrived(request);
                }
            }
            Command::Act { ids, action: InstanceAction::Start | InstanceAction::Restart } => {
                for id in ids {
                    if !self.stores_goal(*id)
                        && let Some(wish) = self.wishes.get_mut(id)
                    {
                        wish.start_taken(request);
                    }
                }
            }
            _ => {}
        }
    }

    /// A record was sent off. That of a start says whether the engine accepted it.
    fn on_record(&mut self, record: &Record) {
        let desired = match record {
            Record::SetDesired { desired, .. } | Record::PutInstance { desired, .. } => desired,
            Record::RemoveInstance(_)
            | Record::PutMaster(_)
            | Record::AddRun { .. }
            | Record::PutRuns { .. }
            | Record::ReserveEvents(_) => return,
        };
        if let Some((request, id)) = self.arriving.zip(record.instance())
            && self.stores_goal(id)
        {
            self.stored_goals.insert((request, id), desired.goal);
        }
    }

    fn on_event(&mut self, world: &World, event: &Event, object: Option<&Shown>) {
        self.last_event = event.id.0;
        self.changes += 1;
        if let Some(id) = instance(event.object.subject()) {
            match event.kind {
                EventKind::Create => {
                    self.wishes.insert(id, Wish::new(true));
                    self.counters.insert(id, Default::default());
                }
                EventKind::Delete => {
                    self.wishes.remove(&id);
                    self.counters.remove(&id);
                }
                EventKind::Update => self.on_update(world, id, object),
                EventKind::Initial | EventKind::Log | EventKind::Shutdown => {}
            }
        }
        if event.kind == EventKind::Delete {
            self.shown.remove(&event.object.subject());
        } else {
            self.show(event.object.subject(), object);
        }
    }

    fn on_update(&mut self, world: &World, id: InstanceId, object: Option<&Shown>) {
        let before = self.shown.get(&Subject::Instance(id));
        let (Some(before), Some(after)) = (before, object) else { return };
        let (Some(old), Some(new)) = (before.definition(), after.definition()) else { return };
        let has_new_url = !Arc::ptr_eq(old, new) && old.url() != new.url();
        let statuses = (before.status(), after.status());
        // A schedule starts it again, which clears the failure.
        let is_scheduled = new.checks.schedule.is_some();
        let is_left = (!old.restarts() || self.limited.contains(&id)) && !is_scheduled;
        let settles = statuses == (Some(Status::Error), Some(Status::Stopped)) && is_left;
        if has_new_url {
            self.wish(id).put_applied();
        }
        // A PUT or DELETE that may still be refused has cleared a failure that will not be retried.
        if settles && !self.has_process(world, id) {
            self.wish(id).running = false;
        }
    }

    fn has_process(&self, world: &World, id: InstanceId) -> bool {
        world.processes.iter().any(|process| {
            let is_there = process.phase != Phase::Gone || Some(process.reference) == self.ending;
            process.definition.id == id && is_there
        })
    }

    /// Whether the key of a request is the current one.
    fn is_admitted(&self, input: &Input) -> bool {
        let Input::RequestArrived { caller, command, .. } = input else { return true };
        match caller.trust {
            Trust::Key(epoch) => self.face.as_ref().is_some_and(|face| face.key_epoch == epoch),
            Trust::Token(role) => role.includes(command.role()),
            Trust::Peer { .. } | Trust::Open => true,
        }
    }

    fn on_outcome(&mut self, request: RequestId, outcome: &Outcome) {
        let Some(asked) = self.ledger.asked.get(&request) else { return };
        if let Command::Act { ids, .. } = &asked.command {
            let wishes = self.wishes.iter_mut().filter(|(id, _)| ids.contains(id));
            wishes.for_each(|(_, wish)| wish.start_answered(request));
        }
        match (&asked.command, outcome) {
            (Command::Replace { id, .. }, Outcome::Refused(_) | Outcome::Stale(_)) => {
                let id = *id;
                if let Some(wish) = self.wishes.get_mut(&id) {
                    wish.put_refused(request);
                }
            }
            (Command::Amend { id, amend, .. }, Outcome::Done { .. }) => {
                let (id, action) = (*id, amend.action);
                // A start at the limit of restarts is accepted whatever the status is.
                let is_stopped = self.status(id) == Some(Status::Stopped);
                let has_run = !is_stopped && !self.unlimited.contains(&id);
                self.on_action(request, id, action, Found { has_run, was_pending: true });
            }
            (Command::Act { action, .. }, Outcome::Acted(acted)) => {
                let action = *action;
                let parts =
                    acted.iter().filter_map(|one| Some((one.id, one.result.as_ref().ok()?)));
                for (id, status) in parts {
                    // The others of the request may have waited for the disk alone.
                    let was_pending = self.stores_goal(id);
                    // One in error is started again, unless it failed after the request.
                    let is_declined = self.stored_goals.get(&(request, id)) == Some(&Goal::Down);
                    let has_run = match status {
                        Status::Running => true,
                        Status::Stopped => false,
                        Status::Error => is_declined,
                    };
                    self.on_action(request, id, Some(action), Found { has_run, was_pending });
                }
            }
            _ => {}
        }
    }

    fn stores_goal(&self, id: InstanceId) -> bool {
        let definition = self.shown.get(&Subject::Instance(id)).and_then(Shown::definition);
        definition.is_some_and(|definition| definition.policy.boot == Boot::Saved)
    }

    fn status(&self, id: InstanceId) -> Option<Status> {
        self.shown.get(&Subject::Instance(id)).and_then(Shown::status)
    }

    /// An action was answered.
    fn on_action(
        &mut self,
        request: RequestId,
        id: InstanceId,
        action: Option<InstanceAction>,
        found: Found,
    ) {
        // A part of a bulk request can start a process before all of it is answered, and the process
        // can end before that, too.
        let waits = self.spawned.get(&id).is_none_or(|newest| *newest < request);
        let is_over = !waits && self.wish(id).has_ended;
        // Otherwise a start is under way, or has to wait for the end of a stop.
        let is_error = self.status(id) == Some(Status::Error);
        let stored = self.stored_goals.remove(&(request, id));
        match action {
            None => {}
            Some(InstanceAction::Start) => {
                // One that was accepted is carried out, also after an older stop.
                let follows = stored == Some(Goal::Up) && !self.wish(id).running;
                let runs = (!found.has_run || follows) && !is_over;
                self.wish(id).start(request, runs, waits && is_error);
            }
            Some(InstanceAction::Stop) => self.wish(id).stop(request, found.was_pending),
            Some(InstanceAction::Restart) => self.wish(id).start(request, !is_over, waits),
            Some(InstanceAction::Reset) => {
                self.changes += 1;
                self.resets.insert(id);
                self.counters.entry(id).or_default().iter_mut().for_each(CounterModel::reset);
            }
        }
    }

    fn count(&mut self, id: InstanceId, checkpoint: &Checkpoint) {
        let Checkpoint { tcprx, tcptx, udprx, udptx, .. } = *checkpoint;
        self.changes += 1;
        let counters = self.counters.entry(id).or_default();
        for (counter, value) in counters.iter_mut().zip([tcprx, tcptx, udprx, udptx]) {
            if let Some(value) = value
                && counter.observe(value)
            {
                self.recounts.insert(id);
            }
        }
    }

    /// Whether the current policy restarts an instance also after it exited with code 0.
    fn restarts_always(&self, id: InstanceId) -> bool {
        let definition = self.shown.get(&Subject::Instance(id)).and_then(Shown::definition);
        definition.is_some_and(|definition| definition.policy.restart == Restart::Always)
    }

    fn wish(&mut self, id: InstanceId) -> &mut Wish {
        self.wishes.entry(id).or_default()
    }

    fn show(&mut self, subject: Subject, object: Option<&Shown>) {
        self.changes += 1;
        self.shown.extend(object.map(|object| (subject, object.clone())));
    }
}

/// Whether a stored instance is started with the master.
fn starts_at_boot(stored: &StoredInstance) -> bool {
    let is_scheduled = stored.definition.checks.schedule.is_some();
    match stored.definition.policy.boot {
        // It is wanted at its times.
        Boot::Restart if is_scheduled => true,
        Boot::Restart => stored.definition.policy.restart != Restart::Never,
        Boot::Saved => stored.desired.goal == Goal::Up,
        Boot::Always => true,
    }
}

fn instance(subject: Subject) -> Option<InstanceId> {
    match subject {
        Subject::Instance(id) => Some(id),
        Subject::Key => None,
    }
}
