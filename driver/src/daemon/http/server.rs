//! The listener: binds, accepts, and bounds how many connections there are.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::connection::Arrival;
use super::service::Service;
use crate::daemon::control::SocketFile;
use crate::daemon::dial::look_up;
use crate::daemon::gate::Gate;

/// Maximum number of connections; more wait to be accepted. Two thousand subscribers and as many
/// requests fit in the usual limit on open files beside the instances.
const CONNECTIONS_MAX: usize = 4096;

/// Connections that the kernel keeps until they are accepted, as far as `net.core.somaxconn` allows:
/// when thousands of clients come back at once, none waits for a second attempt to connect.
const BACKLOG: u32 = 4096;

/// How long to wait before accepting again when the system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The parts of a server.
pub(crate) struct ServerConfig {
    pub(crate) listener: TcpListener,
    /// The Unix socket of `socket=`.
    pub(crate) local: Option<(UnixListener, SocketFile)>,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) service: Arc<Service>,
    /// What connections pass.
    pub(crate) gate: Arc<Gate>,
}

/// The open connections of a server that is running.
#[derive(Debug)]
pub(crate) struct Server {
    gate: Arc<Gate>,
    local_file: Option<SocketFile>,
}

/// Binds the listener. An empty host is every address, of IPv6 where the system has it.
///
/// # Errors
/// The error of the system for the last address that was tried.
pub(crate) async fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    if host.is_empty() {
        return match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                listen((Ipv4Addr::UNSPECIFIED, port).into())
            }
            result => result,
        };
    }
    let mut addresses = match host.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => look_up((host.to_owned(), port)).await?,
    };
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let mut result = Err(io::Error::other("the host has no address"));
    for address in addresses {
        result = listen(address);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait until connections of the last master have timed out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Server {
    /// Begins to accept.
    pub(crate) fn start(config: ServerConfig) -> Self {
        let ServerConfig { listener, local, tls, service, gate } = config;
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let acceptor = Acceptor { tls, service, connections, gate: Arc::clone(&gate) };
        let local_file = local.map(|(listener, file)| {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.run(&listener).await });
            file
        });
        tokio::spawn(async move { acceptor.run(&listener).await });
        Self { gate, local_file }
    }

    /// Lets every connection finish the answer it is writing, and no longer than `limit`.
    pub(crate) async fn finish(self, limit: Duration) {
        self.gate.close();
        // Here and not in the task that accepts: the process may exit before that task ends.
        drop(self.local_file);
        let _ = timeout(limit, self.gate.is_clear()).await;
    }
}

/// Something that gives connections.
trait Listening {
    /// Waits for one.
    fn next(&self) -> impl Future<Output = io::Result<Arrival>> + Send;
}

impl Listening for TcpListener {
    async fn next(&self) -> io::Result<Arrival> {
        self.accept().await.map(|(stream, from)| Arrival::Tcp(stream, from))
    }
}

impl Listening for UnixListener {
    async fn next(&self) -> io::Result<Arrival> {
        self.accept().await.map(|(stream, _)| Arrival::Unix(stream))
    }
}

/// What every listener shares.
#[derive(Clone)]
struct Acceptor {
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    connections: Arc<Semaphore>,
    gate: Arc<Gate>,
}

impl Acceptor {
    async fn run(self, listener: &impl Listening) {
        let mut is_failing = false;
        loop {
            let Ok(permit) = Arc::clone(&self.connections).acquire_owned().await else { return };
            let mut passage = self.gate.pass().await;
            let accepted = tokio::select! {
                accepted = listener.next() => accepted,
                () = passage.closed() => continue,
            };
            match accepted {
                Ok(arrival) => {
                    is_failing = false;
                    let Self { tls, service, .. } = &self;
                    let serving = arrival.serve(tls.clone(), Arc::clone(service), passage);
                    tokio::spawn(async move {
                        serving.await;
                        drop(permit);
                    });
                }
                // Out of descriptors, or a client that left before it was accepted.
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!("Master.run: cannot accept connections: {error}");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
