//! TLS of checks. A check finds out whether something answers, not who it is: certificates are not
//! verified, so that self-signed ones of local services need no setup. Nothing secret is sent.

use std::sync::{Arc, LazyLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::any_certificate::{AnyCertificate, client};
use crate::certificate::provider;

static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let provider = Arc::new(provider());
    let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
    let mut config = client(provider, verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
});

/// Makes a connection secure; `host` may be an address in brackets.
///
/// # Errors
/// In words, if the other side does not speak TLS.
pub(super) async fn secure(host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::clone(&CONFIG));
    connector.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))
}
