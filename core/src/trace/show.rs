//! Changes of instances in a replay as text, one line each, safe on a terminal.
//!
//! Inputs and effects of the engine are `engine::show`'s.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::replay::{Change, Glance, Happened};
use crate::control::{ControlEffect, ControlInput, RulesRequest};
use crate::engine::{Shown, show_input};
use crate::event::{EventSubject, StoredEvent};
use crate::rules::{RuleRef, RuleSpec, RuleStatus};

/// What a step is about in a line.
pub fn show_happened(happened: &Happened) -> String {
    match happened {
        Happened::Input(input) => show_input(input),
        Happened::Control(input) => show_control_input(input),
    }
}

fn show_control_input(input: &ControlInput) -> String {
    match input {
        ControlInput::Noted { ticket, instance, fact } => {
            format!("control {}: {} of {instance}", ticket.0, Shown(&format!("{fact:?}")))
        }
        ControlInput::RulesRequested { ticket, request } => match request {
            RulesRequest::Apply(rules, replace, _) => {
                let verb = if *replace { "replace all rules by" } else { "apply" };
                format!("control {}: {verb} {}", ticket.0, rule_names(rules))
            }
            RulesRequest::Delete(request) => {
                format!("control {}: delete {}", ticket.0, Shown(&request.target))
            }
            RulesRequest::Plan(rules, _) => {
                format!("control {}: plan {}", ticket.0, rule_names(rules))
            }
            RulesRequest::PlanInForce => format!("control {}: plan", ticket.0),
        },
        ControlInput::EventsKept { upto } => format!("events up to {upto} are durable"),
        ControlInput::KeepFailed { epoch, reason, .. } => {
            format!("events of epoch {epoch} are not durable: {}", Shown(reason))
        }
        ControlInput::TimeAdvanced => "a rule is due, or events are to be stored again".to_string(),
    }
}

/// An effect of the machine of the control API in a line; `None` for what only moves figures.
pub fn show_control_effect(effect: &ControlEffect) -> Option<String> {
    Some(match effect {
        ControlEffect::Keep(kept) => {
            let events: String = kept.events.iter().map(|event| show_event(event)).collect();
            let rules = kept.rules.as_ref().map_or_else(String::new, |rules| {
                format!(", rules of generation {}", rules.generation)
            });
            format!("store up to {}{rules}{events}", kept.upto)
        }
        ControlEffect::Show(events) => {
            let (first, last) = (events.first()?.id, events.last()?.id);
            format!("show events {first} to {last}")
        }
        ControlEffect::ShowProcess(entry) => {
            format!("show {} as {}", entry.id, entry.state.assessment().phase.as_str())
        }
        ControlEffect::RemoveProcess(id) => format!("remove {id}"),
        ControlEffect::ExpectProcess { id, .. } => format!("expect {id}"),
        ControlEffect::ShowRule { rule, status, .. } => {
            format!("show {}: {}", rule_name(rule), rule_status(status))
        }
        ControlEffect::RulesInForce { rules, generation, .. } => {
            format!("{} rules of generation {generation}", rules.len())
        }
        ControlEffect::RuleLost(rule, _) => format!("{} cannot be read", rule_name(rule)),
        ControlEffect::Durable { is_durable, .. } => format!("durable: {is_durable}"),
        ControlEffect::Noted { ticket, is_kept } => {
            format!("answer control {}: durable: {is_kept}", ticket.0)
        }
        ControlEffect::Answer { ticket, reply } => {
            format!("answer control {}: {}", ticket.0, reply.status)
        }
        ControlEffect::SawCheckpoint(..) | ControlEffect::Ran { .. } => return None,
    })
}

fn show_event(event: &StoredEvent) -> String {
    let of = match &event.subject {
        None => String::new(),
        Some(EventSubject::Process(id)) => format!(" of {id}"),
        Some(EventSubject::EventRule(name) | EventSubject::DerivedEvent(name)) => {
            format!(" of rule {}", Shown(name))
        }
    };
    format!("; event {} {}{of}", event.id, Shown(&event.topic))
}

fn rule_names(rules: &[RuleSpec]) -> String {
    let names: Vec<String> = rules.iter().map(|spec| rule_name(&spec.rule)).collect();
    names.join(", ")
}

fn rule_name(rule: &RuleRef) -> String {
    format!("{}/{}", rule.kind.as_str(), Shown(&rule.name))
}

fn rule_status(status: &RuleStatus) -> String {
    match status {
        RuleStatus::Event(status) => format!("fired {} times", status.fire_count),
        RuleStatus::Derived(status) => status.phase.as_str().to_string(),
    }
}

/// A change of an instance in a line.
pub fn show_change(change: &Change) -> String {
    match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.id == after.id => difference(before, after),
        (Some(before), Some(after)) => format!("{} was deleted, {} is new", before.id, after.id),
        (Some(before), None) => format!("{} was deleted", before.id),
        (None, Some(after)) => format!("{} is new, {:?}", after.id, after.state),
        (None, None) => String::new(),
    }
}

fn difference(before: &Glance, after: &Glance) -> String {
    let mut shown = format!("{}:", after.id);
    let mut field = |name: &str, before: &dyn fmt::Debug, after: &dyn fmt::Debug| {
        let (before, after) = (format!("{before:?}"), format!("{after:?}"));
        if before != after {
            shown.push_str(&format!(" {name} {before} → {after}"));
        }
    };
    field("state", &before.state, &after.state);
    field("process", &before.generation.0, &after.generation.0);
    let (old, new) = (before.metrics, after.metrics);
    field("mode", &old.mode, &new.mode);
    field("ping", &old.ping, &new.ping);
    field("pool", &old.pool, &new.pool);
    field("tcps", &old.tcps, &new.tcps);
    field("udps", &old.udps, &new.udps);
    let (old, new) = (before.totals, after.totals);
    field("tcprx", &old.tcprx, &new.tcprx);
    field("tcptx", &old.tcptx, &new.tcptx);
    field("udprx", &old.udprx, &new.udprx);
    field("udptx", &old.udptx, &new.udptx);
    shown
}
