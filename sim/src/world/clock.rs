//! Virtual time: a monotonic clock that only advances, and a wall clock that can step.

use openctrl_core::steady::SteadyClock;
use openctrl_core::time::{Now, Time, Wall};

/// Both clocks, and the wall time that a master shows.
#[derive(Debug)]
pub struct Clock {
    /// The clocks of the machine.
    now: Now,
    steady: SteadyClock,
    shown: Wall,
    /// How far shown time may be ahead of the wall clock at most, in microseconds: all steps back,
    /// less those forward, less half of the time that passed since.
    ahead_max: u64,
    slept_ms: u64,
}

impl Default for Clock {
    /// 2026-06-09T10:00:00Z.
    fn default() -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_780_999_200_000_000) };
        let mut steady = SteadyClock::default();
        steady.advance(now);
        Self { now, steady, shown: now.wall, ahead_max: 0, slept_ms: 0 }
    }
}

impl Clock {
    /// The sample of a master: wall time as it shows it.
    pub fn now(&self) -> Now {
        Now { wall: self.shown, ..self.now }
    }

    /// The wall clock of the machine.
    pub fn wall(&self) -> Wall {
        self.now.wall
    }

    /// How far shown time may be ahead of the wall clock at most, in microseconds.
    pub fn ahead_max(&self) -> u64 {
        self.ahead_max
    }

    /// Lets a master sample just this, as it was recorded.
    pub fn set(&mut self, now: Now) {
        let behind = self.shown.as_micros().saturating_sub(now.wall.as_micros());
        (self.now, self.shown) = (now, now.wall);
        self.steady = SteadyClock::default();
        self.steady.advance(now);
        // A recording can show times that no master shows; events are compared with earlier ones.
        self.ahead_max = self.ahead_max.max(behind);
    }

    /// Lets time pass up to `then`; one that is past changes nothing.
    pub fn advance_to(&mut self, then: Time) {
        let passed = then.as_micros().saturating_sub(self.now.mono.as_micros());
        self.now.mono = self.now.mono.max(then);
        self.now.wall = Wall::from_micros(self.now.wall.as_micros() + passed);
        self.ahead_max = self.ahead_max.saturating_sub(passed / 2);
        self.sample();
    }

    /// The machine is suspended: both clocks advance.
    pub fn sleep(&mut self, seconds: u64) {
        self.slept_ms += seconds * 1_000;
        self.advance_to(self.now.mono.after_ms(seconds * 1_000));
    }

    /// The monotonic clock, in ms: it goes on while the machine is suspended.
    pub fn ms(&self) -> u64 {
        self.now.mono.ms_since(Time::ZERO)
    }

    /// For how long the machine was awake, in ms.
    pub fn awake_ms(&self) -> u64 {
        self.now.mono.ms_since(Time::ZERO) - self.slept_ms
    }

    /// Lets the wall clock alone step, forwards or back.
    pub fn step_wall(&mut self, seconds: i64) {
        let micros = self.now.wall.as_micros().saturating_add_signed(seconds * 1_000_000);
        self.now.wall = Wall::from_micros(micros);
        let ahead = i128::from(self.ahead_max) - i128::from(seconds) * 1_000_000;
        self.ahead_max = u64::try_from(ahead).unwrap_or(0);
        self.sample();
    }

    fn sample(&mut self) {
        self.shown = self.steady.advance(self.now).0.wall;
    }
}
