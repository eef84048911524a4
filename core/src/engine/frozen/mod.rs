//! The engine as plain data, and back: a trace begins with it, a simulation goes on from it.

mod engine;
mod fingerprint;
mod in_flight;
mod numbers;
mod runs;

pub use in_flight::{RecordUnderWay, UnderWay};
