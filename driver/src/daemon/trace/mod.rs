//! Records the inputs of the engine (docs/operators/TRACE.md). The loop hands its inputs over and
//! never waits; a thread encodes them and keeps the files within their limit.
//!
//! `openctrl_core::trace` owns the format of a segment and masks what must not be recorded.

#[cfg(test)]
mod cost_tests;
mod files;
mod queue;
mod recorder;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use files::segments;
pub(crate) use recorder::Recorder;
pub(crate) use segment::Destination;
