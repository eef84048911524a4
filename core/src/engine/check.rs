//! What must hold inside the engine between two inputs, whatever happened.
//!
//! Simulations ask after every input, the driver at every 1024th, so each part visits a row
//! or a timer once and allocates only what it compares. Each part has a bug of its own in `canary`.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::commits::{Change, Commit};
use super::{Engine, Life, TimerReason};
use crate::command::InstanceAction;
use crate::ids::{Generation, InstanceId, RecordSeq, RequestId, SlotId};
use crate::instance::{Instance, Process};
use crate::limits::DIALS_MAX;

/// The engine contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The part of the engine, such as `timers`.
    pub part: &'static str,
    /// What contradicts what.
    pub what: String,
}

/// What is on its way of one instance.
#[derive(Clone, Copy, Debug, Default)]
struct OnItsWay {
    /// Records of its definition, and how many of them reset its totals.
    records: u32,
    resets: u32,
    /// Changes of what is wanted.
    desires: u32,
    /// The request of the last operation.
    operation: Option<RequestId>,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the engine contradicts itself ({}): {}", self.part, self.what)
    }
}

impl Engine {
    /// Checks the engine between two inputs, once its effects were taken. It takes time linear in
    /// instances, timers and changes on their way.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), Contradiction> {
        let of = |part| move |what| Contradiction { part, what };
        self.check_table().map_err(of("table"))?;
        self.check_processes().map_err(of("processes"))?;
        self.check_commits().map_err(of("commits"))?;
        self.check_staged().map_err(of("staged changes"))?;
        let dial_limits = self.check_timers().map_err(of("timers"))?;
        self.check_dials(dial_limits).map_err(of("dials"))
    }

    /// Every slot is free or taken, and every id leads to its slot.
    fn check_table(&self) -> Result<(), String> {
        let (rows, free) = self.table.parts();
        let taken = rows.iter().flatten().count();
        let mut is_known = vec![false; if free.is_empty() { 0 } else { rows.len() }];
        let is_distinct = free.iter().all(|slot| {
            is_known.get_mut(slot.0 as usize).is_some_and(|known| !core::mem::replace(known, true))
        });
        ensure(is_distinct && taken + free.len() == rows.len(), || {
            format!("{} slots, {taken} taken, {} free", rows.len(), free.len())
        })?;
        // As many ids as instances, each of which leads to its own: all of them.
        ensure(self.table.len() == taken, || {
            format!("{} ids lead to {taken} instances", self.table.len())
        })?;
        for (id, slot) in self.table.ids() {
            let found = self.table.get(slot).map(|instance| instance.definition().id);
            ensure(found == Some(id), || format!("{id} leads to {slot:?}, which has {found:?}"))?;
        }
        Ok(())
    }

    /// The count of processes is that of the rows, and no two rows have the same process.
    fn check_processes(&self) -> Result<(), String> {
        let (mut alive, mut generations) = (0, Vec::with_capacity(self.table.len()));
        for (_, instance) in self.rows() {
            // A service is no process of the master.
            let is_service = instance.definition().is_service();
            alive += usize::from(instance.state().has_process() && !is_service);
            let (id, generation) = (instance.definition().id, instance.lifecycle().generation());
            generations.extend((generation != Generation::default()).then_some(generation));
            ensure(generation <= self.processes.last_generation, || {
                format!("{generation:?} of {id} was never given")
            })?;
            let waits = instance.queue().awaiting_start().len() > 0;
            ensure(!waits || instance.state().is_spawning(), || {
                format!("requests wait for a start of {id}, which is {:?}", instance.state())
            })?;
        }
        generations.sort_unstable();
        let shared = generations.windows(2).find(|pair| pair[0] == pair[1]);
        ensure(shared.is_none(), || format!("two instances have a generation: {shared:?}"))?;
        ensure(alive == self.processes.alive, || {
            format!("{alive} instances have a process, {} are counted", self.processes.alive)
        })
    }

    /// Changes on their way are in order, and what they reserve is what is reserved.
    fn check_commits(&self) -> Result<(), String> {
        let (mut last, mut creates, mut is_master) = (RecordSeq(0), BTreeSet::new(), false);
        for Commit { seq, change, .. } in &self.commits.queue {
            ensure(*seq > last && *seq <= self.commits.last_seq, || {
                format!("{seq:?} follows {last:?}, the last is {:?}", self.commits.last_seq)
            })?;
            last = *seq;
            match change {
                Change::Create(definition) | Change::Configure(definition, _) => {
                    creates.insert(definition.id);
                }
                Change::SetAlias(_) | Change::RotateKey(_) => is_master = true,
                Change::Patch { .. }
                | Change::Replace { .. }
                | Change::Delete(_)
                | Change::Desire { .. }
                | Change::Shown { .. } => {}
            }
        }
        ensure(creates == self.commits.reserved, || {
            format!("{creates:?} are being created, {:?} are reserved", self.commits.reserved)
        })?;
        let taken = |id: &&InstanceId| self.table.find(**id).is_some();
        let taken = creates.iter().find(taken);
        ensure(taken.is_none(), || format!("{taken:?} is being created and exists"))?;
        ensure(self.commits.staged_master.is_some() == is_master, || {
            "the newest identity does not belong to a change on its way".to_string()
        })
    }

    /// What an instance has staged belongs to its records on their way.
    fn check_staged(&self) -> Result<(), String> {
        let under_way = self.under_way_by_slot();
        for (slot, instance) in self.rows() {
            let id = instance.definition().id;
            let versions = instance.versions();
            let on_its_way = under_way.get(slot.0 as usize).copied().unwrap_or_default();
            let OnItsWay { records: count, resets, desires, operation } = on_its_way;
            let (unsaved, unsaved_resets) = (versions.unsaved_records(), versions.unsaved_resets());
            // After the end of the master, what was refused is not put right.
            let is_counted = unsaved == count && unsaved_resets == resets;
            ensure(is_counted || self.life == Life::Finished, || {
                format!(
                    "{id} has {count} records on their way with {resets} resets, and counts {unsaved} with {unsaved_resets}"
                )
            })?;
            let has_staged = versions.staged().is_some() || versions.staged_goal().is_some();
            ensure(!has_staged || unsaved > 0, || format!("{id} has staged what no record holds"))?;
            let (presence, count) = (instance.presence(), desires);
            let pending = presence.pending;
            let is_counted = pending == count && presence.staged.is_some() == (count > 0);
            ensure(is_counted || self.life == Life::Finished, || {
                format!("{id} has {count} changes of what is wanted on their way, counts {pending}")
            })?;
            let mut queue = instance.queue().operations();
            let first = queue.next().filter(|first| first.committing);
            let first = first.map(|first| first.request);
            ensure(first == operation, || {
                format!(
                    "the operation of {id} on its way is {first:?}, and its record is another's"
                )
            })?;
            ensure(queue.all(|later| !later.committing), || {
                format!("an operation of {id} overtook another")
            })?;
        }
        Ok(())
    }

    /// Changes on their way, by slot. Empty if there are none.
    fn under_way_by_slot(&self) -> Vec<OnItsWay> {
        if self.commits.queue.is_empty() {
            return Vec::new();
        }
        let mut by_slot = vec![OnItsWay::default(); self.table.parts().0.len()];
        for Commit { change, request, .. } in &self.commits.queue {
            let (slot, counted): (SlotId, fn(&mut OnItsWay, RequestId)) = match change {
                Change::Patch { slot, action: Some(InstanceAction::Reset), .. } => {
                    (*slot, |of, _| (of.records, of.resets) = (of.records + 1, of.resets + 1))
                }
                Change::Patch { slot, .. } => (*slot, |of, _| of.records += 1),
                Change::Replace { slot, .. } => (*slot, |of, request| {
                    (of.records, of.operation) = (of.records + 1, Some(request));
                }),
                Change::Delete(slot) => (*slot, |of, request| of.operation = Some(request)),
                Change::Desire { slot, .. } => (*slot, |of, _| of.desires += 1),
                Change::Create(_)
                | Change::Configure(..)
                | Change::Shown { .. }
                | Change::SetAlias(_)
                | Change::RotateKey(_) => continue,
            };
            by_slot.get_mut(slot.0 as usize).into_iter().for_each(|of| counted(of, *request));
        }
        by_slot
    }

    /// Timers belong to what waits for them. Returns how many are for waiting dials.
    fn check_timers(&self) -> Result<usize, String> {
        ensure(self.timers.is_consistent(), || "a deadline lacks its reason".to_string())?;
        let (mut dial_limits, mut is_limited) = (0, false);
        // By slot: whether a restart is armed, and whether a step of a stop is.
        let mut armed = vec![(false, false); self.table.parts().0.len()];
        for (_, reason) in self.timers.armed() {
            let slot = match reason {
                TimerReason::StopStep(slot)
                | TimerReason::Leftover(slot)
                | TimerReason::Restart(slot)
                | TimerReason::Look(slot)
                | TimerReason::BeatDue(slot)
                | TimerReason::Hold(slot)
                | TimerReason::RunLimit(slot)
                | TimerReason::Ready(slot)
                | TimerReason::Schedule(slot)
                | TimerReason::ReadyLimit(slot)
                | TimerReason::Recovered(slot)
                | TimerReason::FilesChanged(slot)
                | TimerReason::Live(slot) => slot,
                TimerReason::Tick | TimerReason::ShutdownOrder | TimerReason::Redeliver(_) => {
                    continue;
                }
                TimerReason::DialWait(_) => {
                    dial_limits += 1;
                    continue;
                }
                TimerReason::ShutdownLimit => {
                    is_limited = true;
                    continue;
                }
            };
            let is_live = self.table.get(slot).is_some();
            ensure(is_live, || format!("{reason:?} belongs to no instance"))?;
            let (has_restart, has_step) = &mut armed[slot.0 as usize];
            *has_restart |= matches!(reason, TimerReason::Restart(_));
            *has_step |= matches!(reason, TimerReason::StopStep(_));
        }
        if self.life == Life::Finished {
            return Ok(dial_limits);
        }
        ensure(is_limited != self.life.is_serving(), || "the shutdown has no limit".to_string())?;
        for (slot, instance) in self.rows() {
            let (id, facts) = (instance.definition().id, instance.facts());
            let (is_armed, has_step) = armed[slot.0 as usize];
            ensure(is_armed == facts.next_restart.is_some(), || {
                format!(
                    "a restart of {id} is shown, or due, but not both: {:?}",
                    facts.next_restart
                )
            })?;
            let is_ending = instance.state().process == Process::Ending;
            // A configuration has no last resort, and a service is ended by a command of its own.
            let definition = instance.definition();
            let steps_done = usize::from(instance.lifecycle().steps_done());
            let is_through = definition.is_configured()
                && (definition.is_service() || steps_done >= definition.policy.stop.steps().len());
            ensure(has_step == is_ending || is_ending && is_through, || {
                format!("{id} is {:?}, and a step of its stop is due: {has_step}", instance.state())
            })?;
        }
        Ok(dial_limits)
    }

    /// A dial waits only while all are under way, and only for so long.
    fn check_dials(&self, limits: usize) -> Result<(), String> {
        let (under_way, waiting) = (&self.dials.under_way, &self.dials.waiting);
        let is_full = under_way.len() == DIALS_MAX;
        ensure(is_full || under_way.len() < DIALS_MAX && waiting.is_empty(), || {
            format!("{} dials are under way, and {} wait", under_way.len(), waiting.len())
        })?;
        let forgotten = waiting.iter().find(|(request, _)| {
            under_way.contains_key(request)
                || !self.timers.is_armed(TimerReason::DialWait(*request))
        });
        ensure(forgotten.is_none(), || format!("{forgotten:?} waits without a limit"))?;
        ensure(limits == waiting.len(), || {
            format!("{limits} timers are for {} waiting dials", waiting.len())
        })
    }

    fn rows(&self) -> impl Iterator<Item = (SlotId, &Instance)> {
        let (rows, _) = self.table.parts();
        (0..).map(SlotId).zip(rows).filter_map(|(slot, row)| Some((slot, row.as_ref()?)))
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}
