//! The data behind the lock of the hub: the instances for reads, the replay window, and where every
//! stream ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use openctrl_core::access::TokenDigest;
use openctrl_core::doors::v2::{InstanceObject, Secrets, event_frame, render_key_instance};
use openctrl_core::event::{Cursor, EventKind, Read, Window, WindowLimits};
use openctrl_core::handover::HandedBlock;
use openctrl_core::ids::Revision;
use openctrl_core::ids::{BootId, EventId, InstanceId, KeyEpoch};
use openctrl_core::instance::{Definition, InstanceView};
use openctrl_core::master::MasterFace;
use openctrl_core::time::Wall;

use super::asides::{Asides, Seen};
use super::block::{Block, Item, Object, OpenBlock};
use super::reader::Reader;
use crate::counters::COUNTERS;

/// The replay window: how far a subscriber can fall behind. At the usual 600 bytes for a frame both
/// limits are of equal size; the second one limits memory when frames are large.
const WINDOW: WindowLimits = WindowLimits { max_events: 100_000, max_bytes: 64 * 1024 * 1024 };

#[derive(Debug)]
pub(super) struct State {
    boot: BootId,
    face: MasterFace,
    key_instance: Bytes,
    /// The same for readers without the key.
    masked_key_instance: Bytes,
    instances: BTreeMap<InstanceId, Shown>,
    list: Option<Bytes>,
    /// The same for readers without the key.
    masked_list: Option<Bytes>,
    /// How often the list changed.
    list_version: u64,
    window: Window<Arc<Block>>,
    /// The newest events, which are not in the window yet.
    open: OpenBlock,
    pub(super) asides: Asides,
    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    /// The wall clock, never going backwards: no event is later than this, and no picture is
    /// earlier than an event before it.
    time: Wall,
    /// Streams were woken for the events before this one.
    told: EventId,
    /// Whether streams were closed that were not woken yet.
    is_closing: bool,
    /// Streams of keys before this one are closed, and no new one is let in.
    open_from: KeyEpoch,
    /// The last event of the streams during a shutdown; no new streams are opened.
    farewell: Option<Bytes>,
    /// Streams end without a last event: their readers reconnect.
    is_paused: bool,
}

/// The list of all instances, or the data to render it.
#[derive(Debug)]
pub(super) enum List {
    Ready(Bytes),
    Parts(ListParts),
}

/// The data to render the list.
#[derive(Debug)]
pub(super) struct ListParts {
    version: u64,
    secrets: Secrets,
    key_instance: Bytes,
    instances: Vec<InstanceObject>,
}

/// An instance as reads see it, rendered when it is read.
#[derive(Debug)]
struct Shown {
    object: InstanceObject,
    /// Both are the same text where there are no secrets.
    json: Option<Bytes>,
    masked_json: Option<Bytes>,
}

/// One open stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct StreamId(u64);

#[derive(Debug)]
struct Stream {
    reader: Reader,
    waker: Option<Waker>,
    end: Option<End>,
}

/// Where a stream ends, and its last event.
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
    pub(super) seen: Seen,
}

/// How a stream starts, or continues after a gap.
#[derive(Debug)]
pub(super) enum Start {
    /// The reader has everything up to here.
    Resumed(Cursor),
    /// The reader needs the whole picture.
    Picture(Picture),
}

/// The current state of every instance, and the cursor of the live events after it.
#[derive(Debug)]
pub(super) struct Picture {
    /// What the subscriber missed: nothing, an unknown number of events, or this many.
    pub(super) missed: Missed,
    pub(super) key_instance: Bytes,
    pub(super) instances: Vec<InstanceObject>,
    pub(super) time: Wall,
    pub(super) cursor: Cursor,
    /// The last event that is in the picture.
    pub(super) last: EventId,
}

/// What a subscriber missed before the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// It is new.
    Nothing,
    /// It last read another run of the master.
    Unknown,
    /// This many events fell out of the window.
    Events(u64),
}

/// The next part that a stream writes.
#[derive(Debug)]
pub(super) enum Next {
    /// The frames of a block from an event on.
    Frames(Arc<Block>, EventId),
    /// Parts that are not events.
    Aside(Bytes),
    Picture(Picture),
    End(Bytes),
    Wait,
}

impl State {
    pub(super) fn new(boot: BootId, face: MasterFace) -> Self {
        Self {
            boot,
            key_instance: render_key_instance(&face.identity, Secrets::Shown),
            masked_key_instance: render_key_instance(&face.identity, Secrets::Masked),
            face,
            instances: BTreeMap::new(),
            list: None,
            masked_list: None,
            list_version: 0,
            window: Window::new(WINDOW),
            open: OpenBlock::default(),
            asides: Asides::default(),
            streams: BTreeMap::new(),
            next_stream: 0,
            time: Wall::default(),
            told: EventId(1),
            is_closing: false,
            open_from: KeyEpoch::default(),
            farewell: None,
            is_paused: false,
        }
    }

    /// Goes on with what another program of this master published; nothing was published here yet.
    pub(super) fn go_on_with(&mut self, time: Wall, next: EventId, blocks: Vec<HandedBlock>) {
        let first = blocks.first().map_or(next, |block| block.first);
        self.window = Window::starting_at(WINDOW, first);
        for block in blocks {
            let block = Block::taken_over(self.boot, block);
            let (events, bytes) = (block.events(), block.bytes());
            self.window.push_run(Arc::new(block), events, bytes);
        }
        (self.time, self.told) = (time, next);
    }

    /// What was published, for another program that goes on with it: the shown time, the id of the
    /// next event, and the blocks of the window.
    pub(super) fn hand_over(&mut self) -> (Wall, EventId, Vec<Arc<Block>>) {
        self.close_block();
        (self.time, self.window.next_id(), self.window.items().map(Arc::clone).collect())
    }

    /// Ends all streams after the events published so far, without a last event.
    pub(super) fn pause(&mut self) -> Vec<Waker> {
        self.close_block();
        self.is_paused = true;
        let before = self.window.next_id();
        let end_of = |stream: &mut Stream| {
            stream.end.get_or_insert_with(|| End { before, farewell: Bytes::new() });
            stream.waker.take()
        };
        self.streams.values_mut().filter_map(end_of).collect()
    }

    /// Lets streams stay open again.
    pub(super) const fn go_on(&mut self) {
        self.is_paused = false;
    }

    /// Advances the clock; returns the shown time.
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

    /// Whether a reader that was let in may still read. Tokens are looked at elsewhere.
    pub(super) fn is_open_to(&self, reader: Reader) -> bool {
        match reader {
            Reader::Key(epoch) => self.is_in_force(epoch),
            Reader::Token(_) | Reader::Peer => true,
        }
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.farewell.is_some()
    }

    pub(super) fn key_instance(&self, reader: Reader) -> Bytes {
        match reader.secrets() {
            Secrets::Shown => self.key_instance.clone(),
            Secrets::Masked => self.masked_key_instance.clone(),
        }
    }

    pub(super) fn has(&self, id: InstanceId) -> bool {
        self.instances.contains_key(&id)
    }

    /// The JSON of an instance as `reader` may see it, and its revision.
    pub(super) fn instance(&mut self, reader: Reader, id: InstanceId) -> Option<(Bytes, Revision)> {
        let Shown { object, json, masked_json } = self.instances.get_mut(&id)?;
        let secrets = reader.secrets();
        let kept = match secrets {
            Secrets::Masked if object.has_secrets() => masked_json,
            Secrets::Masked | Secrets::Shown => json,
        };
        let json = kept.get_or_insert_with(|| object.json(secrets)).clone();
        Some((json, object.view.definition.revision))
    }

    pub(super) fn definition(&self, id: InstanceId) -> Option<Arc<Definition>> {
        Some(Arc::clone(&self.instances.get(&id)?.object.view.definition))
    }

    pub(super) fn view(&self, id: InstanceId) -> Option<InstanceView> {
        self.instances.get(&id).map(|shown| shown.object.view.clone())
    }

    pub(super) fn instances(&self) -> Vec<InstanceView> {
        self.instances.values().map(|shown| shown.object.view.clone()).collect()
    }

    pub(super) fn figures(&self) -> (u64, usize) {
        (self.window.next_id().0 - 1 + self.open.events as u64, self.streams.len())
    }

    /// The JSON of all instances, if it was rendered since the last change.
    pub(super) fn list(&self, reader: Reader) -> List {
        let secrets = reader.secrets();
        let list = match secrets {
            Secrets::Shown => &self.list,
            Secrets::Masked => &self.masked_list,
        };
        match list {
            Some(list) => List::Ready(list.clone()),
            None => List::Parts(ListParts {
                version: self.list_version,
                secrets,
                key_instance: self.key_instance(reader),
                instances: self.instances.values().map(|shown| shown.object.clone()).collect(),
            }),
        }
    }

    /// Keeps a list that was rendered, unless something changed meanwhile.
    pub(super) fn keep_list(&mut self, parts: &ListParts, list: &Bytes) {
        if parts.version == self.list_version {
            let kept = match parts.secrets {
                Secrets::Shown => &mut self.list,
                Secrets::Masked => &mut self.masked_list,
            };
            *kept = Some(list.clone());
        }
    }

    fn list_changed(&mut self) {
        (self.list, self.masked_list) = (None, None);
        self.list_version += 1;
    }

    pub(super) fn set_face(&mut self, face: MasterFace) {
        self.key_instance = render_key_instance(&face.identity, Secrets::Shown);
        self.masked_key_instance = render_key_instance(&face.identity, Secrets::Masked);
        self.face = face;
        self.list_changed();
    }

    pub(super) fn set_instance(&mut self, object: InstanceObject) {
        let id = object.view.definition.id;
        self.instances.insert(id, Shown { object, json: None, masked_json: None });
        self.list_changed();
    }

    /// Takes published items into the stream and into the picture, as a client's reducer would.
    pub(super) fn take_in(&mut self, items: &mut Vec<Item>) {
        for item in items.drain(..) {
            let mut kept_bytes = 0;
            if let Item::Event(event) = &item
                // The key instance comes with the master's face.
                && let Object::Instance(object) = &event.object
            {
                let definition = &object.view.definition;
                // All events share a definition until the operator changes it.
                if !self.shows(definition) {
                    kept_bytes = object.definition_bytes();
                }
                if event.kind == EventKind::Delete {
                    self.instances.remove(&definition.id);
                    self.asides.forget(definition.id);
                    self.list_changed();
                } else {
                    self.set_instance(object.clone());
                }
            }
            self.open.push(item, kept_bytes);
            if self.open.is_full() {
                self.close_block();
            }
        }
    }

    fn shows(&self, definition: &Definition) -> bool {
        let shown = self.instances.get(&definition.id);
        shown.is_some_and(|shown| shown.object.view.definition.revision == definition.revision)
    }

    /// Makes new events readable for streams.
    fn close_block(&mut self) {
        let (events, bytes) = (self.open.events, self.open.bytes());
        let Some(block) = self.open.close(self.boot) else { return };
        let first = block.first;
        let given = self.window.push_run(Arc::new(block), events, bytes);
        assert_eq!(given, first, "the engine and the window count events alike");
    }

    /// Takes in that a block was encoded and takes another amount of memory than it did.
    pub(super) fn encoded(&mut self, block: &Block) {
        self.window.resize(block.first, block.bytes());
    }

    /// Ends the streams of a token after what was published so far; returns whom to wake.
    pub(super) fn close_token(&mut self, token: TokenDigest) -> Vec<Waker> {
        self.close_block();
        let farewell = Bytes::from(event_frame(None, EventKind::Shutdown, self.time, None));
        let before = self.window.next_id();
        let streams = self.streams.values_mut();
        let streams = streams.filter(|stream| stream.reader == Reader::Token(token));
        streams
            .filter_map(|stream| {
                stream.end.get_or_insert_with(|| End { before, farewell: farewell.clone() });
                stream.waker.take()
            })
            .collect()
    }

    /// Ends the streams of keys before `keep_from`, or all, after the events published so far.
    /// Streams of tokens go on when the key changes.
    pub(super) fn close(&mut self, keep_from: Option<KeyEpoch>, time: Wall) {
        self.close_block();
        self.is_closing = true;
        let farewell = Bytes::from(event_frame(None, EventKind::Shutdown, time, None));
        let before = self.window.next_id();
        for stream in self.streams.values_mut() {
            let is_older = |from| matches!(stream.reader, Reader::Key(epoch) if epoch < from);
            if keep_from.is_none_or(is_older) {
                stream.end.get_or_insert_with(|| End { before, farewell: farewell.clone() });
            }
        }
        match keep_from {
            Some(epoch) => self.open_from = epoch,
            None => self.farewell = Some(farewell),
        }
    }

    /// Whether there is something that streams wait for.
    pub(super) fn has_news(&self) -> bool {
        !self.streams.is_empty() && (self.is_closing || self.has_new_events())
    }

    fn has_new_events(&self) -> bool {
        !self.open.is_empty() || self.told < self.window.next_id() || self.asides.has_news()
    }

    pub(super) const fn is_closing(&self) -> bool {
        self.is_closing
    }

    pub(super) fn take_wakers(&mut self) -> Vec<Waker> {
        self.close_block();
        self.is_closing = false;
        self.told = self.window.next_id();
        self.asides.told();
        self.streams.values_mut().filter_map(|stream| stream.waker.take()).collect()
    }

    /// Adds a subscriber, unless its key is no longer valid. `last_seen` is the last event it has
    /// read: `Some(None)` is one of another run.
    pub(super) fn enter(
        &mut self,
        reader: Reader,
        last_seen: Option<Option<EventId>>,
    ) -> Option<Entry> {
        if !self.is_open_to(reader) {
            return None;
        }
        // A new reader begins with a block of its own: those before it may never be encoded.
        self.close_block();
        let start = match last_seen {
            None => Start::Picture(self.picture(reader, Missed::Nothing)),
            Some(id) => self.resume(reader, id),
        };
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        let farewell = self.farewell.clone().or_else(|| self.is_paused.then(Bytes::new));
        let end = farewell.map(|farewell| End { before: self.window.next_id(), farewell });
        self.streams.insert(stream, Stream { reader, waker: None, end });
        Some(Entry { stream, start, seen: self.asides.seen_by_new() })
    }

    pub(super) fn leave(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
    }

    /// What a stream at `cursor` has to write next; `waker` is kept where there is nothing yet.
    pub(super) fn next(
        &mut self,
        id: StreamId,
        cursor: &mut Cursor,
        seen: &mut Seen,
        waker: &Waker,
    ) -> Next {
        let Some(stream) = self.streams.get_mut(&id) else { return Next::End(Bytes::new()) };
        let reader = stream.reader;
        let limit = stream.end.as_ref().map_or(EventId(u64::MAX), |end| end.before);
        let mut found = None;
        // One block at a time: each is worth a write.
        let read = self.window.read(cursor, 1, |id, block| {
            found = (id < limit).then(|| (Arc::clone(block), id));
        });
        if let Some((block, id)) = found {
            return Next::Frames(block, id);
        }
        match (read, &stream.end) {
            (Read::Items(_) | Read::CaughtUp, Some(end)) => Next::End(end.farewell.clone()),
            (Read::Items(_) | Read::CaughtUp, None) => {
                // Not before the events that came before it.
                if self.open.is_empty()
                    && let Some(frame) = self.asides.next(seen)
                {
                    return Next::Aside(frame);
                }
                stream.waker = Some(waker.clone());
                Next::Wait
            }
            // The current state would include data published after the end, such as a new key.
            (Read::FellOut { .. }, Some(end)) => Next::End(end.farewell.clone()),
            (Read::FellOut { lost }, None) => {
                COUNTERS.subscriber_gaps.add(1);
                // Looked at first: closing the block may push others out.
                let first_missed = self.window.oldest_id().0 - lost;
                self.close_block();
                let missed = self.window.next_id().0 - first_missed;
                Next::Picture(self.picture(reader, Missed::Events(missed)))
            }
        }
    }

    fn resume(&self, reader: Reader, last_seen: Option<EventId>) -> Start {
        let Some(cursor) = last_seen.and_then(|id| self.window.cursor_after(id)) else {
            return Start::Picture(self.picture(reader, Missed::Unknown));
        };
        let first_missed = last_seen.map_or(0, |id| id.0 + 1);
        if first_missed < self.window.oldest_id().0 {
            let missed = self.window.next_id().0 - first_missed;
            return Start::Picture(self.picture(reader, Missed::Events(missed)));
        }
        Start::Resumed(cursor)
    }

    fn picture(&self, reader: Reader, missed: Missed) -> Picture {
        let instances = self.instances.values().map(|shown| shown.object.clone()).collect();
        let last = EventId(self.window.next_id().0 - 1);
        let cursor = self.window.cursor_at_head();
        let key_instance = self.key_instance(reader);
        Picture { missed, key_instance, instances, time: self.time, cursor, last }
    }
}

impl ListParts {
    pub(super) fn render(&self) -> Bytes {
        let size: usize = self.instances.iter().map(|object| object.max_bytes() + 1).sum();
        let mut list = Vec::with_capacity(size + self.key_instance.len() + 2);
        list.push(b'[');
        list.extend_from_slice(&self.key_instance);
        for object in &self.instances {
            list.push(b',');
            object.write(self.secrets, &mut list);
        }
        list.push(b']');
        list.shrink_to_fit();
        Bytes::from(list)
    }
}
