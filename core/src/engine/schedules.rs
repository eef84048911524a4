//! Instances that are started at the times of a schedule.
//!
//! The offsets of time zones are facts from the driver, which is asked once for each zone. Deadlines
//! are monotonic: every tick sets those right for which the wall clock was set.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::effect::Effect;
use super::operations::Operations;
use super::timers::TimerReason;
use super::zones::KnownZone;
use crate::ids::SlotId;
use crate::instance::{Goal, Instance, NextRun, Zone};
use crate::limits::CLOCK_SLACK_MS;
use crate::time::{Time, Wall};

impl Operations<'_> {
    /// Arms the next time of an instance that is wanted and has a schedule, if none is armed, and
    /// disarms that of any other.
    pub(super) fn keep_schedule(&mut self, slot: SlotId) {
        let Some(instance) = self.table.get(slot) else { return };
        let is_wanted = self.life.is_serving() && instance.desired().goal == Goal::Up;
        let schedule = instance.definition().checks.schedule.as_ref().filter(|_| is_wanted);
        let Some(schedule) = schedule else {
            if instance.facts().next_run.is_some() {
                self.timers.cancel(TimerReason::Schedule(slot));
                self.show_next_run(slot, None);
            }
            return;
        };
        if self.timers.is_armed(TimerReason::Schedule(slot)) {
            return;
        }
        let next = match self.zones.0.get(&schedule.zone) {
            Some(None) => return,
            None => {
                let name = schedule.zone.clone();
                self.zones.0.insert(name.clone(), None);
                return self.out.push(Effect::ReadZone { name });
            }
            Some(Some(KnownZone::Missing)) => {
                let text =
                    format!("a time zone {:?}, which this machine does not have", schedule.zone);
                NextRun { at: None, text: text.into() }
            }
            Some(Some(KnownZone::Offsets(zone))) => {
                let at = schedule.next(zone, self.now.wall);
                let mut text = at.map_or_else(String::new, |at| zone.show(at));
                // In the zone of the system unless it is named.
                if at.is_some() && !schedule.zone.is_empty() {
                    let _ = write!(text, " {}", schedule.zone);
                }
                NextRun { at, text: text.into() }
            }
        };
        if let Some(at) = next.at {
            self.timers.arm(TimerReason::Schedule(slot), self.deadline(at));
        }
        self.show_next_run(slot, Some(next));
    }

    /// A time of a schedule may have come: starts the instance, unless its process is there.
    pub(super) fn schedule_due(&mut self, slot: SlotId) {
        let Some(instance) = self.table.get_mut(slot) else { return };
        let Some(at) = instance.facts().next_run.as_ref().and_then(|next| next.at) else { return };
        if at > self.now.wall {
            // The wall clock was set back.
            return self.timers.arm(TimerReason::Schedule(slot), self.deadline(at));
        }
        let has_process = instance.state().has_process();
        if !has_process {
            instance.desired_mut().restart = true;
            instance.lifecycle_mut().reset_backoff();
            instance.forgive_restarts();
        } else if let Some(mut supervisor) = self.supervise(slot) {
            supervisor.note(STILL_RUNNING);
        }
        self.keep_schedule(slot);
    }

    /// A time zone was read.
    pub(super) fn zone_read(&mut self, name: String, zone: Option<Zone>) {
        let known = zone.map_or(KnownZone::Missing, KnownZone::Offsets);
        let is_in = |row: &Instance| {
            row.definition().checks.schedule.as_ref().is_some_and(|it| it.zone == name)
        };
        let slots = self.table.slots().filter(|slot| self.table.get(*slot).is_some_and(is_in));
        let slots: Vec<SlotId> = slots.collect();
        self.zones.0.insert(name, Some(known));
        self.settle_all(slots);
    }

    /// Sets deadlines right that the wall clock has left.
    pub(super) fn correct_schedules(&mut self) {
        let scheduled = self.timers.armed().filter_map(|(deadline, reason)| {
            let TimerReason::Schedule(slot) = reason else { return None };
            Some((deadline, slot))
        });
        for (deadline, slot) in scheduled.collect::<Vec<_>>() {
            let next = self.table.get(slot).and_then(|row| row.facts().next_run.as_ref()?.at);
            let Some(wanted) = next.map(|at| self.deadline(at)) else { continue };
            let apart = wanted.ms_since(deadline).max(deadline.ms_since(wanted));
            if apart > CLOCK_SLACK_MS {
                self.timers.arm(TimerReason::Schedule(slot), wanted);
            }
        }
    }

    /// When the wall clock will show this, as far as is known.
    fn deadline(&self, at: Wall) -> Time {
        let micros = at.as_micros().saturating_sub(self.now.wall.as_micros());
        Time::from_micros(self.now.mono.as_micros().saturating_add(micros))
    }

    fn show_next_run(&mut self, slot: SlotId, next: Option<NextRun>) {
        if let Some(mut supervisor) = self.supervise(slot) {
            supervisor.facts().set_next_run(next.map(Box::new));
            supervisor.show_facts();
        }
    }
}

/// The line in the log of an instance that runs when its time comes.
const STILL_RUNNING: &str = "not started by its schedule: its process still runs";
