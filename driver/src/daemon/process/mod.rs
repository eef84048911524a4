//! Child processes: starting them, reading what they print, signalling their groups, reaping them,
//! and knowing them again after a crash of the master.
//!
//! When any of this is to happen is the engine's decision. Every process is the leader of a group
//! of its own; signals go to the group. On Linux a process is waited for through a pidfd and
//! started without `fork`; other Unixes wait in a thread.

mod aftermath;
#[cfg_attr(not(target_os = "linux"), path = "ended_thread.rs")]
mod ended;
mod group;
#[cfg_attr(not(target_os = "linux"), path = "handover_channel.rs")]
mod handover;
mod ledger;
mod leftover;
mod newborn;
mod refused;
mod spawner;
mod watch;

pub(crate) use aftermath::OomKills;
pub(crate) use group::Group;
pub(crate) use ledger::Ledger;
pub(crate) use leftover::{Leftover, find as find_leftovers};
pub(crate) use spawner::{IdleSpawner, Spawner};
