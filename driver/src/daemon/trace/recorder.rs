//! The loop's side of a trace. It pays for a clone of each input, which is small or shared, for a
//! digest of each effect, and once a step for a lock; it never waits.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use openctrl_core::command::Command;
use openctrl_core::control::{Attached, Control, ControlEffect, ControlInput, RulesRequest};
use openctrl_core::engine::{Contradiction, Effect, Engine, Input};
use openctrl_core::ids::ProcessRef;
use openctrl_core::instance::ValuesEdit;
use openctrl_core::limits::TICK_MS;
use openctrl_core::time::{Now, Time};
use openctrl_core::trace::{Digest, End, EndReason};

use super::queue::{Begin, Message, Queue, Wish};
use super::segment::Destination;
use super::writer::{Writer, report};

/// How long the last of a trace may take to be written.
const LAST_RECORDS: Duration = Duration::from_secs(2);

/// Base size of a message.
const MESSAGE_BYTES: usize = size_of::<Message>();

/// Size of an item of output: a checkpoint, with the overhead of the allocator.
const ITEM_BYTES: usize = 112;

/// Records the inputs of one engine.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// None if nothing is to be recorded.
    queue: Option<Arc<Queue>>,
    /// The inputs of this step.
    step: Vec<Message>,
    /// How much memory that keeps.
    step_bytes: usize,
    /// Whether a segment is under way that lacks nothing.
    is_recording: bool,
    /// Inputs since it lacks something.
    lost: u64,
    /// Of the effects since it began.
    effects: Digest,
    /// Of the effects of the machine of the control API since it began, and of those that are
    /// recorded.
    control: (Digest, Digest),
    /// Whether the input at hand of that machine is recorded.
    is_following: bool,
    /// When the next fingerprint of the engine is due.
    fingerprint_at: Time,
}

impl Recorder {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// If the thread cannot be started. Errors of the destination are reported later, as a warning.
    pub(crate) fn start(destination: Destination) -> io::Result<Self> {
        let queue = Writer::queue(&destination);
        Writer::start(destination, Arc::clone(&queue))?;
        Ok(Self::onto(queue))
    }

    /// Passes messages to the thread that empties `queue`.
    pub(super) fn onto(queue: Arc<Queue>) -> Self {
        let mut recorder = Self::default();
        recorder.queue = Some(queue);
        recorder
    }

    /// Records `input` before the engine handles it. `control` is the machine of the control API.
    pub(crate) fn input(
        &mut self,
        engine: &Engine,
        control: Option<&Control>,
        now: Now,
        input: &Input,
    ) {
        if !self.takes_input(engine, control, now) {
            return;
        }
        self.step_bytes += MESSAGE_BYTES + content_bytes(input);
        let effects = self.effects;
        self.step.push(if let Input::OutputRead { process, batch } = input {
            Message::Output { now, effects, process: *process, batch: Arc::clone(batch) }
        } else {
            Message::Input { now, effects, input: Box::new(input.clone()) }
        });
    }

    /// Records `input` before the machine of the control API handles it.
    pub(crate) fn control(
        &mut self,
        engine: &Engine,
        control: &Control,
        now: Now,
        input: &ControlInput,
    ) {
        self.is_following = !input.only_asks() && self.takes_input(engine, Some(control), now);
        if self.is_following {
            self.step_bytes += MESSAGE_BYTES + control_bytes(input);
            let (effects, input) = (self.effects, Box::new(input.clone()));
            self.step.push(Message::Control { now, effects, input });
        }
    }

    /// Whether inputs are recorded now; begins a segment if one is wanted.
    fn takes_input(&mut self, engine: &Engine, control: Option<&Control>, now: Now) -> bool {
        let Some(queue) = &self.queue else { return false };
        match queue.wish() {
            Wish::Inputs => {}
            Wish::Segment => {
                queue.granted();
                self.begin(engine, control, now);
            }
            Wish::Nothing => self.is_recording = false,
        }
        self.lost += u64::from(!self.is_recording);
        self.is_following = self.is_recording;
        self.is_recording
    }

    /// Adds an effect of the machine of the control API to its digest.
    pub(crate) fn control_effect(&mut self, effect: &ControlEffect) {
        if self.is_following {
            effect.digest(&mut self.control.0);
        }
    }

    /// The same for events that are stored with a change.
    pub(crate) fn attached(&mut self, attached: &Attached) {
        if self.is_following {
            attached.digest(&mut self.control.0);
        }
    }

    /// The machine of the control API is done with a step; `pids` are the processes whose ids it was
    /// given.
    pub(crate) fn followed(&mut self, pids: Vec<(ProcessRef, i32)>) {
        let (effects, recorded) = self.control;
        if self.is_recording && (effects != recorded || !pids.is_empty()) {
            self.control.1 = effects;
            self.step_bytes += MESSAGE_BYTES;
            self.step.push(Message::Followed { effects, pids });
        }
    }

    /// Adds `effect` to the digest.
    pub(crate) fn effect(&mut self, effect: &Effect) {
        if self.is_recording {
            self.effects.effect(effect);
        }
    }

    /// A step of the loop has finished: passes on its inputs.
    pub(crate) fn hand_over(&mut self, engine: &Engine, control: Option<&Control>, now: Now) {
        let Some(queue) = &self.queue else { return };
        if self.is_recording && now.mono >= self.fingerprint_at {
            self.fingerprint_at = now.mono.after_ms(TICK_MS);
            self.step.push(Message::State(engine.fingerprint()));
            let control = control.map(|control| Message::ControlState(control.fingerprint()));
            self.step.extend(control);
        }
        if self.step.is_empty() {
            return;
        }
        if !queue.push(&mut self.step, std::mem::take(&mut self.step_bytes)) {
            self.is_recording = false;
            for message in self.step.drain(..) {
                self.lost += match message {
                    Message::Output { .. } | Message::Input { .. } | Message::Control { .. } => 1,
                    Message::Begin(begin) => match begin.end.why {
                        EndReason::Lost(lost) => lost,
                        EndReason::Continued | EndReason::Finished | EndReason::Panicked => 0,
                    },
                    Message::Keep(found) => {
                        report(&found);
                        0
                    }
                    Message::State(_)
                    | Message::Followed { .. }
                    | Message::ControlState(_)
                    | Message::End(_) => 0,
                };
            }
        }
    }

    /// The engine contradicts itself: reports it, and keeps the segment that led to it.
    pub(crate) fn contradicted(&mut self, found: Contradiction) {
        if self.is_recording {
            self.step_bytes += MESSAGE_BYTES;
            self.step.push(Message::Keep(Box::new(found)));
        } else {
            report(&found);
        }
    }

    /// The master stops: waits briefly until everything is written.
    pub(crate) fn finish(mut self, engine: &Engine) {
        let Some(queue) = self.queue.take() else { return };
        let mut last = std::mem::take(&mut self.step);
        if self.is_recording {
            let (effects, state) = (Some(self.effects), Some(engine.fingerprint()));
            last.push(Message::End(Box::new(End { why: EndReason::Finished, effects, state })));
        }
        queue.close(last, LAST_RECORDS);
    }

    /// Whether a segment lacks something and the next has not begun.
    #[cfg(test)]
    pub(super) const fn has_lost(&self) -> bool {
        self.lost > 0
    }

    /// Waits until the thread has taken everything.
    #[cfg(test)]
    pub(super) fn wait_until_idle(&self) {
        while self.queue.as_ref().is_some_and(|queue| !queue.is_empty()) {
            thread::yield_now();
        }
    }

    fn begin(&mut self, engine: &Engine, control: Option<&Control>, now: Now) {
        let end = match std::mem::take(&mut self.lost) {
            0 => End { why: EndReason::Continued, effects: Some(self.effects), state: None },
            lost => End { why: EndReason::Lost(lost), effects: None, state: None },
        };
        self.step_bytes += MESSAGE_BYTES;
        let (engine, control) = (engine.clone(), control.cloned());
        self.step.push(Message::Begin(Box::new(Begin { end, now, engine, control })));
        (self.effects, self.control) = (Digest::default(), Default::default());
        self.is_recording = true;
        self.fingerprint_at = now.mono.after_ms(TICK_MS);
    }
}

impl Drop for Recorder {
    /// If the loop panics, what led to it is the last that is written.
    fn drop(&mut self) {
        let Some(queue) = self.queue.take() else { return };
        if !thread::panicking() {
            queue.close(Vec::new(), Duration::ZERO);
            return;
        }
        let mut last = std::mem::take(&mut self.step);
        let end = End { why: EndReason::Panicked, effects: None, state: None };
        last.push(Message::End(Box::new(end)));
        let path = queue.close(last, LAST_RECORDS);
        if let Some(path) = path.filter(|_| self.is_recording) {
            // Not through the log, whose thread may not write it any more.
            let _ = writeln!(io::stderr(), "REPRODUCE: openctrl replay '{}'", path.display());
        }
    }
}

/// The memory that an input keeps besides itself.
fn content_bytes(input: &Input) -> usize {
    #[expect(clippy::wildcard_enum_match_arm, reason = "others hold no more than a short text")]
    match input {
        Input::OutputRead { batch, .. } => batch.text().len() + batch.items.len() * ITEM_BYTES,
        Input::RequestArrived { command, .. } => match command {
            Command::Create { url, alias } => url.as_str().len() + alias.len(),
            Command::Replace { url, .. } => url.as_str().len(),
            Command::Amend { amend, .. } => {
                let tags = amend.meta.as_ref().and_then(|meta| meta.tags.as_ref());
                let tags = tags.into_iter().flatten().map(|(key, tag)| key.len() + tag.len());
                let variables = amend.policy.as_ref().map(|policy| &policy.setup.env);
                let variables = variables.into_iter().flatten();
                let variables = variables.map(|(name, value)| name.len() + value.len());
                tags.sum::<usize>() + variables.sum::<usize>() + 2048
            }
            Command::Dial(text) => text.len(),
            Command::Act { ids, .. } => ids.len() * 8,
            Command::Desire { desire, .. } => {
                let (ValuesEdit::Merge(values) | ValuesEdit::Replace(values)) = &desire.values;
                values.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + 256
            }
            _ => 256,
        },
        Input::StartFailed { reason, .. }
        | Input::KillFailed { reason, .. }
        | Input::PersistFailed { reason, .. } => reason.len(),
        Input::Configured { set } => set.len() * 4096,
        _ => size_of::<Input>(),
    }
}

/// The memory that an input of the machine of the control API keeps besides itself.
fn control_bytes(input: &ControlInput) -> usize {
    match input {
        ControlInput::RulesRequested { request: RulesRequest::Apply(rules, ..), .. } => {
            // A parsed document takes several times its text.
            rules.iter().map(|rule| 8 * rule.source.to_string().len()).sum()
        }
        ControlInput::RulesRequested { .. }
        | ControlInput::Noted { .. }
        | ControlInput::EventsKept { .. }
        | ControlInput::KeepFailed { .. }
        | ControlInput::TimeAdvanced => size_of::<ControlInput>(),
    }
}
