//! Runs seeds on all cores and hands out what they gave in the order of the seeds, so that a sweep
//! says the same on every machine. Does not know what a run is.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

/// The stack of each thread, in bytes: as much as the main thread has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// How many results may wait in the channel.
const WAITING_MAX: usize = 64;

/// Calls `run` with each of the seeds, on all cores, and `take` with the results, in the order of
/// the seeds. Stops at the first `Break` and returns its value.
pub fn in_order<T, B>(
    seeds: impl Iterator<Item = u64> + Send,
    run: impl Fn(u64) -> T + Sync,
    mut take: impl FnMut(u64, T) -> ControlFlow<B>,
) -> Option<B>
where
    T: Send,
{
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    let seeds = Mutex::new(seeds.enumerate());
    let (sender, results) = mpsc::sync_channel(WAITING_MAX);
    thread::scope(|scope| {
        for _ in 0..lanes {
            let (sender, seeds, run) = (sender.clone(), &seeds, &run);
            thread::Builder::new()
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, move || work(seeds, run, &sender))
                .expect("a sweep can start its threads");
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut next = 0;
        for (place, seed, result) in results {
            early.insert(place, (seed, result));
            while let Some((seed, result)) = early.remove(&next) {
                next += 1;
                // The threads end when the receiver is dropped here.
                if let ControlFlow::Break(value) = take(seed, result) {
                    return Some(value);
                }
            }
        }
        None
    })
}

/// One thread: takes seeds until there are none, or until the results are no longer wanted.
fn work<T>(
    seeds: &Mutex<impl Iterator<Item = (usize, u64)>>,
    run: &impl Fn(u64) -> T,
    sender: &SyncSender<(usize, u64, T)>,
) {
    loop {
        let claimed = seeds.lock().expect("no thread panics while it claims a seed").next();
        let Some((place, seed)) = claimed else { return };
        if sender.send((place, seed, run(seed))).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_seeds() {
        let mut seen = Vec::new();
        let broke = in_order(
            0..500,
            |seed| seed * seed,
            |seed, square| {
                seen.push((seed, square));
                ControlFlow::<()>::Continue(())
            },
        );
        assert_eq!(broke, None);
        assert_eq!(seen, (0..500).map(|seed| (seed, seed * seed)).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_break_stops_the_others() {
        let ran = AtomicU64::new(0);
        let broke = in_order(
            0..u64::MAX,
            |seed| {
                ran.fetch_add(1, Ordering::Relaxed);
                seed
            },
            |seed, _| if seed == 7 { ControlFlow::Break(seed) } else { ControlFlow::Continue(()) },
        );
        assert_eq!(broke, Some(7));
        assert!(ran.load(Ordering::Relaxed) >= 8);
    }
}
