//! Snapshot files.

use openctrl_core::store::{FORMAT_VERSION, decode, encode};

/// The bytes as a file, and as the body of a file whose header is right: neither may do harm, and
/// what is read can be written and read again.
pub fn state(data: &[u8]) {
    check(data);
    let generation = 7_u64.to_le_bytes();
    let mut file = b"OPENCTRL".to_vec();
    file.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    file.extend_from_slice(&generation);
    file.extend_from_slice(&(data.len() as u64).to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(&[&generation, data].concat()).to_le_bytes());
    file.extend_from_slice(data);
    check(&file);
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
