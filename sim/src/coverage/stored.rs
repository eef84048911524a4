//! What runs with a control API went through: events by the kind of who published them, firings by
//! the operator of the rule, and what became of them.

use std::fmt;
use std::sync::Arc;

use openctrl_core::event::StoredEvent;

/// The rules of the script that show that their operator fired.
const RULES: [&str; 9] =
    ["always", "echo", "all", "strict", "window", "count", "throttle", "debounce", "absence"];

/// How often each thing happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each says in its words what it is")]
pub struct Stored {
    pub shown: u64,
    pub derived: u64,
    pub firings: [u64; RULES.len()],
    pub notes: u64,
    pub requests: u64,
    pub with_a_change: u64,
    pub refused: u64,
    pub timers: u64,
    pub pending_at_a_crash: u64,
    pub most_keys: u64,
}

impl Stored {
    /// Takes in what another run went through.
    pub fn add(&mut self, other: &Self) {
        let Self { shown, derived, firings, notes, requests, .. } = other;
        let Self { with_a_change, refused, timers, pending_at_a_crash, most_keys, .. } = other;
        self.shown += shown;
        self.derived += derived;
        self.firings.iter_mut().zip(firings).for_each(|(sum, more)| *sum += more);
        self.notes += notes;
        self.requests += requests;
        self.with_a_change += with_a_change;
        self.refused += refused;
        self.timers += timers;
        self.pending_at_a_crash += pending_at_a_crash;
        self.most_keys += most_keys;
    }

    /// Counts events that were shown.
    pub fn count(&mut self, events: &[Arc<StoredEvent>]) {
        self.shown += events.len() as u64;
        for event in events {
            match &*event.daemon.kind {
                "openctrl-derived" => self.derived += 1,
                "openctrl-eventrule" => {
                    let rule = RULES.iter().position(|rule| *rule == event.daemon.instance);
                    rule.into_iter().for_each(|rule| self.firings[rule] += 1);
                }
                _ => {}
            }
        }
    }

    /// What never happened.
    pub fn missed(&self) -> Vec<String> {
        let missed = self.rows().into_iter().filter(|(_, count)| *count == 0);
        missed.map(|(name, _)| format!("events: {name}")).collect()
    }

    fn rows(&self) -> Vec<(&'static str, u64)> {
        let firings = RULES.into_iter().zip(self.firings);
        let rest = [
            ("shown", self.shown),
            ("derived", self.derived),
            ("notes", self.notes),
            ("rules-changed", self.requests),
            ("stored-with-a-change", self.with_a_change),
            ("refused-by-the-disk", self.refused),
            ("timers-of-rules", self.timers),
            ("pending-at-a-crash", self.pending_at_a_crash),
            ("thousands-of-keys", self.most_keys),
        ];
        rest.into_iter().chain(firings).collect()
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let each: Vec<String> =
            rows.iter().map(|(name, count)| format!("{name} {count}")).collect();
        write!(f, "events    {}", each.join(", "))
    }
}
