//! Deliberate bugs that test whether the simulation finds them
//! (`docs/contributors/SIMULATION.md`).
//!
//! They exist only in a build with `--cfg canary`, and at most one is active at a time. In any
//! other build `is` is a constant, and the compiler removes the code of every bug.

/// A deliberate bug. The code checks each at one place with `canary::is`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// A change is applied and answered one record before its own is durable.
    AnswerBeforeDurable,
    /// The streams of an old key stay open when there is a new one.
    StreamsOutliveKey,
    /// The rest of a process group still runs when the next process is started.
    LeftoverSpared,
    /// A restart does not wait for the process that it stops.
    RestartDuringStop,
    /// Late input of an earlier process counts as input of the current one.
    GenerationUnchecked,
    /// A PUT is answered when it is durable, and once more when its process is there.
    AnsweredTwice,
    /// What waits for an instance that is deleted is never answered.
    WaitingForgotten,
    /// Later changes of an instance build on one that was refused.
    RefusedChangeKept,
    /// Later changes of the master build on one that was refused: an alias brings the key along.
    RefusedKeyKept,
    /// A record that follows a pending reset has the totals from before it.
    StaleTotals,
    /// The counters of a process are not passed to the store.
    TotalsUnsaved,
    /// A record that a crash cut off is taken for a whole one, and so for a damaged one.
    TornTailTaken,
    /// A torn end of a journal also discards the whole record before it.
    RecordLost,
    /// An event id is left out after several log lines at once.
    EventIdSkipped,
    /// Events have the time of a wall clock that was set back.
    TimeGoesBack,
    /// The gauges of a process that exited are still shown.
    GaugesKept,
    /// A new process counts from the reset point of the one before.
    ResetPointKept,
    /// An unterminated last line is dropped at the end of the output.
    LastLineLost,
    /// A process that outlived the master is stopped.
    SurvivorEnded,
    /// An exit that the last master had shown counts once more.
    ExitCountedTwice,
    /// The leases of processes are not renewed.
    LeaseNotRenewed,
    /// A process that lost its lease and exits with code 0 counts as one that ended well.
    LeaseUnnoticed,
    /// The timer of a remaining group is not disarmed.
    TimerLeaked,
    /// A stop does not take back the start that follows a restart.
    StopForgotten,
    /// A process that ignores TERM is never sent KILL.
    GraceNeverKills,
    /// The slot of a deleted instance is not used again.
    SlotLeaked,
    /// A process that could not be started counts as alive.
    AliveMiscounted,
    /// The id of an instance stays reserved after its creation.
    ReservationKept,
    /// A definition counts as staged when its record is durable.
    StagedKept,
    /// A restart that was called off is still shown.
    NextRestartKept,
    /// A dial that waits does not begin when another ends.
    DialNotContinued,
    /// Stored events are shown when the first of them are durable.
    EventsShownEarly,
    /// Of several timers of a rule that are due, only the first fires.
    RuleTimerPassedOver,
    /// A change of an app is applied though its CAS is another one.
    StaleApplied,
    /// A run that the disk refused is not recorded again.
    RunNotKept,
    /// A process that a ping names is believed to be the app's.
    PingBelieved,
    /// An app that stayed silent is started again while its process lives.
    SilentSpared,
    /// A start that was requested counts as the first restart.
    FirstStartCounted,
}

/// Whether the bug is to be there.
#[cfg(not(canary))]
pub(crate) const fn is(_: Canary) -> bool {
    false
}

#[cfg(canary)]
pub use chosen::choose;
#[cfg(canary)]
pub(crate) use chosen::is;

#[cfg(canary)]
impl Canary {
    /// Every one, in the order of the invariants that they break.
    pub const ALL: [Self; 38] = [
        Self::AnswerBeforeDurable,
        Self::StreamsOutliveKey,
        Self::LeftoverSpared,
        Self::RestartDuringStop,
        Self::GenerationUnchecked,
        Self::AnsweredTwice,
        Self::WaitingForgotten,
        Self::RefusedChangeKept,
        Self::RefusedKeyKept,
        Self::StaleTotals,
        Self::TotalsUnsaved,
        Self::TornTailTaken,
        Self::RecordLost,
        Self::EventIdSkipped,
        Self::TimeGoesBack,
        Self::GaugesKept,
        Self::ResetPointKept,
        Self::LastLineLost,
        Self::TimerLeaked,
        Self::StopForgotten,
        Self::GraceNeverKills,
        Self::SurvivorEnded,
        Self::ExitCountedTwice,
        Self::LeaseNotRenewed,
        Self::LeaseUnnoticed,
        Self::SlotLeaked,
        Self::AliveMiscounted,
        Self::ReservationKept,
        Self::StagedKept,
        Self::NextRestartKept,
        Self::DialNotContinued,
        Self::EventsShownEarly,
        Self::RuleTimerPassedOver,
        Self::StaleApplied,
        Self::RunNotKept,
        Self::PingBelieved,
        Self::SilentSpared,
        Self::FirstStartCounted,
    ];

    /// Its name on a command line and in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AnswerBeforeDurable => "answer-before-durable",
            Self::StreamsOutliveKey => "streams-outlive-key",
            Self::LeftoverSpared => "leftover-spared",
            Self::RestartDuringStop => "restart-during-stop",
            Self::GenerationUnchecked => "generation-unchecked",
            Self::AnsweredTwice => "answered-twice",
            Self::WaitingForgotten => "waiting-forgotten",
            Self::RefusedKeyKept => "refused-key-kept",
            Self::RefusedChangeKept => "refused-change-kept",
            Self::StaleTotals => "stale-totals",
            Self::TotalsUnsaved => "totals-unsaved",
            Self::TornTailTaken => "torn-tail-taken",
            Self::RecordLost => "record-lost",
            Self::EventIdSkipped => "event-id-skipped",
            Self::TimeGoesBack => "time-goes-back",
            Self::GaugesKept => "gauges-kept",
            Self::ResetPointKept => "reset-point-kept",
            Self::LastLineLost => "last-line-lost",
            Self::SurvivorEnded => "survivor-ended",
            Self::ExitCountedTwice => "exit-counted-twice",
            Self::LeaseNotRenewed => "lease-not-renewed",
            Self::LeaseUnnoticed => "lease-unnoticed",
            Self::TimerLeaked => "timer-leaked",
            Self::StopForgotten => "stop-forgotten",
            Self::GraceNeverKills => "grace-never-kills",
            Self::SlotLeaked => "slot-leaked",
            Self::AliveMiscounted => "alive-miscounted",
            Self::ReservationKept => "reservation-kept",
            Self::StagedKept => "staged-kept",
            Self::NextRestartKept => "next-restart-kept",
            Self::DialNotContinued => "dial-not-continued",
            Self::EventsShownEarly => "events-shown-early",
            Self::RuleTimerPassedOver => "rule-timer-passed-over",
            Self::StaleApplied => "stale-applied",
            Self::RunNotKept => "run-not-kept",
            Self::PingBelieved => "ping-believed",
            Self::SilentSpared => "silent-spared",
            Self::FirstStartCounted => "first-start-counted",
        }
    }

    /// The one of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|canary| canary.name() == name)
    }
}

/// The active bug: global state, and the reason why it exists in this build only.
#[cfg(canary)]
mod chosen {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Canary;

    const NONE: u8 = u8::MAX;
    static CHOSEN: AtomicU8 = AtomicU8::new(NONE);

    /// Lets this bug be there, or none.
    pub fn choose(canary: Option<Canary>) {
        CHOSEN.store(canary.map_or(NONE, |canary| canary as u8), Ordering::Relaxed);
    }

    pub(crate) fn is(canary: Canary) -> bool {
        CHOSEN.load(Ordering::Relaxed) == canary as u8
    }
}
