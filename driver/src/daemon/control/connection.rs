//! One connection to a Unix socket, from its first byte to its last.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;

use super::answer::{Door, Target};
use super::parked::Parked;
use super::peer::Peer;
use super::replayed::Replayed;
use crate::daemon::first_request::FirstRequest;
use crate::daemon::gate::Passage;
use crate::daemon::http::Stalling;

/// How long the head of a request on a main socket may take.
const MAIN_HEAD_TIME: Duration = Duration::from_secs(5);

/// How long a connection to an instance may be idle.
const MANAGED_HEAD_TIME: Duration = Duration::from_secs(120);

/// How large the head of a request may be.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Serves a connection until either side ends it, or the peer reads nothing for too long. Main
/// sockets end it after every answer.
pub(super) async fn serve(
    stream: UnixStream,
    target: Target,
    door: Arc<Door>,
    mut passage: Passage,
) {
    let peer = door.writers.admit(&stream);
    let (mut before, mut stream, mut has_waited) = (Bytes::new(), stream, false);
    loop {
        let replayed = Replayed::new(before, stream);
        let served = serve_http(replayed, target, peer, &door, passage.clone(), has_waited);
        // In a box, which is freed while the request waits.
        let Some(left) = Box::pin(served).await else { return };
        stream = left.stream;
        let Some(head) = left.parked.wait(&door.hub, &stream, &mut passage).await else { return };
        before = if left.rest.is_empty() { head } else { [head, left.rest].concat().into() };
        has_waited = true;
    }
}

/// A connection whose request waits.
struct Left {
    parked: Parked,
    /// What was read beyond the request.
    rest: Bytes,
    stream: UnixStream,
}

/// Serves HTTP until a request has to wait; `None` if the connection ended before. The first
/// request has waited already if `has_waited`.
async fn serve_http(
    stream: Replayed,
    target: Target,
    peer: Peer,
    door: &Door,
    mut passage: Passage,
    has_waited: bool,
) -> Option<Left> {
    let has_waited = AtomicBool::new(has_waited);
    let parked = Mutex::new(None);
    let first = FirstRequest::default();
    let answer = service_fn(async |request: Request<Incoming>| {
        first.has_come();
        let has_waited = has_waited.swap(false, Ordering::Relaxed);
        let answered = door.serve(target, peer, request, has_waited).await;
        answered.map_err(|waits| {
            *parked.lock().unwrap_or_else(PoisonError::into_inner) = Some(waits);
            // The error ends the service of hyper, which has written nothing of this answer.
            std::fmt::Error
        })
    });
    let is_main = matches!(target, Target::Main(_));
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(if is_main { MAIN_HEAD_TIME } else { MANAGED_HEAD_TIME })
        .keep_alive(!is_main)
        .title_case_headers(true)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(Stalling::new(stream)), answer);
    let closing = async {
        passage.closed().await;
        first.wait().await;
    };
    let is_closing = tokio::select! {
        _ = &mut connection => false,
        () = closing => true,
    };
    if is_closing {
        Pin::new(&mut connection).graceful_shutdown();
        let _ = (&mut connection).await;
    }
    let parts = connection.into_parts();
    let parked = parked.lock().unwrap_or_else(PoisonError::into_inner).take()?;
    let (before, stream) = parts.io.into_inner().into_inner().into_parts();
    let rest = [parts.read_buf, before].concat().into();
    Some(Left { parked, rest, stream })
}
