//! One connection, plain or TLS, from its first byte to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::service::Service;
use super::stall::Stalling;
use crate::daemon::access::Origin;
use crate::daemon::first_request::FirstRequest;
use crate::daemon::gate::Passage;

/// How long a TLS handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection may be idle before it.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How large the head of a request may be.
const HEAD_MAX_BYTES: usize = 64 * 1024;

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Arrival {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Arrival {
    /// Serves it until either side ends it, or the gate closes. TLS is for TCP alone: no network
    /// is between the ends of a Unix socket.
    pub(super) async fn serve(
        self,
        tls: Option<TlsAcceptor>,
        service: Arc<Service>,
        passage: Passage,
    ) {
        let (stream, from) = match self {
            Self::Unix(stream) => {
                let origin = Origin::of_peer(&stream);
                return serve_http(Stalling::new(stream), origin, service, passage).await;
            }
            Self::Tcp(stream, from) => (stream, Origin::Tcp(from)),
        };
        // Events are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let stream = Stalling::new(stream);
        match tls {
            None => serve_http(stream, from, service, passage).await,
            // A handshake that fails or takes too long is the client's affair.
            // On the heap, so that plain connections take no memory for it.
            Some(acceptor) => {
                Box::pin(async {
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
                        serve_http(stream, from, service, passage).await;
                    }
                })
                .await
            }
        }
    }
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    origin: Origin,
    service: Arc<Service>,
    mut passage: Passage,
) {
    let first = Arc::new(FirstRequest::default());
    let coming = Arc::clone(&first);
    let answer = service_fn(move |request: Request<Incoming>| {
        coming.has_come();
        let service = Arc::clone(&service);
        async move { service.serve(request, origin).await }
    });
    let connection = builder().serve_connection(TokioIo::new(stream), answer);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error here means that the client broke off or sent garbage; hyper answered what it
        // could.
        _ = connection.as_mut() => return,
        () = passage.closed() => {}
    }
    tokio::select! {
        _ = connection.as_mut() => return,
        () = first.wait() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        // A client that has closed its side (nc -N) still expects its answer.
        .half_close(true)
        // As the Go master writes them, for clients that compare case-sensitively.
        .title_case_headers(true)
        .max_buf_size(HEAD_MAX_BYTES);
    builder
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io::{self, IoSlice};
    use std::pin::Pin;
    use std::sync::Mutex;
    use std::task::{Context, Poll};

    use hyper::Response;
    use openctrl_core::event::{Event, EventKind, Object};
    use openctrl_core::ids::{BootId, EventId, KeyEpoch};
    use openctrl_core::master::{MasterFace, MasterIdentity};
    use openctrl_core::time::{Time, Wall};
    use tokio::io::ReadBuf;

    use super::super::body::{AnswerBody, EventBody};
    use super::*;
    use crate::daemon::hub::{Hub, Publisher, Reader};

    /// A peer that sends one request and keeps what each single write gave it.
    struct Peer {
        request: &'static [u8],
        writes: Arc<Mutex<Vec<Vec<u8>>>>,
    }

    impl AsyncRead for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.request.is_empty() {
                return Poll::Pending;
            }
            buffer.put_slice(std::mem::take(&mut self.request));
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Peer {
        fn poll_write(
            self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(context, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let length = bytes.len();
            self.writes.lock().expect("no panic").push(bytes);
            Poll::Ready(Ok(length))
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// A disconnect between two writes must not cut a frame: clients deliver what they have of it,
    /// or glue it to the first frame of the next connection.
    #[tokio::test(start_paused = true)]
    async fn each_write_to_a_stream_ends_where_a_frame_does() {
        let identity = MasterIdentity::from_random([0; 8], [1; 16]);
        let face = MasterFace { identity: identity.clone(), key_epoch: KeyEpoch(0) };
        let hub = Hub::new(BootId(7), face);
        let mut publisher = Publisher::new(Arc::clone(&hub));
        let writes = Arc::new(Mutex::new(Vec::new()));
        let request = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n";
        let peer = Peer { request, writes: Arc::clone(&writes) };
        let answer = service_fn(|_: Request<Incoming>| {
            let subscriber =
                hub.subscribe(Reader::Key(KeyEpoch(0)), None).expect("the key is in force");
            let body = EventBody::new(subscriber, Duration::from_secs(3));
            async { Ok::<_, Infallible>(Response::new(AnswerBody::Events(body))) }
        });
        let connection = builder().serve_connection(TokioIo::new(Stalling::new(peer)), answer);
        let mut connection = std::pin::pin!(connection);
        let mut id = 0;
        for round in 0..50_u64 {
            for _ in 0..=round % 3 {
                id += 1;
                let mut master = identity.clone();
                master.alias = "x".repeat(if round == 30 { 60_000 } else { 10 });
                let (object, time) = (Object::Key(master), Wall::from_micros(1));
                publisher.publish(Event { id: EventId(id), time, kind: EventKind::Update, object });
            }
            publisher.wake(Time::from_micros(round * 10_000));
            // Long enough for a heartbeat now and then.
            let _ = timeout(Duration::from_secs(1 + round % 4), connection.as_mut()).await;
        }
        let writes = writes.lock().expect("no panic");
        assert!(writes.len() > 50, "only {} writes", writes.len());
        for written in writes.iter() {
            let text = String::from_utf8_lossy(written);
            // Of the chunked encoding; the head of the answer may be sent separately.
            let is_whole = text.ends_with("\n\n\r\n") || text.ends_with("\r\n\r\n");
            assert!(is_whole, "a write ends with {:?}", &text[text.len().saturating_sub(80)..]);
        }
    }
}
