//! One subscriber of the event stream: a cursor, and the rest of its `initial` events.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;
use openctrl_core::doors::v2::{
    InstanceObject, RETRY_FRAME, Rejection, Secrets, event_frame, gap_frame, write_event,
};
use openctrl_core::event::{Cursor, EventKind, EventName};
use openctrl_core::ids::EventId;
use openctrl_core::time::Wall;

use super::Hub;
use super::asides::Seen;
use super::block::Block;
use super::reader::Reader;
use super::state::{Entry, Missed, Next, Picture, Start, StreamId};

/// Size of the chunks of `initial` events, so that thousands of instances are not rendered at once.
const CHUNK_BYTES: usize = 128 * 1024;

/// A stream of frames that ends when the hub says so. Unsubscribes when dropped.
#[derive(Debug)]
pub(crate) struct Subscriber {
    hub: Arc<Hub>,
    stream: StreamId,
    secrets: Secrets,
    phase: Phase,
    seen: Seen,
}

#[derive(Debug)]
enum Phase {
    /// The picture is being written; `opening` goes first.
    Picture { opening: Bytes, time: Wall, instances: vec::IntoIter<InstanceObject>, then: Live },
    /// Events are written as they come; `opening` goes first.
    Live { opening: Bytes, live: Live },
    /// Everything is written.
    Ended,
}

/// The cursor of the live events. `name` is the last id when the `initial` events are written.
#[derive(Clone, Copy, Debug)]
struct Live {
    cursor: Cursor,
    name: Option<EventName>,
}

impl Hub {
    /// Opens a stream for a reader that has seen `last_seen`.
    ///
    /// # Errors
    /// 401 if the key has changed since it was checked.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        reader: Reader,
        last_seen: Option<EventName>,
    ) -> Result<Subscriber, Rejection> {
        let last_seen_id = last_seen.map(|name| (name.boot == self.boot).then_some(name.id));
        let entry = self.lock().enter(reader, last_seen_id).ok_or(Rejection::NoKey)?;
        Ok(Subscriber::new(Arc::clone(self), reader.secrets(), entry))
    }
}

impl Subscriber {
    fn new(hub: Arc<Hub>, secrets: Secrets, entry: Entry) -> Self {
        let retry = Bytes::from_static(RETRY_FRAME);
        let phase = match entry.start {
            Start::Resumed(cursor) => {
                Phase::Live { opening: retry, live: Live { cursor, name: None } }
            }
            Start::Picture(picture) => begin(&hub, retry, picture),
        };
        Self { hub, stream: entry.stream, secrets, phase, seen: entry.seen }
    }

    /// The next bytes of the stream; `None` at its end.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            match &mut self.phase {
                Phase::Ended => return Poll::Ready(None),
                Phase::Picture { opening, time, instances, then } => {
                    let opening = std::mem::take(opening);
                    let (name, secrets) = (then.name, self.secrets);
                    let chunk = picture_chunk(opening, *time, instances, name, secrets);
                    if instances.as_slice().is_empty() {
                        self.phase = Phase::Live { opening: Bytes::new(), live: *then };
                    }
                    return Poll::Ready(Some(chunk));
                }
                Phase::Live { opening, live: _ } if !opening.is_empty() => {
                    return Poll::Ready(Some(std::mem::take(opening)));
                }
                Phase::Live { live, .. } => {
                    let mut state = self.hub.lock();
                    let cursor = &mut live.cursor;
                    let next = state.next(self.stream, cursor, &mut self.seen, context.waker());
                    drop(state);
                    match next {
                        Next::Frames(block, from) => {
                            return Poll::Ready(Some(self.frames(&block, from)));
                        }
                        Next::Aside(frame) => return Poll::Ready(Some(frame)),
                        Next::Wait => return Poll::Pending,
                        Next::Picture(picture) => {
                            self.phase = begin(&self.hub, Bytes::new(), picture);
                        }
                        Next::End(farewell) => {
                            self.phase = Phase::Ended;
                            return Poll::Ready(Some(farewell).filter(|frame| !frame.is_empty()));
                        }
                    }
                }
            }
        }
    }
}

impl Subscriber {
    /// Encodes a block, unless another stream has done so, without blocking other streams.
    fn frames(&self, block: &Block, from: EventId) -> Bytes {
        let bytes = block.bytes();
        let frames = block.frames_from(from, self.secrets);
        if block.bytes() != bytes {
            self.hub.lock().encoded(block);
        }
        frames
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.hub.lock().leave(self.stream);
    }
}

fn begin(hub: &Hub, opening: Bytes, picture: Picture) -> Phase {
    let time = picture.time;
    let opening = match picture.missed {
        Missed::Nothing => opening,
        Missed::Unknown => [&opening[..], &gap_frame(None, time)].concat().into(),
        Missed::Events(lost) => [&opening[..], &gap_frame(Some(lost), time)].concat().into(),
    };
    let name = EventName { boot: hub.boot, id: picture.last };
    // The `initial` events start with the key instance, and end with it if there are no others.
    let key_name = Some(name).filter(|_| picture.instances.is_empty());
    let key = event_frame(key_name, EventKind::Initial, time, Some(&picture.key_instance));
    let opening = [&opening[..], &key].concat().into();
    let then = Live { cursor: picture.cursor, name: Some(name) };
    Phase::Picture { opening, time, instances: picture.instances.into_iter(), then }
}

/// Some of the picture's `initial` events. The very last one carries the id to resume from: a
/// reader that breaks off earlier starts over.
fn picture_chunk(
    opening: Bytes,
    time: Wall,
    instances: &mut vec::IntoIter<InstanceObject>,
    name: Option<EventName>,
    secrets: Secrets,
) -> Bytes {
    let mut chunk = Vec::from(opening);
    let time = time.to_string();
    while chunk.len() < CHUNK_BYTES {
        let Some(object) = instances.next() else { break };
        let name = name.filter(|_| instances.as_slice().is_empty());
        write_event(&mut chunk, name, EventKind::Initial, &time, |out| {
            object.write(secrets, out);
        });
    }
    Bytes::from(chunk)
}
