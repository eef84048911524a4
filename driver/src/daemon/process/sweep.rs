//! The last look around of a master: nothing that descends from it may run on unsaid.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use openctrl_core::engine::Input;
use rustix::process::{Signal, getpid};
use tokio::time::timeout;

use super::kin::{Kin, below, names, reap_adopted};
use crate::daemon::inbox::{Inbox, Notice};

/// How often it is looked whether everything has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a process may take to end of KILL.
const KILL_TAKES: Duration = Duration::from_secs(1);

/// How long processes that appear one after the other are killed.
const KILLS_FOR: Duration = Duration::from_secs(20);

/// Ends everything that still descends from the master, until it is gone or cannot be killed.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// When KILL is due.
    kill_at: Instant,
    killed: Killed,
    /// The process that keeps the children. It is left alone.
    keeper: Option<i32>,
}

/// What a look of the [`Sweep`] gives.
#[derive(Debug, PartialEq, Eq)]
enum Swept {
    /// Nothing is left.
    Clean,
    /// Look again soon.
    Waiting,
    /// These cannot be killed.
    Left(String),
}

impl Sweep {
    /// A sweep that sends KILL from `kill_at` on.
    pub(crate) fn new(kill_at: Instant, keeper: Option<i32>) -> Self {
        Self { kill_at, killed: Killed::default(), keeper }
    }

    /// Looks until nothing is left; returns the names of what cannot be killed.
    pub(crate) async fn run(mut self, inbox: &mut Inbox) -> Option<String> {
        let mut batch = Vec::new();
        loop {
            match self.look() {
                Swept::Clean => return None,
                Swept::Left(names) => return Some(names),
                Swept::Waiting => {}
            }
            let _ = timeout(LOOK_EVERY, inbox.fill(&mut batch)).await;
            // Requests among them are answered by being dropped.
            let is_asked =
                |notice: Notice| matches!(notice, Notice::Fact(Input::ShutdownRequested));
            if batch.drain(..).any(is_asked) {
                self.hurry();
            }
        }
    }

    /// Sends KILL now.
    fn hurry(&mut self) {
        self.kill_at = Instant::now();
    }

    /// Looks once.
    fn look(&mut self) -> Swept {
        reap_adopted(|pid| Some(pid) == self.keeper);
        let mut left = below(getpid().as_raw_pid());
        if let Some(keeper) = self.keeper {
            left.extend(below(keeper));
            left.retain(|stat| stat.pid != keeper);
            left.sort_unstable_by_key(|stat| stat.pid);
            left.dedup();
        }
        if left.is_empty() {
            return Swept::Clean;
        }
        let now = Instant::now();
        if now < self.kill_at {
            return Swept::Waiting;
        }
        // Again each time: there may be new ones.
        left.iter().filter_map(Kin::hold).for_each(|kin| kin.signal(Signal::KILL));
        if !self.killed.outlive(left.iter().map(|stat| (stat.pid, stat.start_ticks)), now) {
            return Swept::Waiting;
        }
        let pids: Vec<i32> = left.iter().map(|stat| stat.pid).collect();
        Swept::Left(names(&pids))
    }
}

/// When the processes that are left were killed first, by their id and start time.
#[derive(Debug, Default)]
struct Killed {
    first: HashMap<(i32, u64), Instant>,
    begun: Option<Instant>,
}

impl Killed {
    /// Whether the processes that were killed just now, again or for the first time, are those that
    /// cannot be killed. One that appeared a moment ago has its own time to end.
    fn outlive(&mut self, left: impl Iterator<Item = (i32, u64)>, now: Instant) -> bool {
        let before = std::mem::take(&mut self.first);
        self.first = left.map(|id| (id, before.get(&id).copied().unwrap_or(now))).collect();
        let begun = *self.begun.get_or_insert(now);
        let resists = |first: &Instant| now.duration_since(*first) >= KILL_TAKES;
        self.first.values().all(resists) || now.duration_since(begun) >= KILLS_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_appears_late_has_its_own_time_to_end() {
        let begun = Instant::now();
        let mut killed = Killed::default();
        let mut after = |left: &[(i32, u64)], ms| {
            killed.outlive(left.iter().copied(), begun + Duration::from_millis(ms))
        };
        assert!(!after(&[(7, 1)], 0), "killed just now");
        assert!(!after(&[(7, 1), (8, 1)], 900), "8 is new");
        assert!(!after(&[(7, 1), (8, 1)], 1100), "8 has 800 ms more");
        assert!(!after(&[(7, 2), (8, 1)], 1950), "7 is another process now");
        assert!(after(&[(8, 1)], 1950), "8 was killed 1,050 ms ago");
    }

    #[test]
    fn processes_that_go_on_to_appear_are_given_up() {
        let begun = Instant::now();
        let mut killed = Killed::default();
        let mut gives_up = |second: u64| {
            killed.outlive([(7, second)].into_iter(), begun + Duration::from_secs(second))
        };
        assert!((0..20).all(|second| !gives_up(second)));
        assert!(gives_up(20));
    }
}
