//! The control API on Unix sockets: what the machine of `core::control` orders, carried out.
//!
//! `sockets` binds and serves, `hub` answers reads and waits, `projection` and `jsonl` write the
//! files that people read. Nothing here decides what an event is.

mod answer;
mod hub;
mod jsonl;
mod listen;
mod peer;
mod projection;
mod runtime;
mod sockets;
mod yaml;

pub(crate) use answer::{Ask, Door, Writers};
pub(crate) use hub::ControlHub;
pub(crate) use jsonl::EventFiles;
pub(crate) use listen::{ListenError, MAIN_MODE, STATUS_MODE, find_group};
pub(crate) use projection::Projection;
pub(crate) use sockets::{Followed, Sockets, SocketsConfig};
