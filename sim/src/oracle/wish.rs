//! The desired state of one instance, in the order in which requests took effect.

use openctrl_core::ids::RequestId;
use openctrl_core::instance::{Goal, Instance, OperationKind, State};

/// Whether an instance should run, and the pending PUTs that start it.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Whether it should run.
    pub running: bool,
    /// Whether its last process exited with code 0 unasked and is restarted by policy.
    pub ended_clean: bool,
    /// Whether a start was requested and waits for the end of a process.
    pub start_waits: bool,
    /// Whether the process that was started last exited with code 0 unasked.
    pub has_ended: bool,
    /// PUTs under way, oldest first, each with whether it starts the instance.
    puts: Vec<(RequestId, bool)>,
    /// The newest request that stopped it.
    last_stop: Option<RequestId>,
    /// The newest request to start or restart it.
    last_start: Option<RequestId>,
    /// The newest of them that made it run.
    last_run: Option<RequestId>,
    /// Bulk starts and restarts that took effect on it and wait for other instances.
    taken_starts: Vec<RequestId>,
}

impl Wish {
    /// The desired state of a new instance.
    pub fn new(running: bool) -> Self {
        Self { running, ..Self::default() }
    }

    /// The desired state of a running instance, as far as it knows.
    pub fn of(instance: &Instance) -> Self {
        let is_left = !instance.definition().restarts() || instance.lifecycle().gave_up();
        let is_left_failed = instance.state() == State::FAILED && is_left;
        let waits_for_time =
            instance.definition().checks.schedule.is_some() && instance.desired().goal == Goal::Up;
        let running = waits_for_time
            || instance.wants_to_run()
            || instance.desired().restart
            || is_left_failed;
        let ended_clean = instance.state() == State::STOPPED && instance.wants_to_run();
        let puts = instance.queue().operations().filter_map(|operation| match operation.kind {
            OperationKind::Replace(_) => Some((operation.request, operation.starts)),
            OperationKind::Delete | OperationKind::Redefine(_) => None,
        });
        let start_waits = instance.desired().restart;
        Self { running, ended_clean, start_waits, puts: puts.collect(), ..Self::default() }
    }

    /// A stop took effect: also for older PUTs that are under way, unless a newer request started
    /// the instance before this one was durable or answered. `was_pending`: whether the disk had it
    /// until now. If not, a newer start that found the instance running changed nothing.
    pub fn stop(&mut self, request: RequestId, was_pending: bool) {
        let newest = if was_pending {
            self.last_start.max(self.taken_starts.iter().max().copied())
        } else {
            self.last_run
        };
        if newest > Some(request) {
            return;
        }
        self.last_stop = self.last_stop.max(Some(request));
        self.running = false;
        self.start_waits = false;
        let older = self.puts.iter_mut().filter(|(put, _)| *put < request);
        older.for_each(|(_, starts)| *starts = false);
    }

    /// A start or restart took effect, unless a newer request stopped the instance before. `runs`:
    /// whether it makes the instance run that did not. `waits`: whether no process was started yet.
    pub fn start(&mut self, request: RequestId, runs: bool, waits: bool) {
        if self.last_stop > Some(request) {
            return;
        }
        self.last_start = self.last_start.max(Some(request));
        if runs {
            self.last_run = self.last_run.max(Some(request));
        }
        self.running |= runs;
        self.start_waits |= runs && waits;
    }

    /// A bulk start or restart took effect on it, before all of the request is answered.
    pub fn start_taken(&mut self, request: RequestId) {
        self.taken_starts.push(request);
    }

    /// All of a bulk start or restart is answered or refused.
    pub fn start_answered(&mut self, request: RequestId) {
        self.taken_starts.retain(|taken| *taken != request);
    }

    /// A process is started.
    pub const fn spawned(&mut self) {
        self.ended_clean = false;
        self.start_waits = false;
        self.has_ended = false;
    }

    /// Its process exited with code 0 unasked. `is_restarted`: whether its policy starts it again.
    /// `is_scheduled`: whether it is started at the next time of its schedule.
    pub const fn ended(&mut self, is_restarted: bool, is_scheduled: bool) {
        self.ended_clean = is_restarted;
        self.has_ended = true;
        self.running &= is_restarted || is_scheduled || self.start_waits;
    }

    /// A PUT came in.
    pub fn put_arrived(&mut self, request: RequestId) {
        self.puts.push((request, true));
    }

    /// A PUT was turned down.
    pub fn put_refused(&mut self, request: RequestId) {
        self.puts.retain(|(put, _)| *put != request);
    }

    /// The oldest PUT took effect.
    pub fn put_applied(&mut self) {
        if !self.puts.is_empty() {
            let (_, starts) = self.puts.remove(0);
            self.running |= starts;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_takes_back_what_a_put_was_to_start() {
        let mut wish = Wish::new(true);
        wish.put_arrived(RequestId(1));
        wish.stop(RequestId(2), true);
        wish.put_arrived(RequestId(3));
        wish.put_applied();
        assert!(!wish.running);
        wish.put_applied();
        assert!(wish.running);
    }

    #[test]
    fn the_newer_of_stop_and_start_counts() {
        let mut wish = Wish::new(true);
        wish.stop(RequestId(2), true);
        wish.start(RequestId(1), true, false);
        assert!(!wish.running);
        wish.start(RequestId(3), true, false);
        wish.stop(RequestId(2), true);
        assert!(wish.running);
    }

    #[test]
    fn a_bulk_start_counts_before_all_of_it_is_answered() {
        let mut wish = Wish::new(true);
        wish.start_taken(RequestId(3));
        wish.stop(RequestId(2), true);
        assert!(wish.running);
        wish.start_answered(RequestId(3));
        wish.stop(RequestId(2), true);
        assert!(!wish.running);
    }

    #[test]
    fn a_start_that_waits_for_the_end_of_a_process_outlasts_its_exit() {
        for (waits, runs) in [(true, true), (false, false)] {
            let mut wish = Wish::new(true);
            wish.start(RequestId(1), true, waits);
            wish.ended(false, false);
            assert_eq!(wish.running, runs);
            wish.spawned();
            wish.ended(false, false);
            assert!(!wish.running);
        }
    }

    #[test]
    fn a_start_that_changed_nothing_undoes_no_stop_that_took_effect_before() {
        for (was_pending, runs) in [(true, true), (false, false)] {
            let mut wish = Wish::new(true);
            wish.start(RequestId(3), false, false);
            wish.stop(RequestId(2), was_pending);
            assert_eq!(wish.running, runs);
        }
    }
}
