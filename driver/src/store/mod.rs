//! Where the state lives on the disk, and the thread that writes it.
//!
//! What is in it, and when a change may be told of, is decided elsewhere.

mod directory;
mod error;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use directory::{Loaded, StateDirectory};
pub(crate) use error::StoreError;
pub(crate) use writer::StoreWriter;
