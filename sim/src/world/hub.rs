//! The event stream of the driver (`driver/src/daemon/hub/`): the state for reads, the window, and
//! where each stream ends.

use std::collections::BTreeMap;

use openctrl_core::engine::Effect;
use openctrl_core::event::{Cursor, EventKind, Read, Subject, Window, WindowLimits};
use openctrl_core::ids::{EventId, KeyEpoch};
use openctrl_core::instance::{Definition, InstanceView};

use crate::object::Shown;

/// The approximate size of the key instance.
const KEY_BYTES: usize = 256;

/// The approximate size of an instance without the texts of its definition.
const INSTANCE_BYTES: usize = 320;

/// One event as a reader gets it.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What happened.
    pub kind: EventKind,
    /// The object after it.
    pub object: Shown,
}

/// The name of an event: which run of the master, and its number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The run.
    pub boot: u32,
    /// The number.
    pub id: EventId,
}

/// The next part of a stream.
#[derive(Debug)]
pub enum Given {
    /// Its key is not the current one.
    Refused,
    /// It is connected and has seen everything up to the event that it named.
    Resumed,
    /// The current state of every object; and what it has missed, if it has read before.
    Picture {
        /// The objects.
        objects: BTreeMap<Subject, Shown>,
        /// The last event that is in them.
        last: Seen,
        /// The number of missed events.
        missed: Missed,
    },
    /// The next events.
    Frames(Vec<(EventId, Frame)>),
    /// There is nothing new.
    Nothing,
    /// The stream ends.
    Farewell,
}

/// What a subscriber missed before the current state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It is new.
    Nothing,
    /// It last read another run of the master.
    Unknown,
    /// This many events fell out of the window.
    Events(u64),
}

/// The streams of one run of the master.
#[derive(Debug)]
pub struct Hub {
    boot: u32,
    limits: WindowLimits,
    window: Window<Frame>,
    picture: BTreeMap<Subject, Shown>,
    key_epoch: KeyEpoch,
    open_from: KeyEpoch,
    is_closed: bool,
    /// By reader.
    streams: Vec<Option<Stream>>,
}

#[derive(Debug)]
struct Stream {
    epoch: KeyEpoch,
    cursor: Cursor,
    /// The first event that it does not get.
    end: Option<EventId>,
}

impl Hub {
    /// The first run, with a window of these limits, for this many subscribers.
    pub fn new(limits: WindowLimits, readers: usize) -> Self {
        Self::of_boot(1, limits, readers)
    }

    /// The next run of the master: all streams have ended.
    #[must_use]
    pub fn reborn(&self) -> Self {
        Self::of_boot(self.boot + 1, self.limits, self.streams.len())
    }

    fn of_boot(boot: u32, limits: WindowLimits, readers: usize) -> Self {
        Self {
            boot,
            limits,
            window: Window::new(limits),
            picture: BTreeMap::new(),
            key_epoch: KeyEpoch::default(),
            open_from: KeyEpoch::default(),
            is_closed: false,
            streams: (0..readers).map(|_| None).collect(),
        }
    }

    /// How many readers there are, whether they have a stream or not.
    pub fn readers(&self) -> usize {
        self.streams.len()
    }

    /// Applies an effect on the stream, with its object.
    pub fn carry_out(&mut self, effect: &Effect, object: Option<&Shown>) {
        if let (Effect::Publish(event), Some(object)) = (effect, object) {
            self.publish(event.kind, object);
        } else if let (Effect::PublishLogs(run), Some(object)) = (effect, object) {
            self.publish_logs(run.items.len(), object);
        } else if let (Effect::ShowInstance(_), Some(object)) = (effect, object) {
            self.picture.insert(object.subject(), object.clone());
        } else if let (Effect::ShowMaster(face), Some(object)) = (effect, object) {
            self.picture.insert(Subject::Key, object.clone());
            self.key_epoch = face.key_epoch;
        } else if let Effect::CloseStreams { keep_from, .. } = effect {
            self.close(*keep_from);
        }
    }

    /// Opens a stream for a client with the current key that has seen `last_seen`.
    pub fn enter(&mut self, reader: usize, last_seen: Option<Seen>) -> Given {
        if self.key_epoch < self.open_from {
            return Given::Refused;
        }
        let given = match last_seen {
            None => self.picture(Missed::Nothing),
            Some(seen) if seen.boot != self.boot => self.picture(Missed::Unknown),
            Some(seen) => match self.window.cursor_after(seen.id) {
                None => self.picture(Missed::Unknown),
                Some(_) if seen.id.0 + 1 < self.window.oldest_id().0 => {
                    self.picture(Missed::Events(self.window.next_id().0 - seen.id.0 - 1))
                }
                Some(_) => Given::Resumed,
            },
        };
        let resumed = last_seen.filter(|_| matches!(given, Given::Resumed));
        let cursor = resumed.and_then(|seen| self.window.cursor_after(seen.id));
        self.streams[reader] = Some(Stream {
            epoch: self.key_epoch,
            cursor: cursor.unwrap_or_else(|| self.window.cursor_at_head()),
            end: self.is_closed.then(|| self.window.next_id()),
        });
        given
    }

    /// The reader goes away.
    pub fn leave(&mut self, reader: usize) {
        self.streams[reader] = None;
    }

    /// The epoch of the current key.
    pub fn key_epoch(&self) -> KeyEpoch {
        self.key_epoch
    }

    /// Whether a reader has a stream.
    pub fn is_open(&self, reader: usize) -> bool {
        self.streams[reader].is_some()
    }

    /// The epoch of the key that a reader's stream was opened with.
    pub fn epoch_of(&self, reader: usize) -> Option<KeyEpoch> {
        self.streams[reader].as_ref().map(|stream| stream.epoch)
    }

    /// The next part of a stream, of about this many bytes.
    pub fn next(&mut self, reader: usize, max_bytes: usize) -> Given {
        let Some(stream) = &mut self.streams[reader] else { return Given::Farewell };
        let limit = stream.end.unwrap_or(EventId(u64::MAX));
        let mut frames = Vec::new();
        let read = self.window.read(&mut stream.cursor, max_bytes, |id, frame| {
            if id < limit {
                frames.push((id, frame.clone()));
            }
        });
        let is_ending = stream.end.is_some();
        match read {
            Read::Items(_) if !frames.is_empty() => Given::Frames(frames),
            Read::Items(_) | Read::CaughtUp | Read::FellOut { .. } if is_ending => {
                self.streams[reader] = None;
                Given::Farewell
            }
            Read::Items(_) | Read::CaughtUp => Given::Nothing,
            Read::FellOut { lost } => {
                stream.cursor = self.window.cursor_at_head();
                let held = self.window.next_id().0 - self.window.oldest_id().0;
                self.picture(Missed::Events(lost + held))
            }
        }
    }

    fn publish(&mut self, kind: EventKind, object: &Shown) {
        let subject = object.subject();
        if kind == EventKind::Delete {
            self.picture.remove(&subject);
        } else if subject != Subject::Key {
            self.picture.insert(subject, object.clone());
        }
        self.push(Frame { kind, object: object.clone() });
    }

    fn publish_logs(&mut self, lines: usize, object: &Shown) {
        for _ in 0..lines {
            self.push(Frame { kind: EventKind::Log, object: object.clone() });
        }
    }

    /// The window uses the approximate size of an object: the exact one takes long to compute.
    fn push(&mut self, frame: Frame) {
        let bytes = frame.object.view().map_or(KEY_BYTES, instance_bytes);
        self.window.push(frame, bytes);
    }

    fn close(&mut self, keep_from: Option<KeyEpoch>) {
        let before = self.window.next_id();
        for stream in self.streams.iter_mut().flatten() {
            if keep_from.is_none_or(|epoch| stream.epoch < epoch) {
                stream.end.get_or_insert(before);
            }
        }
        match keep_from {
            Some(epoch) => self.open_from = epoch,
            None => self.is_closed = true,
        }
    }

    fn picture(&self, missed: Missed) -> Given {
        let last = Seen { boot: self.boot, id: EventId(self.window.next_id().0 - 1) };
        Given::Picture { objects: self.picture.clone(), last, missed }
    }
}

fn instance_bytes(view: &InstanceView) -> usize {
    let Definition { alias, meta, .. } = &*view.definition;
    let tags: usize = meta.tags.iter().map(|(key, tag)| key.len() + tag.len()).sum();
    INSTANCE_BYTES + view.definition.url().as_str().len() + alias.len() + tags
}
