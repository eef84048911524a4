//! Unfinished lines, which streams show in addition to events.
//!
//! Only the newest of each stream of an instance counts, and nothing is replayed. A subscriber receives it after
//! everything before it.

use std::collections::BTreeMap;

use bytes::Bytes;
use openctrl_core::doors::v2::unfinished_frame;
use openctrl_core::ids::InstanceId;
use openctrl_core::stream::Stream;
use openctrl_core::time::Wall;

/// The newest aside of each stream that has had one.
#[derive(Debug, Default)]
pub(super) struct Asides {
    /// The number of the newest.
    newest: u64,
    /// Streams were woken for those up to this one.
    told: u64,
    by_number: BTreeMap<u64, Aside>,
    numbers: BTreeMap<(InstanceId, Stream), u64>,
}

#[derive(Debug)]
struct Aside {
    frame: Bytes,
    /// Whether it only reports that there is no unfinished line any more.
    is_end: bool,
}

/// Up to where a reader has seen them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    number: u64,
    /// The newest when the subscriber connected: it never saw lines that ended before.
    at_entry: u64,
}

impl Asides {
    /// The unfinished line of a stream; an empty one means that there is none any more.
    pub(super) fn set(&mut self, of: (InstanceId, Stream), time: Wall, text: &str) {
        self.remove(of);
        self.newest += 1;
        let frame = Bytes::from(unfinished_frame(of, time, text));
        self.by_number.insert(self.newest, Aside { frame, is_end: text.is_empty() });
        self.numbers.insert(of, self.newest);
    }

    pub(super) fn forget(&mut self, instance: InstanceId) {
        Stream::ALL.into_iter().for_each(|stream| self.remove((instance, stream)));
    }

    fn remove(&mut self, of: (InstanceId, Stream)) {
        if let Some(number) = self.numbers.remove(&of) {
            self.by_number.remove(&number);
        }
    }

    /// Where a reader begins that has just come.
    pub(super) const fn seen_by_new(&self) -> Seen {
        Seen { number: 0, at_entry: self.newest }
    }

    /// The next one that a reader has not seen.
    pub(super) fn next(&self, seen: &mut Seen) -> Option<Bytes> {
        for (number, aside) in self.by_number.range(seen.number + 1..) {
            seen.number = *number;
            if !aside.is_end || *number > seen.at_entry {
                return Some(aside.frame.clone());
            }
        }
        None
    }

    /// Whether there are some that streams were not woken for.
    pub(super) const fn has_news(&self) -> bool {
        self.told < self.newest
    }

    pub(super) const fn told(&mut self) {
        self.told = self.newest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(asides: &Asides, seen: &mut Seen) -> Vec<String> {
        let frames = std::iter::from_fn(|| asides.next(seen));
        let text = |frame: Bytes| {
            let frame = String::from_utf8(frame.to_vec()).expect("UTF-8");
            let (_, text) = frame.split_once("\"text\":\"").expect("a text");
            text.split('"').next().expect("its end").to_owned()
        };
        frames.map(text).collect()
    }

    #[test]
    fn the_newest_of_each_stream_is_shown_once() {
        let (one, two) = ((InstanceId(1), Stream::Stdout), (InstanceId(1), Stream::Stderr));
        let mut asides = Asides::default();
        let mut early = asides.seen_by_new();
        for (instance, text) in [(one, "a"), (two, "b"), (one, "c")] {
            asides.set(instance, Wall::default(), text);
        }
        assert_eq!(texts(&asides, &mut early), ["b", "c"]);
        assert!(asides.has_news());
        asides.told();
        assert!(!asides.has_news());
        asides.set(one, Wall::default(), "");
        assert_eq!(texts(&asides, &mut early), [""]);
        let mut late = asides.seen_by_new();
        assert_eq!(texts(&asides, &mut late), ["b"], "it never saw what ended");
        asides.set(two, Wall::default(), "");
        assert_eq!(texts(&asides, &mut late), [""]);
        asides.forget(InstanceId(1));
        assert!(asides.by_number.is_empty() && asides.numbers.is_empty());
    }
}
