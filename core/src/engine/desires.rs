//! The desired state of a configured instance on its way to the disk and back: changes on request,
//! edits by facts, and runs to record.
//!
//! A fact takes effect at once, and its record follows. A requested change takes effect when its
//! record is durable. Both are sections of edits: see [`Section`].

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::commits::Change;
use super::supervisor::Supervisor;
use crate::canary::{self, Canary};
use crate::command::{Desire, DesireDone, Outcome};
use crate::ids::RequestId;
use crate::instance::{Desired, PastRun, Process, Section, WaitingAnswer};
use crate::store::Record;

impl Supervisor<'_> {
    /// Persists a requested change, or answers at once if it changes nothing.
    pub(super) fn desire(&mut self, request: RequestId, desire: Box<Desire>) {
        let is_started = self.instance.presence().run.is_some();
        let mut predicted = self.instance.newest_desired(self.instance.newest_goal()).into_owned();
        let is_stale = !Section::new(&mut predicted).admits(desire.expect);
        let changes = |section: &mut Section<'_>| fulfil(section, &desire, is_stale, is_started);
        let is_changed = apply(changes, &mut predicted);
        // Wait for the pending record: the answer must not come before it is durable.
        if !is_changed && self.instance.presence().pending == 0 {
            let before = Box::new(self.run_shown());
            return self.answer(request, &desire, DesireDone { before, is_stale });
        }
        let record = Record::SetDesired {
            id: self.instance.definition().id,
            desired: Arc::new(predicted.clone()),
        };
        self.instance.presence_mut().staged = Some(predicted);
        self.instance.presence_mut().pending += 1;
        let change = Change::Desire { slot: self.slot, desire, is_stale };
        self.commits.submit(self.out, request, record, change);
    }

    /// A requested change is durable: applies it and answers.
    pub(super) fn desired(&mut self, request: RequestId, desire: &Desire, is_stale: bool) {
        let before = Box::new(self.run_shown());
        let is_started = self.instance.presence().run.is_some();
        self.instance.presence_mut().joined = Some(false);
        let changes = |section: &mut Section<'_>| fulfil(section, desire, is_stale, is_started);
        apply(changes, self.instance.desired_mut());
        if desire.toggle.is_some() {
            // A request does not wait for the back-off of earlier failures.
            self.instance.lifecycle_mut().reset_backoff();
            self.instance.forgive_restarts();
            self.instance.presence_mut().retries = false;
            if !matches!(self.instance.state().process, Process::Spawning | Process::Live) {
                self.instance.presence_mut().start_requested = true;
                self.cancel_restart();
            }
        }
        self.desire_settled();
        if let Some(beat) = desire.beat {
            self.beat(beat);
        }
        if self.instance.presence_mut().joined.take() == Some(true) {
            self.save_desired();
        }
        self.show_run();
        self.answer(request, desire, DesireDone { before, is_stale });
    }

    /// Answers all that waits.
    pub(super) fn answer_waiting(&mut self) {
        for answer in core::mem::take(&mut self.instance.presence_mut().answers) {
            let WaitingAnswer { request, before, is_stale, shows_instance } = answer;
            let outcome = if shows_instance {
                let after = self.instance.view();
                Outcome::Done { before: Box::new(after.clone()), after }
            } else {
                Outcome::Desired(DesireDone { before, is_stale })
            };
            self.out.respond(request, outcome);
        }
    }

    /// One change on request reached the disk, or was refused by it.
    pub(super) fn desire_settled(&mut self) {
        let presence = self.instance.presence_mut();
        presence.pending = presence.pending.saturating_sub(1);
        if presence.pending == 0
            && let Some(staged) = presence.staged.take()
        {
            // The disk's order of changes and facts is the one that counts.
            *self.instance.desired_mut() = staged;
        }
    }

    /// Shows the instance, a record about it being durable.
    pub(super) fn shown(&mut self) {
        self.instance.presence_mut().unshown = self.instance.presence().unshown.saturating_sub(1);
        if self.instance.presence().unshown == 0 {
            self.show_run();
            self.answer_waiting();
        }
    }

    /// A record about the instance could not be made durable: it is sent off again later.
    pub(super) fn not_saved(&mut self, run: Option<Arc<PastRun>>) {
        let most = self.instance.definition().policy.history;
        let presence = self.instance.presence_mut();
        presence.unshown = presence.unshown.saturating_sub(1);
        presence.unsaved = true;
        if !canary::is(Canary::RunNotKept) {
            presence.unsaved_runs.extend(run);
            // The disk would drop these as soon as it takes the later ones.
            let surplus = presence.unsaved_runs.len().saturating_sub(most.into());
            presence.unsaved_runs.drain(..surplus);
        }
        if presence.unshown == 0 {
            self.show_run();
            self.answer_waiting();
        }
    }

    /// Sends off what could not be made durable before.
    pub(super) fn save_again(&mut self) {
        if !core::mem::take(&mut self.instance.presence_mut().unsaved) {
            return;
        }
        for run in core::mem::take(&mut self.instance.presence_mut().unsaved_runs) {
            self.save_run(run);
        }
        self.save_desired();
    }

    /// Changes the desired state by a fact: at once, and on the disk after it.
    pub(super) fn edit(&mut self, edit: impl Fn(&mut Section<'_>)) {
        let cas = self.instance.desired().cas;
        let mut changed = apply(&edit, self.instance.desired_mut());
        let staged = self.instance.presence_mut().staged.as_mut();
        let staged_cas = staged.map(|staged| {
            let cas = staged.cas;
            changed |= apply(&edit, staged);
            cas
        });
        if let Some(joined) = &mut self.instance.presence_mut().joined {
            // It is counted with the change on request that led to it.
            *joined |= changed;
            self.instance.desired_mut().cas = cas;
            if let Some((staged, cas)) =
                self.instance.presence_mut().staged.as_mut().zip(staged_cas)
            {
                staged.cas = cas;
            }
        } else if changed {
            self.save_desired();
        }
    }

    /// Answers when the state that the answer depends on is shown.
    fn answer(&mut self, request: RequestId, desire: &Desire, done: DesireDone) {
        let DesireDone { before, is_stale } = done;
        let shows_instance = desire.shows_instance;
        let answer = WaitingAnswer { request, before, is_stale, shows_instance };
        self.instance.presence_mut().answers.push_back(answer);
        if self.instance.presence().unshown == 0 {
            self.answer_waiting();
        }
    }

    /// Records a run. Runs beyond the number that is kept by now are dropped here as on the disk.
    pub(super) fn save_run(&mut self, run: Arc<PastRun>) {
        let (id, most) = (self.instance.definition().id, self.instance.definition().policy.history);
        self.instance.presence_mut().keep(most.into());
        self.submit(Record::AddRun { id, run: Arc::clone(&run), most }, Some(run));
    }

    fn save_desired(&mut self) {
        let desired = self.instance.newest_desired(self.instance.newest_goal());
        let desired = Arc::new(desired.into_owned());
        self.submit(Record::SetDesired { id: self.instance.definition().id, desired }, None);
    }

    fn submit(&mut self, record: Record, run: Option<Arc<PastRun>>) {
        self.instance.presence_mut().unshown += 1;
        let change = Change::Shown { slot: self.slot, run };
        self.commits.submit(self.out, RequestId::NONE, record, change);
    }
}

fn apply(edit: impl Fn(&mut Section<'_>), desired: &mut Desired) -> bool {
    let mut section = Section::new(desired);
    edit(&mut section);
    section.end()
}

/// Makes the changes that a request asks for; a stale one changes nothing, but it is still a beat.
fn fulfil(section: &mut Section<'_>, desire: &Desire, is_stale: bool, is_started: bool) {
    if !is_stale || canary::is(Canary::StaleApplied) {
        section.edit_values(&desire.values);
        if let Some(toggle) = desire.toggle {
            section.toggle(toggle, is_started);
        }
    }
    if desire.beat.is_some() {
        section.note_change();
    }
}
