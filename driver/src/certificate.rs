//! The TLS parts that the listener and the client share: cryptography and fingerprints.

use rustls::crypto::{CryptoProvider, ring};

/// The SHA-256 of a certificate, in hex.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let sha256 = suite.expect("it is one of TLS 1.3").common.hash_provider;
    sha256.hash(certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Named here rather than installed for the process: a second provider linked in by some dependency
/// then changes nothing.
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}
