//! The last look around of a master: nothing that descends from it may run on unsaid.

use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid};

use super::kin::{Kin, below, names, reap_adopted};

/// How long a process may take to end of KILL.
const KILL_TAKES: Duration = Duration::from_secs(1);

/// Ends everything that still descends from the master, until it is gone or cannot be killed.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// When KILL is due.
    kill_at: Instant,
    killed: Option<Instant>,
    /// The process that keeps the children. It is left alone.
    keeper: Option<i32>,
}

/// What a look of the [`Sweep`] gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    /// Nothing is left.
    Clean,
    /// Look again soon.
    Waiting,
    /// These cannot be killed.
    Left(String),
}

impl Sweep {
    /// A sweep that sends KILL from `kill_at` on.
    pub(crate) const fn new(kill_at: Instant, keeper: Option<i32>) -> Self {
        Self { kill_at, killed: None, keeper }
    }

    /// Sends KILL now.
    pub(crate) fn hurry(&mut self) {
        self.kill_at = Instant::now();
    }

    /// Looks once.
    pub(crate) fn look(&mut self) -> Swept {
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
        if Instant::now() < self.kill_at {
            return Swept::Waiting;
        }
        // Again each time: there may be new ones.
        left.iter().filter_map(Kin::hold).for_each(|kin| kin.signal(Signal::KILL));
        let killed = *self.killed.get_or_insert_with(Instant::now);
        if killed.elapsed() < KILL_TAKES {
            return Swept::Waiting;
        }
        let pids: Vec<i32> = left.iter().map(|stat| stat.pid).collect();
        Swept::Left(names(&pids))
    }
}
