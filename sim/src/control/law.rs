//! INV-14 and INV-15: invariants of stored events and of rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use openctrl_core::control::Control;
use openctrl_core::event::{StoredEvent, StoredId};
use openctrl_core::rules::{KEYS_MAX, RuleSet};
use openctrl_core::store::{Image, Kept};
use openctrl_core::time::{Now, Wall};

use super::Summary;

/// No run has more rules at a time.
const RULES_MAX: usize = 13;

/// How many shown events are compared with those that are found after a crash; the disk keeps fewer.
const SHOWN_MAX: usize = 1_000;

/// The observations so far.
#[derive(Default)]
pub(crate) struct Law {
    pub(crate) summary: Summary,
    /// The last shown events, by id.
    shown: BTreeMap<u64, Arc<StoredEvent>>,
    last_time: Wall,
    /// How often timers of rules were looked at since nothing was pending.
    passes: usize,
}

/// Who published an event.
fn kind(event: &StoredEvent) -> &str {
    &event.daemon.kind
}

impl Law {
    /// The machine is about to handle what is due.
    pub(crate) const fn time_advances(&mut self) {
        self.passes += 1;
    }

    /// Events are pending: the number of events that rules publish is limited by their input.
    pub(crate) fn ordered(&mut self, kept: &Kept, rules: &RuleSet) -> Result<(), String> {
        let count = |wanted: &str| kept.events.iter().filter(|event| kind(event) == wanted).count();
        let (firings, changes) = (count("openctrl-eventrule"), count("openctrl-derived"));
        let causes = kept.events.len() - firings - changes;
        // A timer is a cause as well: of every key at most once each time. While the disk stores
        // nothing, the events of many times are pending.
        let causes = causes + (1 + rules.key_count()) * (1 + self.passes);
        // Of rules that there may have been when it was published.
        let most_changes = causes * RULES_MAX;
        if changes > most_changes {
            return Err(format!("INV-15: {changes} changes follow from {causes} causes"));
        }
        let most = (causes + changes + KEYS_MAX) * RULES_MAX;
        if firings > most {
            return Err(format!("INV-15: {firings} firings follow from {causes} causes"));
        }
        if kept.events.windows(2).any(|pair| pair[0].id >= pair[1].id) {
            let places: Vec<u64> = kept.events.iter().map(|event| event.id.0).collect();
            return Err(format!("INV-14: places on their way do not rise: {places:?}"));
        }
        Ok(())
    }

    /// Events are shown: durable, in order, each once, none left out but by a change of rules.
    pub(crate) fn shown(
        &mut self,
        events: &[Arc<StoredEvent>],
        image: &Image,
    ) -> Result<(), String> {
        for event in events {
            let id = event.id.0;
            let last = self.shown.keys().next_back().copied().unwrap_or_default();
            if id <= last {
                return Err(format!("INV-14: event {id} is shown after {last}"));
            }
            let stored = &image.control.events;
            // They are in the order of their ids: each was stored after the one before it.
            let place = stored.binary_search_by_key(&event.id, |stored| stored.id);
            let durable = place.ok().and_then(|place| stored.get(place));
            if durable != Some(event) && stored.front().is_some_and(|first| first.id <= event.id) {
                let (topic, stored) = (&event.topic, durable.map(|stored| &stored.topic));
                return Err(format!(
                    "INV-14: event {id}, {topic}, is shown and not durable; stored is {stored:?}"
                ));
            }
            if event.time < self.last_time {
                return Err(format!("INV-14: event {id} is older than the one before it"));
            }
            self.last_time = event.time;
            self.shown.insert(id, Arc::clone(event));
            if self.shown.len() > SHOWN_MAX {
                self.shown.pop_first();
            }
            self.summary.events += 1;
            if kind(event) == "openctrl-eventrule" {
                self.summary.firings += 1;
            }
            let text = event.topic.bytes().chain(event.time.as_micros().to_le_bytes());
            for byte in text {
                let mixed = self.summary.digest.rotate_left(5) ^ u64::from(byte);
                self.summary.digest = mixed.wrapping_mul(0x0100_0000_01b3);
            }
        }
        Ok(())
    }

    /// The master starts again: shown events that are retained exist, unchanged.
    pub(crate) fn restarted(&mut self, image: &Image) -> Result<(), String> {
        let stored = &image.control.events;
        if stored.len() > SHOWN_MAX {
            return Err(format!("INV-14: {} events are kept", stored.len()));
        }
        let first = stored.front().map_or(StoredId(u64::MAX), |event| event.id);
        for (id, event) in self.shown.range(first.0..) {
            if !stored.iter().any(|stored| stored == event) {
                return Err(format!("INV-14: event {id} was shown, and is gone after a crash"));
            }
        }
        // What became durable without being shown is shown by the next master.
        for event in stored {
            self.shown.entry(event.id.0).or_insert_with(|| Arc::clone(event));
        }
        self.last_time = self.last_time.max(stored.back().map(|e| e.time).unwrap_or_default());
        if image.control.next_id <= self.shown.keys().next_back().copied().unwrap_or_default() {
            return Err("INV-14: a place would be given twice".to_string());
        }
        Ok(())
    }

    /// Between steps no timer is overdue, and keys are bounded.
    pub(crate) fn rest(&mut self, control: &Control, now: Now) -> Result<(), String> {
        if control.pending() == 0 {
            self.passes = 0;
        }
        let rules = control.rules();
        if rules.key_count() > rules.len() * KEYS_MAX {
            return Err("INV-15: more keys are remembered than are bounded".to_string());
        }
        if rules.next_due().is_some_and(|due| due < now.mono) {
            return Err("INV-15: a timer of a rule was passed over".to_string());
        }
        Ok(())
    }

    /// Every creation that is stored has exactly one firing of the rule that waits for it, once
    /// that rule was there.
    pub(crate) fn end(&self, image: &Image) -> Result<(), String> {
        let stored: Vec<&Arc<StoredEvent>> = image.control.events.iter().collect();
        for pair in stored.windows(2) {
            let (cause, next) = (pair[0], pair[1]);
            let is_firing =
                &*next.daemon.instance == "always" && kind(next) == "openctrl-eventrule";
            if is_firing
                && kind(cause) == "openctrl-eventrule"
                && &*cause.daemon.instance == "always"
            {
                return Err(format!(
                    "INV-15: events {} and {} fire for one cause",
                    cause.id, next.id
                ));
            }
        }
        Ok(())
    }
}
