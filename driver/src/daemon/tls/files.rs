//! A certificate chain and its key from PEM files. Owns reading and checking; when to read is
//! [`reload`](super::reload)'s business.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::error::TlsError;

/// Longer than any chain. It keeps a read short enough to be done in line, during a handshake.
const MAX_BYTES: u64 = 1 << 20;

/// Where the two files are.
#[derive(Debug, Clone)]
pub(super) struct PemFiles {
    pub(super) crt: PathBuf,
    pub(super) key: PathBuf,
}

/// Their content at one time. No `Debug`: one of the two is a private key.
#[derive(Hash)]
pub(super) struct Content {
    crt: Vec<u8>,
    key: Vec<u8>,
}

impl PemFiles {
    /// Reads both files, blocking.
    pub(super) fn read(&self) -> Result<Content, TlsError> {
        Ok(Content { crt: read(&self.crt)?, key: read(&self.key)? })
    }

    /// Checks the content, including that the key belongs to the certificate.
    pub(super) fn certified(&self, content: &Content) -> Result<CertifiedKey, TlsError> {
        let chain = parse_certificates(&self.crt, &content.crt)?;
        let key = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|why| pem_error(&self.key, &why))?;
        certify(chain, key, self.crt.clone(), self.key.clone())
    }
}

/// The certificates of a PEM file, of which there is at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    parse_certificates(path, &read(path)?)
}

fn parse_certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| pem_error(path, &why))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(chain)
}

fn pem_error(path: &Path, why: &pem::Error) -> TlsError {
    let path = path.to_owned();
    let what = match why {
        pem::Error::NoItemsFound => return TlsError::NoPrivateKey { path },
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is incomplete",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::Io(_) | pem::Error::SectionTooLarge | _ => "a section cannot be read",
    };
    TlsError::Malformed { path, what }
}

/// Joins a chain, which is not empty, and a key; the paths are for the messages.
pub(super) fn certify(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    crt_path: PathBuf,
    key_path: PathBuf,
) -> Result<CertifiedKey, TlsError> {
    let signer = match super::provider().key_provider.load_private_key(key) {
        Ok(signer) => signer,
        Err(why) => return Err(TlsError::BadPrivateKey { path: key_path, why }),
    };
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        // A signer without a known public key is accepted.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::Mismatch { crt: crt_path, key: key_path }),
        Err(why) => Err(TlsError::BadCertificate { path: crt_path, why }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let bytes = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB"));
        }
        Ok(bytes)
    });
    bytes.map_err(|why| TlsError::Unreadable { path: path.to_owned(), why })
}
