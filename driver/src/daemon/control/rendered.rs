//! Answers to `/v1/status`, rendered once per change: clients poll it, and it rarely changes.
//!
//! An answer is kept with everything that it was rendered from, and is valid while that is equal.
//! Nothing has to invalidate it, so no event costs more because instances are polled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use openctrl_core::doors::control::{Observed, ProcessEntry};
use openctrl_core::ids::InstanceId;
use openctrl_core::time::Wall;

/// The last answer of each instance that was polled.
#[derive(Debug, Default)]
pub(super) struct Rendered(Mutex<HashMap<InstanceId, (Source, Bytes)>>);

/// Everything that an answer is rendered from.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) entry: Arc<ProcessEntry>,
    pub(super) observed: Observed,
    pub(super) not_durable: Option<Wall>,
}

impl Rendered {
    /// The answer for an instance, rendered again if it is not from an equal source.
    pub(super) fn get(&self, source: &Source, render: impl FnOnce() -> String) -> Bytes {
        if let Some((known, answer)) = self.lock().get(&source.entry.id)
            && known.is_equal(source)
        {
            return answer.clone();
        }
        let answer = Bytes::from(render());
        self.lock().insert(source.entry.id, (source.clone(), answer.clone()));
        answer
    }

    /// The instance was deleted.
    pub(super) fn forget(&self, id: InstanceId) {
        self.lock().remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<InstanceId, (Source, Bytes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    /// Entries are replaced, never changed: the same address is the same entry.
    fn is_equal(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entry, &other.entry)
            && self.observed == other.observed
            && self.not_durable == other.not_durable
    }
}

#[cfg(test)]
mod tests {
    use openctrl_core::resource::{ResourceState, Situation};

    use super::*;

    fn source() -> Source {
        let entry = ProcessEntry {
            id: InstanceId(1),
            name: "web".into(),
            alias: "web".to_owned(),
            scheme: "demo".to_owned(),
            url: "demo://web".to_owned(),
            restart: false,
            tags: [].into(),
            generation: 1,
            state: ResourceState::new(Situation::STOPPED, Wall::default()).0,
            message: String::new(),
        };
        Source { entry: Arc::new(entry), observed: Observed::default(), not_durable: None }
    }

    #[test]
    fn an_answer_is_rendered_once_per_change_of_any_part() {
        let rendered = Rendered::default();
        let first = source();
        assert_eq!(rendered.get(&first, || "first".to_owned()), "first");
        assert_eq!(rendered.get(&first.clone(), || "again".to_owned()), "first");
        let entry = Source { entry: Arc::new((*first.entry).clone()), ..first.clone() };
        assert_eq!(rendered.get(&entry, || "entry".to_owned()), "entry");
        let observed = Observed { pid: Some(1), ..Observed::default() };
        let observed = Source { observed, ..entry.clone() };
        assert_eq!(rendered.get(&observed, || "observed".to_owned()), "observed");
        let not_durable = Source { not_durable: Some(Wall::from_micros(1)), ..observed };
        assert_eq!(rendered.get(&not_durable, || "durable".to_owned()), "durable");
        assert_eq!(rendered.get(&not_durable, || "again".to_owned()), "durable");
        rendered.forget(InstanceId(1));
        assert!(rendered.lock().is_empty());
    }
}
