//! Runs the future of the loop on the first thread of the program, which sleeps up to the deadlines
//! of the loop by itself.
//!
//! A timer of the async runtime that is due before all others wakes the worker that waits for the
//! timers. The loop sets such deadlines thousands of times a second, and most of them never pass.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use tokio::runtime::Runtime;

thread_local! {
    /// When the future that this thread runs is to be polled again, if nothing wakes it before.
    static POLL_AT: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs a future on this thread, within a runtime.
pub(crate) fn block_on<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let _entered = runtime.enter();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        POLL_AT.set(None);
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        match POLL_AT.get() {
            None => thread::park(),
            Some(at) => thread::park_timeout(at.saturating_duration_since(Instant::now())),
        }
    }
}

/// Waits for a future up to a deadline; `None` if that has passed. Only within [`block_on`], on its
/// thread.
pub(crate) async fn until<F: Future>(deadline: Instant, future: F) -> Option<F::Output> {
    Until { deadline, future: pin!(future) }.await
}

struct Until<'a, F> {
    deadline: Instant,
    future: Pin<&'a mut F>,
}

impl<F: Future> Future for Until<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if self.deadline <= Instant::now() {
            return Poll::Ready(None);
        }
        let earliest = POLL_AT.get().map_or(self.deadline, |at| at.min(self.deadline));
        POLL_AT.set(Some(earliest));
        Poll::Pending
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    fn runtime() -> Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime")
    }

    #[test]
    fn a_wait_ends_by_its_future_or_at_its_deadline() {
        let far = Instant::now() + Duration::from_secs(3600);
        let found = block_on(&runtime(), async move {
            let (to, from) = oneshot::channel();
            // Another thread wakes this one.
            tokio::spawn(async move { to.send(7) });
            let sent = until(far, from).await;
            let begun = Instant::now();
            let soon = begun + Duration::from_millis(5);
            // Of two deadlines the earlier one counts.
            let late = until(far, until(soon, pending::<()>())).await;
            (sent, late, begun.elapsed() >= Duration::from_millis(5))
        });
        assert_eq!(found, (Some(Ok(7)), Some(None), true));
    }
}
