//! The Patrol door: its command line, addresses, log files and the processes it did not start.
//!
//! `doors::patrol` in core interprets requests; the engine decides when anything is started or
//! signaled.

mod board;
mod descriptors;
mod door;
mod hang_up;
mod hook_runner;
mod hooks;
mod http;
mod local_time;
mod log_files;
mod observe;
mod options;
mod rotation;
mod setup;
mod sources;
mod udp;
mod uuid;

pub(crate) use descriptors::Descriptors;
pub(crate) use door::Door;
pub(crate) use hang_up::reload;
pub use hooks::Event;
pub(crate) use hooks::Extras;
pub(crate) use observe::{read_pid_file, run_verb, track, variable};
pub(crate) use options::Options;
pub(crate) use rotation::Rules as LogRules;
pub(crate) use setup::{ConfigFile, SetupError};
pub(crate) use udp::{bind as bind_udp, serve as serve_udp};
