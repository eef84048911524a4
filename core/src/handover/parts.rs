//! Parts of the document: events of the stream, and descriptors.

use alloc::vec::Vec;

use crate::formats::FormatError;
use crate::formats::v2::handed::{HandedBlockV2, RoleV2};
use crate::ids::{EventId, RunId};

/// Consecutive events of the stream, as they are written to readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedBlock {
    /// The first of them.
    pub first: EventId,
    /// Their frames, one after the other.
    pub frames: Vec<u8>,
    /// The end of the frame of each event; never empty.
    pub ends: Vec<u32>,
    /// The places with secrets, in order.
    pub secrets: Vec<HandedSecret>,
}

/// A place in the frames with a secret, and what readers see there who do not hold the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedSecret {
    /// Where it begins.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What is there without the secret.
    pub masked: Vec<u8>,
}

impl HandedBlock {
    /// The first event after them.
    pub const fn end(&self) -> EventId {
        self.first.plus(self.ends.len() as u64)
    }

    pub(super) fn dto(&self) -> HandedBlockV2 {
        let Self { first, frames, ends, secrets } = self.clone();
        let secret = |HandedSecret { start, end, masked }| (start, end, masked);
        let secrets = secrets.into_iter().map(secret).collect();
        HandedBlockV2 { first: first.0, frames, ends, secrets }
    }

    pub(super) fn read(dto: HandedBlockV2) -> Result<Self, FormatError> {
        let HandedBlockV2 { first, frames, ends, secrets } = dto;
        let ends_with_frames = ends.last().is_some_and(|end| *end as usize == frames.len());
        if first == 0 || first >= 1 << 62 || !ends.is_sorted() || !ends_with_frames {
            return Err(FormatError::Contradiction("events do not fit their frames"));
        }
        let mut from = 0;
        for (start, end, _) in &secrets {
            if *start < from || end < start || *end as usize > frames.len() {
                return Err(FormatError::Contradiction("a secret is not among the frames"));
            }
            from = *end;
        }
        let secret = |(start, end, masked)| HandedSecret { start, end, masked };
        let secrets = secrets.into_iter().map(secret).collect();
        Ok(Self { first: EventId(first), frames, ends, secrets })
    }
}

/// A descriptor that stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// What it is for.
    pub role: Role,
}

/// What a descriptor is for. Paths are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// The lock of the state directory.
    StateLock,
    /// The listener of the API.
    Tcp,
    /// The listener that upgrades are asked for at.
    Channel,
    /// A Unix listener at this path.
    Socket(Vec<u8>),
    /// Where this run says that it is ready.
    Notify(RunId),
    /// The first program was started with it.
    Inherited,
}

impl Descriptor {
    pub(super) fn dto(&self) -> (i32, RoleV2) {
        let role = match &self.role {
            Role::StateLock => RoleV2::StateLock,
            Role::Tcp => RoleV2::Tcp,
            Role::Channel => RoleV2::Channel,
            Role::Socket(path) => RoleV2::Socket(path.clone()),
            Role::Notify(run) => RoleV2::Notify(run.0),
            Role::Inherited => RoleV2::Inherited,
        };
        (self.number, role)
    }

    pub(super) fn read((number, role): (i32, RoleV2)) -> Result<Self, FormatError> {
        // The first three are the standard ones.
        if number < 3 {
            return Err(FormatError::Unknown("a descriptor"));
        }
        let role = match role {
            RoleV2::StateLock => Role::StateLock,
            RoleV2::Tcp => Role::Tcp,
            RoleV2::Channel => Role::Channel,
            RoleV2::Socket(path) => Role::Socket(path),
            RoleV2::Notify(run) => Role::Notify(RunId(run)),
            RoleV2::Inherited => Role::Inherited,
        };
        Ok(Self { number, role })
    }
}
