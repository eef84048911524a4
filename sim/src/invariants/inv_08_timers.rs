//! INV-8: every armed timer belongs to something that waits for it, so that their number is
//! bounded by the instances and requests there are.

use openctrl_core::engine::{Input, TimerReason};
use openctrl_core::ids::SlotId;
use openctrl_core::instance::{Goal, Instance, Process, Restart, State};

use super::{Invariant, Scene, Verdict, ensure};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Timers;

impl Invariant for Timers {
    fn id(&self) -> &'static str {
        "INV-8"
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        let (mut ticks, mut schedules) = (0, 0);
        for (at, reason) in scene.engine.timers() {
            ticks += u32::from(reason == TimerReason::Tick);
            if let TimerReason::Schedule(slot) = reason {
                schedules += 1;
                let row = scene.engine.table().get(slot);
                ensure(row.is_some_and(has_next_time) || scene.oracle.shutdowns > 0, || {
                    format!("{slot:?} shows no next time, and a timer is armed for {at:?}")
                })?;
            }
            ensure(is_waited_for(scene, reason), || {
                format!("nobody waits for {reason:?} at {at:?}")
            })?;
        }
        // Of a slot there is one such timer, so these are all instances that show a time.
        let shown = scene.instances().filter(|row| has_next_time(row)).count();
        ensure(shown == schedules || scene.oracle.shutdowns > 0, || {
            format!("{shown} instances show their next time, and {schedules} timers are armed")
        })?;
        let expected = u32::from(!scene.oracle.finished);
        ensure(ticks == expected, || format!("{ticks} ticks are armed, not {expected}"))
    }
}

fn has_next_time(row: &Instance) -> bool {
    row.facts().next_run.as_ref().is_some_and(|next| next.at.is_some())
}

fn is_waited_for(scene: Scene<'_>, reason: TimerReason) -> bool {
    let of = |slot: SlotId, waits: fn(&Instance) -> bool| {
        scene.engine.table().get(slot).is_some_and(waits)
    };
    match reason {
        TimerReason::Tick => true,
        // Only instances of a Patrol configuration have these, and the world has none.
        TimerReason::Look(_)
        | TimerReason::BeatDue(_)
        | TimerReason::Hold(_)
        | TimerReason::RunLimit(_) => false,
        TimerReason::StopStep(slot) => of(slot, |row| row.state().process == Process::Ending),
        TimerReason::Leftover(slot) => {
            of(slot, |row| row.lifecycle().group_left() && !row.state().has_process())
        }
        TimerReason::Restart(slot) => of(slot, |row| match row.definition().policy.restart {
            Restart::Never => false,
            Restart::OnFailure => matches!(row.state(), State::FAILED | State::FAILING),
            Restart::Always => {
                matches!(row.state(), State::FAILED | State::FAILING | State::STOPPED)
            }
        }),
        TimerReason::DialWait(request) => {
            let asked = scene.oracle.ledger.asked.get(&request);
            asked.is_some_and(|asked| asked.answers == 0)
        }
        TimerReason::ShutdownLimit | TimerReason::ShutdownOrder => scene.oracle.shutdowns > 0,
        TimerReason::Ready(slot) | TimerReason::ReadyLimit(slot) => {
            of(slot, |row| row.state().has_process() && row.definition().checks.ready.is_some())
        }
        TimerReason::Schedule(slot) => of(slot, |row| {
            let is_wanted = row.desired().goal == Goal::Up;
            is_wanted && row.definition().checks.schedule.is_some()
        }),
        TimerReason::Recovered(slot) => of(slot, |row| row.alarm().in_error()),
        TimerReason::FilesChanged(slot) => {
            of(slot, |row| row.watching().is_on && row.watching().changed.is_some())
        }
        TimerReason::Redeliver(hook) => {
            scene.engine.webhook(hook).is_some_and(|hook| hook.waiting() > 0)
        }
        TimerReason::Live(slot) => {
            of(slot, |row| row.state().has_process() && row.definition().checks.live.is_some())
        }
    }
}
