//! The client commands over TLS: certificates that are not what they should be, each with the
//! remedy; client certificates; a proxy that has nothing newer than TLS 1.2.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use openctrl_tests::master::Builder;
use openctrl_tests::{Master, Shell};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

/// An authority that issues certificates into a folder.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
    /// Its own certificate.
    file: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        let file = write(folder.path(), "ca.pem", &certificate.pem());
        Self { issuer: Issuer::new(params, key), folder, file }
    }

    /// The files of a certificate for `name` that is valid from and until the first of a year, and
    /// of its key.
    fn issue(&self, name: &str, years: [i32; 2]) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        [params.not_before, params.not_after] = years.map(|year| date_time_ymd(year, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let at = |kind: &str| format!("{name}-{}.{kind}", years[0]);
        let crt = write(self.folder.path(), &at("crt"), &certificate.pem());
        (crt, write(self.folder.path(), &at("key"), &key.serialize_pem()))
    }
}

const VALID: [i32; 2] = [2020, 2200];

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn master((crt, key): &(String, String)) -> Builder {
    let builder = Master::builder().authority("localhost:0");
    builder.query("tls", "2").query("crt", crt).query("key", key)
}

/// A shell that has the key of the master and nothing else of it.
fn away(master: &Master) -> Shell {
    Shell::beside(master).with("OPENCTRL_KEY", master.key())
}

#[test]
fn a_certificate_that_is_refused_says_why_and_what_to_do() {
    let authority = Authority::new();
    let good = master(&authority.issue("localhost", VALID)).start();
    let list = |master: &Master, ca: &str| {
        away(master).fails(3, &["list", "--api", master.url(), "--ca", ca])
    };
    away(&good).ok(&["list", "--api", good.url(), "--ca", &authority.file]);

    let unknown = list(&good, &Authority::new().file);
    assert!(unknown.contains("its issuer is not trusted; if its SHA-256 is"), "{unknown}");
    assert!(unknown.contains("--ca FILE"), "{unknown}");

    let old = master(&authority.issue("localhost", [2001, 2002])).start();
    let expired = list(&old, &authority.file);
    assert!(expired.contains("expired on 2002-01-01; renew it on the server"), "{expired}");

    let new = master(&authority.issue("localhost", [2150, 2200])).start();
    let early = list(&new, &authority.file);
    assert!(early.contains("is not valid before 2150-01-01; correct the clock"), "{early}");

    let other = master(&authority.issue("other.example", VALID)).start();
    let name = list(&other, &authority.file);
    assert!(name.contains("is for other.example, not for localhost; use a name"), "{name}");
    let print = name.split("--pin ").nth(1).expect("the fingerprint").trim();
    away(&other).ok(&["list", "--api", other.url(), "--pin", print]);

    for refused in [unknown, expired, early, name] {
        assert_eq!(refused.trim_end().lines().count(), 1, "one line: {refused}");
    }
}

#[test]
fn plain_and_tls_ports_are_told_apart() {
    let plain = Master::start();
    let as_tls = plain.url().replace("http:", "https:");
    let refused = away(&plain).fails(3, &["list", "--api", &as_tls]);
    assert!(refused.contains("does not speak TLS; is it http://?"), "{refused}");
    let secure = Master::builder().query("tls", "1").start();
    let as_plain = secure.url().replace("https:", "http:");
    let refused = away(&secure).fails(3, &["list", "--api", &as_plain]);
    assert!(refused.contains("does not speak HTTP; is it https://?"), "{refused}");
}

#[test]
fn a_master_that_asks_for_a_client_certificate_is_told_apart() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let builder = master(&authority.issue("localhost", VALID));
    let master = builder.query("client_ca", &authority.file).start();
    let url = master.url().to_owned();
    let list = ["list", "--api", &url, "--ca", &authority.file];
    let without = away(&master).fails(3, &list);
    assert!(without.contains("asks for a client certificate; name one with"), "{without}");
    let pair = |authority: &Authority| {
        let (crt, key) = authority.issue("client", VALID);
        let both = fs::read_to_string(crt).unwrap() + &fs::read_to_string(key).unwrap();
        write(authority.folder.path(), "client.pem", &both)
    };
    away(&master).ok(&[&list[..], &["--client-cert", &pair(&authority)]].concat());
    let strange =
        away(&master).fails(3, &[&list[..], &["--client-cert", &pair(&stranger)]].concat());
    assert!(strange.contains("refuses the client certificate"), "{strange}");
}

/// Answers over TLS 1.2 and nothing newer with what `upstream` answers.
fn proxy_of_tls_1_2((crt, key): &(String, String), upstream: SocketAddr) -> SocketAddr {
    let chain = vec![CertificateDer::from_pem_file(crt).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut client = StreamOwned::new(session, socket.unwrap());
            // One request without a body, then the end: a command that reads needs no more.
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            head.truncate(head.len().saturating_sub(2));
            head.extend(b"Connection: close\r\n\r\n");
            let mut master = TcpStream::connect(upstream).unwrap();
            master.write_all(&head).unwrap();
            let mut answer = Vec::new();
            master.read_to_end(&mut answer).unwrap();
            let _ = client.write_all(&answer);
            client.conn.send_close_notify();
            let _ = client.flush();
        }
    });
    address
}

#[test]
fn commands_speak_tls_1_2_to_a_proxy_that_has_nothing_newer() {
    let authority = Authority::new();
    let master = Master::start();
    let id = master.api().create("stub://behind-a-proxy")["id"].as_str().unwrap().to_owned();
    let pair = authority.issue("127.0.0.1", VALID);
    let address = proxy_of_tls_1_2(&pair, master.endpoint().address);
    let api = format!("https://{address}/api/v2");
    let list = away(&master).ok(&["list", "--api", &api, "--ca", &authority.file]);
    assert!(list.contains(&id), "{list}");
}
