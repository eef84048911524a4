//! What is durable: the records that the engine hands to the store, and the state they add up to.
//!
//! The bytes on the disk are `codec`'s business; when to write and to sync is the driver's.

mod codec;
mod image;
mod record;

pub use codec::{DecodeError, FORMAT_VERSION, decode, encode};
pub use image::{Image, StoredInstance};
pub use record::{Record, SavedTotals};
