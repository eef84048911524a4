//! What a master hands over to the program that replaces it in the same process: the document that
//! passes through memory, and the words that ask for the replacement.
//!
//! Owns both forms, pure and bounded. The engine is opaque bytes here. When and how a program is
//! replaced is the driver's business.

mod document;
mod parts;
#[cfg(test)]
mod tests;
mod words;

pub use document::{HANDOVER_VERSION, Handover, HandoverError};
pub use parts::{Descriptor, HandedBlock, HandedSecret, Role};
pub use words::{Answer, Preflight, Question};
