//! Crashes of the master, over and over, under load: what was acknowledged is never lost, and
//! nothing runs twice (contract §11).
//!
//! A round starts the master on what the last one left, compares everything with a model of what
//! clients were told, looks for processes that should not be, and ends the master in the midst of
//! the work of some clients. The work comes from a seed; the moments come from the clock.

pub mod census;
pub mod child;
pub mod dice;
pub mod model;
mod rounds;
mod summary;
pub mod witness;
pub mod work;

pub use rounds::{Harness, Victim};
pub use summary::Summary;
