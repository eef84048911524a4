//! Bodies of answers: nothing, one buffer, or the event stream.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use openctrl_core::doors::v2::RETRY_FRAME;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::daemon::hub::Subscriber;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// At most one buffer.
    Whole(Option<Bytes>),
    /// Events until the stream ends.
    Events(EventBody),
}

/// A subscriber and its heartbeat: an idle stream repeats the reconnect hint, because clients take
/// seconds of silence for a dead connection (Contract §8).
#[derive(Debug)]
pub(crate) struct EventBody {
    subscriber: Subscriber,
    /// How long the stream may be silent.
    silence: Duration,
    /// When something was last written.
    written: Instant,
    /// Elapses at the latest when the next heartbeat is due; reset when it elapses, not for every
    /// event.
    heartbeat: Pin<Box<Sleep>>,
}

impl EventBody {
    pub(crate) fn new(subscriber: Subscriber, silence: Duration) -> Self {
        let written = Instant::now();
        let heartbeat = Box::pin(sleep_until(written + silence));
        Self { subscriber, silence, written, heartbeat }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = self.subscriber.poll_next(context);
        if next.is_ready() {
            self.written = Instant::now();
            return next;
        }
        loop {
            std::task::ready!(self.heartbeat.as_mut().poll(context));
            let due = self.written + self.silence;
            if due <= Instant::now() {
                self.written = Instant::now();
                return Poll::Ready(Some(Bytes::from_static(RETRY_FRAME)));
            }
            self.heartbeat.as_mut().reset(due);
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Events(events) => events.poll_next(context),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
