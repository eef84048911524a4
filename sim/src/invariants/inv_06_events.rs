//! INV-6: event ids are contiguous, times do not go backwards, and a reader that keeps the last
//! object of each instance has what the table holds.

use openctrl_core::counters::Counters;
use openctrl_core::engine::{Effect, Event, Input, LogRun, Subject};
use openctrl_core::events::EventKind;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Instance, Metrics, Status};
use openctrl_core::output::OutputItem;
use openctrl_core::time::Wall;

use super::{Invariant, Scene, Verdict, ensure};
use crate::object::Shown;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Events {
    last_id: u64,
    last_time: Wall,
    turn: usize,
}

impl Invariant for Events {
    fn id(&self) -> &'static str {
        "INV-6"
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        if let Effect::Publish(event) = effect {
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
        // Rendering is dear, so each time one instance has its turn; of the others the parts that
        // change most are compared.
        self.turn += 1;
        let turn = self.turn % scene.engine.table().len().max(1);
        for (index, instance) in scene.instances().enumerate() {
            let shown = scene.oracle.shown.get(&Subject::Instance(instance.definition.id));
            let is_told = shown.is_some_and(|shown| is_summed_up(shown, instance));
            ensure(is_told, || format!("{} was told of {instance:?}", json_of(shown)))?;
            if index == turn {
                is_rendered(shown, instance)?;
            }
        }
        let told = scene.oracle.known().len();
        let live = scene.engine.table().len();
        ensure(told == live, || format!("{told} instances were told of, the table has {live}"))?;
        let key = scene.oracle.shown.get(&Subject::Key);
        let face = scene.oracle.face.as_ref().map(|face| face.json());
        let is_same = key.map(|key| key.json.as_bytes()) == face.as_deref();
        ensure(is_same, || "the key instance was told otherwise than it is shown".to_string())
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
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
}

fn is_summed_up(shown: &Shown, instance: &Instance) -> bool {
    let Metrics { ping, pool, tcps, udps, .. } = instance.metrics;
    let live = [ping, pool, tcps, udps].map(|gauge| u64::try_from(gauge).ok());
    let Counters { tcprx, tcptx, udprx, udptx } = instance.counters;
    shown.status == Some(instance.state.status())
        && shown.live.map(Some) == live
        && shown.totals == [tcprx, tcptx, udprx, udptx].map(|counter| counter.on_wire())
        && shown.restart == instance.definition.restart
}

fn is_rendered(shown: Option<&Shown>, instance: &Instance) -> Verdict {
    let live = instance.view().json();
    ensure(shown.is_some_and(|shown| shown.json.as_bytes() == &live[..]), || {
        format!("{} was told last, and the table holds {live:?}", json_of(shown))
    })
}

fn told(scene: Scene<'_>, event: &Event) -> Verdict {
    let shown = Shown::parse(&event.object.json())?;
    let is_known = scene.oracle.shown.contains_key(&event.object.subject());
    let fits = match event.kind {
        EventKind::Create => !is_known,
        EventKind::Update => is_known,
        EventKind::Delete => is_known && shown.status == Some(Status::Stopped),
        EventKind::Initial | EventKind::Log | EventKind::Shutdown => false,
    };
    ensure(fits, || format!("{:?} of {}, known: {is_known}", event.kind, shown.json))?;
    if let Subject::Instance(id) = event.object.subject() {
        ensure(names(&shown, id), || format!("an event of {id} shows {}", shown.json))?;
    }
    // A process that is gone has no gauges (Contract §6).
    let has_gauges = shown.live != [0; 4];
    ensure(!has_gauges || shown.status == Some(Status::Running), || {
        format!("gauges without a process that is well: {}", shown.json)
    })
}

fn logged(scene: Scene<'_>, run: &LogRun) -> Verdict {
    let items = run.batch.items.get(run.items.clone()).unwrap_or_default();
    let is_log = |item: &OutputItem| matches!(item, OutputItem::Log(_));
    ensure(!items.is_empty() && items.iter().all(is_log), || format!("no log lines: {run:?}"))?;
    let shown = scene.oracle.shown.get(&Subject::Instance(run.instance));
    ensure(shown.is_some_and(|shown| shown.json.as_bytes() == &run.view.json()[..]), || {
        format!("a log line shows {:?}, and {} was told last", run.view, json_of(shown))
    })
}

fn names(shown: &Shown, id: InstanceId) -> bool {
    shown.json.starts_with(&format!("{{\"id\":\"{id}\","))
}

fn json_of(shown: Option<&Shown>) -> &str {
    shown.map_or("nothing", |shown| &shown.json)
}
