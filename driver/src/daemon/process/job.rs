//! What the spawner's thread is asked.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use openctrl_core::ids::{InstanceId, ProcessRef, RunId};
use openctrl_core::instance::Definition;
use openctrl_core::keeper::{Child, Lease, Note};
use openctrl_core::process::{Scope, Signal};
use tokio::sync::oneshot;

use super::link::Link;
use super::woken::Woken;
use crate::outputs::Outputs;

/// Holds no descriptor where the thread has a table of its own: the thread could not use it.
#[derive(Debug)]
pub(super) enum Job {
    Spawn(ProcessRef, RunId, Arc<Definition>, Box<Note>),
    /// A process has the number of one of the last master in the ledger.
    Name(ProcessRef, u64),
    Gone(ProcessRef),
    /// A process did not come to life.
    NotStarted(ProcessRef),
    /// A keeper started a process: its id and start time.
    Born(ProcessRef, i32, u64),
    /// A process outlived the last master.
    Attach(ProcessRef, Box<Attached>),
    /// A process of the keeper is to be signaled.
    Signal(ProcessRef, Scope, Signal),
    /// The keeper is to note this about an instance.
    Note(InstanceId, Box<Note>),
    /// All leases are renewed from this time on, in ms.
    Renew(u64),
    /// An instance was deleted.
    Deleted(InstanceId),
    /// This keeper was lost; whether it had started a process.
    KeeperLost(Link, bool),
    /// The process lost its keeper and goes on.
    Orphaned(ProcessRef, Orphan),
    /// Something outlived the last master and belongs to no instance.
    Discard(Box<Child>),
    /// Another start may be under way.
    Room,
    /// Everything before this was done.
    Settle(oneshot::Sender<()>),
    /// Nothing more is to be started.
    Cease(oneshot::Sender<()>),
    /// The keeper is to end.
    Quit(oneshot::Sender<()>),
    /// What is left in control groups is to be killed, and they are to be removed.
    RemoveGroups(oneshot::Sender<()>),
}

/// A process that outlived the last master.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) run: RunId,
    pub(super) instance: InstanceId,
    pub(super) note: Note,
    pub(super) lease: Option<Lease>,
    /// Its number in the ledger, if that knows it.
    pub(super) number: Option<u64>,
    /// The numbers of the pipes that it prints to.
    pub(super) pipes: Outputs<u64>,
    /// Its process id and start time.
    pub(super) born: (i32, u64),
}

/// A process that lost its keeper.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) pid: i32,
    pub(super) start_ticks: u64,
    pub(super) age_ms: u64,
    pub(super) outputs: Outputs<Arc<OwnedFd>>,
    /// Wakes its watch if the next keeper is lost as well.
    pub(super) wake: oneshot::Sender<Woken>,
}
