//! Why there is no certificate to serve. Owns the wording; every message names the file.

use std::path::PathBuf;
use std::{fmt, io};

/// An error of a certificate, a key, or the pair (Contract §1: a reason on stderr).
#[derive(Debug)]
pub(crate) enum TlsError {
    /// A file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A file is damaged PEM.
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no `CERTIFICATE` section in the certificate file.
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key section in the key file.
    NoPrivateKey {
        /// The file.
        path: PathBuf,
    },
    /// The first certificate is not one.
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What the TLS library says.
        why: rustls::Error,
    },
    /// The key is of a kind or size that cannot sign.
    BadPrivateKey {
        /// The file.
        path: PathBuf,
        /// What the TLS library says.
        why: rustls::Error,
    },
    /// Certificate and key are each fine, but not of one pair.
    Mismatch {
        /// The certificate file.
        crt: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// No self-signed certificate could be made.
    SelfSigned {
        /// The host name it was for.
        name: String,
        /// What the certificate library says.
        why: rcgen::Error,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, why } => {
                write!(f, "{}: cannot be read: {why}", path.display())
            }
            Self::Malformed { path, what } => write!(f, "{}: damaged PEM: {what}", path.display()),
            Self::NoCertificate { path } => write!(
                f,
                "{}: no certificate in it: a section BEGIN CERTIFICATE is needed",
                path.display()
            ),
            Self::NoPrivateKey { path } => write!(
                f,
                "{}: no private key in it: a section BEGIN PRIVATE KEY, BEGIN EC PRIVATE KEY or \
                 BEGIN RSA PRIVATE KEY is needed, without a passphrase",
                path.display()
            ),
            Self::BadCertificate { path, why } => {
                write!(f, "{}: the first certificate is damaged: {why}", path.display())
            }
            Self::BadPrivateKey { path, why } => write!(
                f,
                "{}: the private key cannot be used: {why}: use P-256, P-384, Ed25519, or RSA of \
                 2048 to 4096 bits",
                path.display()
            ),
            Self::Mismatch { crt, key } => write!(
                f,
                "{}: the private key does not belong to the first certificate in {}: a chain \
                 starts with the server's own",
                key.display(),
                crt.display()
            ),
            Self::SelfSigned { name, why } => {
                write!(f, "no self-signed certificate can be made for \"{name}\": {why}")
            }
        }
    }
}

impl core::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreadable { why, .. } => Some(why),
            Self::BadCertificate { why, .. } | Self::BadPrivateKey { why, .. } => Some(why),
            Self::SelfSigned { why, .. } => Some(why),
            Self::Malformed { .. }
            | Self::NoCertificate { .. }
            | Self::NoPrivateKey { .. }
            | Self::Mismatch { .. } => None,
        }
    }
}
