//! Which certificate of a master is believed.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::{fs, io};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::failure::Failure;
use crate::any_certificate::{AnyCertificate, client};
use crate::certificate::{fingerprint, provider};

/// The requirement on a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Issued for the host by an authority that this machine trusts.
    System,
    /// One of these in PEM, or issued for the host by one of them.
    Authorities(std::path::PathBuf),
    /// One with one of these fingerprints.
    Pins(Vec<String>),
    /// Anything.
    Anything,
}

/// The TLS configuration of a client; `seen` has the fingerprint that the master showed last.
pub(crate) struct Secure {
    /// For the connector.
    pub(crate) config: Arc<ClientConfig>,
    /// The last fingerprint.
    pub(crate) seen: Arc<Mutex<String>>,
}

impl Secure {
    /// Reads the necessary files.
    /// `client_cert` is a PEM file with a certificate and its key, for masters with `client_ca=`.
    pub(crate) fn new(trust: &Trust, client_cert: Option<&Path>) -> Result<Self, Failure> {
        let provider = Arc::new(provider());
        let seen = Arc::new(Mutex::new(String::new()));
        let verifier = Verifier::new(trust, &provider, Arc::clone(&seen))?;
        let config = client(provider, Arc::new(verifier));
        let mut config = match client_cert {
            None => config.with_no_client_auth(),
            Some(path) => {
                let unusable = |reason: String| {
                    Failure::Usage(format!(
                        "--client-cert: cannot use {}: {reason}",
                        path.display()
                    ))
                };
                let chain = read_certificates(path).map_err(|error| unusable(error.to_string()))?;
                let key = PrivateKeyDer::from_pem_file(path)
                    .map_err(|error| unusable(format!("no private key: {error}")))?;
                let config = config.with_client_auth_cert(chain, key);
                config.map_err(|error| unusable(error.to_string()))?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), seen })
    }
}

/// The fingerprints of the first certificate in a PEM file.
pub(crate) fn pin_of_file(path: &Path) -> Option<String> {
    let certificates = read_certificates(path).ok()?;
    certificates.first().map(|leaf| fingerprint(leaf))
}

/// A fingerprint in common notations: with colons, in capitals, after `sha256:`.
pub(crate) fn parse_pin(text: &str) -> Result<String, Failure> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.trim_start_matches("sha256:").trim_start_matches("sha256/");
    let pin: String = bare.chars().filter(|c| *c != ':').collect();
    if pin.len() == 64 && pin.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(pin);
    }
    Err(Failure::Usage("--pin takes the SHA-256 of a certificate: 64 hex digits".to_owned()))
}

fn read_certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(path)?;
    CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| io::Error::other(error.to_string()))
}

#[derive(Debug)]
struct Verifier {
    signatures: AnyCertificate,
    /// Fingerprints that are trusted whatever else the certificate contains.
    pins: Vec<String>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    is_open: bool,
    seen: Arc<Mutex<String>>,
}

impl Verifier {
    fn new(
        trust: &Trust,
        provider: &Arc<CryptoProvider>,
        seen: Arc<Mutex<String>>,
    ) -> Result<Self, Failure> {
        let mut verifier = Self {
            signatures: AnyCertificate(Arc::clone(provider)),
            pins: Vec::new(),
            authorities: None,
            is_open: false,
            seen,
        };
        match trust {
            Trust::Anything => verifier.is_open = true,
            Trust::Pins(pins) => verifier.pins.clone_from(pins),
            Trust::System => {
                let found = rustls_native_certs::load_native_certs();
                verifier.authorities = authorities(found.certs, provider);
            }
            Trust::Authorities(path) => {
                let unreadable = |reason: String| {
                    Failure::Usage(format!("--ca: cannot use {}: {reason}", path.display()))
                };
                let given =
                    read_certificates(path).map_err(|error| unreadable(error.to_string()))?;
                if given.is_empty() {
                    return Err(unreadable("there is no certificate in it".to_owned()));
                }
                verifier.pins = given.iter().map(|one| fingerprint(one)).collect();
                verifier.authorities = authorities(given, provider);
            }
        }
        Ok(verifier)
    }
}

fn authorities(
    certificates: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build().ok()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = fingerprint(leaf);
        let is_pinned = self.pins.contains(&shown);
        *self.seen.lock().expect("no holder panics") = shown;
        if self.is_open || is_pinned {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(known) => known.verify_server_cert(leaf, chain, name, ocsp, now),
            None => Err(Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_in_any_form() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for form in [plain.clone(), colons, format!("sha256:{plain}")] {
            assert_eq!(parse_pin(&form).expect("a fingerprint"), plain);
        }
        assert!(parse_pin("abcd").is_err() && parse_pin(&"x".repeat(64)).is_err());
    }

    #[test]
    fn the_fingerprint_is_the_sha256() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint(b""), of_nothing);
    }
}
