//! Where the API of a master listens: its TCP socket, new or handed over, and what of TLS it has.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use openctrl_core::url::{MasterUrl, Tls};
use tokio::net::{TcpListener, UdpSocket};

use crate::address_file::Address;
use crate::daemon::http::bind;
use crate::daemon::patrol::{ConfigFile, bind_udp};
use crate::daemon::start_error::StartError;
use crate::daemon::tls::{self, Secured, TlsSource};

/// A listener that was handed over, ready for the async runtime.
pub(super) fn usable_listener(listener: OwnedFd) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// What clients on this machine have to know.
pub(super) fn address(url: &MasterUrl, secured: Option<&Secured>) -> Address {
    // Clients run elsewhere.
    let absolute = |path: &String| std::path::absolute(path).unwrap_or_else(|_| path.into());
    let crt = match &url.tls {
        Tls::Off | Tls::SelfSigned => None,
        Tls::Files { crt, .. } => Some(absolute(crt)),
    };
    let logs = url.logs.dir.as_ref().map(absolute);
    let certificate = secured.map(|secured| secured.fingerprint.clone());
    Address { url: url.display_address(), certificate, crt, logs }
}

/// What of TLS the API has; `made` is the certificate that another program of this process made,
/// and its key.
pub(super) fn secured(
    url: &MasterUrl,
    made: Option<(Vec<u8>, Vec<u8>)>,
) -> Result<Option<Secured>, StartError> {
    let source = match &url.tls {
        Tls::Off => return Ok(None),
        Tls::SelfSigned => TlsSource::SelfSigned(made),
        Tls::Files { crt, key } => {
            TlsSource::Files { crt: PathBuf::from(crt), key: PathBuf::from(key) }
        }
    };
    tls::acceptor(&source, &url.host, url.client_ca.as_deref().map(Path::new))
        .map(Some)
        .map_err(StartError::Tls)
}

/// Binds, unless a socket was inherited, and puts its port in the place of 0.
pub(super) async fn listen(
    mut url: MasterUrl,
    inherited: Option<std::net::TcpListener>,
) -> Result<(TcpListener, MasterUrl), StartError> {
    let address = format!("{}:{}", url.host, url.port);
    let listener = match inherited {
        Some(inherited) => TcpListener::from_std(inherited),
        None => bind(&url.host, url.port).await,
    };
    let listener = listener.map_err(|error| StartError::Bind(address, error))?;
    // An address that clients see may be another than the one that is bound, but 0 is none.
    if url.port == 0
        && let Ok(bound) = listener.local_addr()
    {
        url.port = bound.port();
    }
    Ok((listener, url))
}

/// Binds the address for datagrams, and tells the configuration what is bound.
pub(super) async fn listen_udp(
    config: &mut ConfigFile,
    listener: &TcpListener,
    is_alone: bool,
) -> Result<UdpSocket, StartError> {
    let address = config.config.udp.clone();
    let failed = |error| StartError::Bind(format!("udp {address}"), error);
    let socket = bind_udp(&address).await.map_err(failed)?;
    let bound = listener.local_addr().and_then(|http| Ok((http, socket.local_addr()?)));
    let (http, udp) = bound.map_err(failed)?;
    config.set_bound(http, udp, is_alone);
    Ok(socket)
}
