//! INV-6 as a reader sees it that goes at its own pace, falls behind, goes away and comes back:
//! every event in order, or the exact number of those it missed and the whole picture; and once
//! it has caught up it holds what everybody is shown.

use std::collections::BTreeMap;

use openctrl_core::event::{EventKind, Subject};

use super::{Verdict, ensure};
use crate::object::Shown;
use crate::oracle::Oracle;
use crate::world::{Given, Hub, Missed, Seen};

/// All subscribers of a run. They survive the master.
#[derive(Debug)]
pub struct Readers {
    readers: Vec<Reader>,
}

/// One subscriber, with the objects that it knows.
#[derive(Debug, Default)]
struct Reader {
    seen: Option<Seen>,
    objects: BTreeMap<Subject, Shown>,
}

/// Events in the life of a subscriber, for coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Nothing of the kind.
    Nothing,
    /// It has seen everything.
    CaughtUp,
    /// It came back and missed nothing.
    Resumed,
    /// It fell out of the window.
    FellOut,
    /// It came back to another run of the master.
    OtherBoot,
    /// Its stream ended.
    Farewell,
}

impl Readers {
    /// So many that have read nothing yet.
    pub fn new(count: usize) -> Self {
        Self { readers: (0..count).map(|_| Reader::default()).collect() }
    }

    /// Lets one read about this many bytes, or reconnect if it is away; with `afresh` it has lost
    /// its state.
    ///
    /// # Errors
    /// What it received but should not have.
    pub fn read(
        &mut self,
        index: usize,
        hub: &mut Hub,
        oracle: &Oracle,
        max_bytes: usize,
        afresh: bool,
    ) -> Result<Met, String> {
        let reader = &mut self.readers[index];
        let given = if hub.is_open(index) {
            hub.next(index, max_bytes)
        } else {
            reader.seen = reader.seen.filter(|_| !afresh);
            hub.enter(index, reader.seen)
        };
        let is_of_this_key = hub.epoch_of(index) == oracle.face.as_ref().map(|face| face.key_epoch);
        let say = |what: String| format!("reader {index}: {what}");
        reader.take(given, oracle, is_of_this_key).map_err(say)
    }

    /// Lets all of them read all there is.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn catch_up(&mut self, hub: &mut Hub, oracle: &Oracle) -> Verdict {
        for index in 0..self.readers.len() {
            loop {
                match self.read(index, hub, oracle, 4_096, false)? {
                    Met::CaughtUp => break,
                    Met::Farewell if oracle.shutdowns > 0 => break,
                    Met::Nothing | Met::Resumed | Met::FellOut | Met::OtherBoot | Met::Farewell => {
                    }
                }
            }
        }
        Ok(())
    }
}

impl Reader {
    fn take(&mut self, given: Given, oracle: &Oracle, is_of_this_key: bool) -> Result<Met, String> {
        match given {
            Given::Refused => Err("it is turned away with the key in force".to_string()),
            Given::Farewell => Ok(Met::Farewell),
            Given::Resumed => Ok(Met::Resumed),
            Given::Nothing => {
                let last = oracle.last_event;
                let seen = self.seen.map(|seen| seen.id.0);
                ensure(seen == Some(last), || {
                    format!("it has seen {seen:?}, is given nothing, and the last event is {last}")
                })?;
                self.agrees(oracle).map(|()| Met::CaughtUp)
            }
            Given::Picture { objects, last, missed } => {
                let met = self.missed(last, missed, oracle)?;
                (self.objects, self.seen) = (objects, Some(last));
                self.agrees(oracle).map(|()| met)
            }
            Given::Frames(frames) => {
                for (id, frame) in frames {
                    let next = self.seen.map(|seen| seen.id.plus(1));
                    ensure(next == Some(id), || format!("{id:?} comes, and {next:?} was due"))?;
                    self.seen = self.seen.map(|seen| Seen { id, ..seen });
                    let subject = frame.object.subject();
                    self.reduce(frame.kind, subject, frame.object)?;
                    // A stream of an old key never shows a new one.
                    ensure(
                        subject != Subject::Key || is_of_this_key || self.is_old(oracle),
                        || "the new key is told on a stream of the old one".to_string(),
                    )?;
                }
                Ok(Met::Nothing)
            }
        }
    }

    /// Whether the key that it knows is an old one.
    fn is_old(&self, oracle: &Oracle) -> bool {
        let Some(known) = self.objects.get(&Subject::Key) else { return true };
        let in_force = oracle.shown.get(&Subject::Key);
        in_force.is_none_or(|shown| !shown.is_same_key(known))
    }

    fn missed(&self, last: Seen, missed: Missed, oracle: &Oracle) -> Result<Met, String> {
        ensure(last.id.0 == oracle.last_event, || {
            format!("a picture of {last:?}, and the last event is {}", oracle.last_event)
        })?;
        let due = match self.seen {
            None => Missed::Nothing,
            Some(seen) if seen.boot != last.boot => Missed::Unknown,
            Some(seen) => Missed::Events(last.id.0 - seen.id.0),
        };
        ensure(missed == due, || format!("it is told to have missed {missed:?}, not {due:?}"))?;
        ensure(due != Missed::Events(0), || "it gets a picture and missed nothing".to_string())?;
        Ok(match due {
            Missed::Nothing => Met::Nothing,
            Missed::Unknown => Met::OtherBoot,
            Missed::Events(_) => Met::FellOut,
        })
    }

    /// Takes an event in as clients do.
    fn reduce(&mut self, kind: EventKind, subject: Subject, object: Shown) -> Verdict {
        let is_known = self.objects.contains_key(&subject);
        let fits = match kind {
            EventKind::Create => !is_known,
            EventKind::Update | EventKind::Log | EventKind::Delete => is_known,
            EventKind::Initial | EventKind::Shutdown => false,
        };
        ensure(fits, || format!("{kind:?} of {subject:?}, which it knows: {is_known}"))?;
        if kind == EventKind::Delete {
            self.objects.remove(&subject);
        } else {
            self.objects.insert(subject, object);
        }
        Ok(())
    }

    fn agrees(&self, oracle: &Oracle) -> Verdict {
        let mut both = self.objects.iter().zip(&oracle.shown);
        let is_same = self.objects.len() == oracle.shown.len()
            && both.all(|((subject, held), (of, shown))| subject == of && held.is_same(shown));
        ensure(is_same, || format!("it holds {:?}, and shown are {:?}", self.objects, oracle.shown))
    }
}
