//! Tests of handshakes with a real client over an in-memory pipe, and of changes of the files. The
//! keys in `testdata` are for these tests only, in the two formats that rcgen does not write.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::reload::Refresh;
use super::*;

const RSA: (&str, &str) = (include_str!("testdata/rsa.crt"), include_str!("testdata/rsa.key"));
const SEC1: (&str, &str) = (include_str!("testdata/sec1.crt"), include_str!("testdata/sec1.key"));

#[tokio::test]
async fn self_signed_serves_every_name_over_tls_1_3() {
    let made = self_signed::generate("edge.example").expect("made");
    let certified = self_signed::certified(&made).expect("its own key");
    let root = certified.cert[0].clone();
    let acceptor = accept_with(Arc::new(SingleCertAndKey::from(certified)), None);
    for name in ["edge.example", "localhost", "127.0.0.1", "::1"] {
        let met = handshake(&acceptor, &client(&root, &TLS13), name).await.expect(name);
        assert_eq!(met.version, Some(ProtocolVersion::TLSv1_3));
        assert_eq!(met.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert_eq!(met.certificate, root);
    }
    let stranger = handshake(&acceptor, &client(&root, &TLS13), "other.example").await;
    assert!(stranger.expect_err("not a name of it").contains("NotValidForName"));
}

#[tokio::test]
async fn both_sources_refuse_tls_1_2() {
    let dir = Pair::in_new_dir(pkcs8());
    for source in [TlsSource::SelfSigned(None), dir.source()] {
        let acceptor = acceptor(&source, "[::1]", None).expect("a good source").acceptor;
        let old = handshake(&acceptor, &client(&dir.root(), &TLS12), "localhost").await;
        assert!(old.expect_err("refused").contains("ProtocolVersion"), "{source:?}");
    }
}

#[tokio::test]
async fn files_of_every_key_form_are_served() {
    for pair in [pkcs8(), own(RSA), own(SEC1)] {
        let dir = Pair::in_new_dir(pair);
        let acceptor = acceptor(&dir.source(), "ignored", None).expect("good files").acceptor;
        let root = dir.root();
        let met = handshake(&acceptor, &client(&root, &TLS13), "localhost").await.expect("met");
        assert_eq!(met.certificate, root);
    }
}

#[tokio::test]
async fn with_client_ca_only_its_clients_are_let_in() {
    let (server, known) = (Pair::in_new_dir(own(RSA)), Pair::in_new_dir(pkcs8()));
    let stranger = Pair::in_new_dir(pkcs8());
    let ca = known.crt();
    let acceptor = acceptor(&server.source(), "", Some(&ca)).expect("good files").acceptor;
    for (shown, is_let_in) in [(None, false), (Some(&stranger), false), (Some(&known), true)] {
        let met = handshake(&acceptor, &client_with(&server.root(), shown), "localhost").await;
        assert_eq!(met.is_ok(), is_let_in, "{met:?}");
    }
    fs::write(&ca, "no certificate").expect("written");
    let error = super::acceptor(&server.source(), "", Some(&ca)).map(|_| ()).expect_err("no CA");
    assert!(error.to_string().contains(&ca.display().to_string()), "{error}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let refused = |crt: &str, key: &str, want: &str| {
        let dir = Pair::in_new_dir((crt.to_owned(), key.to_owned()));
        let error = acceptor(&dir.source(), "", None).map(|_| ()).expect_err(want).to_string();
        assert!(error.contains(want), "{want}: {error}");
    };
    refused(RSA.1, RSA.1, "server.crt: no certificate in it");
    refused("", RSA.1, "server.crt: no certificate in it");
    refused(RSA.0, RSA.0, "server.key: no private key in it");
    refused(RSA.0, SEC1.1, "server.key: the private key does not belong");
    refused(&RSA.0.replace("-----END", ""), RSA.1, "server.crt: damaged PEM: a section has no END");
    refused(
        RSA.0,
        &RSA.1.replacen('\n', "\n!", 1),
        "server.key: damaged PEM: a section is not base",
    );
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    refused(not_der, RSA.1, "server.crt: the first certificate is damaged");
    refused(
        RSA.0,
        &not_der.replace("CERTIFICATE", "PRIVATE KEY"),
        "server.key: the private key can",
    );
    refused(&" ".repeat((1 << 20) + 1), RSA.1, "server.crt: cannot be read: longer than 1 MiB");

    let dir = Pair::in_new_dir(own(RSA));
    fs::remove_file(dir.key()).expect("it is there");
    let error = acceptor(&dir.source(), "", None).map(|_| ()).expect_err("no key file");
    assert!(matches!(error, TlsError::Unreadable { path, why }
        if path == dir.key() && why.kind() == io::ErrorKind::NotFound));
}

#[tokio::test]
async fn a_new_certificate_is_served_after_the_interval_and_not_before() {
    let dir = Pair::in_new_dir(own(RSA));
    let (resolver, hours) = reloading(&dir);
    let acceptor = accept_with(Arc::new(resolver), None);
    let (old, new) = (der(RSA.0), der(SEC1.0));

    dir.write(own(SEC1));
    let met = handshake(&acceptor, &client(&old, &TLS13), "localhost").await.expect("met");
    assert_eq!(met.certificate, old, "the hour is not over");
    hours.fetch_add(1, Ordering::SeqCst);
    let met = handshake(&acceptor, &client(&new, &TLS13), "localhost").await.expect("met");
    assert_eq!(met.certificate, new);
}

#[test]
fn a_bad_file_keeps_the_old_certificate_and_is_refused_once_a_change() {
    let dir = Pair::in_new_dir(own(RSA));
    let (resolver, hours) = reloading(&dir);
    let look = || {
        hours.fetch_add(1, Ordering::SeqCst);
        let refresh = resolver.refresh();
        assert!(matches!(resolver.refresh(), Refresh::NotDue), "once an hour");
        refresh
    };
    assert!(matches!(look(), Refresh::Unchanged));
    dir.write((SEC1.0.to_owned(), RSA.1.to_owned()));
    assert!(matches!(look(), Refresh::Kept(TlsError::Mismatch { .. })));
    assert!(matches!(look(), Refresh::Unchanged), "said already");
    fs::remove_file(dir.key()).expect("it is there");
    assert!(matches!(look(), Refresh::Kept(TlsError::Unreadable { .. })));
    assert!(matches!(look(), Refresh::Unchanged), "said already");
    assert_eq!(resolver.current().cert[0], der(RSA.0), "through all of it");
    dir.write(own(SEC1));
    assert!(matches!(look(), Refresh::Replaced));
    assert_eq!(resolver.current().cert[0], der(SEC1.0));
}

#[test]
fn who_asks_is_told_at_once_and_every_time() {
    let dir = Pair::in_new_dir(own(RSA));
    let (resolver, _) = reloading(&dir);
    let asked = || resolver.look(&mut resolver.last.lock().expect("no panic"), true);
    assert!(matches!(asked(), Refresh::Unchanged));
    dir.write((SEC1.0.to_owned(), RSA.1.to_owned()));
    for _ in 0..2 {
        assert!(matches!(asked(), Refresh::Kept(TlsError::Mismatch { .. })));
    }
    assert_eq!(resolver.current().cert[0], der(RSA.0));
    dir.write(own(SEC1));
    assert!(matches!(asked(), Refresh::Replaced));
    assert_eq!(resolver.current().cert[0], der(SEC1.0));
    assert!(matches!(asked(), Refresh::Unchanged));
}

#[test]
fn of_concurrent_handshakes_one_looks_and_the_others_go_on() {
    const HANDSHAKES: usize = 8;
    let dir = Pair::in_new_dir(own(RSA));
    let (resolver, hours) = reloading(&dir);
    dir.write(own(SEC1));
    hours.fetch_add(1, Ordering::SeqCst);
    let start = Barrier::new(HANDSHAKES);
    let outcomes: Vec<Refresh> = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            resolver.refresh()
        };
        let all: Vec<_> = (0..HANDSHAKES).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let count = |want: fn(&Refresh) -> bool| outcomes.iter().filter(|got| want(got)).count();
    assert_eq!(count(|got| matches!(got, Refresh::Replaced)), 1, "{outcomes:?}");
    assert_eq!(count(|got| matches!(got, Refresh::NotDue)), HANDSHAKES - 1, "{outcomes:?}");
}

/// A certificate file and a key file in a directory of their own.
struct Pair(TempDir);

impl Pair {
    fn in_new_dir(pair: (String, String)) -> Self {
        let dir = Self(TempDir::new().expect("a temporary directory"));
        dir.write(pair);
        dir
    }

    fn write(&self, (crt, key): (String, String)) {
        fs::write(self.crt(), crt).expect("written");
        fs::write(self.key(), key).expect("written");
    }

    fn crt(&self) -> PathBuf {
        self.0.path().join("server.crt")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    fn source(&self) -> TlsSource {
        TlsSource::Files { crt: self.crt(), key: self.key() }
    }

    fn root(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(Path::new(&self.crt())).expect("a certificate")
    }
}

fn own((crt, key): (&str, &str)) -> (String, String) {
    (crt.to_owned(), key.to_owned())
}

fn pkcs8() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("made");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// A resolver whose clock only advances when hours are added to it.
fn reloading(dir: &Pair) -> (Reloading, Arc<AtomicU64>) {
    let mut resolver =
        Reloading::load(PemFiles { crt: dir.crt(), key: dir.key() }).expect("good files");
    let hours = Arc::new(AtomicU64::new(0));
    let (start, passed) = (Instant::now(), Arc::clone(&hours));
    let hour = Duration::from_secs(60 * 60);
    assert_eq!(resolver.interval, hour);
    resolver.clock = Box::new(move || {
        start + hour * u32::try_from(passed.load(Ordering::SeqCst)).expect("few hours")
    });
    (resolver, hours)
}

fn client(
    root: &CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[version])
        .expect("the test has both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

/// A client that shows a certificate, if it has one.
fn client_with(root: &CertificateDer<'static>, shown: Option<&Pair>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("the test has this version")
        .with_root_certificates(roots);
    let config = match shown {
        None => config.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::from_pem_file(pair.key()).expect("a key");
            config.with_client_auth_cert(vec![pair.root()], key).expect("a pair")
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// What the client observed.
#[derive(Debug)]
struct Met {
    version: Option<ProtocolVersion>,
    alpn: Option<Vec<u8>>,
    certificate: CertificateDer<'static>,
}

/// Shakes hands in memory; an error is both sides' words.
async fn handshake(
    acceptor: &TlsAcceptor,
    client: &TlsConnector,
    name: &str,
) -> Result<Met, String> {
    let (near, far) = tokio::io::duplex(16 * 1024);
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let (client, server) = tokio::join!(client.connect(name, near), acceptor.accept(far));
    match (client, server) {
        (Ok(stream), Ok(_)) => {
            let (_, connection) = stream.get_ref();
            let chain = connection.peer_certificates().expect("a server has a certificate");
            Ok(Met {
                version: connection.protocol_version(),
                alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
                certificate: chain[0].clone(),
            })
        }
        (client, server) => Err(format!("{:?} / {:?}", client.err(), server.err())),
    }
}
