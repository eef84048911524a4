//! Dials a TCP target for `/tcping`. When, and how many at a time, is the engine's decision.

use std::time::{Duration, Instant};

use openctrl_core::command::DialOutcome;
use openctrl_core::limits::DIAL_TIMEOUT_MS;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects to `target` (`host:port`) and hangs up.
pub(crate) async fn dial(target: &str) -> DialOutcome {
    let started = Instant::now();
    let limit = Duration::from_millis(DIAL_TIMEOUT_MS);
    match timeout(limit, TcpStream::connect(target)).await {
        Ok(Ok(_)) => {
            let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            DialOutcome::Connected { latency_ms }
        }
        Ok(Err(error)) => DialOutcome::Failed(format!("dial tcp {target}: {error}")),
        Err(_) => DialOutcome::Failed(format!("dial tcp {target}: timed out")),
    }
}
