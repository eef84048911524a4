//! INV-11, INV-12, INV-16 and INV-18: invariants of what is wanted of apps and services, of their
//! runs, of signals, and of their first restarts.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use openctrl_core::command::{Desire, DesireDone};
use openctrl_core::engine::{Effect, Engine, TimerReason};
use openctrl_core::ids::{Generation, InstanceId, ProcessRef, RecordSeq, RequestId, RunId};
use openctrl_core::instance::{
    Definition, Desired, Goal, Instance, Once, Presence, Process, Toggle, ValuesEdit,
};
use openctrl_core::process::Identity;
use openctrl_core::store::{Image, Record};
use openctrl_core::time::Time;

use crate::invariants::Violation;

/// How many steps of the CAS one cause takes at most: a run may end, one may begin, and what is
/// wanted may change with them.
const STEPS_MAX: u64 = 3;

/// An instance before an input.
struct Before {
    /// What is wanted, with all changes on their way to the disk.
    newest: Desired,
    open: Option<RunId>,
    past: Vec<RunId>,
    /// How many runs its definition kept.
    kept: u16,
    definition: Arc<Definition>,
    generation: Generation,
    /// How often it was started or found since a start was last requested.
    starts: usize,
}

/// A change that was requested and is not answered yet.
struct Asked {
    desire: Desire,
    is_stale: bool,
}

/// The observations so far.
#[derive(Default)]
pub(super) struct Law {
    /// Each instance as it was after the last input, in the order of the table; `None` before the
    /// first.
    before: Option<Vec<Option<Before>>>,
    asked: BTreeMap<RequestId, Asked>,
    /// The request of the input at hand, and its instance.
    arriving: Option<(RequestId, InstanceId)>,
    /// Requests that were answered with this input.
    done: Vec<RequestId>,
    /// Which request each record on its way belongs to.
    records: BTreeMap<RecordSeq, (RequestId, InstanceId)>,
    /// How many requests of each instance became durable with this input: what follows from a ping
    /// in one is counted with it.
    applied: BTreeMap<InstanceId, u64>,
    /// Instances for which more happened than a change of what is wanted.
    touched: BTreeSet<InstanceId>,
    /// Whether changes on their way were refused with this input.
    is_refused: bool,
    /// Runs that were sent to the disk, by instance.
    recorded: BTreeMap<InstanceId, Vec<RunId>>,
    /// Processes that were proven to be an instance's.
    proven: BTreeSet<(InstanceId, Identity)>,
    /// The instance of each process of the engine.
    processes: BTreeMap<ProcessRef, InstanceId>,
    /// Instances with a toggle that became durable with this input.
    toggled: BTreeSet<InstanceId>,
    /// How often an instance was started or found since a start was last requested.
    starts: BTreeMap<InstanceId, usize>,
}

pub(super) fn broken<T>(invariant: &'static str, what: String) -> Result<T, Violation> {
    Err(Violation { invariant, what })
}

fn rows(engine: &Engine) -> impl Iterator<Item = &Instance> {
    engine.table().slots().filter_map(|slot| engine.table().get(slot))
}

fn past_of(presence: &Presence) -> Vec<RunId> {
    presence.past.iter().map(|run| run.id).collect()
}

impl Law {
    /// A master begins with this state: what is on the disk is recorded, and nothing else.
    pub(super) fn begin(&mut self, image: &Image) {
        *self = Self::default();
        for (id, stored) in &image.instances {
            self.recorded.insert(*id, stored.runs.iter().map(|run| run.id).collect());
        }
    }

    /// A change is requested: whether its CAS is that of the newest version, on the disk or on its
    /// way there, is known now.
    pub(super) fn asked(
        &mut self,
        request: RequestId,
        engine: &Engine,
        id: InstanceId,
        desire: &Desire,
    ) {
        let Some(row) = rows(engine).find(|row| row.definition().id == id) else { return };
        let is_stale = desire.expect.0 != 0 && desire.expect != newest(row).cas;
        self.asked.insert(request, Asked { desire: desire.clone(), is_stale });
        self.arriving = Some((request, id));
    }

    /// A process is proven to be an instance's.
    pub(super) fn proven(&mut self, id: InstanceId, identity: Identity) {
        self.proven.insert((id, identity));
    }

    pub(super) fn before_input(&mut self, engine: &Engine) {
        self.touched.clear();
        self.arriving = None;
        self.is_refused = false;
        self.applied.clear();
        self.toggled.clear();
        if self.before.is_none() {
            let starts = |id| self.starts.get(&id).copied().unwrap_or_default();
            let before = |row: &Instance| Before::of(row, starts(row.definition().id));
            self.before = Some(rows(engine).map(|row| Some(before(row))).collect());
        }
    }

    /// Records up to this one are durable.
    pub(super) fn durable(&mut self, upto: RecordSeq) {
        let rest = self.records.split_off(&RecordSeq(upto.0 + 1));
        let durable = std::mem::replace(&mut self.records, rest);
        let is_toggle = |(request, _): &&(RequestId, InstanceId)| {
            self.asked.get(request).is_some_and(|asked| asked.desire.toggle.is_some())
        };
        self.toggled = durable.values().filter(is_toggle).map(|(_, id)| *id).collect();
        for (_, id) in durable.into_values() {
            *self.applied.entry(id).or_default() += 1;
        }
    }

    /// The disk refused everything on its way: runs among it are recorded again.
    pub(super) fn refused(&mut self, disk: &Image) {
        self.records.clear();
        self.is_refused = true;
        for (id, runs) in &mut self.recorded {
            let stored = disk.instances.get(id);
            let kept: BTreeSet<RunId> =
                stored.into_iter().flat_map(|one| one.runs.iter()).map(|run| run.id).collect();
            let last = runs.iter().rposition(|run| kept.contains(run));
            runs.truncate(last.map_or(0, |last| last + 1));
        }
    }

    pub(super) fn on_effect(&mut self, engine: &Engine, effect: &Effect) -> Result<(), Violation> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are about no run")]
        match effect {
            Effect::Spawn { process, definition, .. } => {
                self.processes.insert(*process, definition.id);
                self.touched.insert(definition.id);
                *self.starts.entry(definition.id).or_default() += 1;
            }
            Effect::Adopt { process, instance } => {
                self.processes.insert(*process, *instance);
                self.touched.insert(*instance);
                // One that is left of an earlier master is only ended.
                let row = engine.table().get(process.slot);
                if row.is_some_and(|row| row.state().process != Process::Ending) {
                    *self.starts.entry(*instance).or_default() += 1;
                }
            }
            Effect::RunVerb { definition, .. } => drop(self.touched.insert(definition.id)),
            Effect::Signal { process, .. } => {
                let row = engine.table().get(process.slot);
                self.touched.extend(row.map(|row| row.definition().id));
            }
            Effect::Track { process, identity } => return self.tracked(*process, *identity),
            Effect::Persist { seq, record, .. } => return self.recorded(*seq, record),
            _ => {}
        }
        Ok(())
    }

    fn recorded(&mut self, seq: RecordSeq, record: &Record) -> Result<(), Violation> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "others are about no run")]
        match record {
            Record::SetDesired { .. } => {
                if let Some(arriving) = self.arriving {
                    self.records.entry(seq).or_insert(arriving);
                }
            }
            Record::AddRun { id, run, .. } => {
                self.touched.insert(*id);
                let runs = self.recorded.entry(*id).or_default();
                if runs.contains(&run.id) {
                    return broken("INV-12", format!("run {:?} of {id} is recorded twice", run.id));
                }
                runs.push(run.id);
            }
            _ => {}
        }
        Ok(())
    }

    fn tracked(&mut self, process: ProcessRef, identity: Identity) -> Result<(), Violation> {
        let is_proven = |(id, proven): &(InstanceId, Identity)| {
            *proven == identity && self.processes.get(&process).is_none_or(|of| of == id)
        };
        if self.proven.iter().any(is_proven) {
            return Ok(());
        }
        broken(
            "INV-16",
            format!("process {} is watched to be signaled and not proven", identity.pid),
        )
    }

    /// A request is answered: whether its CAS was another one is what it was when it came.
    pub(super) fn answered(
        &mut self,
        request: RequestId,
        done: Option<&DesireDone>,
    ) -> Result<(), Violation> {
        self.done.push(request);
        if done.is_none() {
            // It is refused.
            self.arriving.take_if(|(arriving, _)| *arriving == request);
        }
        let (Some(asked), Some(done)) = (self.asked.get(&request), done) else { return Ok(()) };
        if self.records.values().any(|(waiting, _)| *waiting == request) {
            return broken(
                "INV-1",
                format!("request {} is answered before it is durable", request.0),
            );
        }
        if asked.is_stale != done.is_stale {
            return broken(
                "INV-11",
                format!("request {} is not taken as stale or fresh", request.0),
            );
        }
        Ok(())
    }

    pub(super) fn after_input(&mut self, engine: &Engine, now: Time) -> Result<(), Violation> {
        let mut before = self.before.take().unwrap_or_default();
        for (at, reason) in engine.timers() {
            let TimerReason::Restart(slot) = reason else { continue };
            let Some(row) = engine.table().get(slot).filter(|_| at > now) else { continue };
            let id = row.definition().id;
            self.waits(row, before.iter().flatten().find(|before| before.definition.id == id))?;
        }
        let mut after = Vec::with_capacity(engine.table().len());
        for row in rows(engine) {
            let id = row.definition().id;
            let before = take_of(&mut before, after.len(), id);
            let starts = self.starts_of(row, before.as_ref());
            self.starts.insert(id, starts);
            after.push(Some(match before {
                Some(before) => self.followed(row, before, starts)?,
                None => Before::of(row, starts),
            }));
        }
        self.before = Some(after);
        for request in std::mem::take(&mut self.done) {
            self.asked.remove(&request);
        }
        Ok(())
    }

    /// Checks one instance, and brings what is known of it up to date. Most inputs change nothing of
    /// most instances.
    fn followed(
        &self,
        row: &Instance,
        mut before: Before,
        starts: usize,
    ) -> Result<Before, Violation> {
        let (definition, presence) = (row.definition(), row.presence());
        let newest = newest(row);
        self.wanted(row, &before, &newest)?;
        let has_same = presence.past.iter().map(|run| &run.id).eq(&before.past);
        let changed = (!has_same).then(|| past_of(presence));
        let past = changed.as_ref().unwrap_or(&before.past);
        let recorded = self.recorded.get(&definition.id).map_or(&[][..], Vec::as_slice);
        runs(row, &before, recorded, past)?;
        if !presence.unsaved && !recorded.ends_with(past) {
            let id = definition.id;
            let what = format!("{id}: the runs {past:?} ended, on the disk are {recorded:?}");
            return broken("INV-12", what);
        }
        if before.newest != *newest {
            before.newest = newest.into_owned();
        }
        if !Arc::ptr_eq(&before.definition, definition) {
            before.definition = Arc::clone(definition);
        }
        before.past = changed.unwrap_or(before.past);
        before.open = presence.run.map(|run| run.id);
        before.kept = definition.policy.history;
        before.generation = row.lifecycle().generation();
        before.starts = starts;
        Ok(before)
    }

    /// How often an instance was started or found since a start was last requested: by the
    /// configuration or by a toggle.
    fn starts_of(&self, row: &Instance, before: Option<&Before>) -> usize {
        let id = row.definition().id;
        let starts = self.starts.get(&id).copied().unwrap_or_default();
        let Some(before) = before else { return starts };
        // A restart that was called off for a change that the disk refused counts all the same.
        if self.is_refused {
            return starts + 1;
        }
        let (old, new) = (&before.definition, row.definition());
        let is_replaced =
            !Arc::ptr_eq(old, new) && (&old.launch, &old.liveness) != (&new.launch, &new.liveness);
        if self.toggled.contains(&id) || is_replaced {
            return usize::from(row.state().has_process());
        }
        let is_new = row.lifecycle().generation() != before.generation;
        // What is found by other signs is not taken over by an effect.
        let is_found = is_new && row.state().process == Process::Live && starts == before.starts;
        starts + usize::from(is_found)
    }

    /// A restart waits. The first one is at once.
    fn waits(&self, row: &Instance, before: Option<&Before>) -> Result<(), Violation> {
        let (id, starts) = (row.definition().id, self.starts_of(row, before));
        if starts > 1 || row.definition().is_service() {
            return Ok(());
        }
        broken("INV-18", format!("{id} waits for its first restart, after {starts} starts"))
    }

    /// What is wanted changes as a model of requests has it, and otherwise only by what happens.
    fn wanted(&self, row: &Instance, before: &Before, now: &Desired) -> Result<(), Violation> {
        let id = row.definition().id;
        let is_about_it =
            |(request, of): &(RequestId, InstanceId)| self.asked.get(request).filter(|_| *of == id);
        let asked = self.arriving.as_ref().and_then(is_about_it);
        let is_touched = self.touched.contains(&id)
            || before.open != row.presence().run.map(|run| run.id)
            || row.presence().verb.is_some();
        let what = |why: &str| {
            broken("INV-11", format!("{id} was {:?} and is {now:?}: {why}", before.newest))
        };
        let steps = now.cas.0.wrapping_sub(before.newest.cas.0);
        if let Some(asked) = asked {
            let mut model = before.newest.clone();
            apply(&mut model, asked, before.open.is_some());
            return if model == *now { Ok(()) } else { what(&format!("expected {model:?}")) };
        }
        if self.is_refused {
            return Ok(());
        }
        if !is_touched {
            // Being seen is a change as well, of what is looked at; and a restart that nothing can
            // be sent to is used up.
            let restart = before.newest.restart && now.restart;
            let Desired { goal, once, restart: _, values, cas: _ } = &before.newest;
            let is_same =
                (goal, once, restart, values) == (&now.goal, &now.once, now.restart, &now.values);
            return if is_same && steps <= 1 { Ok(()) } else { what("nothing happened") };
        }
        let causes = self.applied.get(&id).copied().unwrap_or(0);
        if steps > STEPS_MAX * causes.max(1) {
            return what("more than one step for each cause");
        }
        let is_changed = (now.goal, now.once, &now.values)
            != (before.newest.goal, before.newest.once, &before.newest.values);
        let is_joined = causes > 0;
        if is_changed && steps == 0 && !is_joined {
            what("a change without a step")
        } else {
            Ok(())
        }
    }
}

impl Before {
    fn of(row: &Instance, starts: usize) -> Self {
        let presence = row.presence();
        Self {
            newest: newest(row).into_owned(),
            open: presence.run.map(|run| run.id),
            past: past_of(presence),
            kept: row.definition().policy.history,
            definition: Arc::clone(row.definition()),
            generation: row.lifecycle().generation(),
            starts,
        }
    }
}

/// Takes out what is known of an instance: it is at `place` unless rows came or went.
fn take_of(before: &mut [Option<Before>], place: usize, id: InstanceId) -> Option<Before> {
    let is_it = |before: &Option<Before>| before.as_ref().is_some_and(|it| it.definition.id == id);
    let is_there = before.get(place).is_some_and(is_it);
    let place = if is_there { Some(place) } else { before.iter().position(is_it) };
    before[place?].take()
}

fn newest(row: &Instance) -> Cow<'_, Desired> {
    row.newest_desired(row.newest_goal())
}

/// What a request makes of what is wanted, by the contract of Patrol.
fn apply(desired: &mut Desired, asked: &Asked, is_started: bool) {
    let old = desired.clone();
    let mut is_changed = asked.desire.beat.is_some();
    if !asked.is_stale {
        match &asked.desire.values {
            ValuesEdit::Merge(values) => {
                is_changed |= !values.is_empty();
                desired.values.extend(values.clone());
            }
            ValuesEdit::Replace(values) => {
                is_changed = true;
                desired.values.clone_from(values);
            }
        }
        if let Some(toggle) = asked.desire.toggle {
            let armed =
                if is_started || old.once == Once::Consumed { Once::Consumed } else { Once::Armed };
            let (goal, once, restart) = match toggle {
                Toggle::Enable => (Goal::Up, old.once, old.restart),
                Toggle::Disable => (Goal::Down, Once::No, false),
                Toggle::Restart => (Goal::Up, Once::No, true),
                Toggle::RunOnceEnable => (old.goal, armed, old.restart),
                Toggle::RunOnceDisable => (old.goal, Once::No, old.restart),
                Toggle::EnableRunOnceEnable => (Goal::Up, armed, old.restart),
                Toggle::EnableRunOnceDisable => (Goal::Up, Once::No, old.restart),
            };
            (desired.goal, desired.once, desired.restart) = (goal, once, restart);
            is_changed |= (old.goal, old.once, old.restart) != (goal, once, restart);
        }
    }
    desired.cas.0 = old.cas.0.wrapping_add(u64::from(is_changed));
}

/// A run that is no longer open is the next one of those that ended; no other one is added. So many
/// can end with one input that it is recorded and no longer kept.
fn runs(
    row: &Instance,
    before: &Before,
    recorded: &[RunId],
    past: &[RunId],
) -> Result<(), Violation> {
    let id = row.definition().id;
    let open = row.presence().run.map(|run| run.id);
    let what = |why: &str| broken("INV-12", format!("{id}: {why}; open {open:?}, ended {past:?}"));
    // A few runs are kept: to look for each is faster than to sort them.
    let is_twice = |(place, run): (usize, &RunId)| past[..place].contains(run);
    if past.iter().chain(&open).enumerate().any(is_twice) {
        return what("a run is there twice");
    }
    // A configuration that keeps fewer takes effect with the next run that is recorded. Records that
    // became durable with one input can first end a run and then change how many are kept.
    let kept = row.definition().policy.history.max(before.kept);
    if past.len() > before.past.len().max(kept.into()) {
        return what("more runs than are kept");
    }
    let known = before.past.last();
    let is_new = |run: &&RunId| !before.past.contains(run);
    let added: Vec<&RunId> = past.iter().filter(is_new).collect();
    if known
        .is_some_and(|known| past.contains(known) && !past.ends_with(&[*known]) && added.is_empty())
    {
        return what("runs are out of order");
    }
    let is_dropped = |run: &RunId| recorded.contains(run) && added.len() == past.len();
    match before.open {
        Some(was) if open != Some(was) && added.first() != Some(&&was) && !is_dropped(&was) => {
            what("a run ended and is not recorded")
        }
        Some(was) if open == Some(was) && !added.is_empty() => {
            what("a run is recorded that goes on")
        }
        Some(_) | None => Ok(()),
    }
}

/// Long after the last fault, the disk says the same as the engine, and every request is answered.
pub(super) fn at_rest(engine: &Engine, disk: &Image) -> Result<(), Violation> {
    for row in rows(engine) {
        let id = row.definition().id;
        let Some(stored) = disk.instances.get(&id) else {
            return broken("INV-5", format!("{id} is not on the disk"));
        };
        let past = past_of(row.presence());
        let on_disk: Vec<RunId> = stored.runs.iter().map(|run| run.id).collect();
        let least = past.len().min(row.definition().policy.history.into());
        // How many are kept may have changed between a run and its record.
        let is_same = past.ends_with(&on_disk) || on_disk.ends_with(&past);
        if !is_same || on_disk.len() < least {
            return broken(
                "INV-12",
                format!("the disk has {on_disk:?} of the runs {past:?} of {id}, kept {least}"),
            );
        }
        let mut desired = (*stored.desired).clone();
        // A start that is tried uses a restart up at once, and counts when it succeeded.
        desired.restart &= row.desired().restart;
        if desired != *row.desired() {
            let now = row.desired();
            return broken("INV-11", format!("{id} is {now:?}, on the disk {desired:?}"));
        }
    }
    Ok(())
}
