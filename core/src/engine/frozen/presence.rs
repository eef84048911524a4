//! What only instances of a Patrol configuration have as plain data, and back: a part of the frozen
//! engine. Values of key-values are masked.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::numbers::{count, nth, number_of, small};
use crate::command::Desire;
use crate::formats::v2::definition::DesiredV2;
use crate::formats::v2::presence::{AnswerV2, BeatV2, DesireV2, IdentityV2, OpenRunV2, PresenceV2};
use crate::formats::v2::stored::RunV2;
use crate::formats::{FormatError, Masks};
use crate::ids::{RequestId, RunId};
use crate::instance::{
    Beat, Cas, HISTORY_MAX, Hold, OpenRun, PastRun, Presence, RunShown, Toggle, ValuesEdit,
    VerbKind, WaitingAnswer,
};
use crate::process::Identity;
use crate::time::{Time, Wall};

const HOLDS: [Hold; 3] = [Hold::No, Hold::Look, Hold::Grace];

impl PresenceV2 {
    pub(super) fn new(presence: &Presence, masks: &mut Masks) -> Self {
        let Presence { run, heard, by_report, has_leader, leader, tracked, hold, verb, .. } =
            presence;
        let Presence { retries, restarting, start_requested, past, staged, pending, .. } = presence;
        // `joined` is set only while an input is handled.
        let Presence { unshown, answers, unsaved, unsaved_runs, joined: _, .. } = presence;
        Self {
            run: run.map(Into::into),
            heard: heard.map(Wall::as_micros),
            by_report: *by_report,
            has_leader: *has_leader,
            leader: leader.map(Identity::into),
            tracked: tracked.map(Identity::into),
            hold: number_of(&HOLDS, *hold),
            verb: verb.map(|verb| number_of(&VerbKind::ALL, verb)),
            retries: *retries,
            restarting: *restarting,
            start_requested: *start_requested,
            past: runs_of(past, masks),
            staged: staged.as_ref().map(|staged| DesiredV2::masked(staged, masks)),
            pending: *pending,
            unshown: *unshown,
            answers: answers.iter().map(|answer| AnswerV2::new(answer, masks)).collect(),
            unsaved: *unsaved,
            unsaved_runs: runs_of(unsaved_runs, masks),
        }
    }

    /// # Errors
    /// What no engine can have been.
    pub(super) fn thaw(self) -> Result<Presence, FormatError> {
        let answers = self.answers.into_iter().map(AnswerV2::thaw);
        Ok(Presence {
            run: self.run.map(OpenRunV2::thaw).transpose()?,
            heard: self.heard.map(Wall::from_micros),
            by_report: self.by_report,
            has_leader: self.has_leader,
            leader: self.leader.map(Into::into),
            tracked: self.tracked.map(Into::into),
            hold: *nth(&HOLDS, self.hold)?,
            verb: self.verb.map(|verb| nth(&VerbKind::ALL, verb).copied()).transpose()?,
            retries: self.retries,
            restarting: self.restarting,
            start_requested: self.start_requested,
            past: Arc::new(runs(self.past)?),
            staged: self.staged.map(Into::into),
            pending: small(self.pending)?,
            joined: None,
            unshown: small(self.unshown)?,
            answers: answers.collect::<Result<_, _>>()?,
            unsaved: self.unsaved,
            unsaved_runs: runs(self.unsaved_runs)?,
        })
    }
}

impl AnswerV2 {
    fn new(answer: &WaitingAnswer, masks: &mut Masks) -> Self {
        let WaitingAnswer { request, before, is_stale, shows_instance } = answer;
        let RunShown { run, heard, by_report, leader, is_watched, desired, past, draining } =
            before.as_ref();
        Self {
            request: request.0,
            run: run.map(Into::into),
            heard: heard.map(Wall::as_micros),
            flags: [*by_report, *is_watched, *draining, *is_stale, *shows_instance],
            leader: leader.map(Identity::into),
            desired: DesiredV2::masked(desired, masks),
            past: runs_of(past, masks),
        }
    }

    fn thaw(self) -> Result<WaitingAnswer, FormatError> {
        let [by_report, is_watched, draining, is_stale, shows_instance] = self.flags;
        let before = RunShown {
            run: self.run.map(OpenRunV2::thaw).transpose()?,
            heard: self.heard.map(Wall::from_micros),
            by_report,
            leader: self.leader.map(Into::into),
            is_watched,
            desired: Arc::new(self.desired.into()),
            past: Arc::new(runs(self.past)?),
            draining,
        };
        let (request, before) = (RequestId(self.request), Box::new(before));
        Ok(WaitingAnswer { request, before, is_stale, shows_instance })
    }
}

impl From<OpenRun> for OpenRunV2 {
    fn from(run: OpenRun) -> Self {
        let OpenRun { id, pid, started, last_seen, since } = run;
        let last_seen = last_seen.map(Wall::as_micros);
        Self { id: id.0, pid, started: started.as_micros(), last_seen, since: since.as_micros() }
    }
}

impl OpenRunV2 {
    fn thaw(self) -> Result<OpenRun, FormatError> {
        let Self { id, pid, started, last_seen, since } = self;
        let (started, last_seen) = (Wall::from_micros(started), last_seen.map(Wall::from_micros));
        let since = Time::from_micros(count(since)?);
        Ok(OpenRun { id: RunId(id), pid, started, last_seen, since })
    }
}

impl DesireV2 {
    /// The values are masked, their names are not.
    pub(crate) fn masked(desire: &Desire, masks: &mut Masks) -> Self {
        let Desire { expect, values, toggle, beat, shows_instance } = desire;
        let (replaces, values) = match values {
            ValuesEdit::Merge(values) => (false, values),
            ValuesEdit::Replace(values) => (true, values),
        };
        let masked = |(name, value): (&String, &String)| (name.clone(), masks.text(value));
        Self {
            expect: expect.0,
            replaces,
            values: values.iter().map(masked).collect(),
            toggle: toggle.map(|toggle| number_of(&Toggle::ALL, toggle) + 1),
            beat: beat
                .map(|Beat { pid, proven }| BeatV2 { pid, proven: proven.map(Identity::into) }),
            shows_instance: *shows_instance,
        }
    }

    /// # Errors
    /// A toggle that there is not.
    pub(crate) fn into_desire(self) -> Result<Desire, FormatError> {
        let Self { expect, replaces, values, toggle, beat, shows_instance } = self;
        let values = values.into_iter().collect();
        let toggle = toggle.map(|number| nth(&Toggle::ALL, number.wrapping_sub(1)).copied());
        let beat = beat.map(|BeatV2 { pid, proven }| Beat { pid, proven: proven.map(Into::into) });
        Ok(Desire {
            expect: Cas(expect),
            values: if replaces { ValuesEdit::Replace(values) } else { ValuesEdit::Merge(values) },
            toggle: toggle.transpose()?,
            beat,
            shows_instance,
        })
    }
}

impl From<Identity> for IdentityV2 {
    fn from(Identity { pid, start_ticks }: Identity) -> Self {
        (pid, start_ticks)
    }
}

impl From<IdentityV2> for Identity {
    fn from((pid, start_ticks): IdentityV2) -> Self {
        Self { pid, start_ticks }
    }
}

/// A run with masked values.
pub(super) fn run_of(run: &PastRun, masks: &mut Masks) -> RunV2 {
    let mut masked = RunV2::from(run);
    for (_, value) in &mut masked.values {
        *value = masks.text(value);
    }
    masked
}

fn runs_of(runs: &VecDeque<Arc<PastRun>>, masks: &mut Masks) -> Vec<RunV2> {
    runs.iter().map(|run| run_of(run, masks)).collect()
}

fn runs(runs: Vec<RunV2>) -> Result<VecDeque<Arc<PastRun>>, FormatError> {
    if runs.len() > usize::from(HISTORY_MAX) {
        return Err(FormatError::TooLarge("the number of runs that are remembered"));
    }
    Ok(runs.into_iter().map(|run| Arc::new(run.into())).collect())
}
