//! Virtual time: a monotonic clock that only goes on, and a wall clock that may step.

use openctrl_core::time::{Now, Time, Wall};

/// Both clocks.
#[derive(Debug)]
pub struct Clock {
    now: Now,
    slept_ms: u64,
}

impl Default for Clock {
    /// 2026-06-09T10:00:00Z.
    fn default() -> Self {
        let now = Now { mono: Time::ZERO, wall: Wall::from_micros(1_780_999_200_000_000) };
        Self { now, slept_ms: 0 }
    }
}

impl Clock {
    /// What both clocks show.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Lets both clocks show this.
    pub fn set(&mut self, now: Now) {
        self.now = now;
    }

    /// Lets time pass up to `then`; one that is past changes nothing.
    pub fn advance_to(&mut self, then: Time) {
        let passed = then.as_micros().saturating_sub(self.now.mono.as_micros());
        self.now.mono = self.now.mono.max(then);
        self.now.wall = Wall::from_micros(self.now.wall.as_micros() + passed);
    }

    /// The machine is suspended: both clocks go on.
    pub fn sleep(&mut self, seconds: u64) {
        self.slept_ms += seconds * 1_000;
        self.advance_to(self.now.mono.after_ms(seconds * 1_000));
    }

    /// For how long the machine was awake, in ms.
    pub fn awake_ms(&self) -> u64 {
        self.now.mono.ms_since(Time::ZERO) - self.slept_ms
    }

    /// Lets the wall clock alone step, forwards or back.
    pub fn step_wall(&mut self, seconds: i64) {
        let micros = self.now.wall.as_micros().saturating_add_signed(seconds * 1_000_000);
        self.now.wall = Wall::from_micros(micros);
    }
}
