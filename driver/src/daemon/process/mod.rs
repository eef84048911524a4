//! Child processes: starting them, reading what they print, signalling their groups, reaping them,
//! and knowing them again after a crash of the master.
//!
//! When any of this is to happen is the engine's decision. Every process is the leader of a session
//! and group of its own; signals go to the group, and to what has left it. On Linux a process is
//! waited for through a pidfd and started without `fork`; other Unixes wait in a thread.

mod aftermath;
mod children;
#[cfg_attr(not(target_os = "linux"), path = "ended_thread.rs")]
mod ended;
mod group;
#[cfg_attr(not(target_os = "linux"), path = "handover_channel.rs")]
mod handover;
mod holder;
mod in_flight;
mod job;
mod kept;
mod kin;
mod launch;
mod ledger;
mod leftover;
#[cfg_attr(not(target_os = "linux"), path = "link_elsewhere.rs")]
mod link;
mod link_error;
mod listed;
mod newborn;
mod nursery;
mod orphan_end;
mod orphans;
mod pace;
mod pid_file;
mod pipes;
mod proof;
mod reader;
mod refused;
mod renewal;
mod reports;
mod run_groups;
mod runs;
mod spawner;
mod stat;
mod survivor;
mod survivors;
mod sweep;
mod tracked;
mod verb;
mod watch;
mod woken;

pub(crate) use children::{Children, Ended, Newcomer, Signaled};
pub(crate) use kin::become_subreaper;
pub(crate) use launch::Runtime;
pub(crate) use ledger::Ledger;
pub(crate) use leftover::{Leftover, find as find_leftovers};
pub(crate) use link_error::LinkError;
pub(crate) use pid_file::PidFile;
pub(crate) use proof::{Claim, Proof, has_descendants, prove};
pub(crate) use spawner::{IdleSpawner, Spawner};
pub(crate) use survivor::Survivor;
pub(crate) use survivors::{Keeping, dismiss_keeper};
pub(crate) use sweep::Sweep;
pub(crate) use tracked::{signal_tracked, wait_for_end};
pub(crate) use verb::{VerbEnd, end_commands, run as run_command};
