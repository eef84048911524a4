//! Webhooks: which occasions of instances are reported, and how deliveries wait and are retried.
//!
//! Owns: values and pure state machines. Does not own: where a webhook is, its secret, and the
//! form of a delivery on the wire.

mod delivery;
mod hook;

pub use delivery::{Delivery, DeliveryId, DeliveryResult};
pub use hook::{Hook, HookId, HookShown, HookStep};
