//! A request that waits for an event, without the buffers and the state of HTTP.
//!
//! A connection that is served holds read and write buffers of 8 KiB each. While a client waits,
//! the request is all that is kept; once the wait is over it is read and answered anew.

use std::fmt;
use std::future::pending;
use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use hyper::Request;
use hyper::header::{self, HeaderValue};
use openctrl_core::doors::control::EventsQuery;
use openctrl_core::ids::InstanceId;
use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::hub::ControlHub;
use crate::daemon::gate::Passage;

/// The request.
#[derive(Debug)]
pub(super) struct Parked {
    instance: InstanceId,
    query: EventsQuery,
    /// The head of the request, to be read again.
    head: Bytes,
}

impl Parked {
    /// Keeps a request without a body that asks for the events of `instance`.
    pub(super) fn new<B>(instance: InstanceId, query: EventsQuery, request: &Request<B>) -> Self {
        let mut head = BytesMut::new();
        let (method, uri, version) = (request.method(), request.uri(), request.version());
        head.put(format!("{method} {uri} {version:?}\r\nHost: x\r\n").as_bytes());
        let connection = request.headers().get(header::CONNECTION).map(HeaderValue::as_bytes);
        if let Some(connection) = connection {
            for part in [b"Connection: ", connection, b"\r\n"] {
                head.put(part);
            }
        }
        head.put(&b"\r\n"[..]);
        Self { instance, query, head: head.freeze() }
    }

    /// Waits until there is an answer, the master shuts down, or the client closes `stream`. Gives
    /// what is to be read next; `None` if the client is gone.
    pub(super) async fn wait(
        self,
        hub: &ControlHub,
        stream: &UnixStream,
        passage: &mut Passage,
    ) -> Option<Bytes> {
        tokio::select! {
            () = hub.wait(self.instance, &self.query) => {}
            () = passage.closed() => {}
            () = closed(stream) => return None,
        }
        Some(self.head)
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request waits for an event of instance {}", self.instance)
    }
}

impl std::error::Error for Parked {}

/// Returns once the peer has closed the connection. A peer that sends more is there.
async fn closed(stream: &UnixStream) {
    loop {
        let mut byte = [0_u8; 1];
        let peek = || Ok(recv(stream, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT)?.0);
        let Ok(()) = stream.readable().await else { return };
        match stream.try_io(Interest::READABLE, peek) {
            Ok(0) => return,
            Ok(_) => pending().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use openctrl_core::event::StoredId;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_request_keeps_what_its_answer_depends_on() {
        let request = Request::builder().uri("/v1/events?since=7&wait=30s");
        let request =
            request.header("Connection", "close").header("X", "y").body(()).expect("good");
        let query = EventsQuery { since: StoredId(7), wait_ms: 30_000, topic: None, tail: false };
        let parked = Parked::new(InstanceId(1), query, &request);
        let expected =
            "GET /v1/events?since=7&wait=30s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        assert_eq!(parked.head, expected);
    }

    #[tokio::test]
    async fn a_peer_that_closes_is_noticed_and_one_that_sends_more_is_not_closed() {
        let short = Duration::from_millis(20);
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        assert!(timeout(short, closed(&ours)).await.is_err());
        theirs.write_all(b"GET").await.expect("it is open");
        assert!(timeout(short, closed(&ours)).await.is_err());
        let (ours, theirs) = UnixStream::pair().expect("a pair");
        drop(theirs);
        timeout(Duration::from_secs(20), closed(&ours)).await.expect("at once");
    }
}
