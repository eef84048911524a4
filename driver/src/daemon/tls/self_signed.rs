//! The certificate of `tls=1`: P-256, made and kept in memory.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

use super::error::TlsError;
use super::files::certify;

/// Makes a certificate for `name` (see [`acceptor`](super::acceptor)), `localhost` and the loopback
/// addresses, and its key: both as DER.
///
/// Its validity is not bounded in practice: it lives no longer than the process, and a machine whose
/// clock is wrong must still be reachable.
pub(super) fn generate(name: &str) -> Result<(Vec<u8>, Vec<u8>), TlsError> {
    let failed = |why| TlsError::SelfSigned { name: name.to_owned(), why };
    let mut params = CertificateParams::new(subject_names(name)).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, "openctrl");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.der().to_vec(), key.serialize_der()))
}

/// Joins what [`generate`] made.
pub(super) fn certified((certificate, key): &(Vec<u8>, Vec<u8>)) -> Result<CertifiedKey, TlsError> {
    let memory = || "(self-signed)".into();
    let key = PrivatePkcs8KeyDer::from(key.clone()).into();
    certify(vec![certificate.clone().into()], key, memory(), memory())
}

fn subject_names(name: &str) -> Vec<String> {
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !name.is_empty() && !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        names.insert(0, name.to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_comes_first_and_nothing_twice() {
        let loopback = ["localhost", "127.0.0.1", "::1"];
        assert_eq!(subject_names("edge.example")[0], "edge.example");
        assert_eq!(subject_names("edge.example")[1..], loopback);
        assert_eq!(subject_names("[2001:db8::1]")[0], "2001:db8::1");
        for known in ["", "[::1]", "LOCALHOST", "127.0.0.1"] {
            assert_eq!(subject_names(known), loopback, "{known:?}");
        }
    }
}
