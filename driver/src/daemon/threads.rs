//! Threads for work that would block the async workers: rendering long answers, name lookups. They
//! are started when needed and kept for a while.
//!
//! The async runtime has such threads too, but it panics or waits indefinitely when the system
//! refuses a thread. Here that is an error at once if no other thread can do the work.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a thread without work is kept.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// A bounded number of threads for one kind of work.
#[derive(Debug)]
pub(crate) struct Threads {
    name: &'static str,
    max: usize,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("queued", &self.queue.len())
            .field("threads", &self.threads)
            .field("idle", &self.idle)
            .finish()
    }
}

impl Threads {
    /// None yet, and at most `max`.
    pub(crate) fn new(name: &'static str, max: usize) -> Self {
        Self { name, max, shared: Arc::default() }
    }

    /// Runs the work on one of the threads, also if the caller no longer waits for the result.
    ///
    /// # Errors
    /// If there is no thread and the system refuses one, or if the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = oneshot::channel();
        self.submit(Box::new(move || {
            // Fails when nothing waits for the result.
            let _ = done.send(work());
        }))?;
        result.await.map_err(|_| io::Error::other("the work failed, see the log"))
    }

    fn submit(&self, job: Job) -> io::Result<()> {
        let mut state = self.shared.lock();
        if state.idle <= state.queue.len() && state.threads < self.max {
            let shared = Arc::clone(&self.shared);
            let started =
                thread::Builder::new().name(self.name.to_owned()).spawn(move || shared.work());
            match started {
                Ok(_) => state.threads += 1,
                // The existing threads will run it.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    return Err(io::Error::new(
                        error.kind(),
                        format!("cannot start a thread: {error}; raise the limit on processes"),
                    ));
                }
            }
        }
        state.queue.push_back(job);
        drop(state);
        self.shared.woken.notify_one();
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                // The panic itself is reported; the thread continues.
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let is_empty = |state: &mut State| state.queue.is_empty();
            let waited = self.woken.wait_timeout_while(state, KEPT, is_empty);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
            if state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_is_done_side_by_side_up_to_the_bound_and_survives_a_panic() {
        let threads = Arc::new(Threads::new("test", 2));
        let (free, held) = mpsc::channel::<()>();
        let (begun, has_begun) = oneshot::channel();
        let first = tokio::spawn({
            let threads = Arc::clone(&threads);
            async move {
                let hold = move || {
                    let _ = begun.send(());
                    held.recv().is_ok()
                };
                threads.run(hold).await
            }
        });
        has_begun.await.expect("the first runs");
        assert_eq!(threads.run(|| 2).await.expect("another thread"), 2);
        threads.run(|| panic!("on purpose")).await.expect_err("no result");
        assert_eq!(threads.run(|| 3).await.expect("the same thread"), 3);
        assert!(threads.shared.lock().threads <= 2);
        free.send(()).expect("the first waits");
        assert!(first.await.expect("no panic").expect("a result"));
    }
}
