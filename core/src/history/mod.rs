//! What instances printed, kept for those who were not there: the last lines of each, within a
//! bound for all.
//!
//! Owns: what is kept, what goes first, and which lines a question asks for. Does not own: files,
//! locks, or regular expressions; a match is asked of whoever has them.

mod block;
mod book;
mod page;
mod query;
#[cfg(test)]
mod tests;

pub use block::{Block, KeptLine, LineId, blocks_of, restored};
pub use book::{HistoryLimits, LogBook, Shelf};
pub use page::{PAGE_TEXT_MAX_BYTES, Page, Unfinished};
pub use query::{BadQuery, Cursor, LIMIT_DEFAULT, LIMIT_MAX, LogQuery, Place};
