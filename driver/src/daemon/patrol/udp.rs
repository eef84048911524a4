//! Datagrams: each is one request. Errors get no reply, and no error of the socket stops the
//! server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use openctrl_core::doors::patrol::request::DATAGRAM_MAX_BYTES;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

/// How many datagrams are answered at a time; more are dropped, as a full socket drops them.
const UNDER_WAY_MAX: usize = 256;

/// Answers datagrams.
pub(crate) trait Answerer: Send + Sync + 'static {
    /// The reply to a datagram from `peer`, if it gets one.
    fn answer(
        &self,
        datagram: Vec<u8>,
        peer: SocketAddr,
    ) -> impl Future<Output = Option<String>> + Send;
}

/// Binds the address of the configuration; a name or an address, and a port.
pub(crate) async fn bind(address: &str) -> io::Result<UdpSocket> {
    UdpSocket::bind(with_host(address)).await
}

/// Answers datagrams until the task is stopped.
pub(crate) async fn serve(socket: UdpSocket, answerer: Arc<impl Answerer>) {
    let socket = Arc::new(socket);
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
    // One more byte than the limit shows whether a datagram was cut.
    let mut buffer = vec![0; DATAGRAM_MAX_BYTES + 1];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // Such as an earlier reply that was refused: the next one may well arrive.
                tracing::debug!("Patrol.udp: {error}");
                tokio::task::yield_now().await;
                continue;
            }
        };
        if length > DATAGRAM_MAX_BYTES {
            continue;
        }
        let Ok(permit) = Arc::clone(&under_way).try_acquire_owned() else { continue };
        let (socket, answerer) = (Arc::clone(&socket), Arc::clone(&answerer));
        let datagram = buffer[..length].to_vec();
        tokio::spawn(async move {
            if let Some(reply) = answerer.answer(datagram, peer).await
                && let Err(error) = socket.send_to(reply.as_bytes(), peer).await
            {
                tracing::debug!("Patrol.udp: cannot reply to {peer}: {error}");
            }
            drop(permit);
        });
    }
}

/// An address of a configuration: without a host it means every address, as Go has it.
fn with_host(address: &str) -> String {
    if address.starts_with(':') { format!("0.0.0.0{address}") } else { address.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replies with the length; never to `quiet`.
    struct Lengths;

    impl Answerer for Lengths {
        async fn answer(&self, datagram: Vec<u8>, _: SocketAddr) -> Option<String> {
            (datagram != b"quiet").then(|| datagram.len().to_string())
        }
    }

    #[tokio::test]
    async fn replies_go_to_the_sender_and_long_datagrams_are_dropped() {
        let socket = bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let server = tokio::spawn(serve(socket, Arc::new(Lengths)));
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        for datagram in [vec![b'x'; 2_049], b"quiet".to_vec(), vec![b'x'; 2_048], Vec::new()] {
            client.send_to(&datagram, address).await.expect("it can be sent");
        }
        let mut replies = Vec::new();
        for _ in 0..2 {
            let mut buffer = [0; 16];
            let length = client.recv(&mut buffer).await.expect("a reply");
            replies.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        replies.sort();
        assert_eq!(replies, ["0", "2048"]);
        server.abort();
    }

    #[tokio::test]
    async fn a_closed_sender_ends_nothing() {
        let socket = bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let server = tokio::spawn(serve(socket, Arc::new(Lengths)));
        for _ in 0..20 {
            let closed = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
            closed.send_to(b"x", address).await.expect("it can be sent");
        }
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let mut buffer = [0; 16];
        client.send_to(b"xx", address).await.expect("it can be sent");
        assert_eq!(client.recv(&mut buffer).await.expect("a reply"), 1);
        assert!(!server.is_finished());
        server.abort();
    }
}
