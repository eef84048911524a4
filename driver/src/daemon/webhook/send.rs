//! One request to a webhook. Redirects are not followed, and answers are not read beyond their head.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::handshake;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use openctrl_core::url::WebhookUrl;
use rustls::RootCertStore;
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::any_certificate::client;
use crate::certificate::provider;
use crate::daemon::probe::open;
use crate::version::VERSION;

/// A receiver of reports.
pub(super) struct Target {
    /// The part of the URL that is shown.
    shown: String,
    uri: Uri,
    /// Host and port to connect to.
    address: String,
    secure: Option<(ServerName<'static>, Arc<ClientConfig>)>,
}

impl Target {
    /// `config` is there if a URL begins with `https:`.
    ///
    /// # Errors
    /// Why no request can be made of the URL, without a part of it.
    pub(super) fn new(url: &WebhookUrl, config: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        let uri: Uri = url.reveal().parse().map_err(|_| "it is not a URL".to_owned())?;
        let authority = uri.authority().ok_or("there is no host in it")?;
        let host = authority.host();
        let is_secure = uri.scheme_str().is_some_and(|it| it.eq_ignore_ascii_case("https"));
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let address = format!("{host}:{port}");
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = match config.filter(|_| is_secure) {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
                Some((name, config))
            }
        };
        Ok(Self { shown: url.to_string(), address, secure, uri })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A client that takes certificates of authorities that this machine trusts; `None` if there are
/// none.
pub(super) fn authorities() -> Option<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = client(provider, verifier.build().ok()?).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Some(Arc::new(config))
}

/// Sends a report; returns the status of the answer.
///
/// # Errors
/// Why there is no answer. The URL is not part of it.
pub(super) async fn post(
    target: &Target,
    headers: &[(&'static str, String)],
    body: Bytes,
) -> Result<u16, String> {
    let stream = open(&target.address).await.map_err(|error| error.to_string())?;
    let Some((name, config)) = &target.secure else {
        return ask(target, stream, headers, body).await;
    };
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name.clone(), stream).await;
    let stream = stream.map_err(|error| format!("TLS: {error}"))?;
    ask(target, stream, headers, body).await
}

async fn ask(
    target: &Target,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    headers: &[(&'static str, String)],
    body: Bytes,
) -> Result<u16, String> {
    let authority = target.uri.authority().ok_or("there is no host in it")?;
    let path = target.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, authority.as_str())
        .header(header::USER_AGENT, format!("openctrl/{VERSION}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(body)).map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = Connection(tokio::spawn(connection).abort_handle());
    let answer = sender.send_request(request).await;
    drop(connection);
    Ok(answer.map_err(|error| error.to_string())?.status().as_u16())
}

/// A connection, which ends when its request has, in whatever way.
struct Connection(tokio::task::AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}
