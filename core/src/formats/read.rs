//! Reads files of every known version as the newest one.

use alloc::vec::Vec;

use super::v2::stored::EntryV2;
use super::v2::traced::{HeaderV2, RecordV2};
use super::{FormatError, v1, v2};
use crate::codec::{decode, decode_first};

/// A version of state files and traces that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

impl Version {
    /// The one that is written.
    pub(crate) const NEWEST: Self = Self::V2;

    /// The version of a number in a file; `None` if this program does not know it.
    pub(crate) const fn known(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }

    /// Its number in a file.
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// The body of a snapshot, as the entries that make the state.
    pub(crate) fn image(self, body: &[u8]) -> Result<Vec<EntryV2<'static>>, FormatError> {
        match self {
            Self::V1 => Ok(decode::<v1::stored::ImageV1>(body)?.into_entries()),
            Self::V2 => v2::stored::decode_image(body),
        }
    }

    /// The body of a record of a journal.
    pub(crate) fn entry(self, body: &[u8]) -> Result<EntryV2<'static>, FormatError> {
        match self {
            Self::V1 => Ok(decode::<v1::stored::EntryV1>(body)?.into()),
            Self::V2 => EntryV2::decode(body),
        }
    }

    /// The header of a trace segment.
    pub(crate) fn header(self, body: &[u8]) -> Result<HeaderV2, FormatError> {
        match self {
            Self::V1 => decode::<v1::traced::HeaderV1>(body)?.try_into(),
            Self::V2 => Ok(decode(body)?),
        }
    }

    /// The first record of a trace segment in these bytes, and the bytes after it.
    pub(crate) fn record(self, bytes: &[u8]) -> Result<(RecordV2, &[u8]), FormatError> {
        Ok(match self {
            Self::V1 => {
                let (record, rest) = decode_first::<v1::traced::RecordV1>(bytes)?;
                (record.into(), rest)
            }
            Self::V2 => decode_first(bytes)?,
        })
    }
}
