//! Why a TLS connection to a master failed, in words: what is wrong, and the remedy.
//!
//! Does not decide what is trusted (`trust`).

use std::error::Error;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError};

use super::text::plain;

/// The master that a client tried to reach.
pub(crate) struct Peer<'a> {
    /// Its address as it is shown.
    pub(crate) shown: &'a str,
    /// The host that its certificate must name.
    pub(crate) host: &'a str,
    /// The fingerprint of the certificate that it showed; empty if it showed none.
    pub(crate) fingerprint: &'a str,
    /// Whether the client has a certificate of its own.
    pub(crate) has_client_cert: bool,
}

/// The TLS error among the causes of an error.
pub(crate) fn tls_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // An I/O error does not count what it contains among its sources.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(found) = inner.or_else(|| error.downcast_ref::<rustls::Error>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What failed, on what, why, and the remedy.
pub(crate) fn explain(error: &rustls::Error, peer: &Peer<'_>) -> String {
    let Peer { shown, has_client_cert, .. } = peer;
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library has a sentence for each")]
    match error {
        rustls::Error::InvalidMessage(_) => {
            format!("the server at {shown} does not speak TLS; is it http://?")
        }
        rustls::Error::InvalidCertificate(reason) => explain_certificate(reason, peer),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => format!(
            "the server at {shown} asks for a client certificate; name one with --client-cert FILE"
        ),
        rustls::Error::AlertReceived(alert) if *has_client_cert && is_about_certificate(*alert) => {
            format!(
                "the server at {shown} refuses the client certificate; name one of its client_ca= \
                 with --client-cert FILE"
            )
        }
        rustls::Error::PeerIncompatible(_)
        | rustls::Error::AlertReceived(
            AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure,
        ) => format!(
            "the server at {shown} has no TLS version or cipher suite in common with this program, \
             which speaks TLS 1.2 and 1.3; update the server"
        ),
        other => {
            let reason = other.to_string();
            format!("no TLS connection to {shown}: {}", plain(&reason))
        }
    }
}

fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
    )
}

fn explain_certificate(reason: &CertificateError, peer: &Peer<'_>) -> String {
    let Peer { shown, host, fingerprint, .. } = peer;
    let pin = format!("if its SHA-256 is that of your master, use --pin {fingerprint}");
    #[expect(clippy::wildcard_enum_match_arm, reason = "the library has a sentence for each")]
    match reason {
        CertificateError::ExpiredContext { not_after, .. } => format!(
            "the certificate of {shown} expired on {}; renew it on the server, or correct the clock \
             of this machine",
            date(*not_after)
        ),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "the certificate of {shown} is not valid before {}; correct the clock of this machine, \
             or that of the server",
            date(*not_before)
        ),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            let names = plain(&names);
            format!(
                "the certificate of {shown} is for {names}, not for {host}; use a name that it is \
                 for, or, {pin}"
            )
        }
        // The second: an authority of the same name as a trusted one has another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
            "the certificate of {shown} is not trusted: its issuer is not trusted; {pin}, or else \
             --ca FILE"
        ),
        other => {
            let reason = other.to_string();
            format!("the certificate of {shown} is not trusted: {}; {pin}", plain(&reason))
        }
    }
}

/// The name in a form such as `DnsName("a.example")` or `IpAddress(127.0.0.1)`.
fn bare_name(presented: &str) -> &str {
    let inner = presented.split_once('(').map_or(presented, |(_, rest)| rest);
    inner.trim_end_matches(')').trim_matches('"')
}

fn date(time: UnixTime) -> String {
    let second = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let day = Timestamp::from_second(second).map(|time| time.strftime("%Y-%m-%d").to_string());
    day.unwrap_or_else(|_| "an unknown date".to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::ServerName;

    use super::*;

    const PEER: Peer<'_> = Peer {
        shown: "https://box:8443",
        host: "box",
        fingerprint: "abcd",
        has_client_cert: false,
    };

    fn certificate(reason: CertificateError) -> String {
        explain(&rustls::Error::InvalidCertificate(reason), &PEER)
    }

    #[test]
    fn each_fault_of_a_certificate_has_its_remedy() {
        let at = |days: u64| UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400));
        let expired = CertificateError::ExpiredContext { time: at(20_000), not_after: at(19_000) };
        assert_eq!(
            certificate(expired),
            "the certificate of https://box:8443 expired on 2022-01-08; renew it on the server, or \
             correct the clock of this machine"
        );
        let early = CertificateError::NotValidYetContext { time: at(1), not_before: at(19_000) };
        assert!(certificate(early).contains("is not valid before 2022-01-08; correct the clock"));
        let presented = vec!["DnsName(\"a.example\")".to_owned(), "IpAddress(::1)".to_owned()];
        let expected = ServerName::try_from("box").expect("a name");
        let name = CertificateError::NotValidForNameContext { expected, presented };
        assert_eq!(
            certificate(name),
            "the certificate of https://box:8443 is for a.example, ::1, not for box; use a name \
             that it is for, or, if its SHA-256 is that of your master, use --pin abcd"
        );
        let issuer = certificate(CertificateError::UnknownIssuer);
        assert!(issuer.contains("--pin abcd, or else --ca FILE"), "{issuer}");
        assert!(certificate(CertificateError::BadEncoding).contains("is not trusted: "));
    }

    #[test]
    fn alerts_are_explained() {
        let alert = |alert| rustls::Error::AlertReceived(alert);
        let asked = explain(&alert(AlertDescription::CertificateRequired), &PEER);
        assert!(asked.ends_with("name one with --client-cert FILE"), "{asked}");
        let with = Peer { has_client_cert: true, ..PEER };
        let refused = explain(&alert(AlertDescription::UnknownCA), &with);
        assert!(refused.contains("refuses the client certificate"), "{refused}");
        let version = explain(&alert(AlertDescription::ProtocolVersion), &PEER);
        assert!(version.contains("speaks TLS 1.2 and 1.3"), "{version}");
    }

    #[test]
    fn the_cause_is_found_inside_of_an_io_error() {
        let error = io::Error::other(rustls::Error::HandshakeNotComplete);
        assert_eq!(tls_cause(&error), Some(&rustls::Error::HandshakeNotComplete));
        assert_eq!(tls_cause(&io::Error::other("broken pipe")), None);
    }
}
