//! A bounded map from keys to their state: the key that was not seen for the longest is dropped.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::KEYS_MAX;
use crate::time::Time;

/// The keys of one rule, with a timer each at most.
#[derive(Clone, Debug)]
pub(super) struct Keys<T> {
    entries: BTreeMap<Arc<str>, Entry<T>>,
    /// Keys by when they were last seen.
    seen: BTreeMap<u64, Arc<str>>,
    /// Keys by when their timers are due.
    due: BTreeSet<(Time, Arc<str>)>,
    last_seen: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    state: T,
    seen: u64,
    due: Option<Time>,
}

/// The state of a key after an event.
pub(super) struct Outcome<R> {
    pub(super) result: R,
    /// When its timer is due from now on.
    pub(super) due: Option<Time>,
    /// Whether its state is that of a key that was never seen: it is dropped.
    pub(super) is_idle: bool,
}

impl<T> Default for Keys<T> {
    fn default() -> Self {
        let (entries, seen) = (BTreeMap::new(), BTreeMap::new());
        Self { entries, seen, due: BTreeSet::new(), last_seen: 0 }
    }
}

impl<T> Keys<T> {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the first timer is due.
    pub(super) fn next_due(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Applies `step` to the state of `key`, which is created if missing.
    pub(super) fn update<R>(
        &mut self,
        key: &str,
        new: impl FnOnce() -> T,
        step: impl FnOnce(&mut T) -> Outcome<R>,
    ) -> R {
        let Some(entry) = self.entries.get_mut(key) else {
            let mut state = new();
            let Outcome { result, due, is_idle } = step(&mut state);
            if !is_idle {
                self.put(key.into(), due, state);
            }
            return result;
        };
        let Outcome { result, due, is_idle } = step(&mut entry.state);
        if is_idle {
            self.remove(key);
        } else {
            self.see_again(key, due);
        }
        result
    }

    /// A key that is there was seen again: it is the last one, and its timer is due at `due`.
    fn see_again(&mut self, key: &str, due: Option<Time>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        self.last_seen += 1;
        let Some(key) = self.seen.remove(&entry.seen) else { return };
        entry.seen = self.last_seen;
        let old = core::mem::replace(&mut entry.due, due);
        if old != due {
            if let Some(old) = old {
                self.due.remove(&(old, Arc::clone(&key)));
            }
            if let Some(due) = due {
                self.due.insert((due, Arc::clone(&key)));
            }
        }
        self.seen.insert(self.last_seen, key);
    }

    /// Puts a key as the one that was seen last, instead of one that is there.
    pub(super) fn restore(&mut self, key: Arc<str>, due: Option<Time>, state: T) {
        self.remove(&key);
        self.put(key, due, state);
    }

    /// Puts a key that is not there.
    fn put(&mut self, key: Arc<str>, due: Option<Time>, state: T) {
        if self.entries.len() >= KEYS_MAX {
            self.drop_oldest();
        }
        self.last_seen += 1;
        self.seen.insert(self.last_seen, Arc::clone(&key));
        if let Some(due) = due {
            self.due.insert((due, Arc::clone(&key)));
        }
        self.entries.insert(key, Entry { state, seen: self.last_seen, due });
    }

    /// Takes out the key whose timer is due first, if it is due by `now`.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Arc<str>, T)> {
        let (at, key) = self.due.first()?;
        if *at > now {
            return None;
        }
        let key = Arc::clone(key);
        self.remove(&key).map(|(key, entry)| (key, entry.state))
    }

    /// Every key with its timer and its state, the one that was not seen for the longest first.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (&Arc<str>, Option<Time>, &T)> {
        let entry = |key: &Arc<str>| {
            let (key, entry) = self.entries.get_key_value(key)?;
            Some((key, entry.due, &entry.state))
        };
        self.seen.values().filter_map(entry)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.seen.first_key_value() {
            let key = Arc::clone(key);
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &str) -> Option<(Arc<str>, Entry<T>)> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.seen.remove(&entry.seen);
        if let Some(due) = entry.due {
            self.due.remove(&(due, Arc::clone(&key)));
        }
        Some((key, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    fn see(keys: &mut Keys<u32>, key: &str, due: Option<u64>) -> u32 {
        keys.update(
            key,
            || 0,
            |count| {
                *count += 1;
                Outcome { result: *count, due: due.map(Time::from_micros), is_idle: false }
            },
        )
    }

    #[test]
    fn the_key_not_seen_for_the_longest_is_dropped() {
        let mut keys = Keys::default();
        (0..KEYS_MAX).for_each(|n| assert_eq!(see(&mut keys, &format!("k{n}"), Some(7)), 1));
        assert_eq!(see(&mut keys, "k0", None), 2);
        assert_eq!(see(&mut keys, "new", None), 1);
        assert_eq!(keys.len(), KEYS_MAX);
        assert_eq!(see(&mut keys, "k0", None), 3, "it was seen again, so it is kept");
        assert_eq!(see(&mut keys, "k1", None), 1, "it was dropped");
        assert_eq!(keys.due.len(), KEYS_MAX - 3);
    }

    proptest! {
        #[test]
        fn timers_are_those_of_the_keys_that_are_kept(
            steps in prop::collection::vec((0u8..6, prop::option::of(0u64..9), any::<bool>(), 0u64..9), 0..60),
        ) {
            let mut keys: Keys<u32> = Keys::default();
            for (key, due, is_idle, now) in steps {
                keys.update(&format!("{key}"), || 0, |_| Outcome { result: (), due: due.map(Time::from_micros), is_idle });
                let now = Time::from_micros(now);
                while keys.pop_due(now).is_some() {}
                prop_assert!(keys.next_due().is_none_or(|due| due > now));
                prop_assert_eq!(keys.seen.len(), keys.entries.len());
                let timed = keys.entries.values().filter(|entry| entry.due.is_some()).count();
                prop_assert_eq!(keys.due.len(), timed);
            }
        }
    }
}
