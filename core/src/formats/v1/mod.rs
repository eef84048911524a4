//! Format version 1: state files and traces of release 0.1.0.
//!
//! FROZEN. The files of this folder are never edited again: a change would misread the files of a
//! user. `tests` holds them to the bytes that the release wrote. What became of a type in version
//! 2 is said in `upgrade`.

pub(crate) mod engine;
pub(crate) mod stored;
pub(crate) mod traced;

#[cfg(test)]
mod tests;
