//! What the hub's lock protects: the picture that reads see, the replay window, and where every
//! stream is to end.

use std::collections::BTreeMap;
use std::task::Waker;

use bytes::{BufMut, Bytes, BytesMut};
use openctrl_core::engine::{Event, MasterFace, Subject};
use openctrl_core::events::{Cursor, EventId, EventKind, Read, Window, WindowLimits};
use openctrl_core::ids::{InstanceId, KeyEpoch};
use openctrl_core::time::Wall;

use crate::metrics::COUNTERS;

/// The replay window: what a reader may lag behind. At the usual 600 bytes a frame both limits
/// are of one size; the second bounds memory when frames are large.
const WINDOW: WindowLimits = WindowLimits { max_events: 100_000, max_bytes: 64 * 1024 * 1024 };

/// What a stream takes at a time: enough to share one write among hundreds of events.
const READ_MAX_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct State {
    face: MasterFace,
    key_instance: Bytes,
    instances: BTreeMap<InstanceId, Bytes>,
    list: Option<Bytes>,
    window: Window<Bytes>,
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    /// The wall clock, never going backwards: no event is later than this, and no picture is
    /// earlier than an event before it.
    time: Wall,
    /// Whether subscribers have to be woken.
    has_news: bool,
    /// Streams of keys before this one are closed, and no new one is let in.
    open_from: KeyEpoch,
    /// The farewell of the streams when the master is on its way out: no new ones either.
    farewell: Option<Bytes>,
}

/// One open stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(u64);

#[derive(Debug)]
struct Stream {
    epoch: KeyEpoch,
    waker: Option<Waker>,
    end: Option<End>,
}

/// Where a stream ends, and with what.
#[derive(Clone, Debug)]
struct End {
    before: EventId,
    farewell: Bytes,
}

/// A stream that was just opened.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) stream: StreamId,
    pub(super) start: Start,
}

/// How a stream begins, or goes on after a gap.
#[derive(Debug)]
pub(super) enum Start {
    /// The reader has everything up to here.
    Resumed(Cursor),
    /// The reader needs the whole picture.
    Picture(Picture),
}

/// Every instance as it stands, and where the live events after it begin.
#[derive(Debug)]
pub(super) struct Picture {
    /// What the reader missed: nothing to speak of, an unknown number, or so many events.
    pub(super) missed: Missed,
    pub(super) objects: Vec<Bytes>,
    pub(super) time: Wall,
    pub(super) cursor: Cursor,
    /// The last event that is in the picture.
    pub(super) last: EventId,
}

/// What a reader missed before a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It is new.
    Nothing,
    /// It last read another run of the master.
    Unknown,
    /// So many events fell out of the window.
    Events(u64),
}

/// What a stream has to write next.
#[derive(Debug)]
pub(super) enum Next {
    Frames(Bytes),
    Picture(Picture),
    End(Bytes),
    Wait,
}

impl State {
    pub(super) fn new(face: MasterFace) -> Self {
        Self {
            key_instance: face.json(),
            face,
            instances: BTreeMap::new(),
            list: None,
            window: Window::new(WINDOW),
            streams: BTreeMap::new(),
            next_stream: 0,
            time: Wall::default(),
            has_news: false,
            open_from: KeyEpoch::default(),
            farewell: None,
        }
    }

    /// Moves the clock on; returns what it shows then.
    pub(super) fn advance(&mut self, wall: Wall) -> Wall {
        self.time = self.time.max(wall);
        self.time
    }

    pub(super) const fn face(&self) -> &MasterFace {
        &self.face
    }

    /// Whether the key of `epoch` is still good: no more from the moment that its streams close.
    pub(super) fn is_in_force(&self, epoch: KeyEpoch) -> bool {
        epoch == self.face.key_epoch && epoch >= self.open_from
    }

    pub(super) fn key_instance(&self) -> Bytes {
        self.key_instance.clone()
    }

    pub(super) fn instance(&self, id: InstanceId) -> Option<Bytes> {
        self.instances.get(&id).cloned()
    }

    pub(super) fn instances(&self) -> Vec<(InstanceId, Bytes)> {
        self.instances.iter().map(|(id, json)| (*id, json.clone())).collect()
    }

    pub(super) fn figures(&self) -> (u64, usize) {
        (self.window.next_id().0 - 1, self.streams.len())
    }

    pub(super) fn list(&mut self) -> Bytes {
        let Self { list, key_instance, instances, .. } = self;
        list.get_or_insert_with(|| join(key_instance, instances)).clone()
    }

    pub(super) fn set_face(&mut self, face: MasterFace) {
        self.key_instance = face.json();
        self.face = face;
        self.list = None;
    }

    pub(super) fn set_instance(&mut self, id: InstanceId, json: Bytes) {
        self.instances.insert(id, json);
        self.list = None;
    }

    /// Takes an event into the picture, as a client's reducer would.
    pub(super) fn reduce(&mut self, event: &Event) {
        match (event.subject, event.kind) {
            (Subject::Instance(id), EventKind::Delete) => {
                self.instances.remove(&id);
                self.list = None;
            }
            (Subject::Instance(id), _) => self.set_instance(id, event.json.clone()),
            // The key instance comes with the master's face.
            (Subject::Key, _) => {}
        }
    }

    pub(super) fn push(&mut self, id: EventId, frame: Bytes) {
        let bytes = frame.len();
        let given = self.window.push(frame, bytes);
        assert_eq!(given, id, "the engine and the window count events alike");
        self.has_news = true;
    }

    /// Ends the streams of keys before `keep_from`, or all, after what is in the window now.
    pub(super) fn close(&mut self, keep_from: Option<KeyEpoch>, farewell: &Bytes) {
        self.has_news = true;
        let before = self.window.next_id();
        for stream in self.streams.values_mut() {
            if keep_from.is_none_or(|epoch| stream.epoch < epoch) {
                stream.end.get_or_insert_with(|| End { before, farewell: farewell.clone() });
            }
        }
        match keep_from {
            Some(epoch) => self.open_from = epoch,
            None => self.farewell = Some(farewell.clone()),
        }
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        if !std::mem::take(&mut self.has_news) {
            return Vec::new();
        }
        self.streams.values_mut().filter_map(|stream| stream.waker.take()).collect()
    }

    /// Lets a reader in, unless its key is no longer the one in force. `last_seen` is what it has
    /// read: `Some(None)` is something of another run.
    pub(super) fn enter(
        &mut self,
        epoch: KeyEpoch,
        last_seen: Option<Option<EventId>>,
    ) -> Option<Entry> {
        if !self.is_in_force(epoch) {
            return None;
        }
        let start = match last_seen {
            None => Start::Picture(self.picture(Missed::Nothing)),
            Some(id) => self.resume(id),
        };
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        let end =
            self.farewell.clone().map(|farewell| End { before: self.window.next_id(), farewell });
        self.streams.insert(stream, Stream { epoch, waker: None, end });
        Some(Entry { stream, start })
    }

    pub(super) fn leave(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// What a stream at `cursor` has to write next; `waker` is kept where there is nothing yet.
    pub(super) fn next(&mut self, id: StreamId, cursor: &mut Cursor, waker: &Waker) -> Next {
        let Some(stream) = self.streams.get_mut(&id) else { return Next::End(Bytes::new()) };
        let limit = stream.end.as_ref().map_or(EventId(u64::MAX), |end| end.before);
        let mut frames: Vec<Bytes> = Vec::new();
        let read = self.window.read(cursor, READ_MAX_BYTES, |id, frame| {
            if id < limit {
                frames.push(frame.clone());
            }
        });
        match (read, &stream.end) {
            (Read::Items(_), _) if !frames.is_empty() => Next::Frames(concat(frames)),
            (Read::Items(_) | Read::CaughtUp, Some(end)) => Next::End(end.farewell.clone()),
            (Read::Items(_) | Read::CaughtUp, None) => {
                stream.waker = Some(waker.clone());
                Next::Wait
            }
            // A picture would hold what came after the end: a new key, perhaps.
            (Read::FellOut { .. }, Some(end)) => Next::End(end.farewell.clone()),
            (Read::FellOut { lost }, None) => {
                COUNTERS.subscriber_gaps.add(1);
                let held = self.window.next_id().0 - self.window.oldest_id().0;
                Next::Picture(self.picture(Missed::Events(lost + held)))
            }
        }
    }

    fn resume(&self, last_seen: Option<EventId>) -> Start {
        let Some(cursor) = last_seen.and_then(|id| self.window.cursor_after(id)) else {
            return Start::Picture(self.picture(Missed::Unknown));
        };
        let first_missed = last_seen.map_or(0, |id| id.0 + 1);
        if first_missed < self.window.oldest_id().0 {
            let missed = self.window.next_id().0 - first_missed;
            return Start::Picture(self.picture(Missed::Events(missed)));
        }
        Start::Resumed(cursor)
    }

    fn picture(&self, missed: Missed) -> Picture {
        let mut objects = Vec::with_capacity(self.instances.len() + 1);
        objects.push(self.key_instance.clone());
        objects.extend(self.instances.values().cloned());
        let last = EventId(self.window.next_id().0 - 1);
        let cursor = self.window.cursor_at_head();
        Picture { missed, objects, time: self.time, cursor, last }
    }
}

fn join(key_instance: &Bytes, instances: &BTreeMap<InstanceId, Bytes>) -> Bytes {
    let size: usize = instances.values().map(|json| json.len() + 1).sum();
    let mut list = BytesMut::with_capacity(size + key_instance.len() + 2);
    list.put_u8(b'[');
    list.put_slice(key_instance);
    for json in instances.values() {
        list.put_u8(b',');
        list.put_slice(json);
    }
    list.put_u8(b']');
    list.freeze()
}

/// One buffer for all frames: a single write, and no copy where there is just one.
fn concat(mut frames: Vec<Bytes>) -> Bytes {
    if frames.len() == 1 {
        return frames.remove(0);
    }
    let mut joined = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
    for frame in frames {
        joined.put_slice(&frame);
    }
    joined.freeze()
}
