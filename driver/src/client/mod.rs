//! The client commands: requests of an operator to a running master, over its public API.
//!
//! Owns how a master is found and how answers are shown. Uses nothing of the master in the same
//! program except the files that it leaves for its own user: its address, its state and its logs.
//! Nothing here runs when a master or a runtime is started.

mod act;
mod api;
mod apply;
mod archive;
mod audit;
mod config;
mod confirm;
mod control;
mod create;
mod discovery;
mod doctor;
mod document;
mod edit;
mod events;
mod export;
mod failure;
mod follow;
mod http;
mod instance;
mod launch;
mod list;
mod live;
mod logs;
mod master;
mod meter;
mod outlet;
mod pages;
mod place;
mod private;
mod progress;
mod run;
mod screen;
mod select;
mod show;
mod stream;
mod table;
mod tags;
mod text;
mod tls_error;
mod token;
mod trust;
mod units;
#[cfg(target_os = "linux")]
mod upgrade;
mod wait;

pub(crate) use confirm::confirm;
pub(crate) use failure::Failure;
pub(crate) use run::run;
pub(crate) use text::plain;
