//! Where the state lives on the disk, and the thread that writes it.
//!
//! What is in it, what files mean after a crash, and when a change may be told of, is core's.

mod directory;
mod error;
mod files;
mod journal;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use directory::{Loaded, StateDirectory, is_held, read_state};
pub(crate) use error::StoreError;
pub(crate) use writer::StoreWriter;
