//! Restarts instances when files change that they watch.
//!
//! Files are watched while their instance is wanted to run. A change restarts a process that runs.
//! It also starts one again that failed, without its delay: the change may be the repair.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::Engine;
use super::effect::Effect;
use super::supervisor::Supervisor;
use super::timers::TimerReason;
use crate::ids::InstanceId;
use crate::instance::{Goal, Process, Restart, State};
use crate::limits::{WATCH_LONGEST_MS, WATCH_QUIET_MS};
use crate::time::Now;

/// The longest path that is repeated, in bytes.
const PATH_MAX_BYTES: usize = 256;

impl Engine {
    pub(super) fn on_files_changed(&mut self, now: Now, id: InstanceId, path: String) {
        let Some(slot) = self.find(id) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot) {
            supervisor.files_changed(path);
        }
    }

    pub(super) fn on_watch_failed(&mut self, now: Now, id: InstanceId, reason: &str) {
        let Some(slot) = self.find(id) else { return };
        if let Some(mut supervisor) = self.supervise(now, slot)
            && supervisor.instance.watching().is_on
        {
            supervisor.note(&format!("cannot watch files: {reason}"));
        }
    }
}

impl Supervisor<'_> {
    /// Has the files watched while the instance is wanted to run.
    pub(super) fn keep_watch(&mut self) {
        if self.instance.definition().checks.watch.is_empty() {
            return self.end_watch();
        }
        let is_wanted = self.instance.desired().goal == Goal::Up && !self.draining;
        if !is_wanted {
            self.end_watch();
        } else if !self.instance.watching().is_on {
            self.instance.watching_mut().is_on = true;
            let definition = Arc::clone(self.instance.definition());
            self.out.push(Effect::Watch { definition });
        }
    }

    /// Watches nothing any more.
    pub(super) fn end_watch(&mut self) {
        if core::mem::take(&mut self.instance.watching_mut().is_on) {
            self.instance.watching_mut().changed = None;
            self.timers.cancel(TimerReason::FilesChanged(self.slot));
            let instance = self.instance.definition().id;
            self.out.push(Effect::Unwatch { instance });
        }
    }

    /// Another program continues with the instance.
    pub(super) fn watch_again(&mut self) {
        if self.instance.watching().is_on {
            let definition = Arc::clone(self.instance.definition());
            self.out.push(Effect::Watch { definition });
        }
    }

    fn files_changed(&mut self, mut path: String) {
        let (now, slot) = (self.now.mono, self.slot);
        let watching = self.instance.watching_mut();
        if !watching.is_on {
            return;
        }
        path.truncate(path.floor_char_boundary(PATH_MAX_BYTES));
        let (_, since) = watching.changed.get_or_insert((path, now));
        let due = now.after_ms(WATCH_QUIET_MS).min(since.after_ms(WATCH_LONGEST_MS));
        self.timers.arm(TimerReason::FilesChanged(slot), due);
    }

    /// The files have been quiet for long enough.
    pub(super) fn files_settled(&mut self) {
        let Some((path, _)) = self.instance.watching_mut().changed.take() else { return };
        let state = self.instance.state();
        let runs = matches!(state.process, Process::Spawning | Process::Live);
        let is_retried = self.instance.definition().policy.restart != Restart::Never;
        let is_free = self.instance.queue().is_empty() && !self.instance.desired().restart;
        // What a stop or an operation is about to end is not restarted.
        if !is_free || !(runs || state == State::FAILED && is_retried) {
            return;
        }
        self.note(&format!("restarting: a watched file changed: {path}"));
        self.restart();
        self.facts().restarted();
        self.instance.watching_mut().cause = Some(path);
    }
}
