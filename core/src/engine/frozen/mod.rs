//! The engine as plain data, and back: a trace begins with it, a simulation goes on from it.

mod engine;
mod fingerprint;
mod in_flight;
mod numbers;
mod revisions;
mod runs;

pub(crate) use engine::EngineV1;
pub use in_flight::{RecordUnderWay, UnderWay};
pub(crate) use revisions::RevisionsV1;
