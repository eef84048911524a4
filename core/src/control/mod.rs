//! Follows the engine through its effects: names and phases of instances, stored events, rules.
//!
//! [`Control`] is a state machine beside the engine. Its driver shows it each step of the engine
//! with [`Control::observe`], before it carries out the effects, and takes effects from
//! [`Control::poll_effect`]. Everything else that happens comes through [`Control::handle`]. It
//! decides nothing about processes, so a master without the control
//! API works without it.
//!
//! An event is shown only when it is durable. An event that a change causes is stored together with
//! the record of the change: [`Control::observe`] returns it, and its driver stores both as one.

mod digest;
mod effect;
mod frozen;
mod input;
mod known;
mod observe;
mod outlet;
#[cfg(test)]
mod tests;

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use effect::{Attached, ControlEffect, Ticket};
pub(crate) use frozen::{masked_command, masked_rule, rule_of};
pub use input::{ControlInput, RulesRequest};
pub use observe::{Cause, Observed, Pids};

use self::known::Known;
use self::outlet::Outlet;
use crate::canary::{self, Canary};
use crate::doors::control::{
    ProcessEntry, Reply, apply_result, delete_result, deletion, plan_result, replacing,
};
use crate::event::{Draft, StoredEvent, StoredId};
use crate::go::rfc3339_nano;
use crate::ids::{InstanceId, StoreEpoch};
use crate::resource::{Fact, Identity, Names, PROCESS_KIND};
use crate::rules::{PlannedRule, RuleKind, RuleRef, RuleSet, RuleSpec, RulesChange};
use crate::store::{ControlImage, Kept, KeptRule, RulesRecord};
use crate::time::{Now, Time};

/// How long to wait before events are kept again after that failed.
const RETRY_MS: u64 = 1_000;

/// The machine.
#[derive(Clone, Debug)]
pub struct Control {
    names: Names,
    known: BTreeMap<InstanceId, Known>,
    /// Instances whose creation is published and that were not observed yet.
    created: BTreeSet<InstanceId>,
    rules: RuleSet,
    outlet: Outlet,
    effects: VecDeque<ControlEffect>,
    /// Who is answered once the event of this id is durable.
    waiting: VecDeque<(StoredId, Ticket, Waiting)>,
    /// States that are shown once the event of this id is durable.
    held: VecDeque<(StoredId, Arc<ProcessEntry>)>,
    /// When to keep again what could not be kept.
    retry_at: Option<Time>,
}

/// Pending events.
#[derive(Clone, Debug)]
enum Waiting {
    /// A note.
    Note,
    /// A change of rules: its answer, and the rules as they were before.
    Rules(Reply, Arc<RuleSet>),
}

impl Control {
    /// A machine with its stored data. It receives the instances with the first effects of the
    /// engine.
    pub fn new(image: &ControlImage, now: Now) -> Self {
        let mut names = Names::default();
        let mut ages: Vec<(&u64, &InstanceId)> =
            image.ages.iter().map(|(id, age)| (age, id)).collect();
        ages.sort();
        for (_, id) in ages {
            names.insert(*id, "");
        }
        let mut faults = Vec::new();
        let mut specs = Vec::new();
        for (rule, kept) in &image.rules {
            let source = serde_json::from_str(&kept.source).map_err(|error| error.to_string());
            let spec = source.and_then(|source| {
                RuleSpec::new(rule.kind, &rule.name, source).map_err(|error| error.to_string())
            });
            match spec {
                Ok(spec) => specs.push(spec),
                Err(fault) => faults.push((rule.clone(), fault)),
            }
        }
        let rules = RuleSet::restored(specs, image.generation, image.last_change);
        let last_time = image.events.back().map(|event| event.time).unwrap_or_default();
        let mut control = Self {
            names,
            known: BTreeMap::new(),
            created: BTreeSet::new(),
            rules,
            outlet: Outlet::new(image.next_id, last_time),
            effects: VecDeque::new(),
            waiting: VecDeque::new(),
            held: VecDeque::new(),
            retry_at: None,
        };
        for (rule, fault) in faults {
            control.effects.push_back(ControlEffect::RuleLost(rule, fault));
        }
        control.show_all_rules();
        control.evaluate_rules(now);
        control
    }

    /// The next order, oldest first.
    pub fn poll_effect(&mut self) -> Option<ControlEffect> {
        self.effects.pop_front()
    }

    /// When [`ControlInput::TimeAdvanced`] is due next.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.rules.next_due().into_iter().chain(self.retry_at).min()
    }

    /// Handles an input. Take all effects before the next.
    pub fn handle(&mut self, now: Now, input: ControlInput) {
        match input {
            ControlInput::Noted { ticket, instance, fact } => {
                self.note(now, ticket, instance, fact)
            }
            ControlInput::RulesRequested { ticket, request } => self.request(now, ticket, request),
            ControlInput::EventsKept { upto } => self.on_kept(now, upto),
            ControlInput::KeepFailed { epoch, refused, reason } => {
                self.on_keep_failed(now, epoch, refused, &reason);
            }
            ControlInput::TimeAdvanced => self.on_time(now),
        }
    }

    fn on_time(&mut self, now: Now) {
        if self.rules.next_due().is_some_and(|due| due <= now.mono) {
            let Self { rules, outlet, known, names, .. } = self;
            let read =
                |kind: &str, name: &str, key: &str| read_status(known, names, kind, name, key);
            rules.on_time(now, &read, &mut |draft| outlet.publish(now, draft));
            self.keep(now, None);
        }
        if self.retry_at.is_some_and(|at| at <= now.mono) {
            self.retry_at = None;
            self.keep_again();
        }
    }

    /// Publishes a fact about an instance that was caused from outside, and answers `ticket` when
    /// it is durable. If there is no such instance, the answer is `false`.
    fn note(&mut self, now: Now, ticket: Ticket, id: InstanceId, fact: Fact) {
        let Some(name) = self.names.name(id) else {
            self.effects.push_back(ControlEffect::Noted { ticket, is_kept: false });
            return;
        };
        self.emit(now, fact.draft(&Identity { id, name }));
        self.waiting.push_back((self.outlet.last_id(), ticket, Waiting::Note));
        self.keep(now, None);
    }

    /// Answers a request about rules; a change when it is durable.
    fn request(&mut self, now: Now, ticket: Ticket, request: RulesRequest) {
        match self.plan(request) {
            Err(reply) => self.effects.push_back(ControlEffect::Answer { ticket, reply }),
            Ok(Planned { reply_kind, change, planned, is_tried }) => {
                let generation = self.rules.generation();
                if is_tried {
                    let reply = reply_kind.render(&planned, generation, now);
                    self.effects.push_back(ControlEffect::Answer { ticket, reply });
                } else {
                    let reply = reply_kind.render(&planned, generation + 1, now);
                    self.apply(now, ticket, &change, reply);
                }
            }
        }
    }

    fn plan(&self, request: RulesRequest) -> Result<Planned, Reply> {
        let (reply_kind, change, is_tried) = match request {
            RulesRequest::Plan(rules, replace) => {
                let change = replacing(rules, replace, &self.rules);
                (ReplyKind::Plan, change.map_err(|fault| Reply::bad(&fault))?, true)
            }
            RulesRequest::PlanInForce => {
                let put = self.rules.specs().map(|spec| RuleSpec::clone(spec)).collect();
                (ReplyKind::Plan, RulesChange { put, remove: Vec::new() }, true)
            }
            RulesRequest::Apply(rules, replace, dry_run) => {
                let change = replacing(rules, replace, &self.rules);
                (ReplyKind::Apply, change.map_err(|fault| Reply::bad(&fault))?, dry_run)
            }
            RulesRequest::Delete(request) => {
                let rule = deletion(&request, &self.rules)?;
                let change = RulesChange { put: Vec::new(), remove: Vec::from([rule.clone()]) };
                (ReplyKind::Delete(rule, request.dry_run), change, request.dry_run)
            }
        };
        let planned = self.rules.plan(&change);
        Ok(Planned { reply_kind, change, planned, is_tried })
    }

    /// Takes effect at once for later events, but is shown and answered only when it is durable.
    /// Until then the previous rules are kept.
    fn apply(&mut self, now: Now, ticket: Ticket, change: &RulesChange, reply: Reply) {
        let before = Arc::new(self.rules.clone());
        let Self { rules, outlet, known, names, .. } = self;
        let read = |kind: &str, name: &str, key: &str| read_status(known, names, kind, name, key);
        rules.apply(now, change, &read, &mut |draft| outlet.publish(now, draft));
        let record = RulesRecord {
            generation: self.rules.generation(),
            time: now.wall,
            put: change.put.iter().map(KeptRule::of).collect(),
            remove: change.remove.clone(),
        };
        // The change has a position among the events, although it is not one.
        self.outlet.reserve();
        self.waiting.push_back((self.outlet.last_id(), ticket, Waiting::Rules(reply, before)));
        self.keep(now, Some(record));
    }

    /// Events up to `upto` are durable: they are shown, and waiting clients are answered.
    fn on_kept(&mut self, now: Now, upto: StoredId) {
        if self.retry_at.take().is_some() || !self.outlet.is_durable() {
            self.outlet.set_durable(true);
            self.effects.push_back(ControlEffect::Durable { is_durable: true, time: now.wall });
        }
        let shown = if canary::is(Canary::EventsShownEarly) { self.outlet.last_id() } else { upto };
        let events = self.outlet.take_kept(shown);
        if !events.is_empty() {
            self.effects.push_back(ControlEffect::Show(events));
        }
        while let Some((_, entry)) = self.held.pop_front_if(|(id, _)| *id <= upto) {
            self.effects.push_back(ControlEffect::ShowProcess(entry));
        }
        while let Some((_, ticket, waiting)) = self.waiting.pop_front_if(|(id, _, _)| *id <= upto) {
            let effect = match waiting {
                Waiting::Note => ControlEffect::Noted { ticket, is_kept: true },
                Waiting::Rules(reply, _) => {
                    self.show_all_rules();
                    ControlEffect::Answer { ticket, reply }
                }
            };
            self.effects.push_back(effect);
        }
        // What could not be stored together with these.
        self.keep(now, None);
    }

    /// Events of this epoch could not be made durable, and neither could the changes of `refused`.
    /// Events that these caused are dropped; the rest is stored again later. None of it was shown,
    /// so it gets new ids.
    fn on_keep_failed(&mut self, now: Now, epoch: u32, refused: Option<StoreEpoch>, reason: &str) {
        if !self.outlet.fail(epoch, refused) {
            return;
        }
        if refused.is_some() {
            self.forget_refused();
        }
        self.effects.push_back(ControlEffect::Durable { is_durable: false, time: now.wall });
        self.retry_at = Some(now.mono.after_ms(RETRY_MS));
        let held = core::mem::take(&mut self.held).into_iter();
        self.effects.extend(held.map(|(_, entry)| ControlEffect::ShowProcess(entry)));
        // Changes of rules are refused whole: those of the oldest one are the rules again.
        let mut before = None;
        for (_, ticket, waiting) in core::mem::take(&mut self.waiting) {
            self.effects.push_back(match waiting {
                Waiting::Note => ControlEffect::Noted { ticket, is_kept: false },
                Waiting::Rules(_, rules) => {
                    before.get_or_insert(rules);
                    let message = alloc::format!("the rules cannot be saved: {reason}");
                    ControlEffect::Answer { ticket, reply: Reply::error(503, &message) }
                }
            });
        }
        if let Some(before) = before {
            self.rules = Arc::unwrap_or_clone(before);
            self.show_all_rules();
        }
    }

    /// The current rules.
    pub const fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// The current names.
    pub const fn names(&self) -> &Names {
        &self.names
    }

    /// How many events are waiting to be durable.
    pub fn pending(&self) -> usize {
        self.outlet.pending()
    }

    /// Publishes an event, and lets the rules see it.
    fn emit(&mut self, now: Now, draft: Draft) -> Arc<StoredEvent> {
        let Self { rules, outlet, known, names, .. } = self;
        let event = outlet.publish(now, draft);
        let read = |kind: &str, name: &str, key: &str| read_status(known, names, kind, name, key);
        rules.on_event(now, &event, &read, &mut |draft| outlet.publish(now, draft));
        event
    }

    fn evaluate_rules(&mut self, now: Now) {
        let Self { rules, outlet, known, names, .. } = self;
        let read = |kind: &str, name: &str, key: &str| read_status(known, names, kind, name, key);
        rules.on_time(now, &read, &mut |draft| outlet.publish(now, draft));
        self.keep(now, None);
    }

    /// Orders the events published since the last time to be stored, and shows changed rules.
    fn keep(&mut self, _now: Now, rules: Option<RulesRecord>) {
        if let Some(kept) = self.outlet.take_unkept(rules) {
            self.note_batch(&kept);
            self.effects.push_back(ControlEffect::Keep(kept));
        }
        self.show_touched_rules();
    }

    /// A batch of events is a run of the controllers that have rules of their kind.
    fn note_batch(&mut self, kept: &Kept) {
        let Some(last) = kept.events.last() else { return };
        let controllers =
            [("derived-event", RuleKind::DerivedEvent), ("event-rule", RuleKind::EventRule)];
        for (controller, kind) in controllers {
            if self.rules.count(kind) > 0 {
                self.ran(controller, &last.topic, None);
            }
        }
    }

    fn show_touched_rules(&mut self) {
        for rule in self.rules.take_touched() {
            self.show_rule(&rule);
        }
    }

    fn keep_again(&mut self) {
        if let Some(kept) = self.outlet.keep_again() {
            self.effects.push_back(ControlEffect::Keep(kept));
        }
    }

    fn show_rule(&mut self, rule: &RuleRef) {
        if let (Some(spec), Some(status)) = (self.rules.spec(rule), self.rules.status(rule)) {
            let (rule, source) = (rule.clone(), Arc::clone(&spec.source));
            self.effects.push_back(ControlEffect::ShowRule { rule, source, status });
        }
    }

    fn show_all_rules(&mut self) {
        let rules: BTreeSet<RuleRef> = self.rules.specs().map(|spec| spec.rule.clone()).collect();
        self.effects.push_back(ControlEffect::RulesInForce {
            rules: rules.clone(),
            generation: self.rules.generation(),
            last_change: self.rules.last_change(),
        });
        for rule in rules {
            self.show_rule(&rule);
        }
    }
}

struct Planned {
    reply_kind: ReplyKind,
    change: RulesChange,
    planned: Vec<PlannedRule>,
    is_tried: bool,
}

enum ReplyKind {
    Plan,
    Apply,
    Delete(RuleRef, bool),
}

impl ReplyKind {
    fn render(&self, planned: &[PlannedRule], generation: u64, now: Now) -> Reply {
        match self {
            Self::Plan => plan_result(planned, generation, now.wall),
            Self::Apply => apply_result(planned, generation, now.wall),
            Self::Delete(rule, dry_run) => delete_result(rule, *dry_run),
        }
    }
}

/// A field of the status of an instance, as text; empty if it is missing.
fn read_status(
    known: &BTreeMap<InstanceId, Known>,
    names: &Names,
    kind: &str,
    name: &str,
    key: &str,
) -> String {
    let found = || known.get(&names.find(name)?);
    let Some(known) = Some(kind).filter(|kind| *kind == PROCESS_KIND).and_then(|_| found()) else {
        return String::new();
    };
    let (state, assessment) = (&known.state, known.state.assessment());
    match key {
        "phase" => assessment.phase.as_str().to_owned(),
        "reason" => assessment.reason.to_owned(),
        "health" => assessment.health.as_str().to_owned(),
        "message" => known.message.clone(),
        "since" => rfc3339_nano(state.since()),
        "updatedAt" => rfc3339_nano(state.updated()),
        "id" => known.definition.id.to_string(),
        "conditions" => crate::doors::control::conditions_text(state),
        _ => String::new(),
    }
}
