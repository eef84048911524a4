//! One webhook: what waits for it, and when a report is tried again.
//!
//! Reports are delivered in order, one at a time.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;

use super::delivery::{Delivery, DeliveryId, DeliveryResult};
use crate::limits::{HOOK_QUEUE_MAX, HOOK_RETRY_FIRST_MS, HOOK_RETRY_LONGEST_MS, HOOK_TRIES_MAX};
use crate::occasion::Occasions;

/// A webhook: its place among those of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(pub u8);

/// One webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub(crate) wants: Occasions,
    /// Those that wait, oldest first; the first one is being delivered.
    pub(crate) waiting: VecDeque<Arc<Delivery>>,
    /// How often the first one was tried.
    pub(crate) tries: u32,
    /// Whether it is being tried now; if not, it waits for its next try.
    pub(crate) is_under_way: bool,
    pub(crate) shown: HookShown,
}

/// What operators see of a webhook. Counts begin with the master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct HookShown {
    /// Reports that were accepted.
    pub delivered: u64,
    /// Reports that were given up.
    pub failed: u64,
    /// Reports that were discarded because too many waited.
    pub discarded: u64,
    /// Why the last try failed, if it did.
    pub failure: Option<Box<str>>,
}

/// What to do for a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookStep {
    /// Nothing.
    Rest,
    /// Try to deliver this.
    Deliver(Arc<Delivery>),
    /// Try again after so many milliseconds.
    RetryAfter(u64),
}

impl Hook {
    /// A webhook that nothing waits for.
    pub fn new(wants: Occasions) -> Self {
        Self {
            wants,
            waiting: VecDeque::new(),
            tries: 0,
            is_under_way: false,
            shown: HookShown::default(),
        }
    }

    /// What it reports.
    pub const fn wants(&self) -> Occasions {
        self.wants
    }

    /// What operators see of it.
    pub const fn shown(&self) -> &HookShown {
        &self.shown
    }

    /// How many reports wait, with the one that is being delivered.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A report is to be delivered. If too many wait, the oldest of them is discarded, but not the
    /// one that is being delivered.
    pub fn push(&mut self, delivery: Arc<Delivery>) -> HookStep {
        if self.waiting.len() >= HOOK_QUEUE_MAX {
            self.waiting.remove(1);
            self.shown.discarded += 1;
        }
        self.waiting.push_back(delivery);
        if self.tries == 0 { self.try_first() } else { HookStep::Rest }
    }

    /// A try has ended. One that is not under way changes nothing.
    pub fn ended(&mut self, id: DeliveryId, result: &DeliveryResult) -> HookStep {
        let is_current = self.waiting.front().is_some_and(|first| first.id == id);
        if !(is_current && self.is_under_way) {
            return HookStep::Rest;
        }
        self.is_under_way = false;
        let (failure, is_final) = match result {
            DeliveryResult::Answered(200..=299) => {
                self.shown.delivered += 1;
                self.shown.failure = None;
                return self.next();
            }
            DeliveryResult::Answered(status @ (429 | 500..)) => {
                (format!("it answered with status {status}"), false)
            }
            DeliveryResult::Answered(status @ 300..=399) => {
                (format!("it answered with status {status}, and redirects are not followed"), true)
            }
            DeliveryResult::Answered(status) => (format!("it refused with status {status}"), true),
            DeliveryResult::Failed(reason) => (reason.clone(), false),
        };
        self.shown.failure = Some(failure.into());
        if is_final || self.tries >= HOOK_TRIES_MAX {
            self.shown.failed += 1;
            return self.next();
        }
        HookStep::RetryAfter(retry_after_ms(self.tries))
    }

    /// The time of the next try has come.
    pub fn retry(&mut self) -> HookStep {
        if self.is_under_way { HookStep::Rest } else { self.try_first() }
    }

    /// A try that was under way may have ended unnoticed: the report is tried again.
    pub fn resume(&mut self) -> HookStep {
        if !self.is_under_way {
            return HookStep::Rest;
        }
        (self.is_under_way, self.tries) = (false, self.tries.saturating_sub(1));
        self.try_first()
    }

    fn next(&mut self) -> HookStep {
        self.waiting.pop_front();
        self.tries = 0;
        self.try_first()
    }

    fn try_first(&mut self) -> HookStep {
        let Some(first) = self.waiting.front() else { return HookStep::Rest };
        (self.is_under_way, self.tries) = (true, self.tries + 1);
        HookStep::Deliver(Arc::clone(first))
    }
}

/// How long to wait after so many tries, in ms.
fn retry_after_ms(tries: u32) -> u64 {
    let doubled = HOOK_RETRY_FIRST_MS.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
    doubled.min(HOOK_RETRY_LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::instance::Status;
    use crate::occasion::Occasion;
    use crate::time::Wall;
    use alloc::collections::BTreeMap;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn delivery(id: u64) -> Arc<Delivery> {
        Arc::new(Delivery {
            id: DeliveryId(id),
            occasion: Occasion::Error,
            time: Wall::from_micros(0),
            instance: InstanceId(1),
            alias: String::new(),
            kind: "exec".to_string(),
            tags: BTreeMap::new(),
            status: Status::Error,
            reason: String::new(),
            restarts: 0,
        })
    }

    fn busy() -> Hook {
        let mut hook = Hook::new(Occasions::ALL);
        assert_eq!(hook.push(delivery(1)), HookStep::Deliver(delivery(1)));
        hook
    }

    #[test]
    fn what_may_pass_is_tried_again_within_bounds() {
        let mut hook = busy();
        assert_eq!(hook.push(delivery(2)), HookStep::Rest);
        let mut delays_s = Vec::new();
        let last = loop {
            match hook.ended(DeliveryId(1), &DeliveryResult::Answered(503)) {
                HookStep::RetryAfter(ms) => delays_s.push(ms / 1_000),
                step @ (HookStep::Rest | HookStep::Deliver(_)) => break step,
            }
            assert_eq!(hook.retry(), HookStep::Deliver(delivery(1)));
        };
        assert_eq!(delays_s, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(last, HookStep::Deliver(delivery(2)), "the next one follows");
        assert_eq!((hook.shown.failed, hook.shown.delivered), (1, 0));
        assert_eq!(hook.ended(DeliveryId(2), &DeliveryResult::Answered(204)), HookStep::Rest);
        let shown = HookShown { delivered: 1, failed: 1, ..HookShown::default() };
        assert_eq!(hook.shown, shown);
    }

    #[test]
    fn what_will_not_pass_is_not_tried_again() {
        for status in [100, 301, 400, 401, 404, 410] {
            let mut hook = busy();
            let step = hook.ended(DeliveryId(1), &DeliveryResult::Answered(status));
            assert_eq!((step, hook.shown.failed), (HookStep::Rest, 1), "{status}");
        }
        for result in [
            DeliveryResult::Answered(429),
            DeliveryResult::Answered(500),
            DeliveryResult::Failed("refused".to_string()),
        ] {
            let mut hook = busy();
            assert_eq!(hook.ended(DeliveryId(1), &result), HookStep::RetryAfter(1_000));
        }
    }

    #[test]
    fn the_oldest_that_waits_is_discarded() {
        let mut hook = busy();
        for id in 2..=HOOK_QUEUE_MAX as u64 + 3 {
            assert_eq!(hook.push(delivery(id)), HookStep::Rest);
        }
        assert_eq!((hook.waiting(), hook.shown.discarded), (HOOK_QUEUE_MAX, 3));
        let ids: Vec<u64> = hook.waiting.iter().map(|one| one.id.0).take(3).collect();
        assert_eq!(ids, [1, 5, 6], "the one that is being delivered stays");
    }

    #[test]
    fn a_try_whose_end_is_unknown_is_repeated() {
        let mut hook = busy();
        assert_eq!(hook.resume(), HookStep::Deliver(delivery(1)));
        assert_eq!(hook.tries, 1);
        assert_eq!(
            hook.ended(DeliveryId(1), &DeliveryResult::Answered(500)),
            HookStep::RetryAfter(1_000)
        );
        assert_eq!(hook.resume(), HookStep::Rest, "it waits for its time");
    }

    proptest! {
        #[test]
        fn every_report_is_counted_once_and_one_is_under_way(
            steps in proptest::collection::vec((0..4u8, 0..4u64), 0..400),
        ) {
            let (mut hook, mut pushed) = (Hook::new(Occasions::ALL), 0);
            for (step, which) in steps {
                let step = match step {
                    0 | 1 => {
                        pushed += 1;
                        hook.push(delivery(pushed))
                    }
                    2 => hook.retry(),
                    _ => {
                        let status = [200, 404, 429, 500][which as usize];
                        let first = hook.waiting.front().map_or(0, |first| first.id.0);
                        hook.ended(DeliveryId(first), &DeliveryResult::Answered(status))
                    }
                };
                if let HookStep::Deliver(one) = &step {
                    prop_assert_eq!(Some(one), hook.waiting.front());
                }
                let HookShown { delivered, failed, discarded, .. } = hook.shown;
                prop_assert_eq!(delivered + failed + discarded + hook.waiting() as u64, pushed);
                prop_assert!(hook.waiting() <= HOOK_QUEUE_MAX && hook.tries <= HOOK_TRIES_MAX);
                prop_assert_eq!(hook.waiting() == 0, hook.tries == 0);
            }
        }
    }
}
