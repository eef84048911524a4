//! The control API on Unix sockets: what the machine of `core::control` orders, carried out.
//!
//! `sockets` binds and serves, `hub` answers reads and waits, `projection` and `jsonl` write the
//! files that people read. Nothing here decides what an event is.

mod answer;
mod ask;
mod backlog;
mod connection;
mod hands;
mod hub;
mod jsonl;
mod listen;
#[cfg_attr(not(target_os = "linux"), path = "listeners_elsewhere.rs")]
mod listeners;
mod orders;
mod parked;
mod peer;
mod projection;
mod rendered;
mod replayed;
mod runtime;
mod sockets;
mod start;
mod yaml;

pub(crate) use ask::Ask;
pub(crate) use hands::ControlHands;
pub(crate) use hub::ControlHub;
pub(crate) use listen::{ListenError, MAIN_MODE, OpenSockets, SocketFile};
pub(crate) use start::{Parts, start_control};
