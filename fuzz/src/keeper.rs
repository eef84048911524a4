//! Messages between the master and the keeper.

use openctrl_core::keeper::{Note, decode_order, decode_report, encode};

/// A packet from either side, and a note. What is read is written as it was.
pub fn keeper(data: &[u8]) {
    if let Ok(order) = decode_order(data) {
        assert_eq!(encode(&order).as_deref(), Ok(data), "{order:?}");
    }
    if let Ok(report) = decode_report(data) {
        assert_eq!(encode(&report).as_deref(), Ok(data), "{report:?}");
    }
    let note = Note::decode(data);
    assert_eq!(Note::decode(&note.encode()).starts, note.starts);
}
