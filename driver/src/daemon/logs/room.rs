//! Room for output that waits for the log files, and the processes that wait for room.
//!
//! A process that prints faster than the disk writes waits on its pipe, and only that one: the
//! reader of its output asks here before it reads. Does not own the lines, nor the thread that
//! writes them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use openctrl_core::ids::ProcessRef;
use tokio::sync::oneshot;

/// How much of one process may wait.
const PROCESS_MAX_BYTES: usize = 1024 * 1024;

/// How much may wait of all processes. Beyond that a process waits while any output of its own does,
/// so that one that prints seldom never waits for those that flood.
const TOTAL_MAX_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that wait for the log files.
#[derive(Debug, Default)]
pub(crate) struct LogRoom {
    total_bytes: AtomicUsize,
    /// No process waits: lines are dropped, or the thread that writes has ended.
    is_lifted: AtomicBool,
    processes: Mutex<BTreeMap<ProcessRef, Pending>>,
}

/// Of one process.
#[derive(Debug, Default)]
struct Pending {
    bytes: usize,
    /// Dropped to let its reader continue.
    reader: Option<oneshot::Sender<()>>,
}

impl LogRoom {
    /// Whether the output of a process has to wait: if so, returns what ends when it need not wait
    /// any longer. There is one reader of a process; a second call replaces what the first returned.
    pub(crate) fn wait(&self, process: ProcessRef) -> Option<oneshot::Receiver<()>> {
        let total_bytes = self.total_bytes.load(Ordering::Relaxed);
        if total_bytes < PROCESS_MAX_BYTES {
            return None;
        }
        let mut processes = self.processes();
        // Under the lock: none is left waiting when it is lifted.
        if self.is_lifted.load(Ordering::Relaxed) {
            return None;
        }
        let pending = processes.get_mut(&process)?;
        let max_bytes = if total_bytes < TOTAL_MAX_BYTES { PROCESS_MAX_BYTES } else { 1 };
        if pending.bytes < max_bytes {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        pending.reader = Some(sender);
        Some(receiver)
    }

    /// Output of a process waits now.
    pub(super) fn take(&self, process: ProcessRef, bytes: usize) {
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut processes = self.processes();
        // Whose it is matters only while a process may have to wait.
        if !self.is_lifted.load(Ordering::Relaxed) {
            processes.entry(process).or_default().bytes += bytes;
        }
    }

    /// Output of a process was written, or could not be.
    pub(super) fn give_back(&self, process: ProcessRef, bytes: usize) {
        self.total_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let mut processes = self.processes();
        let Some(pending) = processes.get_mut(&process) else { return };
        pending.bytes = pending.bytes.saturating_sub(bytes);
        // Half is enough to print on while the rest is written.
        if pending.bytes <= PROCESS_MAX_BYTES / 2 {
            pending.reader = None;
        }
        if pending.bytes == 0 {
            processes.remove(&process);
        }
    }

    /// Lets every process continue from now on.
    pub(super) fn lift(&self) {
        let mut processes = self.processes();
        self.is_lifted.store(true, Ordering::Relaxed);
        processes.clear();
    }

    /// Bytes that wait.
    pub(super) fn total_bytes(&self) -> usize {
        self.total_bytes.load(Ordering::Relaxed)
    }

    fn processes(&self) -> MutexGuard<'_, BTreeMap<ProcessRef, Pending>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::{Generation, SlotId};
    use tokio::sync::oneshot::error::TryRecvError;

    const fn process(number: u32) -> ProcessRef {
        ProcessRef { slot: SlotId(number), generation: Generation(1) }
    }

    fn waits(wait: &mut oneshot::Receiver<()>) -> bool {
        wait.try_recv() == Err(TryRecvError::Empty)
    }

    #[test]
    fn only_a_process_with_much_to_write_waits_until_half_is_written() {
        let room = LogRoom::default();
        room.take(process(1), PROCESS_MAX_BYTES - 1);
        room.take(process(2), 10);
        assert!(room.wait(process(1)).is_none(), "one byte is left");
        room.take(process(1), 1);
        assert!(room.wait(process(2)).is_none() && room.wait(process(3)).is_none());
        let mut wait = room.wait(process(1)).expect("it is full");
        room.give_back(process(1), PROCESS_MAX_BYTES / 2 - 1);
        assert!(waits(&mut wait));
        room.give_back(process(1), 1);
        assert!(!waits(&mut wait) && room.wait(process(1)).is_none());
        room.give_back(process(1), PROCESS_MAX_BYTES / 2);
        room.give_back(process(2), 10);
        assert!(room.total_bytes() == 0 && room.processes().is_empty(), "nothing is kept");
    }

    #[test]
    fn if_all_have_much_each_waits_for_its_own_only() {
        let room = LogRoom::default();
        for number in 0..16 {
            room.take(process(number), TOTAL_MAX_BYTES / 16);
        }
        let mut waiting = room.wait(process(3)).expect("all together have too much");
        assert!(room.wait(process(16)).is_none(), "one that has nothing to write");
        room.give_back(process(3), TOTAL_MAX_BYTES / 16);
        assert!(!waits(&mut waiting));
    }

    #[test]
    fn nothing_waits_once_it_is_lifted() {
        let room = LogRoom::default();
        room.take(process(1), PROCESS_MAX_BYTES);
        let mut wait = room.wait(process(1)).expect("it is full");
        room.lift();
        assert!(!waits(&mut wait));
        room.take(process(1), PROCESS_MAX_BYTES);
        assert!(room.wait(process(1)).is_none());
    }
}
