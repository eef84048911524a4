//! The actions that a step of an instance requests from the supervisor.

use core::fmt;

/// An action of the supervisor. The actions of one step are carried out in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The process exited: disarm the timer of its stop, and handle the rest of its group.
    Release,
    /// Zero `ping pool tcps udps`.
    ClearLive,
    /// Arm the restart timer, unless it is armed or the limit of restarts is reached.
    ScheduleRestart,
    /// Disarm the restart timer.
    CancelRestart,
    /// Take a new generation for a process that is there, and watch it.
    Adopt,
    /// Take a new generation, put counters on their new base, start a process.
    Spawn,
    /// Send the first signal of the stop policy and arm the timer of its step.
    FirstStep,
    /// Send the next signal of the stop policy and arm the timer of its step.
    NextStep,
    /// Publish the instance to the subscribers.
    Publish,
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Actions(u16);

impl Action {
    const ALL: [Self; 9] = [
        Self::Release,
        Self::ClearLive,
        Self::ScheduleRestart,
        Self::CancelRestart,
        Self::Adopt,
        Self::Spawn,
        Self::FirstStep,
        Self::NextStep,
        Self::Publish,
    ];
}

impl Actions {
    /// Nothing to do.
    pub const NONE: Self = Self(0);

    /// These actions.
    pub const fn of(actions: &[Action]) -> Self {
        let (mut bits, mut place) = (0, 0);
        while place < actions.len() {
            bits |= 1 << actions[place] as u16;
            place += 1;
        }
        Self(bits)
    }

    /// These and others.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether there is no action.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `action` is among them.
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u16) != 0
    }

    /// The actions, in the order in which they are done.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |action| self.contains(*action))
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
