//! Contract §10: TLS.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use openctrl_tests::http::Connection;
use openctrl_tests::tls::Handshake;
use openctrl_tests::{Master, PATIENCE, Script};
use rcgen::generate_simple_self_signed;
use rustls::ProtocolVersion;
use tempfile::TempDir;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

/// What the server shows, and that it answers over what it shows.
fn handshake(master: &Master) -> Handshake {
    let api = master.api();
    assert!(api.endpoint().tls, "{}", master.url());
    let mut connection = Connection::open(api.endpoint()).expect("a handshake succeeds");
    let response = connection.send(&api.request("GET", "/info").into_request()).unwrap();
    assert_eq!(response.status, 200);
    connection.handshake().expect("this is TLS")
}

/// A `ClientHello` that offers TLS 1.2 and nothing newer, with suites and curves every server of
/// that time knows.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let suites = [0xc02b_u16, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0x009c];
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let extensions: Vec<u8> = [
        &[0, 10, 0, 6, 0, 4, 0, 29, 0, 23][..], // groups: x25519, P-256
        &[0, 11, 0, 2, 1, 0],                   // point formats: uncompressed
        &[0, 13, 0, 10, 0, 8, 4, 3, 8, 4, 4, 1, 2, 3], // signatures
        &[0, 23, 0, 0],                         // extended master secret
    ]
    .concat();
    let mut hello = vec![3, 3];
    hello.extend([7; 32]);
    hello.push(0);
    hello.extend(u16::try_from(suites.len()).unwrap().to_be_bytes());
    hello.extend(suites);
    hello.extend([1, 0]);
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend(extensions);
    let length = u16::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    record
}

fn raw_answer(master: &Master, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(master.endpoint().address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(bytes).unwrap();
    let mut answer = vec![0; 64];
    let count = socket.read(&mut answer).unwrap_or(0);
    answer.truncate(count);
    answer
}

#[test]
fn self_signed_is_tls_1_3_with_p_256() {
    let master = Master::builder().query("tls", "1").start();
    let shown = handshake(&master);
    assert_eq!(shown.version, ProtocolVersion::TLSv1_3);
    let (rest, certificate) = X509Certificate::from_der(&shown.certificate).unwrap();
    assert!(rest.is_empty());
    assert_eq!(certificate.issuer().as_raw(), certificate.subject().as_raw(), "self-signed");
    assert!(certificate.validity().is_valid(), "valid now: {:?}", certificate.validity());
    let algorithm = &certificate.public_key().algorithm;
    assert_eq!(algorithm.algorithm.to_id_string(), "1.2.840.10045.2.1", "elliptic curve");
    let curve = algorithm.parameters.as_ref().unwrap().as_oid().unwrap();
    assert_eq!(curve.to_id_string(), "1.2.840.10045.3.1.7", "P-256");
    assert!(matches!(certificate.public_key().parsed(), Ok(PublicKey::EC(_))));
    let info = master.api().get("/info").expect(200).json();
    assert_eq!((&info["tls"], &info["crt"], &info["key"]), (&"1".into(), &"".into(), &"".into()));
}

#[test]
fn the_self_signed_certificate_lives_in_memory() {
    let mut master = Master::builder().query("tls", "1").start();
    let first = handshake(&master).certificate;
    assert_eq!(handshake(&master).certificate, first, "one certificate a process");
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                files(&entry.path(), found);
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    files(&master.folder().join("gob"), &mut found);
    for path in found {
        let bytes = fs::read(&path).unwrap();
        let pem = bytes.windows(10).any(|window| window == b"-----BEGIN");
        let der = bytes.windows(first.len()).any(|window| window == first);
        assert!(!pem && !der, "{} holds a certificate", path.display());
    }
    master.stop();
    master.restart();
    assert_ne!(handshake(&master).certificate, first, "a new process makes a new one");
}

#[test]
fn nothing_older_than_tls_1_3_is_spoken() {
    let master = Master::builder().query("tls", "1").start();
    let answer = raw_answer(&master, &client_hello_of_tls_1_2());
    assert_ne!(answer.first(), Some(&22), "a handshake of TLS 1.2 goes on");
    if !answer.is_empty() {
        assert_eq!((answer[0], answer[5], answer[6]), (21, 2, 70), "fatal alert protocol_version");
    }
    let answer = raw_answer(&master, b"GET /api/v2/info HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(!answer.starts_with(b"HTTP/1.1 2"), "plain HTTP is not served on this port");
    handshake(&master);
}

#[test]
fn the_whole_api_works_over_tls() {
    let master = Master::builder().query("tls", "1").path("/secure").start();
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print("over TLS").wait());
    events.wait_log(&id, "over TLS");
    master.api().delete(&id).expect(204);
    events.wait_for("the delete event", |event| event.kind == "delete");
    let flood = Script::new().step(openctrl_tests::script::Step::Flood(2_000, 100));
    let id = master.api().run(&flood.print("end").wait());
    events.wait_log(&id, "end");
    assert_eq!(events.logs(&id).len(), 2_001);
}

/// A certificate and its key as PEM files; returns the certificate's DER.
fn write_pair(certificate: &Path, key: &Path) -> Vec<u8> {
    let pair = generate_simple_self_signed(["example.org".to_owned()]).unwrap();
    fs::write(certificate, pair.cert.pem()).unwrap();
    fs::write(key, pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().to_vec()
}

#[test]
fn certificate_files_are_served_and_not_read_again_within_the_hour() {
    let folder = TempDir::new().unwrap();
    let (certificate, key) = (folder.path().join("full chain.pem"), folder.path().join("key.pem"));
    let der = write_pair(&certificate, &key);
    let (crt_text, key_text) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let builder =
        || Master::builder().query("tls", "2").query("crt", crt_text).query("key", key_text);
    let mut master = builder().start();
    let shown = handshake(&master);
    assert_eq!(shown.version, ProtocolVersion::TLSv1_3);
    assert_eq!(shown.certificate, der);
    let info = master.api().get("/info").expect(200).json();
    assert_eq!(info["tls"], "2");
    assert_eq!((&info["crt"], &info["key"]), (&crt_text.into(), &key_text.into()));
    let answer = raw_answer(&master, &client_hello_of_tls_1_2());
    assert_ne!(answer.first(), Some(&22), "a handshake of TLS 1.2 goes on");

    let renewed = write_pair(&certificate, &key);
    assert_eq!(handshake(&master).certificate, der, "at most one reload an hour");
    fs::write(&certificate, "torn").unwrap();
    assert_eq!(handshake(&master).certificate, der);
    drop(write_pair(&certificate, &key));
    let latest = write_pair(&certificate, &key);
    assert_ne!(latest, renewed);
    master.stop();
    master.restart();
    assert_eq!(handshake(&master).certificate, latest, "a start reads the files");
}

#[test]
fn zero_is_plain_http() {
    let master = Master::builder().query("tls", "0").start();
    assert!(master.url().starts_with("http://"), "{}", master.url());
    assert_eq!(master.api().get("/info").expect(200).json()["tls"], "0");
}
