//! The history: the last lines of each instance, within a limit for all.
//!
//! Owns: which lines are retained, which are discarded first, and which lines a query selects. Does
//! not own: files, locks, or regular expressions; the caller provides the match.

mod block;
mod book;
mod page;
mod query;
#[cfg(test)]
mod tests;

pub use block::{Block, BlockParts, KeptLine, LineId, blocks_of, restored};
pub use book::{HistoryLimits, KeptLog, LogBook, Shelf};
pub use page::{PAGE_TEXT_MAX_BYTES, Page, Unfinished};
pub use query::{BadQuery, Cursor, LIMIT_DEFAULT, LIMIT_MAX, LogQuery, Place};
