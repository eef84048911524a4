//! Leases on the lives of children: how long a child may run while no master renews.
//!
//! Pure: the keeper gives the time and sends the signals. Times are in ms of one clock that master
//! and keeper share and that goes on while the machine is suspended.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::ids::RunId;
use crate::instance::Policy;
use crate::process::{Scope, Signal};

/// How long a child may run without a master that renews, and how it is stopped then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How long after the last renewal it expires.
    pub limit_ms: u64,
    /// The first signal of its stop; KILL follows.
    pub signal: Signal,
    /// Who gets that signal. KILL goes to the whole group.
    pub scope: Scope,
    /// How long after that signal KILL follows.
    pub grace_ms: u64,
}

impl Lease {
    /// The lease that a policy asks for, if it does.
    pub fn of(policy: &Policy) -> Option<Self> {
        let limit_ms = policy.lease_ms?;
        let first = policy.stop.steps()[0];
        let (signal, scope) = (first.signal, policy.stop.scope);
        Some(Self { limit_ms, signal, scope, grace_ms: policy.stop.total_ms() })
    }
}

/// A signal that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueSignal {
    /// Of which child.
    pub run: RunId,
    /// Who gets it.
    pub scope: Scope,
    /// Which one.
    pub signal: Signal,
}

/// The leases of all children.
///
/// A renewal costs the same for any number of children: deadlines are only compared when the
/// earliest one that was known may have passed.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    rows: BTreeMap<RunId, Row>,
    renewed_ms: u64,
    /// Nothing is due before this time.
    look_at_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    lease: Lease,
    granted_ms: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Valid,
    /// It expired, and its first signal is due.
    Expired,
    /// It expired, and KILL follows at this time.
    Stopping(u64),
}

impl Leases {
    /// A child with a lease was started, or came with one.
    pub fn grant(&mut self, run: RunId, lease: Lease, now_ms: u64) {
        self.rows.insert(run, Row { lease, granted_ms: now_ms, state: State::Valid });
        self.look_by(now_ms.saturating_add(lease.limit_ms));
    }

    /// A master renewed all leases at `at_ms`, and that is known now. A lease that had expired by
    /// then stays so.
    pub fn renew(&mut self, at_ms: u64, now_ms: u64) {
        let at_ms = at_ms.min(now_ms);
        if self.is_look_due(at_ms) {
            self.expire(at_ms);
        }
        self.renewed_ms = self.renewed_ms.max(at_ms);
    }

    /// The signals that are due.
    pub fn take_due(&mut self, now_ms: u64) -> Vec<DueSignal> {
        if !self.is_look_due(now_ms) {
            return Vec::new();
        }
        self.expire(now_ms);
        let mut due = Vec::new();
        for (run, row) in &mut self.rows {
            let Row { lease: Lease { signal, scope, grace_ms, .. }, state, .. } = row;
            match *state {
                State::Expired => {
                    due.push(DueSignal { run: *run, scope: *scope, signal: *signal });
                    *state = State::Stopping(now_ms.saturating_add(*grace_ms));
                }
                State::Stopping(kill_at_ms) if kill_at_ms <= now_ms => {
                    let signal = Signal::KILL;
                    due.push(DueSignal { run: *run, scope: Scope::Group, signal });
                    *state = State::Stopping(u64::MAX);
                }
                State::Valid | State::Stopping(_) => {}
            }
        }
        let next = self.rows.values().filter_map(|row| match row.state {
            State::Valid => Some(self.deadline_ms(row)),
            State::Expired => Some(now_ms),
            State::Stopping(u64::MAX) => None,
            State::Stopping(kill_at_ms) => Some(kill_at_ms),
        });
        self.look_at_ms = next.min();
        due
    }

    /// How long nothing is due, in ms; `None` if nothing will be.
    pub fn due_in_ms(&self, now_ms: u64) -> Option<u64> {
        self.look_at_ms.map(|at_ms| at_ms.saturating_sub(now_ms))
    }

    /// The process of a child has ended. Returns whether its lease had expired: then what is left
    /// of its group is still killed.
    pub fn ended(&mut self, run: RunId) -> bool {
        let is_valid = self.rows.get(&run).is_none_or(|row| row.state == State::Valid);
        if is_valid {
            self.rows.remove(&run);
        }
        !is_valid
    }

    /// A child was handled by a master, or forgotten.
    pub fn forget(&mut self, run: RunId) {
        self.rows.remove(&run);
    }

    /// The lease of a child that has not expired.
    pub fn get(&self, run: RunId) -> Option<Lease> {
        self.rows.get(&run).map(|row| row.lease)
    }

    fn deadline_ms(&self, row: &Row) -> u64 {
        self.renewed_ms.max(row.granted_ms).saturating_add(row.lease.limit_ms)
    }

    fn expire(&mut self, now_ms: u64) {
        let renewed_ms = self.renewed_ms;
        for row in self.rows.values_mut().filter(|row| row.state == State::Valid) {
            let since_ms = renewed_ms.max(row.granted_ms);
            if since_ms.saturating_add(row.lease.limit_ms) <= now_ms {
                row.state = State::Expired;
            }
        }
    }

    fn look_by(&mut self, at_ms: u64) {
        self.look_at_ms = Some(self.look_at_ms.map_or(at_ms, |known| known.min(at_ms)));
    }

    fn is_look_due(&self, now_ms: u64) -> bool {
        self.look_at_ms.is_some_and(|at_ms| at_ms <= now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    const LEASE: Lease =
        Lease { limit_ms: 10_000, signal: Signal::TERM, scope: Scope::Group, grace_ms: 5_000 };

    fn due(run: u128, signal: Signal) -> DueSignal {
        DueSignal { run: RunId(run), scope: Scope::Group, signal }
    }

    #[test]
    fn a_lease_that_is_renewed_does_not_expire() {
        let mut leases = Leases::default();
        leases.grant(RunId(1), LEASE, 0);
        for at_ms in (0..100_000).step_by(9_000) {
            leases.renew(at_ms, at_ms);
            assert_eq!(leases.take_due(at_ms + 9_999), []);
        }
        assert!(!leases.ended(RunId(1)));
        assert_eq!(leases.take_due(u64::MAX), []);
    }

    #[test]
    fn a_child_without_a_renewal_gets_its_signal_and_then_kill() {
        let mut leases = Leases::default();
        leases.grant(RunId(1), LEASE, 1_000);
        assert_eq!(leases.due_in_ms(2_000), Some(9_000));
        assert_eq!(leases.take_due(10_999), []);
        assert_eq!(leases.take_due(11_000), [due(1, Signal::TERM)]);
        assert_eq!((leases.take_due(15_999), leases.due_in_ms(15_999)), (vec![], Some(1)));
        // A child that has ended may have left others in its group.
        assert!(leases.ended(RunId(1)));
        assert_eq!(leases.take_due(16_000), [due(1, Signal::KILL)]);
        assert_eq!(leases.due_in_ms(16_000), None);
        leases.grant(RunId(2), LEASE, 20_000);
        leases.forget(RunId(2));
        assert_eq!(leases.take_due(40_000), []);
    }

    #[test]
    fn a_renewal_counts_from_when_it_was_made() {
        let mut leases = Leases::default();
        leases.grant(RunId(1), LEASE, 0);
        // It was made in time and read late.
        leases.renew(9_999, 15_000);
        assert_eq!(leases.take_due(15_000), []);
        assert_eq!(leases.due_in_ms(15_000), Some(4_999));
        // It was made too late: the master had been stopped, or the machine suspended.
        leases.renew(19_999, 20_000);
        assert_eq!(leases.take_due(20_000), [due(1, Signal::TERM)]);
        // A clock that is ahead does not help.
        leases.grant(RunId(2), LEASE, 20_000);
        leases.renew(u64::MAX, 21_000);
        assert_eq!(leases.take_due(31_000), [due(1, Signal::KILL), due(2, Signal::TERM)]);
    }

    proptest! {
        /// Compared with a model that looks at every deadline each time.
        #[test]
        fn leases_expire_exactly_when_no_renewal_came(
            steps in prop::collection::vec((0u8..4, 0u128..4, 1u64..40), 1..60),
        ) {
            let mut leases = Leases::default();
            let mut model: BTreeMap<RunId, (u64, u64, bool)> = BTreeMap::new();
            let (mut now_ms, mut renewed_ms) = (0, 0);
            for (what, run, number) in steps {
                let run = RunId(run);
                now_ms += number / 4;
                let looks = matches!(what, 1 | 3);
                for (granted_ms, limit_ms, is_expired) in model.values_mut().filter(|_| looks) {
                    *is_expired |= renewed_ms.max(*granted_ms) + *limit_ms <= now_ms;
                }
                match what {
                    0 => {
                        leases.grant(run, Lease { limit_ms: number, ..LEASE }, now_ms);
                        model.insert(run, (now_ms, number, false));
                    }
                    1 => {
                        leases.renew(now_ms, now_ms);
                        renewed_ms = now_ms;
                    }
                    2 => {
                        let is_expired = model.get(&run).is_some_and(|(.., expired)| *expired);
                        prop_assert_eq!(leases.ended(run), is_expired);
                        model.retain(|id, _| *id != run || is_expired);
                    }
                    _ => {
                        let due = leases.take_due(now_ms);
                        for DueSignal { run, .. } in due {
                            prop_assert!(model.get(&run).is_some_and(|(.., expired)| *expired));
                        }
                    }
                }
            }
            leases.take_due(now_ms);
            for (run, (granted_ms, limit_ms, is_expired)) in model {
                let is_due = renewed_ms.max(granted_ms) + limit_ms <= now_ms;
                prop_assert_eq!(leases.ended(run), is_expired || is_due);
            }
        }
    }
}
