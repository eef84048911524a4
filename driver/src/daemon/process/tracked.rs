//! Processes that were not started here, but found and proven to be an app's: waiting for their
//! end, and signals to them. Both only as long as the number is still theirs.

use openctrl_core::process::{Identity, Scope, Signal};
use rustix::process::Pid;

use super::ended::Ended;
use super::group::Group;
use super::proof::identify;
use super::stat::Stat;

/// Returns once a process has ended; at once if its number is not its own any more.
pub(crate) async fn wait_for_end(identity: Identity) {
    let Some(pid) = pid_of(identity) else { return };
    let Ok(mut ended) = Ended::of(pid) else { return };
    if is_itself(identity) {
        ended.wait().await;
    }
}

/// Signals a process, and with the scope of a group its group, if it leads one.
pub(crate) fn signal_tracked(identity: Identity, scope: Scope, signal: Signal) {
    let Some(pid) = pid_of(identity).filter(|_| is_itself(identity)) else { return };
    let leads = Stat::read(pid.as_raw_pid()).is_ok_and(|stat| stat.group == stat.pid);
    let scope = if leads { scope } else { Scope::Leader };
    Group::new(pid, None).signal(scope, signal);
}

fn pid_of(identity: Identity) -> Option<Pid> {
    Pid::from_raw(i32::try_from(identity.pid).ok()?)
}

fn is_itself(identity: Identity) -> bool {
    i32::try_from(identity.pid).ok().and_then(identify) == Some(identity)
}
