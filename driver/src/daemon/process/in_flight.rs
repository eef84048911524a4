//! How many starts are under way. Each has pipes that are closed when its process runs, so that a
//! thousand starts at a time would take descriptors that instances need.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::job::Job;

/// How many there may be: enough to keep every processor busy.
const MAX: usize = 128;

/// The starts under way.
#[derive(Clone, Debug)]
pub(super) struct Starts {
    count: Arc<AtomicUsize>,
    jobs: mpsc::Sender<Job>,
}

/// A start under way. When it is dropped there is room for another.
#[derive(Debug)]
pub(super) struct InFlight(Starts);

impl Starts {
    /// There are none. `jobs` hears of it when there is room again.
    pub(super) fn new(jobs: mpsc::Sender<Job>) -> Self {
        Self { count: Arc::default(), jobs }
    }

    /// Whether there is room for another.
    pub(super) fn have_room(&self) -> bool {
        self.count.load(Ordering::Relaxed) < MAX
    }

    /// One more.
    pub(super) fn begin(&self) -> InFlight {
        self.count.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == MAX {
            // Fails when the thread has ended with the loop.
            let _ = self.0.jobs.send(Job::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_again_when_a_start_is_over() {
        let (jobs, queue) = mpsc::channel();
        let starts = Starts::new(jobs);
        let mut under_way: Vec<InFlight> = (0..MAX).map(|_| starts.begin()).collect();
        assert!(!starts.have_room() && queue.try_recv().is_err());
        under_way.pop();
        assert!(starts.have_room() && matches!(queue.try_recv(), Ok(Job::Room)));
        drop(under_way);
        assert!(queue.try_recv().is_err(), "once is enough");
    }
}
