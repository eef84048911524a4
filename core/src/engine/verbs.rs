//! Services: instances that commands start, stop and look at, one command at a time.

use alloc::string::String;
use alloc::sync::Arc;

use super::effect::Effect;
use super::supervisor::Supervisor;
use crate::instance::{Desired, Goal, Hold, InstanceEvent, Presence, Process, Reason, VerbKind};
use crate::process::Exit;

/// The result of a command of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerbResult {
    /// It succeeded.
    Done,
    /// It failed, and how, for people.
    Failed(String),
}

impl Supervisor<'_> {
    /// The command of a service has finished.
    pub(super) fn verb_ended(&mut self, verb: VerbKind, result: &VerbResult) {
        if self.instance.presence().verb != Some(verb) {
            return;
        }
        self.instance.presence_mut().verb = None;
        self.instance.presence_mut().hold = Hold::No;
        let is_live = self.instance.state().process == Process::Live;
        match (verb, result) {
            (VerbKind::Status, VerbResult::Done) if is_live => self.seen_as(0, None),
            (VerbKind::Status | VerbKind::Start, VerbResult::Done) => self.found(0, None),
            (VerbKind::Status, VerbResult::Failed(_)) if is_live => self.lost(),
            (VerbKind::Status, VerbResult::Failed(_)) => {}
            (VerbKind::Stop, VerbResult::Done) => self.ended(Exit::Code(0), false),
            (VerbKind::Restart, VerbResult::Done) => {
                self.ended(Exit::Code(0), false);
                self.look();
            }
            (VerbKind::Start | VerbKind::Stop | VerbKind::Restart, VerbResult::Failed(reason)) => {
                self.instance.presence_mut().retries = true;
                self.instance.presence_mut().restarting = false;
                self.instance
                    .runs_mut()
                    .facts_mut()
                    .set_reason(Reason::NotStarted(reason.as_str().into()));
                self.note(&alloc::format!("{}: {reason}", verb.name()));
            }
        }
        self.show_facts();
    }

    /// Does the next thing that a service needs. Whether that is nothing, and nothing is under way.
    pub(super) fn turn_service(&mut self) -> bool {
        let &Presence { verb, hold, retries, .. } = self.instance.presence();
        if verb.is_some() || self.draining {
            return verb.is_none();
        }
        if !self.instance.queue().is_empty() {
            // It is no longer supervised; this does not stop a service.
            if self.instance.state().has_process() {
                self.close(0);
                self.fire(InstanceEvent::EndedWell);
            }
            return true;
        }
        if hold != Hold::No || retries {
            return true;
        }
        let &Desired { goal, restart, .. } = self.instance.desired();
        let next = match (self.instance.state().process, goal) {
            (Process::Live, _) if restart => VerbKind::Restart,
            (Process::Live, Goal::Down) => VerbKind::Stop,
            (Process::Absent, Goal::Up) => VerbKind::Start,
            _ => return true,
        };
        match next {
            VerbKind::Restart => {
                self.instance.presence_mut().restarting = true;
                self.edit(|section| section.set_restart(false));
            }
            VerbKind::Start => self.edit(|section| section.on_start()),
            VerbKind::Stop | VerbKind::Status => {}
        }
        self.run_verb(next);
        false
    }

    pub(super) fn run_verb(&mut self, verb: VerbKind) {
        self.instance.presence_mut().verb = Some(verb);
        let definition = Arc::clone(self.instance.definition());
        self.out.push(Effect::RunVerb { definition, verb });
    }
}
