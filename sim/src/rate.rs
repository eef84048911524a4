//! How fast runs are: inputs a second of CPU time, of each world of a sweep.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time of the current thread so far.
pub(crate) fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Inputs of runs, and the CPU time of these runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    /// Inputs that the machines of these runs took.
    pub(crate) inputs: u64,
    /// CPU time of the runs, including all checks.
    pub(crate) time: Duration,
}

impl Rate {
    /// Adds other runs.
    pub(crate) fn add(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.time += other.time;
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs_f64();
        let rate = self.inputs as f64 / seconds.max(1e-9);
        write!(f, "{} inputs in {seconds:.1} s of CPU time, {rate:.0} a second", self.inputs)
    }
}
