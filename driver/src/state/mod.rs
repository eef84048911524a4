//! The state directory on the disk: its files, its lock, and how they are written safely.
//!
//! `core` defines the content of the files and its recovery after a crash. `daemon::store` has the
//! thread that writes them; clients and tools only read.

mod directory;
mod error;
mod files;
mod journal;
mod repair;

pub(crate) use directory::{
    Loaded, Prepared, StateDirectory, is_held, read_key, read_state, with_files,
};
pub(crate) use error::StoreError;
pub(crate) use files::{LOCK, PID_FILE};
pub(crate) use journal::Journal;
