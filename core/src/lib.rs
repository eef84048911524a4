#![no_std]
#![forbid(unsafe_code)]
//! The decisions of OpenCtrl, a process-supervision master: a sans-IO state machine and the pure
//! parsers around it.
//!
//! [`engine::Engine`] takes facts ([`engine::Input`]) and gives orders ([`engine::Effect`]); its
//! module documents the contract between it and its driver. This crate has no clock, no threads, no
//! I/O, and no randomness except that of a seed: the compiler enforces this with `no_std`.

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod access;
pub mod alarm;
pub mod backoff;
pub mod canary;
pub mod cgroup;
pub mod checkpoint;
mod codec;
pub mod command;
pub mod control;
pub mod counters;
pub mod doors;
pub mod engine;
mod escape;
pub mod event;
pub mod expect;
mod formats;
pub mod go;
pub mod handover;
pub mod history;
pub mod ids;
pub mod instance;
pub mod keeper;
pub mod limits;
pub mod line;
pub mod master;
mod mixer;
pub mod occasion;
pub mod output;
pub mod pattern;
pub mod process;
pub mod resource;
pub mod rules;
pub mod steady;
pub mod store;
pub mod stream;
pub mod terminal;
pub mod time;
pub mod trace;
pub mod url;
pub mod webhook;
