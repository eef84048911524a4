//! Upgrade in place: the master becomes the program that is at its path now, in the same process,
//! and no child, no connection that waits and no reader of events loses anything.
//!
//! `upgrader` leads through it: the new program is tried first (`preflight`), then everything stands
//! still and is written down (`departure`), and `exec` follows. The new program finds what was
//! handed over (`arrival`) and goes on with it. `channel` is where an upgrade is asked for. If
//! anything fails before `exec`, the master goes on as it was; what fails after it is a crash of the
//! master, which no child notices. Other systems than Linux have no keeper, and no upgrade in place.

mod arrival;
#[cfg(target_os = "linux")]
mod channel;
#[cfg(target_os = "linux")]
mod departure;
#[cfg(not(target_os = "linux"))]
mod elsewhere;
mod own_program;
mod parts;
#[cfg(target_os = "linux")]
mod preflight;
#[cfg(target_os = "linux")]
mod upgrader;

pub(crate) use arrival::Arrival;
#[cfg(target_os = "linux")]
pub(crate) use channel::remove;
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{remove, start};
pub(crate) use own_program::OwnProgram;
pub(crate) use parts::{Fixed, Running};
#[cfg(target_os = "linux")]
pub(crate) use preflight::{TRIAL, WORD};
#[cfg(target_os = "linux")]
pub(crate) use upgrader::start;
