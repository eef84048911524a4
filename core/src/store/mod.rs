//! The durable state: the changes that the engine passes to the store, the state they add up to,
//! and the encoding of both.
//!
//! The driver names, writes and syncs files; `recover` interprets them after a crash or damage.
//! `gob` reads the state of the Go master, once.

#[cfg(test)]
mod arbitrary;
mod configure;
mod dto;
mod gob;
mod identity;
mod image;
mod journal;
mod kept;
mod record;
mod recover;
mod repair;
mod salvage;
mod snapshot;

pub use configure::begin;
pub use gob::{GobError, decode_gob};
pub use identity::identity;
pub use image::{Image, StoredInstance};
pub use journal::{
    JournalEnd, JournalError, ReadJournal, WRITE_RECORDS_MAX, encode_entry, encode_write,
    journal_header, read_journal,
};
pub use kept::{ControlImage, ControlUndo, Kept, KeptRule, RulesRecord};
pub use record::{Entry, Record};
pub use recover::{FIRST_GENERATION, Files, Finding, Recovered, RecoveryError, recover};
pub use repair::{FoundInstead, Loss, Older, Repair, RepairError, Verdict, repair};
pub use snapshot::{DecodeError, FORMAT_VERSION, decode, encode};

pub use crate::formats::FormatError;
