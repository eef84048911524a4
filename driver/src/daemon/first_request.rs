//! The first request of a connection: a connection that was just accepted is not closed before it
//! has come, since its client would get no answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// How long it may take when the master wants to close the connection: a client on a busy machine may
/// pause between connecting and sending.
const TAKES: Duration = Duration::from_secs(2);

/// Whether it has come.
#[derive(Debug, Default)]
pub(crate) struct FirstRequest {
    has_come: AtomicBool,
    coming: Notify,
}

impl FirstRequest {
    /// A request has come.
    pub(crate) fn has_come(&self) {
        if !self.has_come.swap(true, Ordering::Relaxed) {
            self.coming.notify_one();
        }
    }

    /// Waits until it has come, or its time is over.
    pub(crate) async fn wait(&self) {
        if !self.has_come.load(Ordering::Relaxed) {
            let _ = timeout(TAKES, self.coming.notified()).await;
        }
    }
}
