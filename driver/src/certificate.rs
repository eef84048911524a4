//! The TLS parts that the listener and the client share: cryptography and fingerprints.

use rustls::crypto::{CryptoProvider, ring};

/// The SHA-256 of a certificate, in hex.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    sha256(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    let sha256 = suite.expect("it is one of TLS 1.3").common.hash_provider;
    sha256.hash(bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Named here rather than installed for the process: a second provider linked in by some dependency
/// then changes nothing.
pub(crate) fn provider() -> CryptoProvider {
    ring::default_provider()
}
