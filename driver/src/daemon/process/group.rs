//! A process group by the id of its leader, which must not have been reaped, or must have members
//! left: only then is the number sure to be theirs.

use openctrl_core::process::{Exit, Scope, Signal};
use rustix::io::Errno;
use rustix::process::{
    self, Pid, WaitId, WaitIdOptions, kill_process, kill_process_group, test_kill_process_group,
    waitid,
};

/// A child and its process group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    leader: Pid,
}

impl Group {
    pub(super) const fn new(leader: Pid) -> Self {
        Self { leader }
    }

    /// The pid of the leader, which is the number of the group.
    pub(crate) const fn pid(self) -> i32 {
        self.leader.as_raw_pid()
    }

    /// Signals every member, or the leader alone. A process that has exited meanwhile is no error.
    pub(crate) fn signal(self, scope: Scope, signal: Signal) {
        let number = i32::from(signal.number());
        let to_send = process::Signal::from_named_raw(number).expect("every signal has a name");
        let sent = match scope {
            Scope::Group => kill_process_group(self.leader, to_send),
            Scope::Leader => kill_process(self.leader, to_send),
        };
        if let Err(error) = sent
            && error != Errno::SRCH
        {
            tracing::warn!("cannot signal process group {}: {error}", self.leader);
        }
    }

    /// Reaps the leader, which has ended, and says how.
    pub(crate) fn reap(self) -> Exit {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        loop {
            match waitid(WaitId::Pid(self.leader), options) {
                Err(Errno::INTR) => {}
                Ok(Some(status)) => {
                    let signal = status.terminating_signal().map(Exit::Signal);
                    let code = status.exit_status().map(Exit::Code);
                    return signal.or(code).unwrap_or(Exit::Code(-1));
                }
                // Somebody else reaped it; how it ended is not to be known any more.
                Ok(None) | Err(_) => return Exit::Code(-1),
            }
        }
    }

    /// Whether the group has members besides the leader, which was reaped.
    pub(crate) fn is_left(self) -> bool {
        test_kill_process_group(self.leader) != Err(Errno::SRCH)
    }
}
