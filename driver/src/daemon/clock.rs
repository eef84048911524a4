//! The one place where clocks are read for the engine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openctrl_core::time::{Now, Time, Wall};

/// Samples both clocks; monotonic time counts from its creation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { origin: Instant::now() }
    }

    /// Both clocks now. A wall clock before 1970 reads as 1970.
    pub(crate) fn sample(self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono: Time::from_micros(micros(self.origin.elapsed())),
            wall: Wall::from_micros(micros(wall)),
        }
    }

    /// The runtime's name for a point in time of the engine.
    pub(crate) fn instant(self, time: Time) -> Instant {
        self.origin + Duration::from_micros(time.as_micros())
    }

    /// Whole seconds since the start.
    pub(crate) fn uptime_s(self) -> u64 {
        self.uptime().as_secs()
    }

    /// The time since the start.
    pub(crate) fn uptime(self) -> Duration {
        self.origin.elapsed()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
