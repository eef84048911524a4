//! Hands the whole engine over to the program that replaces this one: the same as the start of a
//! trace, but with every text as it is and with the runs, which are shown.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::numbers::{count, nth, number_of};
use super::runs::WHYS;
use crate::codec::{decode, encode};
use crate::engine::Engine;
use crate::formats::v2::handed::{EndedRunV2, HandedEngineV2, HandedRunV2, HandedRunsV2};
use crate::formats::{FormatError, Masks};
use crate::ids::{Generation, RunId, SlotId};
use crate::instance::{Run, RunOrigin, RunRecord, Runs};
use crate::master::ApiKey;
use crate::process::Exit;
use crate::time::{Now, Time, Wall};

const ORIGINS: [RunOrigin; 3] = [RunOrigin::Spawned, RunOrigin::Found, RunOrigin::Survivor];

impl Engine {
    /// The engine as bytes for [`Engine::resume`]. It has no pending effects. The bytes contain
    /// secrets.
    pub fn hand_over(&self) -> Vec<u8> {
        let runs = |slot: SlotId| {
            let runs = self.table.get(slot)?.runs();
            let is_empty = runs.current().is_none() && runs.ended().len() == 0;
            (!is_empty).then(|| (slot.0, HandedRunsV2::from(runs)))
        };
        encode(HandedEngineV2 {
            key: self.master.key.reveal().to_string(),
            engine: self.freeze(&mut Masks::plain()),
            runs: self.table.slots().filter_map(runs).collect(),
        })
    }

    /// The engine that was handed over, as it was.
    pub(crate) fn taken_over(bytes: &[u8]) -> Result<Self, FormatError> {
        let HandedEngineV2 { key, engine, runs } = decode(bytes)?;
        let mut engine = Self::thaw(engine)?;
        engine.master.key = ApiKey::from_stored(key);
        for (slot, handed) in runs {
            let row = engine.table.get_mut(SlotId(slot));
            let row = row.ok_or(FormatError::Missing("the instance of a run"))?;
            handed.restore(row.runs_mut())?;
        }
        Ok(engine)
    }
}

impl From<&Runs> for HandedRunsV2 {
    fn from(runs: &Runs) -> Self {
        let record = |record: &RunRecord| EndedRunV2 {
            run: (&record.run).into(),
            ended: words(record.ended),
            exit: match record.exit {
                Exit::Code(code) => Ok(code),
                Exit::Signal(signal) => Err(signal),
            },
            requested: record.requested.map(|why| number_of(&WHYS, why)),
        };
        let current = runs.current().map(Into::into);
        Self { current, ended: runs.ended().map(record).collect() }
    }
}

impl HandedRunsV2 {
    fn restore(self, runs: &mut Runs) -> Result<(), FormatError> {
        let history = u16::try_from(self.ended.len());
        let history = history.map_err(|_| FormatError::TooLarge("the number of past runs"))?;
        for EndedRunV2 { run, ended, exit, requested } in self.ended {
            runs.begin(run.run()?);
            let exit = exit.map_or_else(Exit::Signal, Exit::Code);
            let requested = requested.map(|number| nth(&WHYS, number).copied()).transpose()?;
            runs.end(exit, requested, now(ended), history);
        }
        if let Some(run) = self.current {
            runs.begin(run.run()?);
        }
        Ok(())
    }
}

impl From<&Run> for HandedRunV2 {
    fn from(run: &Run) -> Self {
        let Run { id, generation, origin, started, last_seen } = *run;
        Self {
            id: id.0,
            generation: generation.0,
            origin: number_of(&ORIGINS, origin),
            started: words(started),
            last_seen: words(last_seen),
        }
    }
}

impl HandedRunV2 {
    fn run(self) -> Result<Run, FormatError> {
        let Self { id, generation, origin, started, last_seen } = self;
        Ok(Run {
            id: RunId(id),
            generation: Generation(count(generation)?),
            origin: *nth(&ORIGINS, origin)?,
            started: now(started),
            last_seen: now(last_seen),
        })
    }
}

const fn words(now: Now) -> [u64; 2] {
    [now.mono.as_micros(), now.wall.as_micros()]
}

const fn now([mono, wall]: [u64; 2]) -> Now {
    Now { mono: Time::from_micros(mono), wall: Wall::from_micros(wall) }
}
