//! INV-6: event ids are contiguous, times do not go backwards, and a reader that keeps the last
//! object of each instance has what the table holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use openctrl_core::counters::Counters;
use openctrl_core::engine::{Effect, Event, Input, LogRun, Subject};
use openctrl_core::events::EventKind;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Definition, Instance, Metrics, Status};
use openctrl_core::output::OutputItem;
use openctrl_core::time::Wall;

use super::{Invariant, Scene, Verdict, ensure};
use crate::object::{Shown, id_of, is_same};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Events {
    last_id: u64,
    last_time: Wall,
    turn: usize,
    /// Whether the key instance was shown or told with the input under way.
    key_shown: bool,
    /// The definition of each instance, and the object that was last found to show it.
    defined: BTreeMap<InstanceId, (Arc<Definition>, Shown)>,
}

/// One instance in turn is rendered afresh after so many inputs: all that is in an object is
/// compared after each input, and this is for what might one day not be.
const RENDER_EVERY: usize = 16;

impl Invariant for Events {
    fn id(&self) -> &'static str {
        "INV-6"
    }

    fn resume(&mut self, scene: Scene<'_>) {
        let under_way = scene.engine.under_way();
        self.last_id = under_way.next_event.0 - 1;
        self.last_time = under_way.last_event_time;
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        if let Effect::ShowMaster(_) = effect {
            self.key_shown = true;
        }
        if let Effect::Publish(event) = effect {
            self.key_shown |= event.object.subject() == Subject::Key;
            self.next(event.id.0, 1, event.time)?;
            return told(scene, event);
        }
        if let Effect::PublishLogs(run) = effect {
            self.next(run.first.0, run.items.len() as u64, run.time)?;
            return logged(scene, run);
        }
        if let Effect::CloseStreams { time, .. } = effect {
            return self.next(self.last_id + 1, 0, *time);
        }
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        self.turn += 1;
        let turn = self.turn % (RENDER_EVERY * scene.engine.table().len().max(1));
        for (index, instance) in scene.instances().enumerate() {
            let shown = scene.oracle.shown.get(&Subject::Instance(instance.definition.id));
            let is_told = shown.is_some_and(|shown| self.is_summed_up(scene, shown, instance));
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
            let id = instance.definition.id;
            is_rendered(scene.oracle.shown.get(&Subject::Instance(id)), instance)
        })
    }
}

impl Events {
    fn next(&mut self, first: u64, count: u64, time: Wall) -> Verdict {
        ensure(first == self.last_id + 1, || {
            format!("event {first} comes after event {}", self.last_id)
        })?;
        ensure(time >= self.last_time, || {
            format!("event {first} is of {time}, the one before of {}", self.last_time)
        })?;
        (self.last_id, self.last_time) = (first + count - 1, time);
        Ok(())
    }

    /// Whether an object shows what the table holds. Only what an operator defines is not read
    /// from it each time, but when either is another than before.
    fn is_summed_up(&mut self, scene: Scene<'_>, shown: &Shown, instance: &Instance) -> bool {
        let Metrics { mode, ping, pool, tcps, udps } = instance.metrics;
        let live = [ping, pool, tcps, udps].map(|gauge| u64::try_from(gauge).ok());
        let Counters { tcprx, tcptx, udprx, udptx } = instance.counters;
        shown.status == Some(instance.state.status())
            && shown.mode == i64::from(mode)
            && shown.live.map(Some) == live
            && shown.totals == [tcprx, tcptx, udprx, udptx].map(|counter| counter.on_wire())
            && self.is_defined_so(scene, shown, &instance.definition)
    }

    fn is_defined_so(
        &mut self,
        scene: Scene<'_>,
        shown: &Shown,
        definition: &Arc<Definition>,
    ) -> bool {
        let of = || (Arc::clone(definition), scene.oracle.ledger.shown_of(definition));
        let known = self.defined.entry(definition.id).or_insert_with(of);
        if !Arc::ptr_eq(&known.0, definition) {
            *known = of();
        }
        if is_same(&known.1.json, &shown.json) {
            return true;
        }
        let is_so = shown.is_as_defined(&known.1);
        if is_so {
            known.1 = shown.clone();
        }
        is_so
    }
}

fn key_is_told(scene: Scene<'_>) -> Verdict {
    let key = scene.oracle.shown.get(&Subject::Key).map(|key| &key.json);
    let face = scene.oracle.face.as_ref().map(|face| face.json());
    ensure(key == face.as_ref(), || {
        "the key instance was told otherwise than it is shown".to_string()
    })
}

fn is_rendered(shown: Option<&Shown>, instance: &Instance) -> Verdict {
    let live = instance.view().json();
    ensure(shown.is_some_and(|shown| shown.json == live), || {
        format!("{shown:?} was told last, and the table holds {live:?}")
    })
}

fn told(scene: Scene<'_>, event: &Event) -> Verdict {
    let shown = scene.object()?;
    let is_known = scene.oracle.shown.contains_key(&event.object.subject());
    let fits = match event.kind {
        EventKind::Create => !is_known,
        EventKind::Update => is_known,
        EventKind::Delete => is_known && shown.status == Some(Status::Stopped),
        EventKind::Initial | EventKind::Log | EventKind::Shutdown => false,
    };
    ensure(fits, || format!("{:?} of {shown:?}, known: {is_known}", event.kind))?;
    if let Subject::Instance(id) = event.object.subject() {
        ensure(id_of(&shown.json) == Some(id), || format!("an event of {id} shows {shown:?}"))?;
    }
    // A process that is gone has no gauges (Contract §6).
    let has_gauges = shown.live != [0; 4];
    ensure(!has_gauges || shown.status == Some(Status::Running), || {
        format!("gauges without a process that is well: {shown:?}")
    })
}

fn logged(scene: Scene<'_>, run: &LogRun) -> Verdict {
    let items = run.batch.items.get(run.items.clone()).unwrap_or_default();
    let is_log = |item: &OutputItem| matches!(item, OutputItem::Log(_));
    ensure(!items.is_empty() && items.iter().all(is_log), || format!("no log lines: {run:?}"))?;
    let shown = scene.oracle.shown.get(&Subject::Instance(run.instance));
    ensure(
        shown.is_some_and(|shown| {
            is_same(&shown.json, &run.view.json()) || shown.json == run.view.json()
        }),
        || format!("a log line shows {:?}, and {shown:?} was told last", run.view.json()),
    )
}
