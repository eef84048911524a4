//! What one key of an EventRule remembers, and when it fires: one small machine for each operator.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;

use super::event_rule_spec::{EventRuleSpec, Operator};
use super::keys::Outcome;
use crate::event::{StoredEvent, TopicPattern};
use crate::time::{Time, Wall};

/// The memory of a key.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// `all_of`: which of the topics were seen.
    Seen(Box<[bool]>),
    /// `sequence`: how many of the topics were seen in order.
    Place(usize),
    /// `window`, `throttle`: the times of matches, or of firings.
    Times(VecDeque<Wall>),
    /// `count`: matches since it last fired.
    Count(u64),
    /// `debounce`, `absence`: the event to fire for when the timer is due.
    Waiting(Option<Arc<StoredEvent>>),
}

/// Fires at once, with the value of `${count}`.
pub(super) type Fired = Option<u64>;

impl KeyState {
    pub(super) fn new(spec: &EventRuleSpec) -> Self {
        match spec.operator {
            Operator::AllOf => Self::Seen(vec![false; spec.topics.len()].into()),
            Operator::Sequence => Self::Place(0),
            Operator::Window | Operator::Throttle => Self::Times(VecDeque::new()),
            Operator::AnyOf | Operator::Count => Self::Count(0),
            Operator::Debounce | Operator::Absence => Self::Waiting(None),
        }
    }

    /// Takes in an event that [`concerns`] the rule.
    pub(super) fn step(
        &mut self,
        spec: &EventRuleSpec,
        now: Time,
        event: &Arc<StoredEvent>,
    ) -> Outcome<Fired> {
        let mut due = None;
        let result = match self {
            Self::Seen(seen) => all_of(seen, &spec.topics, &event.topic),
            Self::Place(place) => sequence(place, spec, &event.topic),
            Self::Times(times) if spec.operator == Operator::Window => {
                window(times, spec, event.time)
            }
            Self::Times(times) => throttle(times, spec, event.time),
            Self::Count(_) if spec.operator == Operator::AnyOf => Some(0),
            Self::Count(count) => {
                *count += 1;
                (*count >= spec.threshold).then(|| core::mem::take(count))
            }
            Self::Waiting(waiting) => {
                let matches = |pattern: &TopicPattern| pattern.matches(&event.topic);
                let is_expected = spec.operator == Operator::Absence
                    && spec.expected.as_ref().is_some_and(matches);
                *waiting = (!is_expected).then(|| Arc::clone(event));
                due = (!is_expected).then(|| now.after_ms(spec.period_ms));
                None
            }
        };
        Outcome { result, due, is_idle: self.is_idle() }
    }

    /// Whether it is as new.
    fn is_idle(&self) -> bool {
        match self {
            Self::Seen(seen) => seen.iter().all(|seen| !seen),
            Self::Place(place) => *place == 0,
            Self::Times(times) => times.is_empty(),
            Self::Count(count) => *count == 0,
            Self::Waiting(waiting) => waiting.is_none(),
        }
    }
}

/// Whether the rule handles events of this topic. `all_of` and `sequence` support no wildcards.
pub(super) fn concerns(spec: &EventRuleSpec, topic: &str) -> bool {
    let matches = |pattern: &TopicPattern| pattern.matches(topic);
    match spec.operator {
        Operator::AllOf | Operator::Sequence => {
            spec.topics.iter().any(|listed| listed.as_str() == topic)
        }
        Operator::Absence => {
            spec.expected.as_ref().is_some_and(matches)
                || spec.trigger.as_ref().is_some_and(matches)
        }
        Operator::AnyOf
        | Operator::Window
        | Operator::Count
        | Operator::Throttle
        | Operator::Debounce => spec.topics.iter().any(matches),
    }
}

/// Once every topic was seen, it fires at each of them: it is never reset.
fn all_of(seen: &mut [bool], topics: &[TopicPattern], topic: &str) -> Fired {
    for (seen, listed) in seen.iter_mut().zip(topics) {
        *seen |= listed.as_str() == topic;
    }
    seen.iter().all(|seen| *seen).then_some(0)
}

fn sequence(place: &mut usize, spec: &EventRuleSpec, topic: &str) -> Fired {
    if spec.topics.get(*place).is_some_and(|next| next.as_str() == topic) {
        *place += 1;
    } else if spec.strict {
        // The event that broke the order does not count as a first one.
        *place = 0;
    }
    if *place < spec.topics.len() {
        return None;
    }
    *place = 0;
    Some(0)
}

/// Both edges of the window count as inside.
fn window(times: &mut VecDeque<Wall>, spec: &EventRuleSpec, time: Wall) -> Fired {
    times.push_back(time);
    while times.front().is_some_and(|first| elapsed_us(*first, time) > period_us(spec)) {
        times.pop_front();
    }
    let matches = times.len() as u64;
    if matches < spec.threshold {
        return None;
    }
    times.clear();
    Some(matches)
}

/// At most `rate` firings in any interval, the first one at once.
fn throttle(times: &mut VecDeque<Wall>, spec: &EventRuleSpec, time: Wall) -> Fired {
    while times.front().is_some_and(|first| elapsed_us(*first, time) >= period_us(spec)) {
        times.pop_front();
    }
    if times.len() as u64 >= spec.rate {
        return None;
    }
    times.push_back(time);
    Some(0)
}

const fn elapsed_us(from: Wall, to: Wall) -> u64 {
    to.as_micros().saturating_sub(from.as_micros())
}

const fn period_us(spec: &EventRuleSpec) -> u64 {
    spec.period_ms.saturating_mul(1_000)
}
