//! Digests of the effects and of the state of the machine, to compare a replay with its recording.
//!
//! Of texts only topics and names of rules count: a trace has them as they are.

use super::Control;
use super::effect::{Attached, ControlEffect};
use crate::event::{EventSubject, StoredEvent};
use crate::mixer::Digest;
use crate::resource::ResourceState;
use crate::rules::{RuleRef, RuleStatus};
use crate::store::Kept;
use crate::time::Wall;

impl ControlEffect {
    /// Adds the effect to a digest. What only readers of figures see counts for nothing.
    pub fn digest(&self, digest: &mut Digest) {
        match self {
            Self::Keep(kept) => keep(digest, 1, kept),
            Self::Show(events) => {
                let last = events.last().map_or(0, |event| event.id.0);
                digest.words([2, events.len() as u64, last]);
            }
            Self::ShowProcess(entry) => {
                digest.words([3, entry.id.0.into(), entry.generation]);
                state(digest, &entry.state);
            }
            Self::RemoveProcess(id) => digest.words([4, id.0.into()]),
            Self::ExpectProcess { id, .. } => digest.words([13, id.0.into()]),
            Self::ShowRule { rule, source: _, status } => {
                digest.word(5);
                rule_name(digest, rule);
                rule_status(digest, status);
            }
            Self::RulesInForce { rules, generation, last_change } => {
                digest.words([6, rules.len() as u64, *generation, time(*last_change)]);
            }
            Self::RuleLost(rule, _) => {
                digest.word(7);
                rule_name(digest, rule);
            }
            Self::Durable { is_durable, time } => {
                digest.words([8, (*is_durable).into(), time.as_micros()]);
            }
            Self::Noted { ticket, is_kept } => digest.words([9, ticket.0, (*is_kept).into()]),
            Self::Answer { ticket, reply } => digest.words([10, ticket.0, reply.status.into()]),
            Self::SawCheckpoint(..) | Self::Ran { .. } => {}
        }
    }
}

impl Attached {
    /// Adds events that are stored with a change to a digest.
    pub fn digest(&self, digest: &mut Digest) {
        digest.words([11, self.seq.0]);
        keep(digest, 12, &self.kept);
    }
}

impl Control {
    /// A number that two machines share when they are in the same state, texts aside.
    pub fn fingerprint(&self) -> u64 {
        let mut print = Digest::default();
        print.words([self.outlet.last_id().0, self.outlet.pending() as u64]);
        print.words([self.outlet.is_durable().into(), self.created.len() as u64]);
        print.words([self.waiting.len() as u64, self.held.len() as u64]);
        print.word(self.retry_at.map_or(0, |at| at.as_micros()));
        for (id, known) in &self.known {
            print.words([id.0.into(), known.definition.revision.0, known.staged.is_some().into()]);
            state(&mut print, &known.state);
        }
        let rules = &self.rules;
        print.words([rules.generation(), time(rules.last_change()), rules.key_count() as u64]);
        print.word(rules.next_due().map_or(0, |due| due.as_micros()));
        for spec in rules.specs() {
            rule_name(&mut print, &spec.rule);
            if let Some(status) = rules.status(&spec.rule) {
                rule_status(&mut print, &status);
            }
        }
        print.0
    }
}

fn keep(digest: &mut Digest, kind: u64, Kept { epoch, events, rules, upto }: &Kept) {
    let generation = rules.as_ref().map_or(0, |rules| rules.generation + 1);
    digest.words([kind, (*epoch).into(), upto.0, events.len() as u64, generation]);
    events.iter().for_each(|event| published(digest, event));
}

fn published(digest: &mut Digest, event: &StoredEvent) {
    digest.words([event.id.0, event.time.as_micros()]);
    digest.everything(&*event.topic);
    match &event.subject {
        None => {}
        Some(EventSubject::Process(id)) => digest.word(id.0.into()),
        Some(EventSubject::EventRule(name) | EventSubject::DerivedEvent(name)) => {
            digest.everything(&**name);
        }
    }
}

fn state(digest: &mut Digest, state: &ResourceState) {
    let phase = state.assessment().phase as u64;
    digest.words([phase, state.since().as_micros(), state.updated().as_micros()]);
}

fn rule_name(digest: &mut Digest, rule: &RuleRef) {
    digest.word(rule.kind as u64);
    digest.everything(&*rule.name);
}

fn rule_status(digest: &mut Digest, status: &RuleStatus) {
    match status {
        RuleStatus::Event(status) => digest.words([status.fire_count, time(status.last_fired)]),
        RuleStatus::Derived(status) => {
            let pending = status.pending.map_or(0, |pending| 1 + u64::from(pending));
            digest.words([status.asserted.into(), pending]);
            digest.words([time(status.last_asserted), time(status.last_retracted)]);
        }
    }
}

fn time(time: Option<Wall>) -> u64 {
    time.map_or(0, |time| time.as_micros().wrapping_add(1))
}
