//! Doors: each translates between a wire format and commands, views and events. Pure functions.
//!
//! A door never imports another door, nor the engine. Sockets are the driver's.

pub mod control;
pub(crate) mod json;
pub mod patrol;
pub mod v2;
mod webhook;

pub use webhook::webhook_body;
