//! Changes of instances in a replay as text, one line each, safe on a terminal.
//!
//! Inputs and effects are `engine::show`'s.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::replay::{Change, Glance};

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
