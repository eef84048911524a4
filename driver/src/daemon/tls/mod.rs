//! TLS for the API: TLS 1.3 only, ring, ALPN `http/1.1` (Contract §10).
//!
//! Owns the source of the certificate and when it is reloaded. Does not accept connections, and is
//! independent of the requests on them.

mod error;
mod files;
mod reload;
mod self_signed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::certificate::{fingerprint, provider};
pub(crate) use error::TlsError;
use files::PemFiles;
pub(crate) use reload::Reloading;

/// Where the certificate comes from: `tls=1` or `tls=2` of the master URL.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum TlsSource {
    /// Made in memory at every start, unless another program of this process made this one, with
    /// this key.
    SelfSigned(Option<(Vec<u8>, Vec<u8>)>),
    /// PEM files, read again when they have changed, at most once an hour.
    Files {
        /// The certificate chain, the server's own first.
        crt: PathBuf,
        /// Its private key: PKCS#8, SEC1 or PKCS#1 (RSA).
        key: PathBuf,
    },
}

impl fmt::Debug for TlsSource {
    /// Leaves a key that is in memory out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfSigned(_) => f.write_str("SelfSigned"),
            Self::Files { crt, key: _ } => write!(f, "Files({})", crt.display()),
        }
    }
}

/// The TLS acceptor of the API.
pub(crate) struct Secured {
    pub(crate) acceptor: TlsAcceptor,
    /// Of the certificate it has now; files may bring another.
    pub(crate) fingerprint: String,
    /// The handle to reload the files, if there are any.
    pub(crate) certificate: Option<Arc<Reloading>>,
    /// The certificate that was made in memory, and its key, both as DER.
    pub(crate) made: Option<(Vec<u8>, Vec<u8>)>,
}

/// Makes the acceptor for the API's listener.
///
/// `name` is the host of the master URL, a name or an address, with or without the brackets of an
/// IPv6 literal, perhaps empty; a self-signed certificate carries it. Files are read before this
/// returns, blocking, so that what is wrong with them stops the start.
///
/// With `client_ca` clients have to show a certificate of one of the authorities in that PEM file.
pub(crate) fn acceptor(
    tls: &TlsSource,
    name: &str,
    client_ca: Option<&Path>,
) -> Result<Secured, TlsError> {
    let clients = client_ca.map(verifier_of_clients).transpose()?;
    let mut made = None;
    let (acceptor, certified, certificate) = match tls {
        TlsSource::SelfSigned(known) => {
            let der = match known {
                Some(known) => known.clone(),
                None => self_signed::generate(name)?,
            };
            let certified = Arc::new(self_signed::certified(&der)?);
            made = Some(der);
            let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&certified)));
            (accept_with(resolver, clients), certified, None)
        }
        TlsSource::Files { crt, key } => {
            let files = PemFiles { crt: crt.clone(), key: key.clone() };
            let resolver = Arc::new(Reloading::load(files)?);
            (accept_with(resolver.clone(), clients), resolver.current(), Some(resolver))
        }
    };
    let fingerprint = certified.cert.first().map(|leaf| fingerprint(leaf)).unwrap_or_default();
    Ok(Secured { acceptor, fingerprint, certificate, made })
}

fn accept_with(
    resolver: Arc<dyn ResolvesServerCert>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> TlsAcceptor {
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has cipher suites for TLS 1.3")
        .with_client_cert_verifier(clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth))
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Requires a certificate of one of the authorities in a PEM file.
fn verifier_of_clients(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in files::certificates(path)? {
        let bad = |why| TlsError::BadCertificate { path: path.to_owned(), why };
        roots.add(authority).map_err(bad)?;
    }
    let provider = Arc::new(provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|_| TlsError::NoCertificate { path: path.to_owned() })
}
