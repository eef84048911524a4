//! The benchmark: what the master takes for its work, beside what the machine takes for it.
//!
//! A scenario does one kind of work with a real master over real sockets and pipes, does the same
//! work bare (its floor), and returns figures. It runs in a process of its own, which is ended
//! when it takes too long. What becomes of the figures (table, JSON, picture, comparison) is not
//! the scenarios' concern. `docs/contributors/PERFORMANCE.md` says how to read them.

pub mod client;
pub mod figure;
pub mod floor;
pub mod meter;
pub mod options;
pub mod peers;
pub mod readers;
pub mod report;
pub mod runner;
pub mod scenarios;
pub mod stage;
pub mod stats;
pub mod stream;
pub mod subject;
pub mod svg;
pub mod table;
