//! Snapshot files.

use openctrl_core::store::{FORMAT_VERSION, decode, encode};

/// The bytes as a file, and as the body of a file of each version whose header is right: none may
/// do harm, and what is read can be written and read again.
pub fn state(data: &[u8]) {
    check(data);
    for version in 1..=FORMAT_VERSION {
        check(&with_header(version, data));
    }
}

fn with_header(version: u16, body: &[u8]) -> Vec<u8> {
    let generation = 7_u64.to_le_bytes();
    let mut file = b"OPENCTRL".to_vec();
    file.extend_from_slice(&version.to_le_bytes());
    file.extend_from_slice(&generation);
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(&[&generation, body].concat()).to_le_bytes());
    file.extend_from_slice(body);
    file
}

fn check(file: &[u8]) {
    match decode(file) {
        Ok((image, generation)) => {
            let written = encode(&image, generation);
            let (again, same) = decode(&written).expect("what is written can be read");
            assert_eq!(encode(&again, same), written, "it stays what it is");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
