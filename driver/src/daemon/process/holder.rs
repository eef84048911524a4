//! A process group by who its parent is: this master, which signals and reaps it, or a keeper,
//! which does so for it.

use openctrl_core::keeper::Ended;
use openctrl_core::process::{Exit, Scope, Signal};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process_group};

use super::ended::Handle;
use super::group::{Group, Reaped};
use super::newborn::Leader;
use super::stat::Stat;

/// A process group and its leader.
#[derive(Debug)]
pub(super) enum Holder {
    /// The leader is a child of this master, or was left behind by an earlier one.
    Own(Group),
    /// The leader was started by a keeper.
    Kept(KeptGroup),
}

/// What is known here of a group that a keeper started.
#[derive(Debug)]
pub(super) struct KeptGroup {
    leader: Pid,
    start_ticks: u64,
    keeper: i32,
    ended: Option<Ended>,
    /// Once it has no member it gets none.
    has_group: bool,
}

impl KeptGroup {
    pub(super) const fn new(Leader { pid, start_ticks, keeper }: Leader) -> Self {
        Self { leader: pid, start_ticks, keeper, ended: None, has_group: true }
    }
}

impl Holder {
    /// The pid of the leader, which is the number of the group.
    pub(super) const fn pid(&self) -> i32 {
        match self {
            Self::Own(group) => group.pid(),
            Self::Kept(kept) => kept.leader.as_raw_pid(),
        }
    }

    /// The keeper that started it.
    pub(super) const fn keeper(&self) -> Option<i32> {
        match self {
            Self::Own(_) => None,
            Self::Kept(kept) => Some(kept.keeper),
        }
    }

    /// The keeper reported the end of the leader. `None` for the group: it was lost then.
    pub(super) fn ended(&mut self, ended: Ended, has_group: Option<bool>) {
        let Some(leader) = Pid::from_raw(self.pid()) else { return };
        if has_group.is_none() {
            // If the keeper had not reaped it, it is a child of this master by now.
            let _ = Group::new(leader, None).reap();
        }
        let has_group = has_group.unwrap_or(true);
        let (ended, keeper) = (Some(ended), self.keeper().unwrap_or(0));
        *self = Self::Kept(KeptGroup { leader, start_ticks: 0, keeper, ended, has_group });
    }

    /// The keeper was lost: from now on the leader is this master's, if it is its subreaper. Returns
    /// its group if that is news.
    pub(super) fn orphaned(&mut self) -> Option<&Group> {
        if let Self::Kept(kept) = self
            && kept.ended.is_none()
        {
            let now = Stat::read(kept.leader.as_raw_pid());
            let now = now.ok().filter(|now| now.start_ticks == kept.start_ticks);
            let group = match now {
                // The number of a child stays its own until this process reaps it.
                Some(now) if now.parent == getpid().as_raw_pid() => Group::new(kept.leader, None),
                Some(_) => Group::new(kept.leader, Handle::of(kept.leader).ok()),
                None => Group::empty(kept.leader),
            };
            *self = Self::Own(group);
            return match self {
                Self::Own(group) => Some(group),
                Self::Kept(_) => None,
            };
        }
        None
    }

    /// Signals what is left of the group. The leader was reaped.
    pub(super) fn signal_left(&mut self, scope: Scope, signal: Signal) {
        if self.is_left() {
            match self {
                Self::Own(group) => group.signal(scope, signal),
                Self::Kept(kept) => Group::new(kept.leader, None).signal(scope, signal),
            }
        }
    }

    /// The leader was reaped and its keeper lost: what is left of the group is this master's.
    pub(super) fn lead_no_more(&mut self) {
        if let Self::Kept(kept) = self {
            let group = match kept.has_group {
                true => Group::new(kept.leader, None),
                false => Group::empty(kept.leader),
            };
            *self = Self::Own(group);
        }
    }

    /// Reaps the leader, which has ended, and says how; `None` if that cannot be known.
    pub(super) fn reap(&self) -> Option<Reaped> {
        match self {
            Self::Own(group) => group.reap(),
            Self::Kept(kept) => {
                let Ended { exit, has_dumped_core, .. } = kept.ended?;
                Some(Reaped { exit: exit?, has_dumped_core })
            }
        }
    }

    /// Whether the keeper ended the leader because its lease had expired.
    pub(super) fn has_lost_lease(&self) -> bool {
        match self {
            Self::Own(_) => false,
            Self::Kept(kept) => kept.ended.is_some_and(|ended| ended.has_lost_lease),
        }
    }

    /// Whether the group has members besides the leader, which was reaped.
    pub(super) fn is_left(&mut self) -> bool {
        match self {
            Self::Own(group) => group.is_left(),
            Self::Kept(kept) => {
                kept.has_group &= test_kill_process_group(kept.leader) != Err(Errno::SRCH);
                kept.has_group
            }
        }
    }
}

/// What is told of an exit that is not known.
pub(super) const UNKNOWN: Reaped = Reaped { exit: Exit::Code(-1), has_dumped_core: false };
