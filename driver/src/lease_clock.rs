//! The clock by which leases expire, shared by master and keeper.

use rustix::time::{ClockId, clock_gettime};

/// It goes on while the machine is suspended: other machines do.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;

/// There is no keeper elsewhere.
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Its time, in ms.
pub(crate) fn lease_ms() -> u64 {
    let now = clock_gettime(CLOCK);
    now.tv_sec.unsigned_abs() * 1_000 + now.tv_nsec.unsigned_abs() / 1_000_000
}
