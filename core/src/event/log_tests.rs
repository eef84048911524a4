//! Tests of the log against a linear search.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;

use super::super::stored::{DaemonRef, Draft, PROCESS_DAEMON_KIND, ResourceRef, Severity};
use super::*;
use crate::event::Attributes;
use crate::time::Wall;

const TOPICS: [&str; 4] = ["a.b", "a.c", "a.b.c", "z"];

fn event(id: u64, instance: u32, topic: &'static str, is_managed: bool) -> Arc<StoredEvent> {
    let kind = if is_managed { PROCESS_DAEMON_KIND } else { "openctrl" };
    let draft = Draft {
        topic: topic.into(),
        daemon: DaemonRef {
            name: "d".into(),
            kind: kind.into(),
            instance: Cow::Owned(instance.to_string()),
        },
        resource: is_managed.then(|| ResourceRef {
            api_version: "v".into(),
            kind: "Process".into(),
            name: Cow::Owned(format!("p{instance}")),
        }),
        subject: Some(EventSubject::Process(InstanceId(instance))),
        severity: Severity::Info,
        reason: "".into(),
        message: "".into(),
        attributes: Attributes::new(),
    };
    Arc::new(draft.stored(StoredId(id), Wall::from_micros(id)))
}

fn ids(events: &[Arc<StoredEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.id.0).collect()
}

fn query(instance: u32, since: u64) -> PageQuery<'static> {
    PageQuery {
        instance: InstanceId(instance),
        since: StoredId(since),
        topic: None,
        limit: 1_000,
        max_bytes: usize::MAX,
    }
}

#[test]
fn a_cursor_ahead_of_the_newest_restarts_there() {
    let mut log = EventLog::new(10);
    assert!(log.page(&query(1, 5), |_| 1).gap);
    assert!(!log.page(&query(1, 0), |_| 1).gap);
    log.push(event(3, 1, "a.b", true));
    log.push(event(4, 2, "a.b", true));
    let page = log.page(&query(1, 999), |_| 1);
    assert_eq!((page.gap, page.cursor.0, page.events.len()), (true, 3, 0));
    assert!(log.has_news(&query(1, 999)));
    // The newest of the other instance was never given out here.
    assert!(log.page(&query(1, 4), |_| 1).gap);
}

#[test]
fn events_of_others_that_are_dropped_are_no_gap() {
    let mut log = EventLog::new(2);
    log.push(event(1, 1, "a.b", true));
    log.push(event(2, 1, "a.b", true));
    for id in 3..6 {
        log.push(event(id, 2, "a.b", true));
    }
    let quiet = log.page(&query(1, 2), |_| 1);
    assert_eq!((quiet.gap, quiet.cursor.0, quiet.more), (false, 2, false));
    let missed = log.page(&query(1, 1), |_| 1);
    assert_eq!((missed.gap, missed.cursor.0), (true, 2));
    let busy = log.page(&query(2, 0), |_| 1);
    assert_eq!((busy.gap, ids(&busy.events)), (true, [4, 5].into()));
}

#[test]
fn a_page_is_bounded_by_count_and_by_bytes() {
    let mut log = EventLog::new(100);
    (1..=10).for_each(|id| log.push(event(id, 1, "a.b", true)));
    let bounded =
        |limit, max_bytes| log.page(&PageQuery { limit, max_bytes, ..query(1, 0) }, |_| 10);
    let page = bounded(3, 1_000);
    assert_eq!((ids(&page.events), page.cursor.0, page.more), ([1, 2, 3].into(), 3, true));
    let page = bounded(100, 45);
    assert_eq!((ids(&page.events), page.cursor.0, page.more), ([1, 2, 3, 4].into(), 4, true));
    assert_eq!(ids(&bounded(100, 1).events), [1], "one event always fits");
    assert!(!bounded(10, 100).more);
}

#[test]
fn a_deleted_instance_has_no_cursor() {
    let mut log = EventLog::new(10);
    log.push(event(1, 1, "a.b", true));
    log.forget(InstanceId(1));
    assert_eq!(log.managed_head(InstanceId(1)), StoredId(0));
    assert_eq!(log.len(), 1);
}

proptest! {
    #[test]
    fn it_answers_what_a_search_would_find(
        given in prop::collection::vec((1u64..4, 0u32..3, 0usize..4, any::<bool>()), 0..60),
        capacity in 1usize..30,
        since in 0u64..100,
        instance in 0u32..3,
        pattern in prop::sample::select(["**", "a.*", "z", "**.c"].as_slice()),
        limit in 1usize..8,
        max_bytes in 0usize..9,
        ascending: bool,
    ) {
        let mut log = EventLog::new(capacity);
        let mut all = Vec::new();
        let mut id = 0;
        for (step, instance, topic, is_managed) in given {
            id += step;
            let event = event(id, instance, TOPICS[topic], is_managed);
            log.push(Arc::clone(&event));
            // Pushed again, it changes nothing.
            log.push(Arc::clone(&event));
            all.push(event);
        }
        let dropped = all.len().saturating_sub(capacity);
        let (gone, kept) = all.split_at(dropped);
        prop_assert_eq!(log.len(), kept.len());
        prop_assert_eq!(log.head().0, id);
        let topic = TopicPattern::parse(pattern);

        let mine = |event: &&Arc<StoredEvent>| event.managed_by() == Some(InstanceId(instance));
        let head = all.iter().filter(mine).map(|event| event.id.0).max().unwrap_or(0);
        let lost = gone.iter().filter(mine).map(|event| event.id.0).max().unwrap_or(0);
        let query = PageQuery { topic: Some(&topic), limit, ..query(instance, since) };
        let page = log.page(&query, |_| 1);
        prop_assert_eq!(page.gap, since > head || since < lost);
        let selected: Vec<u64> = kept
            .iter()
            .filter(mine)
            .filter(|event| event.id.0 > since && since <= head && topic.matches(&event.topic))
            .map(|event| event.id.0)
            .collect();
        prop_assert_eq!(ids(&page.events), &selected[..selected.len().min(limit)]);
        prop_assert_eq!(page.more, selected.len() > limit);
        prop_assert_eq!(log.has_news(&query), page.gap || !selected.is_empty());
        if !page.more {
            prop_assert_eq!(page.cursor.0, if since > head { head } else { head.max(since) });
        }

        let filter = StoredFilter {
            since: StoredId(since),
            topic: Some(topic.clone()),
            limit,
            max_bytes,
            ascending,
            ..StoredFilter::default()
        };
        let mut found: Vec<u64> = kept
            .iter()
            .filter(|event| event.id.0 > since && topic.matches(&event.topic))
            .map(|event| event.id.0)
            .collect();
        if !ascending {
            found.reverse();
        }
        found.truncate(limit);
        let fitting = max_bytes.max(1);
        let selection = log.select(&filter, |_| 1);
        prop_assert_eq!(selection.more, found.len() > fitting);
        found.truncate(fitting);
        prop_assert_eq!(selection.events.iter().map(|event| event.id.0).collect::<Vec<_>>(), found);

        let subject = EventSubject::Process(InstanceId(instance));
        let newest: Vec<u64> = log.newest_of(&subject, limit).iter().map(|event| event.id.0).collect();
        let wanted: Vec<u64> = kept
            .iter()
            .rev()
            .filter(|event| event.subject.as_ref() == Some(&subject))
            .map(|event| event.id.0)
            .take(limit)
            .collect();
        prop_assert_eq!(newest, wanted);
    }
}
