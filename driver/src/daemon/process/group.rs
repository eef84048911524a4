//! A process group by the id of its leader, which must not have been reaped, or must have members
//! left: only then is the number sure to be theirs.

use openctrl_core::process::{Exit, Scope, Signal};
use rustix::io::Errno;
use rustix::process::{
    self, Pid, WaitId, WaitIdOptions, getpgid, kill_process, kill_process_group,
    test_kill_process_group, waitid,
};

use super::ended::Handle;

/// A process and its group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    leader: Pid,
    /// `None` if the leader had ended when its group was found.
    handle: Option<Handle>,
    /// Neither the leader nor a member is left: the number may mean another group.
    is_empty: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reaped {
    pub(crate) exit: Exit,
    pub(crate) has_dumped_core: bool,
}

impl Group {
    pub(super) const fn new(leader: Pid, handle: Option<Handle>) -> Self {
        Self { leader, handle, is_empty: false }
    }

    /// The group of a leader that has ended, when no member is left either.
    pub(super) const fn empty(leader: Pid) -> Self {
        Self { leader, handle: None, is_empty: true }
    }

    /// The pid of the leader, which is the number of the group.
    pub(crate) const fn pid(&self) -> i32 {
        self.leader.as_raw_pid()
    }

    /// Signals every member, and the leader wherever it is, or the leader alone. That none is left
    /// is no error: a process may end at any time.
    pub(super) fn signal(&self, scope: Scope, signal: Signal) {
        if self.is_empty {
            return;
        }
        let is_group = scope == Scope::Group;
        let send = |number| {
            let to_group = if is_group { kill_process_group(self.leader, number) } else { Ok(()) };
            // A group counts as signalled if one member was.
            let to_leader = match &self.handle {
                _ if is_group && signal != Signal::KILL && !self.leader_is_elsewhere() => Ok(()),
                Some(leader) => leader.signal(number),
                None if is_group => Ok(()),
                None => kill_process(self.leader, number),
            };
            [to_group, to_leader]
        };
        for error in send(number(signal)).into_iter().filter_map(Result::err).filter(is_news) {
            tracing::warn!("cannot signal process group {}: {error}", self.leader);
        }
        if needs_cont(signal) {
            let _ = send(process::Signal::CONT);
        }
    }

    /// Reaps the leader, which has ended, and says how; `None` if it is no child of this master.
    pub(super) fn reap(&self) -> Option<Reaped> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        loop {
            match waitid(WaitId::Pid(self.leader), options) {
                Err(Errno::INTR) => {}
                Ok(Some(status)) => {
                    let signal = status.terminating_signal().map(Exit::Signal);
                    let code = status.exit_status().map(Exit::Code);
                    let exit = signal.or(code)?;
                    return Some(Reaped { exit, has_dumped_core: status.dumped() });
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Whether the group has members besides the leader, which was reaped. Once it has none it gets
    /// none.
    pub(super) fn is_left(&mut self) -> bool {
        self.is_empty |= test_kill_process_group(self.leader) == Err(Errno::SRCH);
        !self.is_empty
    }

    /// Whether the leader has changed its group. It leads a session of its own and cannot, unless an
    /// earlier version of this program started it.
    fn leader_is_elsewhere(&self) -> bool {
        getpgid(Some(self.leader)).is_ok_and(|group| group != self.leader)
    }
}

/// The signal as the system knows it.
pub(super) fn number(signal: Signal) -> process::Signal {
    process::Signal::from_named_raw(signal.number().into()).expect("every signal has a name")
}

/// Whether a process that was stopped handles the signal only when it goes on.
pub(super) fn needs_cont(signal: Signal) -> bool {
    const STOPS: [&str; 4] = ["STOP", "TSTP", "TTIN", "TTOU"];
    ![Signal::KILL, Signal::CONT].contains(&signal) && !STOPS.contains(&signal.name())
}

fn is_news(error: &Errno) -> bool {
    *error != Errno::SRCH
}
