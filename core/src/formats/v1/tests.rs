//! Holds version 1 to the files that release 0.1.0 wrote (`core/testdata/v1`): what is read of them
//! and written again are the same bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::vec::Vec;

use super::stored::{EntryV1, ImageV1};
use super::traced::{EndV1, HeaderV1, RecordV1};
use crate::codec::{Decode, Encode, decode, decode_first, encode};

/// Heads of the frames, in bytes.
const FILE_HEAD: usize = 30;
const RECORD_HEAD: usize = 20;
const TRACE_HEAD: usize = 10;
const BLOCK_HEAD: usize = 9;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1")
}

/// Every file of the states whose name begins so.
fn state_files(prefix: &str) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for state in ["fresh", "journal", "snapshot", "killed", "torn"] {
        for entry in fs::read_dir(golden().join(state)).expect("a state directory") {
            let path = entry.expect("an entry of it").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            if name.starts_with(prefix) {
                found.push(fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn assert_same<T: Encode + Decode<()>>(body: &[u8]) {
    assert_eq!(encode(decode::<T>(body).expect("a body of version 1")), body);
}

#[test]
fn snapshots_are_read_and_written_as_they_were() {
    let files = state_files("openctrl.state");
    assert_eq!(files.len(), 10);
    files.iter().for_each(|file| assert_same::<ImageV1>(&file[FILE_HEAD..]));
}

#[test]
fn journals_are_read_and_written_as_they_were() {
    let mut kinds = [0; 4];
    for file in state_files("openctrl.journal.") {
        let mut rest = &file[FILE_HEAD..];
        while rest.len() >= RECORD_HEAD {
            let length = length_at(rest, 0);
            // The last record of one was cut off.
            let Some(body) = rest.get(RECORD_HEAD..RECORD_HEAD + length) else { break };
            assert_same::<EntryV1>(body);
            kinds[usize::from(body[0])] += 1;
            rest = &rest[RECORD_HEAD + length..];
        }
    }
    assert!(kinds.iter().all(|count| *count > 0), "every kind of entry is there: {kinds:?}");
}

#[test]
fn traces_are_read_and_written_as_they_were() {
    let mut inputs = [0; 10];
    for name in ["busy", "killed", "leftovers", "middle"] {
        let file = fs::read(golden().join(name).with_extension("trace")).expect("a segment");
        let mut rest = &file[TRACE_HEAD..];
        while rest.len() >= BLOCK_HEAD {
            let length = length_at(rest, 1);
            let Some(body) = rest.get(BLOCK_HEAD..BLOCK_HEAD + length) else { break };
            match rest[0] {
                b'H' => assert_same::<HeaderV1>(body),
                b'E' => assert_same::<EndV1>(body),
                _ => records(body, &mut inputs),
            }
            rest = &rest[BLOCK_HEAD + length..];
        }
    }
    // No write failed while they were recorded.
    let missing: Vec<usize> = (0..10).filter(|kind| inputs[*kind] == 0).collect();
    assert_eq!(missing, [6], "{inputs:?}");
}

fn records(mut body: &[u8], inputs: &mut [usize; 10]) {
    while !body.is_empty() {
        let (record, rest) = decode_first::<RecordV1>(body).expect("a record of version 1");
        if let RecordV1::Input { input, .. } = &record {
            inputs[usize::from(encode(input)[0])] += 1;
        }
        assert_eq!(encode(record), &body[..body.len() - rest.len()]);
        body = rest;
    }
}
