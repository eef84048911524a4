//! The runs of configured instances, which some are found to have by pid files, by their own reports
//! or by commands. What becomes durable of them is in `desires`, the commands of services in `verbs`.

use alloc::boxed::Box;
use alloc::sync::Arc;

use rand_chacha::rand_core::Rng;

use super::effect::Effect;
use super::supervisor::Supervisor;
use super::timers::TimerReason;
use crate::canary::{self, Canary};
use crate::ids::RunId;
use crate::instance::{
    Beat, BeatStep, Decision, Goal, Hold, InstanceEvent, Liveness, Once, OpenRun, PastRun, Process,
    RunShown, State, VerbKind, Why,
};
use crate::process::{Exit, Identity};

/// The delay of the first check of a pid file after a start; each later one waits twice as long, up
/// to the interval of the instance.
const FIRST_LOOK_MS: u64 = 100;

/// The content of a pid file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The number of a process that is proven to be the instance's.
    Proven(Identity),
    /// No file, no number, or the number of no process or of another one.
    Nothing,
}

impl Supervisor<'_> {
    /// The instance is new to this engine: arms its looks and has its starts wait as long as it may
    /// run already. `grace` is counted from the start of the engine.
    pub(super) fn arrive(&mut self) {
        if !self.instance.definition().is_configured() {
            return;
        }
        self.instance.presence_mut().start_requested = true;
        match &self.instance.definition().liveness {
            Liveness::PidFile { .. } | Liveness::Probe { .. } => {
                self.instance.presence_mut().hold = Hold::Look;
                self.look();
            }
            Liveness::Beat { grace_ms, .. } => {
                let until = self.now.mono.after_ms(*grace_ms);
                self.instance.presence_mut().hold = Hold::Grace;
                self.timers.arm(TimerReason::Hold(self.slot), until);
            }
            Liveness::Exit | Liveness::Checkpoint { .. } => {}
        }
        self.show_run();
    }

    /// The process that an earlier master started is still there: it is the run from now on.
    pub(super) fn survived(&mut self) {
        self.instance.presence_mut().has_leader = true;
        self.instance.presence_mut().hold = Hold::No;
        self.fire(InstanceEvent::Attached);
        self.show_run();
    }

    /// Looks whether the instance runs, and arms the next look.
    pub(super) fn look(&mut self) {
        let Some(every_ms) = self.instance.definition().liveness.looks_every_ms() else { return };
        self.timers.arm(TimerReason::Look(self.slot), self.now.mono.after_ms(every_ms));
        match self.instance.definition().liveness {
            Liveness::PidFile { .. } => self.read_pid_file(),
            // A running command says more than its status would.
            Liveness::Probe { .. } if self.instance.presence().verb.is_none() => {
                self.instance.presence_mut().retries = false;
                self.run_verb(VerbKind::Status);
            }
            Liveness::Probe { .. }
            | Liveness::Exit
            | Liveness::Checkpoint { .. }
            | Liveness::Beat { .. } => {}
        }
    }

    /// The time for instances that run already to report is over.
    pub(super) fn hold_over(&mut self) {
        self.instance.presence_mut().hold = Hold::No;
    }

    /// A pid file was read.
    pub(super) fn sighted(&mut self, sighting: Sighting) {
        if self.instance.presence().hold == Hold::Look {
            self.instance.presence_mut().hold = Hold::No;
        }
        match (self.instance.state().process, sighting) {
            (Process::Absent, Sighting::Proven(identity)) => {
                self.found(identity.pid, Some(identity))
            }
            (Process::Live, Sighting::Proven(identity)) => {
                self.seen_as(identity.pid, Some(identity))
            }
            (Process::Live, Sighting::Nothing) => {
                let presence = self.instance.presence();
                let awaited = presence.run.filter(|run| run.pid == 0);
                let has_time = |since| self.now.mono.ms_since(since) < self.look_ms();
                if !presence.can_signal() && !awaited.is_some_and(|run| has_time(run.since)) {
                    self.lost();
                } else if awaited.is_some() {
                    self.look_soon();
                }
            }
            // A successor of a restart has some time to report.
            (Process::Absent, Sighting::Nothing)
                if self.instance.presence().hold == Hold::Grace =>
            {
                self.look_soon();
            }
            (Process::Absent | Process::Spawning | Process::Cancelled | Process::Ending, _) => {}
        }
    }

    /// The process that was started has a number.
    pub(super) fn told_pid(&mut self, identity: Identity) {
        if !self.instance.definition().is_configured() {
            return;
        }
        self.instance.presence_mut().leader = Some(identity);
        if self.instance.definition().liveness == Liveness::Exit
            && let Some(run) = &mut self.instance.presence_mut().run
        {
            run.pid = identity.pid;
        }
        self.show_run();
    }

    /// The process that a pid file or a report named has exited.
    pub(super) fn tracked_gone(&mut self, identity: Identity) {
        if self.instance.presence().tracked != Some(identity) {
            return;
        }
        self.instance.presence_mut().tracked = None;
        let is_live = self.instance.state().process == Process::Live;
        if is_live && self.instance.presence().run.is_some_and(|run| run.is_of_another(identity)) {
            return;
        }
        match (self.instance.presence().has_leader, self.instance.state().process) {
            (false, _) => {
                // It was not started here: whether a restart left a successor is not known.
                self.wait_for_successor();
                self.ended(Exit::Code(0), false);
            }
            // Its parent alone is not an instance. It is stopped before another one is started.
            (true, Process::Live) if self.instance.presence().leader != Some(identity) => {
                self.lost()
            }
            (true, _) => {}
        }
    }

    /// The process that was started exited. Whether the instance goes on without it: as another
    /// process, or maybe as one that is still to report.
    pub(super) fn leader_exited(&mut self, group_left: bool) -> bool {
        let liveness = &self.instance.definition().liveness;
        if !self.instance.definition().is_configured() || !liveness.tracks() {
            return false;
        }
        let (every_ms, timeout_ms) = (liveness.looks_every_ms(), beat_timeout_ms(liveness));
        let is_live = self.instance.state().process == Process::Live;
        let presence = self.instance.presence_mut();
        // An exit ends only its own run: that of another process that reported, even a stranger's,
        // ends with its reports.
        let has_other = presence.has_other_process() || (is_live && presence.run_has_other_pid());
        if presence.tracked == presence.leader {
            presence.tracked = None;
        }
        presence.has_leader = false;
        presence.leader = None;
        if has_other {
            return true;
        }
        if !group_left {
            return false;
        }
        if !is_live {
            self.wait_for_successor();
            return false;
        }
        // A descendant still runs: a daemon, or a successor. It has as much time to report as an
        // instance that was just started.
        self.instance.presence_mut().restarting = false;
        if self.instance.presence().run.is_some_and(|run| run.pid != 0) {
            self.close(0);
            self.open_run(0);
        }
        if let Some(timeout_ms) = timeout_ms {
            self.timers.arm(TimerReason::BeatDue(self.slot), self.now.mono.after_ms(timeout_ms));
        } else if every_ms.is_some() {
            if let Some(run) = &mut self.instance.presence_mut().run {
                run.since = self.now.mono;
            }
            self.look_soon();
        }
        true
    }

    /// How long a daemon may take to write its pid file: the interval of the instance.
    fn look_ms(&self) -> u64 {
        self.instance.definition().liveness.looks_every_ms().unwrap_or_default()
    }

    /// A restart left a descendant, or may have: a new process is started only if that does not
    /// report in time.
    fn wait_for_successor(&mut self) {
        let liveness = &self.instance.definition().liveness;
        let (every_ms, timeout_ms) = (liveness.looks_every_ms(), beat_timeout_ms(liveness));
        let Some(wait_ms) = timeout_ms.or(every_ms).filter(|_| self.instance.presence().restarting)
        else {
            return;
        };
        self.instance.presence_mut().hold = Hold::Grace;
        self.timers.arm(TimerReason::Hold(self.slot), self.now.mono.after_ms(wait_ms));
        if every_ms.is_some() {
            self.look_soon();
        }
    }

    /// Whether a report of the instance is overdue: then it counts as stopped.
    pub(super) fn beat_due(&mut self) {
        let Some(timeout_ms) = beat_timeout_ms(&self.instance.definition().liveness) else {
            return;
        };
        let Some(run) = self.instance.presence().run else { return };
        let due = run.since.after_ms(timeout_ms);
        if self.now.mono <= due {
            self.timers.arm(TimerReason::BeatDue(self.slot), due.after_ms(1));
            return;
        }
        self.note(&alloc::format!("no ping for more than {} s", timeout_ms / 1_000));
        self.lost();
    }

    /// The run has taken as long as it may.
    pub(super) fn run_limit_over(&mut self) {
        if self.instance.state().process == Process::Live && self.instance.presence().can_signal() {
            self.fire(InstanceEvent::EndOrdered);
        }
    }

    /// Stops the process. One that cannot be signaled is forgotten instead.
    pub(super) fn end(&mut self) {
        let presence = self.instance.presence();
        let is_stranger = self.instance.definition().liveness.tracks() && !presence.can_signal();
        if is_stranger && self.instance.state().process == Process::Live {
            self.ended(Exit::Code(0), false);
        } else {
            self.fire(InstanceEvent::EndOrdered);
        }
    }

    /// A restart that nothing can be sent to is used up all the same.
    pub(super) fn consume_restart(&mut self) {
        let is_live = self.instance.state().process == Process::Live;
        if is_live
            && self.instance.desired().restart
            && self.instance.definition().is_configured()
            && !self.instance.presence().can_signal()
        {
            self.edit(|section| section.set_restart(false));
        }
    }

    /// The signal of a restart is sent: the request is used up with it.
    pub(super) fn restart_sent(&mut self) {
        if self.instance.definition().is_configured() {
            let presence = self.instance.presence_mut();
            (presence.restarting, presence.start_requested) = (true, true);
            self.edit(|section| section.set_restart(false));
        }
    }

    /// A run begins: a process was started, or found.
    pub(super) fn began(&mut self, is_spawned: bool) {
        if !self.instance.definition().is_configured() {
            return;
        }
        let pid = self.instance.presence().leader.map_or(0, |leader| leader.pid);
        let is_watched = self.instance.definition().liveness == Liveness::Exit;
        self.instance.presence_mut().has_leader |= is_spawned;
        self.instance.presence_mut().by_report &= !is_spawned;
        self.open_run(if is_watched { pid } else { 0 });
        if let Some(limit_ms) = self.instance.definition().policy.run_limit_ms {
            self.timers.arm(TimerReason::RunLimit(self.slot), self.now.mono.after_ms(limit_ms));
        }
        if is_spawned && matches!(self.instance.definition().liveness, Liveness::PidFile { .. }) {
            self.look_soon();
        }
        self.edit(|section| {
            if is_spawned {
                section.on_start();
            }
            section.note_change();
        });
    }

    /// Ends the current run: records it, and changes the desired state with it.
    pub(super) fn close(&mut self, exit_code: u8) {
        self.timers.cancel(TimerReason::BeatDue(self.slot));
        self.timers.cancel(TimerReason::RunLimit(self.slot));
        let Some(run) = self.instance.presence_mut().run.take() else { return };
        let desired = self.instance.desired();
        let is_watched = self.instance.definition().liveness == Liveness::Exit;
        let past = Arc::new(PastRun {
            id: run.id,
            pid: run.pid,
            started: run.started,
            last_seen: if is_watched { Some(self.now.wall) } else { run.last_seen },
            stopped: self.now.wall,
            disabled: desired.goal == Goal::Down,
            restart: desired.restart || self.instance.presence().restarting,
            once: desired.once == Once::Consumed,
            shutdown: self.draining,
            exit_code: if is_watched { exit_code } else { 0 },
            values: desired.values.clone(),
        });
        // Earlier runs that the disk refused come first there, too.
        self.save_again();
        self.instance.presence_mut().remember(Arc::clone(&past));
        self.save_run(past);
        let clears = self.instance.definition().clears_values;
        self.edit(|section| section.on_close(clears));
    }

    /// How the instance looks to readers.
    pub(super) fn run_shown(&self) -> RunShown {
        let presence = self.instance.presence();
        RunShown {
            run: presence.run,
            heard: presence.heard,
            by_report: presence.by_report,
            leader: presence.leader,
            is_watched: self.instance.definition().liveness == Liveness::Exit,
            desired: Arc::new(self.instance.desired().clone()),
            past: Arc::clone(&presence.past),
            draining: self.draining,
        }
    }

    /// Shows the instance, unless a record is pending after which it is shown.
    pub(super) fn show_run(&mut self) {
        let definition = self.instance.definition();
        if let Some(label) = definition.label.clone()
            && definition.is_configured()
            && self.instance.presence().unshown == 0
        {
            let (instance, shown) = (definition.id, Box::new(self.run_shown()));
            self.out.push(Effect::ShowRun { label, instance, shown });
        }
    }

    /// The part of a decision that is carried out.
    pub(super) fn withhold(&self, decision: Decision) -> Decision {
        if self.instance.definition().is_configured() {
            self.instance.presence().withhold(self.instance.state().process, decision)
        } else {
            decision
        }
    }

    /// Why the process is being stopped, as far as its instance remembers.
    pub(super) fn is_restarting(&self) -> Option<Why> {
        self.instance.presence().restarting.then_some(Why::Restart)
    }

    /// The instance has reported.
    pub(super) fn beat(&mut self, Beat { pid, mut proven }: Beat) {
        if canary::is(Canary::PingBelieved) && pid != 0 {
            proven.get_or_insert(Identity { pid, start_ticks: 0 });
        }
        self.instance.presence_mut().by_report = true;
        match (self.instance.state().process, self.instance.presence().on_beat(pid)) {
            (Process::Absent, BeatStep::Begin) => self.found(pid, proven),
            (Process::Live, _) => self.seen_as(pid, proven),
            (Process::Ending | Process::Cancelled | Process::Spawning | Process::Absent, _) => {
                match &mut self.instance.presence_mut().run {
                    Some(run) => run.last_seen = Some(self.now.wall),
                    None => self.instance.presence_mut().heard = Some(self.now.wall),
                }
            }
        }
    }

    /// An instance that was thought not to run does.
    pub(super) fn found(&mut self, pid: u32, proven: Option<Identity>) {
        // It is about to be deleted, or redefined: then it is looked for again.
        if !self.instance.queue().is_empty() {
            return;
        }
        if self.instance.state() == State::FAILED {
            // The failure was that of another process.
            self.fire(InstanceEvent::EndOrdered);
        }
        self.instance.presence_mut().tracked = proven;
        self.instance.presence_mut().hold = Hold::No;
        self.fire(InstanceEvent::Attached);
        if let Some(run) = &mut self.instance.presence_mut().run {
            run.pid = pid;
        }
        self.track();
        self.show_run();
    }

    /// The instance runs, as this process if `pid` is not 0.
    pub(super) fn seen_as(&mut self, pid: u32, proven: Option<Identity>) {
        let step = self.instance.presence().on_beat(pid);
        let is_file = matches!(self.instance.definition().liveness, Liveness::PidFile { .. });
        if step == BeatStep::Replace || step == BeatStep::Begin {
            self.close(0);
            self.open_run(pid);
        } else if let Some(run) = &mut self.instance.presence_mut().run {
            let is_new = run.pid == 0 && pid != 0 && is_file;
            run.pid = if pid == 0 { run.pid } else { pid };
            run.since = self.now.mono;
            if !is_new {
                run.last_seen = Some(self.now.wall);
            }
        }
        // What is proven stays proven, whatever another process reports.
        if proven.is_some() && self.instance.presence().tracked != proven {
            self.instance.presence_mut().tracked = proven;
            self.track();
        }
        if let Some(timeout_ms) = beat_timeout_ms(&self.instance.definition().liveness) {
            let due = self.now.mono.after_ms(timeout_ms).after_ms(1);
            self.timers.arm(TimerReason::BeatDue(self.slot), due);
        } else {
            self.edit(|section| section.note_change());
        }
        self.show_run();
    }

    /// The run ended without being observed. The rest of it is stopped before another one starts.
    pub(super) fn lost(&mut self) {
        self.close(0);
        if self.instance.presence().can_signal() && !canary::is(Canary::SilentSpared) {
            self.fire(InstanceEvent::EndOrdered);
        } else {
            self.ended(Exit::Code(0), false);
        }
    }

    fn open_run(&mut self, pid: u32) {
        let id = RunId(u128::from(self.rng.next_u64()) << 64 | u128::from(self.rng.next_u64()));
        let (started, since) = (self.now.wall, self.now.mono);
        self.instance.presence_mut().heard = None;
        self.instance.presence_mut().run =
            Some(OpenRun { id, pid, started, last_seen: None, since });
        if let Some(timeout_ms) = beat_timeout_ms(&self.instance.definition().liveness) {
            let due = self.now.mono.after_ms(timeout_ms).after_ms(1);
            self.timers.arm(TimerReason::BeatDue(self.slot), due);
        }
    }

    fn track(&mut self) {
        let Some(identity) = self.instance.presence().tracked else { return };
        self.out.push(Effect::Track { process: self.process(), identity });
    }

    fn read_pid_file(&mut self) {
        let definition = Arc::clone(self.instance.definition());
        let leader = self.instance.presence().leader;
        self.out.push(Effect::ReadPidFile { definition, leader });
    }

    /// Looks again soon, and each time later, up to the pace of the instance.
    fn look_soon(&mut self) {
        let Some(every_ms) = self.instance.definition().liveness.looks_every_ms() else { return };
        let since = self.instance.presence().run.map_or(self.now.mono, |run| run.since);
        let waited_ms = self.now.mono.ms_since(since);
        let wait_ms = waited_ms.clamp(FIRST_LOOK_MS, every_ms.max(FIRST_LOOK_MS));
        self.timers.arm(TimerReason::Look(self.slot), self.now.mono.after_ms(wait_ms));
    }
}

const fn beat_timeout_ms(liveness: &Liveness) -> Option<u64> {
    match liveness {
        Liveness::Beat { timeout_ms, .. } => Some(*timeout_ms),
        Liveness::Exit
        | Liveness::Checkpoint { .. }
        | Liveness::PidFile { .. }
        | Liveness::Probe { .. } => None,
    }
}
