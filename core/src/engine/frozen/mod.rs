//! The engine as plain data: a trace starts with it, and a simulation continues from it.

mod batches;
mod engine;
mod fingerprint;
mod handed;
mod in_flight;
mod numbers;
mod presence;
mod runs;
mod webhooks;
mod zones;

pub use in_flight::{RecordUnderWay, UnderWay};
