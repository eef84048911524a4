//! Messages between the master and the keeper, the small process that is the parent of every child.
//!
//! Owns the messages and their bytes, both pure and bounded. A message is one packet of a
//! sequenced-packet socket; descriptors travel beside it and are listed where a message is defined.
//! When something is sent is the driver's business.

mod lease;
mod message;
mod note;
mod wire;
#[cfg(test)]
mod wire_tests;

pub use lease::{DueSignal, Lease, Leases};
pub use message::{
    Child, ChildState, Ended, NOTE_MAX_BYTES, Order, Report, Start, Turned, VERSION,
};
pub use note::{Note, Ordered};
pub use wire::{MESSAGE_MAX_BYTES, WireError, decode_order, decode_report, encode};
