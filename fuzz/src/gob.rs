//! State files of the Go master.

use openctrl_core::store::{decode, decode_gob, encode};

/// Any file is read or refused, and what is read can be kept as a state of ours.
pub fn gob(data: &[u8]) {
    match decode_gob(data) {
        Ok(image) => {
            let written = encode(&image, 1);
            let (again, generation) = decode(&written).expect("what is written can be read");
            assert_eq!(encode(&again, generation), written, "it stays what it is");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
