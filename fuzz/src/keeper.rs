//! Messages between the master and the keeper.

use openctrl_core::keeper::{Note, decode_order, decode_report, encode};

/// A packet from either side, and a note. What is read and written is read as the same.
pub fn keeper(data: &[u8]) {
    if let Ok(order) = decode_order(data) {
        let bytes = encode(&order).expect("what was read is short enough");
        assert_eq!(decode_order(&bytes), Ok(order));
    }
    if let Ok(report) = decode_report(data) {
        let bytes = encode(&report).expect("what was read is short enough");
        assert_eq!(decode_report(&bytes), Ok(report));
    }
    let note = Note::decode(data);
    assert_eq!(Note::decode(&note.encode()).starts, note.starts);
}
