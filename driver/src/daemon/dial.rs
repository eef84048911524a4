//! Looks up names, and dials a TCP target for `/tcping`. When, and how many at a time, is the
//! engine's decision.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use openctrl_core::command::DialOutcome;
use openctrl_core::limits::{DIAL_TIMEOUT_MS, DIALS_MAX};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::threads::Threads;

/// A resolver may take its time, longer than a dial may take.
static LOOKUPS: LazyLock<Threads> = LazyLock::new(|| Threads::new("lookup", DIALS_MAX));

/// Connects to `target` (`host:port`) and hangs up.
pub(crate) async fn dial(target: &str) -> DialOutcome {
    let started = Instant::now();
    let limit = Duration::from_millis(DIAL_TIMEOUT_MS);
    match timeout(limit, connect(target.to_owned())).await {
        Ok(Ok(())) => {
            let latency_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            DialOutcome::Connected { latency_ms }
        }
        Ok(Err(error)) => DialOutcome::Failed(format!("dial tcp {target}: {error}")),
        Err(_) => DialOutcome::Failed(format!("dial tcp {target}: timed out")),
    }
}

/// The addresses of a host and a port.
///
/// # Errors
/// When the name has none, or there is no thread to look it up on.
pub(crate) async fn look_up<T>(target: T) -> io::Result<Vec<SocketAddr>>
where
    T: ToSocketAddrs + Send + 'static,
{
    LOOKUPS.run(move || target.to_socket_addrs().map(Iterator::collect)).await?
}

async fn connect(target: String) -> io::Result<()> {
    let addresses = match target.parse() {
        Ok(address) => vec![address],
        Err(_) => look_up(target).await?,
    };
    TcpStream::connect(&addresses[..]).await.map(drop)
}
