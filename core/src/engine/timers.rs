//! Deadlines, each with the reason it was set for. One per reason.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::ids::{RequestId, SlotId};
use crate::time::Time;
use crate::webhook::HookId;

/// The purpose of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerReason {
    /// The periodic check of silent instances and unsaved totals.
    Tick,
    /// The time of a step of a stop is over.
    StopStep(SlotId),
    /// The grace period of the rest of a process group.
    Leftover(SlotId),
    /// A failed instance is due for a restart.
    Restart(SlotId),
    /// It is time to look whether an instance runs.
    Look(SlotId),
    /// A report of an instance may be overdue.
    BeatDue(SlotId),
    /// Instances that run already have had the time to report.
    Hold(SlotId),
    /// A run has taken as long as it may.
    RunLimit(SlotId),
    /// A TCP ping has waited long enough for its turn.
    DialWait(RequestId),
    /// The shutdown has taken long enough.
    ShutdownLimit,
    /// A process is asked whether it is ready, or is ready by now.
    Ready(SlotId),
    /// A process ought to be ready by now.
    ReadyLimit(SlotId),
    /// A process is asked whether it still works.
    Live(SlotId),
    /// A time of the schedule of an instance came.
    Schedule(SlotId),
    /// An instance has been well for long enough for its error to be over.
    Recovered(SlotId),
    /// Watched files have been quiet for long enough, or have changed for too long.
    FilesChanged(SlotId),
    /// A webhook is tried again.
    Redeliver(HookId),
    /// What others start after has been kept running long enough during a shutdown.
    ShutdownOrder,
}

/// All armed timers.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Time, TimerReason)>,
    by_reason: BTreeMap<TimerReason, Time>,
}

impl Timers {
    /// Arms a timer, instead of one for the same reason.
    pub(super) fn arm(&mut self, reason: TimerReason, at: Time) {
        self.cancel(reason);
        self.by_time.insert((at, reason));
        self.by_reason.insert(reason, at);
    }

    /// Disarms a timer, if it is armed, and returns when it was due.
    pub(super) fn cancel(&mut self, reason: TimerReason) -> Option<Time> {
        let at = self.by_reason.remove(&reason)?;
        self.by_time.remove(&(at, reason));
        Some(at)
    }

    /// Disarms every timer of an instance.
    pub(super) fn disarm_all(&mut self, slot: SlotId) {
        for reason in [
            TimerReason::StopStep(slot),
            TimerReason::Leftover(slot),
            TimerReason::Restart(slot),
            TimerReason::Look(slot),
            TimerReason::BeatDue(slot),
            TimerReason::Hold(slot),
            TimerReason::RunLimit(slot),
            TimerReason::Ready(slot),
            TimerReason::ReadyLimit(slot),
            TimerReason::Live(slot),
            TimerReason::Schedule(slot),
            TimerReason::Recovered(slot),
            TimerReason::FilesChanged(slot),
        ] {
            self.cancel(reason);
        }
    }

    /// Whether a timer is armed.
    pub(super) fn is_armed(&self, reason: TimerReason) -> bool {
        self.by_reason.contains_key(&reason)
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<(Time, TimerReason)> {
        self.by_time.first().copied()
    }

    /// Disarms and returns a timer that is due, with the time that it was due at.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Time, TimerReason)> {
        let (at, reason) = self.next()?;
        if at > now {
            return None;
        }
        self.cancel(reason);
        Some((at, reason))
    }

    /// Whether every deadline has its reason, and every reason its deadline.
    pub(super) fn is_consistent(&self) -> bool {
        let is_known = |(at, reason): &(Time, TimerReason)| self.by_reason.get(reason) == Some(at);
        self.by_time.len() == self.by_reason.len() && self.by_time.iter().all(is_known)
    }

    /// Every armed timer, earliest first.
    pub(super) fn armed(&self) -> impl Iterator<Item = (Time, TimerReason)> + '_ {
        self.by_time.iter().copied()
    }
}
