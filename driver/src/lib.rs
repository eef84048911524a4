//! The OpenCtrl daemon: carries out what `openctrl-core` decides.
//!
//! `cli` reads the command line; `master` puts the parts of a master together; `reactor` is its
//! loop. `client` is what operators ask such a master. Each of the other modules is one kind of I/O.

mod address_file;
mod cli;
mod client;
mod clock;
mod console;
mod dial;
mod http;
mod hub;
mod inbox;
mod inspect;
mod limits;
mod log;
mod logs;
mod master;
mod metrics;
mod process;
mod promises;
mod reactor;
mod replay;
pub mod runtime;
mod service;
mod signals;
mod store;
mod sysinfo;
mod tls;
mod trace;
mod usage;

pub use cli::run;
