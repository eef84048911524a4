//! When processes are sampled: while clients ask, and within a budget.
//!
//! A sample reads all processes of the machine. It takes about 10 µs for each, so with ten thousand
//! processes it takes a tenth of a second and is then taken every ten seconds. Only the very first
//! request waits for a sample.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use openctrl_core::doors::v2::Usage;
use openctrl_core::ids::ProcessRef;
use openctrl_core::time::{Now, Wall};
use tokio::sync::watch;
use tokio::time::timeout;

use super::groups::{GroupUse, look};
use super::rows::Rows;
use crate::cgroups::Groups;
use crate::daemon::clock::Clock;

/// Time from one look to the next, at least.
const INTERVAL: Duration = Duration::from_secs(2);

/// The same after the first look: a CPU figure takes two of them.
const WARM_UP: Duration = Duration::from_millis(500);

/// After a sample, no other follows for this multiple of its CPU time.
const REST_FACTOR: u32 = 99;

/// But no longer than this: figures must not look as if nothing moved.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// After this time without a request, sampling stops.
const PATIENCE: Duration = Duration::from_secs(15);

/// A CPU figure over a longer time than this would be history.
const STALE_MS: u64 = 60_000;

/// Who asks first waits for the first look for so long.
const FIRST_LOOK: Duration = Duration::from_millis(250);

/// The handle of clients to the sampling thread.
#[derive(Debug)]
pub(super) struct Sampler {
    shared: Arc<Shared>,
    /// Whether there are figures of this time.
    fresh: watch::Receiver<bool>,
}

#[derive(Debug, Default)]
struct Shared {
    asked: Mutex<Option<Instant>>,
    woken: Condvar,
}

impl Sampler {
    pub(super) fn start(rows: Arc<Rows>, clock: Clock, groups: Option<Groups>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (is_fresh, fresh) = watch::channel(false);
        let last = HashMap::new();
        let looker = Looker { rows, clock, groups, shared: Arc::clone(&shared), is_fresh, last };
        thread::Builder::new().name("usage".to_owned()).spawn(move || looker.run())?;
        Ok(Self { shared, fresh })
    }

    /// Requests figures: sampling continues for some time. Waits briefly if there are none yet.
    pub(super) async fn wake(&self) {
        *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.shared.woken.notify_one();
        let mut fresh = self.fresh.clone();
        if !*fresh.borrow() {
            // Too slow, or the thread has stopped: the answer then has no figures.
            let _ = timeout(FIRST_LOOK, fresh.wait_for(|fresh| *fresh)).await;
        }
    }
}

struct Looker {
    rows: Arc<Rows>,
    clock: Clock,
    /// Where processes have control groups.
    groups: Option<Groups>,
    shared: Arc<Shared>,
    is_fresh: watch::Sender<bool>,
    /// The last sample, for the CPU figure.
    last: HashMap<ProcessRef, (Now, u64)>,
}

impl Looker {
    fn run(mut self) {
        while self.is_wanted_again() {
            let mut interval = WARM_UP;
            while self.is_wanted() {
                let begun = cpu_time();
                self.look();
                // Fails when the master has stopped.
                if self.is_fresh.send(true).is_err() {
                    return;
                }
                let spent = cpu_time().saturating_sub(begun);
                thread::sleep(interval.max(spent * REST_FACTOR).min(LONGEST_REST));
                interval = INTERVAL;
            }
            let _ = self.is_fresh.send(false);
        }
    }

    /// Waits for a request; false when none can come any more.
    fn is_wanted_again(&self) -> bool {
        let asked = self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = |asked: &mut Option<Instant>| {
            asked.is_none_or(|asked| asked.elapsed() > PATIENCE) && !self.is_fresh.is_closed()
        };
        drop(self.shared.woken.wait_while(asked, nobody));
        !self.is_fresh.is_closed()
    }

    fn is_wanted(&self) -> bool {
        let asked = *self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.elapsed() <= PATIENCE)
    }

    fn look(&mut self) {
        let alive = self.rows.alive();
        let grouped = self.groups.as_ref().map(|groups| Grouped::read(groups, alive.keys()));
        let grouped = grouped.unwrap_or_default();
        let mut found = look(|pid, group| {
            let leader = grouped.leaders.get(&pid).copied();
            leader.or_else(|| alive.contains_key(&group).then_some(group))
        });
        for (leader, cpu_centis) in grouped.cpu_centis {
            found.entry(leader).and_modify(|used| used.cpu_centis = cpu_centis);
        }
        let now = self.clock.sample();
        let mut last = HashMap::with_capacity(found.len());
        let mut shown = Vec::with_capacity(found.len());
        for (group, used) in found {
            let Some((id, process)) = alive.get(&group).copied() else { continue };
            let before = self.last.get(&process).copied();
            shown.push((id, process, usage(used, before, now)));
            last.insert(process, (now, used.cpu_centis));
        }
        self.last = last;
        self.rows.set_usage(shown.into_iter());
    }
}

/// What control groups tell of processes.
#[derive(Default)]
struct Grouped {
    /// The leader in whose group a process is.
    leaders: HashMap<i32, i32>,
    /// By leader, with the time of members that have ended.
    cpu_centis: Vec<(i32, u64)>,
}

impl Grouped {
    fn read<'a>(groups: &Groups, leaders: impl Iterator<Item = &'a i32>) -> Self {
        let mut read = Self::default();
        for &leader in leaders {
            // Those that were started without one have none.
            let Some(run) = groups.run_of(leader) else { continue };
            read.leaders.extend(groups.members(run).into_iter().map(|member| (member, leader)));
            read.cpu_centis.extend(groups.cpu_centis(run).map(|centis| (leader, centis)));
        }
        read
    }
}

/// The CPU time of this thread: the cost of a sample, however busy the machine is.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

fn usage(used: GroupUse, before: Option<(Now, u64)>, now: Now) -> Usage {
    let cpu_permille = before.and_then(|(then, cpu_centis)| {
        let passed_ms = now.mono.ms_since(then.mono);
        // The CPU time of a member that was not waited for is lost.
        let spent_centis = used.cpu_centis.saturating_sub(cpu_centis);
        (1..=STALE_MS).contains(&passed_ms).then(|| spent_centis * 10_000 / passed_ms)
    });
    let sampled: Wall = now.wall;
    let GroupUse { cpu_centis, memory_bytes, processes } = used;
    Usage { cpu_centis, cpu_permille, memory_bytes, processes, sampled }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::time::Time;

    #[test]
    fn the_cpu_figure_is_that_of_the_time_between() {
        let now = Now { mono: Time::from_micros(100_000_000), wall: Wall::default() };
        let ago = |ms: u64| Now { mono: Time::from_micros(100_000_000 - ms * 1_000), ..now };
        let used = GroupUse { cpu_centis: 500, memory_bytes: 1, processes: 1 };
        let figure = |before| usage(used, before, now).cpu_permille;
        assert_eq!(figure(None), None);
        assert_eq!(figure(Some((ago(2_000), 400))), Some(500), "1 s in 2 s is 50.0 %");
        assert_eq!(figure(Some((ago(1_000), 300))), Some(2_000), "two CPUs");
        assert_eq!(figure(Some((ago(2_000), 600))), Some(0), "a member took its time with it");
        assert_eq!(figure(Some((ago(0), 400))), None);
        assert_eq!(figure(Some((ago(61_000), 400))), None, "that would be history");
    }
}
