//! The inputs of a trace as removable steps: each names its subject independently of numbers,
//! because numbers change when earlier steps are removed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openctrl_core::engine::{Effect, Engine, Input, RecordUnderWay};
use openctrl_core::ids::{InstanceId, ProcessRef, RecordSeq, RequestId};
use openctrl_core::store::Record;
use openctrl_core::time::Now;
use openctrl_core::trace::{Header, Reader, Record as Line};

/// A segment, taken apart.
#[derive(Clone, Debug)]
pub struct Steps {
    /// Its header.
    pub header: Header,
    /// The engine that it begins with.
    pub engine: Engine,
    /// Its inputs.
    pub steps: Vec<Step>,
    /// Which request made each instance that was created in it.
    pub created: BTreeMap<InstanceId, RequestId>,
}

/// An input as it was recorded, and whom it is about.
#[derive(Clone, Debug)]
pub struct Step {
    /// How long after the step before it, in µs.
    pub micros: u64,
    /// By how many µs the wall clock went further than that.
    pub wall_step: i64,
    /// When it was recorded.
    pub now: Now,
    /// The input.
    pub input: Input,
    /// Whom it is about.
    pub about: About,
}

/// Whom an input is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The input itself has it.
    Itself,
    /// A process of this instance.
    ProcessOf(InstanceId),
    /// All records up to the one that this request asked for.
    RecordOf(RequestId),
    /// An unknown subject.
    Unknown,
}

impl Steps {
    /// Takes a segment apart, up to the first block of it that is not whole.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(segment: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::new(segment).map_err(|error| error.to_string())?;
        let (header, engine) = (reader.header().clone(), reader.engine());
        let mut has_apps = engine.table().slots().any(|slot| {
            engine.table().get(slot).is_some_and(|row| row.definition().is_configured())
        });
        let mut names = Names::of(engine.clone());
        let (mut steps, mut last) = (Vec::new(), header.started);
        for line in &mut reader {
            // The engine decides without the machine of the control API.
            let Line::Input { now, input, .. } = line else { continue };
            let micros = now.mono.as_micros().saturating_sub(last.mono.as_micros());
            let wall = now.wall.as_micros().wrapping_sub(last.wall.as_micros()).cast_signed();
            let wall_step = wall.wrapping_sub_unsigned(micros);
            has_apps |= matches!(input, Input::Configured { .. });
            let about = names.about(&input);
            names.follow(now, &input);
            names.forget(&input);
            steps.push(Step { micros, wall_step, now, input, about });
            last = now;
        }
        if has_apps {
            return Err("it has apps or services of a Patrol configuration, which the simulated \
                world of traces does not have: use `openctrl replay`"
                .to_string());
        }
        Ok(Self { header, engine, steps, created: names.created })
    }
}

impl Step {
    /// What may take its place: fewer lines, and less time before it.
    pub fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        if self.wall_step != 0 {
            simpler.push(Self { wall_step: 0, ..self.clone() });
        }
        if self.micros > 0 {
            simpler.push(Self { micros: 0, ..self.clone() });
            simpler.push(Self { micros: self.micros / 2, ..self.clone() });
        }
        if let Input::OutputRead { process, batch } = &self.input {
            for keep in halves_and_all_but_one(batch.items.len()) {
                let mut batch = batch.as_ref().clone();
                batch.items = keep.into_iter().map(|index| batch.items[index].clone()).collect();
                let input = Input::OutputRead { process: *process, batch: Arc::new(batch) };
                simpler.push(Self { input, ..self.clone() });
            }
        }
        simpler
    }
}

/// Which of this many items to keep, at least one.
fn halves_and_all_but_one(count: usize) -> Vec<Vec<usize>> {
    let mut kept = Vec::new();
    if count > 3 {
        kept.extend([(0..count / 2).collect(), (count / 2..count).collect()]);
    }
    if (2..=16).contains(&count) {
        kept.extend((0..count).map(|left_out| (0..count).filter(|it| *it != left_out).collect()));
    }
    kept
}

/// Follows the engine of a recording to find the subjects of its numbers.
struct Names {
    /// Gone when it panicked, which it does at the last input if at all.
    engine: Option<Engine>,
    processes: BTreeMap<ProcessRef, InstanceId>,
    records: BTreeMap<RecordSeq, RequestId>,
    created: BTreeMap<InstanceId, RequestId>,
}

impl Names {
    fn of(engine: Engine) -> Self {
        let table = engine.table();
        let rows = table.slots().filter_map(|slot| Some((slot, table.get(slot)?)));
        let rows = rows.filter(|(_, row)| row.state().has_process());
        let process = rows.map(|(slot, row)| {
            (ProcessRef { slot, generation: row.lifecycle().generation() }, row.definition().id)
        });
        let (processes, created) = (process.collect(), BTreeMap::new());
        let mut names = Self { engine: None, processes, records: BTreeMap::new(), created };
        names.learn_records(&engine);
        names.engine = Some(engine);
        names
    }

    fn about(&self, input: &Input) -> About {
        if let Some(process) = input.process() {
            return self.processes.get(&process).map_or(About::Unknown, |id| About::ProcessOf(*id));
        }
        let Input::RecordsPersisted { upto } = input else { return About::Itself };
        self.records.get(upto).map_or(About::Unknown, |request| About::RecordOf(*request))
    }

    fn follow(&mut self, now: Now, input: &Input) {
        let Some(mut engine) = self.engine.take() else { return };
        let told = catch_unwind(AssertUnwindSafe(|| {
            engine.handle(now, input.clone());
            let effects: Vec<Effect> = std::iter::from_fn(|| engine.poll_effect()).collect();
            (engine, effects)
        }));
        let Ok((engine, effects)) = told else { return };
        for effect in &effects {
            if let Effect::Spawn { process, definition, .. } = effect {
                self.processes.insert(*process, definition.id);
            }
        }
        if effects.iter().any(|effect| matches!(effect, Effect::Persist { .. })) {
            self.learn_records(&engine);
        }
        self.engine = Some(engine);
    }

    /// Input of a process after its exit has no subject.
    fn forget(&mut self, input: &Input) {
        if let Input::StartFailed { process, .. }
        | Input::StartLost { process, .. }
        | Input::ProcessExited { process, .. } = input
        {
            self.processes.remove(process);
        }
    }

    fn learn_records(&mut self, engine: &Engine) {
        for record in engine.under_way().records {
            self.records.insert(record.seq, record.request);
            self.created.extend(created(&record).map(|id| (id, record.request)));
        }
    }
}

/// The instance that a record creates, if it was asked for by a request to create one.
pub(super) fn created(under_way: &RecordUnderWay) -> Option<InstanceId> {
    match &under_way.record {
        Record::PutInstance { definition, .. } if under_way.creates => Some(definition.id),
        Record::PutInstance { .. }
        | Record::RemoveInstance(_)
        | Record::SetDesired { .. }
        | Record::AddRun { .. }
        | Record::PutRuns { .. }
        | Record::PutMaster(_)
        | Record::ReserveEvents(_) => None,
    }
}
