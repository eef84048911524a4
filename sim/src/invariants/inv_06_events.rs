//! INV-6: event ids are contiguous, times never decrease and converge to the wall clock, and a
//! subscriber that keeps the last object of each instance has the rows of the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use openctrl_core::counters::Metrics;
use openctrl_core::engine::{Effect, Input};
use openctrl_core::event::{Event, EventKind, LogRun, Subject};
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Definition, Instance, Status};
use openctrl_core::output::OutputItem;
use openctrl_core::time::Wall;

use super::{Invariant, Scene, Verdict, ensure};
use crate::object::{Shown, check_json, is_same};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Events {
    last_id: u64,
    last_time: Wall,
    turn: usize,
    /// Whether the key instance was shown or published with the current input.
    key_shown: bool,
    /// How many objects were shown.
    shown: usize,
    /// Definitions that were compared and are the same: as shown, and as in the table.
    compared: BTreeMap<InstanceId, (Arc<Definition>, Arc<Definition>)>,
}

/// Every this many inputs, one instance in turn is rendered, and one of this many shown objects:
/// their values are compared each time, their JSON only then.
const RENDER_EVERY: usize = 32;

impl Invariant for Events {
    fn id(&self) -> &'static str {
        "INV-6"
    }

    fn resume(&mut self, scene: Scene<'_>) {
        let under_way = scene.engine.under_way();
        self.last_id = under_way.next_event.0 - 1;
        self.last_time = under_way.last_event_time;
    }

    fn before_input(&mut self, scene: Scene<'_>, input: &Input) -> Verdict {
        let Input::ProcessExited { process, .. } = input else { return Ok(()) };
        let Some(process) = scene.world.processes.get(*process) else { return Ok(()) };
        let (printed, read) = process.lines();
        ensure(scene.is_late || process.adopted || printed == read, || {
            format!("{} printed {printed} lines, {read} were read", process.definition.id)
        })
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        if let Some(view) = scene.object.and_then(Shown::view) {
            self.shown += 1;
            if self.shown.is_multiple_of(RENDER_EVERY) {
                check_json(view)?;
            }
        }
        if let Effect::ShowMaster(_) = effect {
            self.key_shown = true;
        }
        if let Effect::Publish(event) = effect {
            self.key_shown |= event.object.subject() == Subject::Key;
            self.next(scene, event.id.0, 1, event.time)?;
            return told(scene, event);
        }
        if let Effect::PublishLogs(run) = effect {
            self.next(scene, run.first.0, run.items.len() as u64, run.time)?;
            return logged(scene, run);
        }
        if let Effect::CloseStreams { time, .. } = effect {
            return self.next(scene, self.last_id + 1, 0, *time);
        }
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        self.turn += 1;
        let turn = self.turn % (RENDER_EVERY * scene.engine.table().len().max(1));
        for (index, instance) in scene.instances().enumerate() {
            let shown = scene.oracle.shown.get(&Subject::Instance(instance.definition().id));
            let is_told = shown.is_some_and(|shown| self.is_summed_up(shown, instance));
            ensure(is_told, || format!("{shown:?} was told of {instance:?}"))?;
            if RENDER_EVERY * index == turn {
                is_rendered(shown, instance)?;
            }
        }
        let told = scene.oracle.known().count();
        let live = scene.engine.table().len();
        ensure(told == live, || format!("{told} instances were told of, the table has {live}"))?;
        if std::mem::take(&mut self.key_shown) { key_is_told(scene) } else { Ok(()) }
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
        key_is_told(scene)?;
        scene.instances().try_for_each(|instance| {
            let id = instance.definition().id;
            is_rendered(scene.oracle.shown.get(&Subject::Instance(id)), instance)
        })
    }
}

impl Events {
    fn next(&mut self, scene: Scene<'_>, first: u64, count: u64, time: Wall) -> Verdict {
        ensure(first == self.last_id + 1, || {
            format!("event {first} comes after event {}", self.last_id)
        })?;
        ensure(time >= self.last_time, || {
            format!("event {first} is of {time}, the one before of {}", self.last_time)
        })?;
        let clock = &scene.world.clock;
        let (wall, ahead) = (clock.wall(), clock.ahead_max());
        let latest = Wall::from_micros(wall.as_micros().saturating_add(ahead));
        ensure((wall..=latest).contains(&time), || {
            format!("event {first} is of {time} at {wall}, of which it may be {ahead} µs ahead")
        })?;
        (self.last_id, self.last_time) = (first + count - 1, time);
        Ok(())
    }

    /// Whether an object equals the row of the table.
    fn is_summed_up(&mut self, shown: &Shown, instance: &Instance) -> bool {
        let Metrics { mode: _, ping, pool, tcps, udps } = instance.meters().metrics();
        shown.view().is_some_and(|view| {
            view.status == instance.state().status()
                && view.metrics == instance.meters().metrics()
                && [ping, pool, tcps, udps].iter().all(|gauge| *gauge >= 0)
                && view.totals == instance.meters().counters().totals()
                && self.is_same_definition(&view.definition, instance.definition())
        })
    }

    /// Whether two definitions are the same. Two that are not one are compared once: neither
    /// changes.
    fn is_same_definition(&mut self, shown: &Arc<Definition>, live: &Arc<Definition>) -> bool {
        if Arc::ptr_eq(shown, live) {
            return true;
        }
        let compared = self.compared.get(&live.id);
        if compared.is_some_and(|(one, other)| Arc::ptr_eq(one, shown) && Arc::ptr_eq(other, live))
        {
            return true;
        }
        let is_same = is_same(shown, live);
        if is_same {
            self.compared.insert(live.id, (Arc::clone(shown), Arc::clone(live)));
        }
        is_same
    }
}

fn key_is_told(scene: Scene<'_>) -> Verdict {
    let told = scene.oracle.shown.get(&Subject::Key);
    let key = scene.oracle.key.as_ref();
    let is_told = told.zip(key).is_some_and(|(told, key)| told.is_same(key));
    ensure(is_told, || "the key instance was told otherwise than it is shown".to_string())
}

fn is_rendered(shown: Option<&Shown>, instance: &Instance) -> Verdict {
    let live = instance.view();
    check_json(&live)?;
    ensure(shown.is_some_and(|shown| shown.is_same(&Shown::instance(&live))), || {
        format!("{shown:?} was told last, and the table holds {live:?}")
    })
}

fn told(scene: Scene<'_>, event: &Event) -> Verdict {
    let shown = scene.object()?;
    let is_known = scene.oracle.shown.contains_key(&event.object.subject());
    let fits = match event.kind {
        EventKind::Create => !is_known,
        EventKind::Update => is_known,
        EventKind::Delete => is_known && shown.status() == Some(Status::Stopped),
        EventKind::Initial | EventKind::Log | EventKind::Shutdown => false,
    };
    ensure(fits, || format!("{:?} of {shown:?}, known: {is_known}", event.kind))?;
    // A process that has exited has no gauges (Contract §6).
    let has_gauges = shown.view().is_some_and(|view| {
        let Metrics { mode: _, ping, pool, tcps, udps } = view.metrics;
        [ping, pool, tcps, udps] != [0; 4]
    });
    ensure(!has_gauges || shown.status() == Some(Status::Running), || {
        format!("gauges without a process that is well: {shown:?}")
    })
}

fn logged(scene: Scene<'_>, run: &LogRun) -> Verdict {
    let items = run.batch.items.get(run.items.clone()).unwrap_or_default();
    let is_log = |item: &OutputItem| matches!(item, OutputItem::Log(_));
    ensure(!items.is_empty() && items.iter().all(is_log), || format!("no log lines: {run:?}"))?;
    let told = scene.oracle.shown.get(&Subject::Instance(run.instance));
    let shown = scene.object()?;
    ensure(told.is_some_and(|told| told.is_same(shown)), || {
        format!("a log line shows {shown:?}, and {told:?} was told last")
    })
}
