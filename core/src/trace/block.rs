//! The outer form of a segment: the magic, and blocks that are whole or not there.

use alloc::vec::Vec;

use super::TRACE_VERSION;
use super::error::TraceError;
use crate::formats::Version;

const MAGIC: [u8; 8] = *b"OPENCTRT";
const HEAD_BYTES: usize = 1 + 4 + 4;

/// The kind of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header,
    Records,
    End,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Header => b'H',
            Self::Records => b'R',
            Self::End => b'E',
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Header, Self::Records, Self::End].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// The next part of a segment.
pub(super) enum Next<'a> {
    /// A whole block, and the bytes after it.
    Block(Kind, &'a [u8], &'a [u8]),
    /// Nothing.
    Nothing,
    /// Part of a block.
    Torn,
    /// A block that is not as it was written.
    Damaged,
}

/// The first bytes of a segment.
pub(super) fn preamble() -> Vec<u8> {
    [&MAGIC[..], &TRACE_VERSION.to_le_bytes()].concat()
}

/// Checks the first bytes of a segment and returns its version and the rest.
pub(super) fn after_preamble(segment: &[u8]) -> Result<(Version, &[u8]), TraceError> {
    // The recorder may have been killed between the creation of the file and its first write.
    let is_cut_off = segment.len() < MAGIC.len() && MAGIC.starts_with(segment);
    let no_magic = if is_cut_off { TraceError::NoHeader } else { TraceError::NotATrace };
    let rest = segment.strip_prefix(&MAGIC).ok_or(no_magic)?;
    let (number, rest) = rest.split_first_chunk().ok_or(TraceError::NoHeader)?;
    let number = u16::from_le_bytes(*number);
    let version = Version::known(number).ok_or(TraceError::Version(number))?;
    Ok((version, rest))
}

/// Appends a block.
pub(super) fn push_block(segment: &mut Vec<u8>, kind: Kind, body: &[u8]) {
    let length = u32::try_from(body.len()).expect("a block is far below 4 GiB").to_le_bytes();
    segment.push(kind.byte());
    segment.extend_from_slice(&length);
    segment.extend_from_slice(&checksum(kind.byte(), length, body).to_le_bytes());
    segment.extend_from_slice(body);
}

/// The block at the start of `bytes`.
pub(super) fn next_block(bytes: &[u8]) -> Next<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else {
        return if bytes.is_empty() { Next::Nothing } else { Next::Torn };
    };
    let [kind, l0, l1, l2, l3, crc @ ..] = *head;
    let length = [l0, l1, l2, l3];
    let Some((body, rest)) = rest.split_at_checked(u32::from_le_bytes(length) as usize) else {
        return Next::Torn;
    };
    match Kind::of(kind) {
        Some(known) if checksum(kind, length, body) == u32::from_le_bytes(crc) => {
            Next::Block(known, body, rest)
        }
        // The last one may have been given its length and not its content.
        Some(_) | None if rest.is_empty() || bytes.iter().all(|byte| *byte == 0) => Next::Torn,
        Some(_) | None => Next::Damaged,
    }
}

fn checksum(kind: u8, length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[kind]);
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}
