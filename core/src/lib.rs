#![no_std]
#![forbid(unsafe_code)]
//! The decisions of OpenCtrl.
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod backoff;
pub mod checkpoint;
pub mod counters;
pub mod events;
pub mod line;
pub mod url;
