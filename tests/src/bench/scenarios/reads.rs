//! Reading over and over: what the scenarios of reads share.

use std::io;
use std::time::Duration;

use super::super::client::{Address, Load, Until, load};
use super::super::meter::cpu_ns;
use super::super::stage::Stage;

/// How long is read before anything is measured.
const WARM_UP: Duration = Duration::from_millis(200);

/// What reading came to.
pub(super) struct Reads {
    /// Answers per second of CPU time of the server.
    pub(super) per_cpu_s: f64,
    /// Everything else.
    pub(super) load: Load,
}

/// Sends the same request over this many connections, each the next when the last is answered.
pub(super) fn read(
    stage: &Stage,
    address: impl Into<Address>,
    pid: i32,
    connections: usize,
    request: &[u8],
) -> io::Result<Reads> {
    let duration = stage.read_time();
    let address = address.into();
    load(address.clone(), connections, Until::Elapsed(WARM_UP), |_| request)?;
    let before = cpu_ns(pid);
    let load = load(address, connections, Until::Elapsed(duration), |_| request)?;
    let used_s = (cpu_ns(pid) - before) / 1e9;
    Ok(Reads { per_cpu_s: load.answers as f64 / used_s, load })
}
