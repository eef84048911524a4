//! Records what the engine is told (docs/TRACE.md): the loop hands its inputs over and never waits;
//! a thread encodes them and keeps the files within their bound.
//!
//! What a segment looks like, and what of it is masked, is `openctrl_core::trace`'s.

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
