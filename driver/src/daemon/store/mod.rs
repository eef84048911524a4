//! The thread that writes the state directory.
//!
//! When a change may be shown is core's decision; the files themselves are `crate::state`'s.

#[cfg(test)]
mod tests;
mod writer;

pub(crate) use writer::{StoreWriter, Urgency};
