//! What is durable: the changes that the engine hands to the store, the state they add up to, and
//! both as bytes.
//!
//! Files are named, written and synced by the driver; `recover` says what they mean after whatever
//! happened to them. `gob` reads the state of the Go master, once.

#[cfg(test)]
mod arbitrary;
mod configure;
mod dto;
mod gob;
mod image;
mod journal;
mod kept;
mod record;
mod recover;
mod snapshot;

pub use configure::begin;
pub use gob::{GobError, decode_gob};
pub use image::{Image, StoredInstance};
pub use journal::{
    JournalEnd, JournalError, ReadJournal, encode_entry, journal_header, read_journal,
};
pub use kept::{ControlImage, ControlUndo, Kept, KeptRule, RulesRecord};
pub use record::{Entry, Record};
pub use recover::{FIRST_GENERATION, Files, Finding, Recovered, RecoveryError, recover};
pub use snapshot::{DecodeError, FORMAT_VERSION, decode, encode};

pub use crate::formats::FormatError;
