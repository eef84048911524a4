//! The oracle of a running master: its own state is assumed to be right, because its history is
//! unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use openctrl_core::command::Caller;
use openctrl_core::counters::Counters;
use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::event::Subject;
use openctrl_core::instance::Instance;
use openctrl_core::store::{Image, StoredInstance};

use super::{CounterModel, Oracle, Wish};
use crate::object::Shown;

/// The durable state that the state of an engine requires.
pub fn image_of(engine: &Engine) -> Image {
    let mut image = Image::new(engine.under_way().face.identity);
    image.instances = rows(engine)
        .map(|row| {
            let (definition, desired) = (row.definition().clone(), Arc::new(row.desired().clone()));
            let (runs, totals) = (row.presence().past.clone(), row.saved_totals());
            (row.definition().id, StoredInstance { definition, desired, runs, totals })
        })
        .collect();
    image
}

impl Oracle {
    /// The books of an engine in the middle of its life.
    pub fn of(engine: &Engine) -> Self {
        let under_way = engine.under_way();
        let mut oracle = Self::new(&image_of(engine));
        let caller = Caller::v2(under_way.face.key_epoch);
        for (request, command) in under_way.requests {
            let input = Input::RequestArrived { request, caller, command };
            oracle.ledger.on_input(&input, true, false);
        }
        for record in under_way.records {
            let (epoch, seq, record) = (record.epoch, record.seq, record.record);
            oracle.ledger.on_effect(&Effect::Persist { epoch, seq, record: Box::new(record) });
        }
        oracle.shown = rows(engine).map(shown).collect();
        let key = Shown::key(&under_way.face);
        oracle.key = Some(key.clone());
        oracle.shown.insert(Subject::Key, key);
        oracle.face = Some(under_way.face);
        oracle.wishes = rows(engine).map(|row| (row.definition().id, Wish::of(row))).collect();
        let limited = rows(engine).filter(|row| row.lifecycle().gave_up());
        oracle.limited = limited.map(|row| row.definition().id).collect();
        oracle.counters = rows(engine).map(counted).collect::<BTreeMap<_, _>>();
        oracle.shutdowns = under_way.is_ending.into();
        oracle.finished = under_way.is_finished;
        oracle.last_event = under_way.next_event.0 - 1;
        oracle
    }
}

fn rows(engine: &Engine) -> impl Iterator<Item = &Instance> {
    engine.table().slots().filter_map(|slot| engine.table().get(slot))
}

fn shown(row: &Instance) -> (Subject, Shown) {
    (Subject::Instance(row.definition().id), Shown::instance(&row.view()))
}

fn counted(row: &Instance) -> (openctrl_core::ids::InstanceId, [CounterModel; 4]) {
    let Counters { tcprx, tcptx, udprx, udptx } = *row.meters().counters();
    (row.definition().id, [tcprx, tcptx, udprx, udptx].map(CounterModel::of))
}
