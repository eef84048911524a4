//! The life cycle of an instance: its state, its process, and its restarts.

use alloc::collections::VecDeque;

use rand_chacha::ChaCha8Rng;

use super::policy::{BackoffPolicy, RESTARTS_MAX, RestartLimit};
use super::state::State;
use crate::backoff::Backoff;
use crate::ids::Generation;
use crate::limits::HEALTHY_DELAYS;
use crate::time::Time;

/// The part of an instance that its supervisor moves.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    pub(super) state: State,
    pub(super) generation: Generation,
    /// How many steps of the stop under way were done; one more than there are once the process
    /// counts as one that cannot be killed.
    pub(super) steps_done: u8,
    /// A process of the group of `generation` may be left, though its leader exited.
    pub(super) group_left: bool,
    /// Since when the current process is well.
    pub(super) healthy_since: Option<Time>,
    pub(super) backoff: Backoff,
    /// When the last restarts after a failure were, as far as a limit counts them; oldest first.
    pub(super) restarts: VecDeque<Time>,
    pub(super) gave_up: bool,
}

impl Default for Lifecycle {
    /// No process yet.
    fn default() -> Self {
        Self {
            state: State::STOPPED,
            generation: Generation::default(),
            steps_done: 0,
            group_left: false,
            healthy_since: None,
            backoff: Backoff::default(),
            restarts: VecDeque::new(),
            gave_up: false,
        }
    }
}

impl Lifecycle {
    /// Its process and its health.
    pub const fn state(&self) -> State {
        self.state
    }

    /// The number of its process, or of the last one.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// A process of the group of the last generation may be left, though its leader exited.
    pub const fn group_left(&self) -> bool {
        self.group_left
    }

    /// Whether its limit of restarts was reached: it is not restarted until it is started by
    /// request or recovers.
    pub const fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// How many steps of the stop under way were done; one more than there are once the process
    /// counts as one that cannot be killed.
    pub const fn steps_done(&self) -> u8 {
        self.steps_done
    }

    /// Moves it to its next state; returns the one before.
    pub fn enter(&mut self, next: State, now: Time) -> State {
        if next == State::RUNNING && self.state != State::RUNNING {
            self.healthy_since = Some(now);
        }
        core::mem::replace(&mut self.state, next)
    }

    /// The actions of a step are done: an instance that is no longer healthy has no healthy time.
    pub fn step_is_done(&mut self) {
        if self.state != State::RUNNING {
            self.healthy_since = None;
        }
    }

    /// A process with this number begins.
    pub const fn begin(&mut self, generation: Generation) {
        self.generation = generation;
    }

    /// The stop under way has done its step with this index.
    pub const fn stop_step_done(&mut self, index: u8) {
        self.steps_done = index + 1;
    }

    /// Whether something of its group is left.
    pub const fn set_group_left(&mut self, group_left: bool) {
        self.group_left = group_left;
    }

    /// Whether something of its group was left, which it is no longer.
    pub const fn take_group_left(&mut self) -> bool {
        core::mem::replace(&mut self.group_left, false)
    }

    /// The delay before the next restart, in ms.
    pub fn next_delay_ms(
        &mut self,
        backoff: BackoffPolicy,
        now: Time,
        rng: &mut ChaCha8Rng,
    ) -> u64 {
        let BackoffPolicy { first_ms, longest_ms, healthy_ms, prompt_ms } = backoff;
        if let Some(since) = self.healthy_since.take() {
            let well_ms = now.ms_since(since);
            let last_ms = self.backoff.last_delay_ms(first_ms, longest_ms);
            if well_ms >= healthy_ms.max(last_ms.saturating_mul(HEALTHY_DELAYS)) {
                self.backoff.reset();
            }
            if prompt_ms.is_some_and(|prompt_ms| well_ms >= prompt_ms) {
                return 0;
            }
        }
        self.backoff.next_delay_ms(first_ms, longest_ms, rng)
    }

    /// The next delay is a first one.
    pub fn reset_backoff(&mut self) {
        self.backoff.reset();
    }

    /// A restart after a failure is carried out, which counts for a limit.
    pub fn count_restart(&mut self, now: Time) {
        self.restarts.push_back(now);
    }

    /// Whether another restart would be one too many; if so, it gives up.
    pub fn gives_up(&mut self, limit: RestartLimit, now: Time) -> bool {
        self.restarts.retain(|at| now.ms_since(*at) < limit.window_ms);
        self.gave_up = self.restarts.len() >= limit.max.min(RESTARTS_MAX) as usize;
        self.gave_up
    }

    /// It is well again without a restart.
    pub const fn recovered(&mut self) {
        self.gave_up = false;
    }

    /// Restarts are counted afresh.
    pub fn forgive(&mut self) {
        self.restarts.clear();
        self.gave_up = false;
    }
}
