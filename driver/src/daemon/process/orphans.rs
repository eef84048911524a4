//! Starts that a lost keeper did not answer: the output pipes show whether there is a process.

use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep};

use super::stat::{Stat, inode, prints_to, running};
use crate::outputs::Outputs;

/// How long a process may take from its creation to its standard output.
const APPEARS_WITHIN: Duration = Duration::from_secs(10);

/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The process that prints to one of these pipes, if there is one. None has a writer if and only if
/// nothing was started, or all of it has ended; else a pipe leads to the writer. What a leader that
/// has ended left behind is killed.
pub(super) async fn leader_printing_to(outputs: &Outputs<PipeReader>) -> io::Result<Option<Stat>> {
    let begun = Instant::now();
    let pipes = outputs.as_ref().try_map(|output| inode(output.as_fd()))?;
    let have_no_writer = || outputs.iter().all(|output| has_no_writer(output.as_fd()));
    while !have_no_writer() && begun.elapsed() < APPEARS_WITHIN {
        if let Some(printing) = running().into_iter().find(|stat| prints_to(stat.pid, pipes)) {
            let leader = Stat::read(printing.session).ok();
            if let Some(leader) = leader.filter(|leader| !leader.has_ended()) {
                return Ok(Some(leader));
            }
            // The leader has ended unnoticed: what is left of it must not keep running.
            if let Some(group) = Pid::from_raw(printing.group) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(None)
}

fn has_no_writer(pipe: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(pipe, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let is_ready = poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0);
    is_ready && polled[0].revents().contains(PollFlags::HUP)
}
