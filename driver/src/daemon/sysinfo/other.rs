//! Platforms without figures: there is nothing to sample (Contract §9).

use super::Sample;

/// Never made.
#[derive(Debug)]
pub(super) enum Probe {}

impl Probe {
    /// Nothing to open here.
    pub(super) fn open() -> Option<Self> {
        None
    }

    /// Cannot be called: there is no probe.
    pub(super) fn sample(&mut self) -> Sample {
        match *self {}
    }
}
