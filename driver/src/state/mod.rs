//! The state directory on the disk: its files, its lock, and how they are written safely.
//!
//! What is in the files, and what they mean after a crash, is core's. The thread that writes them
//! is `daemon::store`; clients and tools only read.

mod directory;
mod error;
mod files;
mod journal;

pub(crate) use directory::{Loaded, Prepared, StateDirectory, is_held, read_state};
pub(crate) use error::StoreError;
pub(crate) use journal::Journal;
