//! The OpenCtrl program: `openctrl-core` decides, this crate does the I/O.
//!
//! `cli` reads the command line by `grammar`. `daemon` is the master, `client` the commands that ask
//! one, `runtime` what runs a single instance, `tools` what works on files without a master.
//! `address_file`, `certificate`, `cgroups`, `counted`, `counters`, `log_files`, `orders`, `outputs`, `published_file` and `state` are
//! shared by the daemon and the others.

mod address_file;
mod any_certificate;
mod certificate;
mod cgroups;
#[cfg(target_os = "linux")]
mod channel;
mod cli;
mod client;
mod counted;
mod counters;
mod daemon;
mod descriptors;
mod file_identity;
mod grammar;
#[cfg(target_os = "linux")]
mod keeper;
mod lease_clock;
mod log_files;
mod manifest;
mod orders;
mod outputs;
#[cfg(target_os = "linux")]
mod packets;
pub mod patrol;
mod promises;
mod published_file;
pub mod runtime;
#[cfg(target_os = "linux")]
mod start_code;
mod state;
mod tools;
mod version;

pub use cli::run;
