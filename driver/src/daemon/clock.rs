//! The one place where clocks are read for the engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openctrl_core::steady::{SteadyClock, Step};
use openctrl_core::time::{Now, Time, Wall};
use rustix::time::{ClockId, clock_gettime};

/// Samples both clocks; monotonic time counts from its creation. Clones are the same clock.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    started: Instant,
    origin: Instant,
    steady: Arc<Mutex<SteadyClock>>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let started = Instant::now();
        Self { started, origin: started, steady: Arc::default() }
    }

    /// The clock of a master that another program began, by the readings of [`Clock::readings`].
    pub(crate) fn resuming(origin_micros: u64, started_micros: u64) -> Self {
        let (now, reading) = (Instant::now(), monotonic_micros());
        let at = |micros: u64| {
            let age = Duration::from_micros(reading.saturating_sub(micros));
            now.checked_sub(age).unwrap_or(now)
        };
        let (started, origin) = (at(started_micros), at(origin_micros));
        Self { started, origin, steady: Arc::default() }
    }

    /// The readings of the system's monotonic clock at time 0 and at the start, in µs.
    pub(crate) fn readings(&self) -> (u64, u64) {
        let reading = monotonic_micros();
        let at = |instant: Instant| reading.saturating_sub(micros(instant.elapsed()));
        (at(self.origin), at(self.started))
    }

    /// The same clock, which has a name for what was as long ago as this.
    pub(crate) fn reaching_back(self, age: Duration) -> Self {
        Self { origin: self.origin.checked_sub(age).unwrap_or(self.origin), ..self }
    }

    /// Both clocks now. Wall time is as it is shown: it never goes backwards. A wall clock before
    /// 1970 reads as 1970.
    pub(crate) fn sample(&self) -> Now {
        let mut steady = self.steady.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock: of two samples the later one is also taken in later.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (now, step) = steady.advance(Now {
            mono: Time::from_micros(micros(self.origin.elapsed())),
            wall: Wall::from_micros(micros(wall)),
        });
        drop(steady);
        if let Some(step) = step {
            report(step);
        }
        now
    }

    /// The runtime's name for a point in time of the engine.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        self.origin + Duration::from_micros(time.as_micros())
    }

    /// Whole seconds since the start.
    pub(crate) fn uptime_s(&self) -> u64 {
        self.uptime().as_secs()
    }

    /// The time since the start.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }
}

fn monotonic_micros() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1_000
}

fn report(step: Step) {
    let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
    match step {
        Step::Forward(by) => tracing::warn!(
            "Master.clock: the wall clock went forward by {:.1} s: it was set, or the machine was suspended",
            seconds(by)
        ),
        Step::Back { by, ahead } => tracing::warn!(
            "Master.clock: the wall clock was set back by {:.1} s; times of events and lines \
             continue at half speed until it has caught up, {:.0} s from now",
            seconds(by),
            seconds(2 * ahead)
        ),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
