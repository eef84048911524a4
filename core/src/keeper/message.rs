//! The messages between the master and the keeper.

use alloc::vec::Vec;

use super::lease::Lease;
use crate::ids::{InstanceId, RunId};
use crate::process::{Exit, Scope, Signal};
use crate::time::Wall;

/// The version of these messages. `Hello` and `Turned` keep their form in every version.
pub const VERSION: u16 = 2;

/// The longest note about a run, in bytes.
pub const NOTE_MAX_BYTES: usize = 1024;

/// From the master to the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// The first order of a connection. Descriptors: the working directory of children, then the
    /// file of the master's program, which carries out exec steps.
    Hello {
        /// The version that the master speaks.
        version: u16,
        /// The umask of children.
        umask: u32,
    },
    /// Variables of the environment of children, each `NAME=value`; several orders add up.
    Environment {
        /// Whether the variables of earlier orders are discarded.
        is_first: bool,
        /// The variables.
        variables: Vec<Vec<u8>>,
    },
    /// Start a child. Descriptors: the read end and the write end of its output, the same of its
    /// standard error if that has a pipe of its own, then the write end of the report of its exec
    /// step if there is one.
    Start(Start),
    /// Signal a child, or what is left of its group.
    Signal {
        /// Which.
        run: RunId,
        /// The processes that receive it.
        scope: Scope,
        /// Which signal.
        signal: Signal,
        /// Whether it belongs to a stop: the child is expected to end.
        is_stop: bool,
    },
    /// Store a note for the next master.
    Note {
        /// About which run.
        run: RunId,
        /// The note, at most [`NOTE_MAX_BYTES`].
        note: Vec<u8>,
    },
    /// Watch a process that another keeper started: its exit status will not be known. Descriptors:
    /// the read end of its output, then that of its standard error if that has a pipe of its own.
    Hold(Child),
    /// The master has handled the exit of a child and sends no more signals to its group. The note is
    /// kept until the instance has another child.
    Taken(RunId),
    /// Forget a child.
    Forget(RunId),
    /// Discard the note about an instance that has no child.
    ForgetInstance(InstanceId),
    /// The master lives: all leases count from this time.
    Renew {
        /// When that was, in ms of the clock that goes on while the machine is suspended.
        at_ms: u64,
    },
    /// List the children.
    List,
    /// End as soon as no child runs.
    Quit,
}

/// How a child is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The id of its run.
    pub run: RunId,
    /// Its instance.
    pub instance: InstanceId,
    /// The file to execute; that of the master's program if empty.
    pub path: Vec<u8>,
    /// Its arguments, starting with its own name.
    pub arguments: Vec<Vec<u8>>,
    /// Whether its standard error has a pipe of its own.
    pub has_stderr: bool,
    /// Whether its environment has only its own variables.
    pub clear_env: bool,
    /// Variables of its own, each `NAME=value`. They replace those of the same name.
    pub env: Vec<Vec<u8>>,
    /// As in [`Order::Note`].
    pub note: Vec<u8>,
    /// Its lease; `None` lets it run without a master as long as it likes.
    pub lease: Option<Lease>,
}

/// From the keeper to the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// The keeper accepts orders from this master.
    Hello {
        /// The version that the keeper speaks.
        version: u16,
        /// Its process id.
        pid: i32,
    },
    /// The keeper refuses orders from this master.
    Turned {
        /// The version that the keeper speaks.
        version: u16,
        /// Why.
        why: Turned,
    },
    /// A child was started.
    Started {
        /// Which.
        run: RunId,
        /// Its process id, which is that of its group and session.
        pid: i32,
        /// When it started, in clock ticks since the machine did; 0 if that cannot be known.
        start_ticks: u64,
    },
    /// A child could not be started.
    Failed {
        /// Which.
        run: RunId,
        /// The error of the system.
        errno: i32,
    },
    /// A child has ended; it is about to be reaped.
    Ended(RunId, Ended),
    /// That child was reaped.
    Reaped {
        /// Which.
        run: RunId,
        /// Whether its group has other members.
        has_group: bool,
    },
    /// One child of the list. Descriptors: the read end of its output, then that of its standard
    /// error if that has a pipe of its own.
    Item(Child),
    /// The list is complete.
    Listed {
        /// How many children it has.
        count: u32,
    },
}

/// Why a keeper refuses the orders of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It speaks another version.
    Version,
    /// Another master is connected.
    Busy,
    /// The master runs as another user.
    User,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit; `None` if that cannot be known.
    pub exit: Option<Exit>,
    /// Whether it left a core dump.
    pub has_dumped_core: bool,
    /// Whether the keeper ended it because its lease had expired.
    pub has_lost_lease: bool,
}

impl Ended {
    /// The end of a process of which nothing is known.
    pub const UNKNOWN: Self = Self { exit: None, has_dumped_core: false, has_lost_lease: false };
}

/// What a keeper knows of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The name of its run.
    pub run: RunId,
    /// What it runs for.
    pub instance: InstanceId,
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since the machine did.
    pub start_ticks: u64,
    /// When it started, by the wall clock.
    pub started: Wall,
    /// How long ago that was, in ms, whatever the wall clock did since.
    pub age_ms: u64,
    /// The last note of the master.
    pub note: Vec<u8>,
    /// Its state.
    pub state: ChildState,
    /// Whether it received a signal of a stop while it ran.
    pub is_stopping: bool,
    /// Its lease.
    pub lease: Option<Lease>,
}

/// The state of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It runs.
    Alive,
    /// It has ended.
    Ended(Ended),
    /// It has ended, and a master has handled its exit.
    Taken,
}
