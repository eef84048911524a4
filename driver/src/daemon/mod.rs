//! The master: its loop, and one module for each kind of I/O that the engine orders.
//!
//! `master` puts the parts together; `reactor` is the loop.

mod access;
mod clock;
mod console;
mod control;
mod dial;
mod endpoint;
mod file_watch;
mod first_request;
mod first_thread;
mod gate;
mod http;
mod hub;
pub(crate) mod inbox;
mod limits;
mod log;
mod log_line;
mod logs;
mod master;
mod metrics;
mod notified;
mod patrol;
mod probe;
mod probe_tls;
mod process;
mod reactor;
mod request_body;
mod service;
mod signals;
mod standstill;
mod start_error;
pub(crate) mod store;
mod sysinfo;
mod threads;
mod tls;
mod trace;
#[cfg(target_os = "linux")]
mod trial;
mod upgrade;
mod usage;
mod webhook;
mod zones;

pub(crate) use master::{check_patrol, run, run_patrol};
pub use patrol::Event;
pub(crate) use patrol::{Extras, Options as PatrolOptions};
pub(crate) use start_error::StartError;
pub(crate) use sysinfo::{go_arch, go_os};
pub(crate) use trace::segments;
#[cfg(target_os = "linux")]
pub(crate) use trial::show as preflight;
#[cfg(target_os = "linux")]
pub(crate) use upgrade::WORD as PREFLIGHT;
