//! The client commands: what an operator asks of a master that runs, over its public API.
//!
//! Owns how a master is found and how answers are shown. Knows nothing of the master in the same
//! program but the two files it leaves for its own user: its address and its state. Nothing here is reached when a master or a runtime is started.

mod act;
mod api;
mod apply;
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
mod trust;
mod units;
mod wait;

pub(crate) use run::run;
