//! The entries of snapshot and journal, version 2: `tag | version | body`.
//!
//! The version is that of the format in which the body of the tag was defined last. A reader that
//! does not know a tag or its version refuses the file: it skips nothing.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::control::{ControlV2, KeptV2};
use super::definition::{DefinitionV2, DesiredV2};
use crate::codec::{Decode, Encode, decode, encode_onto};
use crate::formats::FormatError;
pub(crate) use crate::formats::v1::stored::MasterV1;

/// The version of all bodies here.
const VERSION: u8 = 2;

const PUT_INSTANCE: u8 = 1;
const REMOVE_INSTANCE: u8 = 2;
const SET_DESIRED: u8 = 3;
const ADD_RUN: u8 = 4;
const PUT_MASTER: u8 = 5;
const TOTALS: u8 = 6;
const RESERVE_EVENTS: u8 = 7;
const KEPT: u8 = 8;
const CAUSED: u8 = 9;
const CONTROL: u8 = 10;
const PUT_RUNS: u8 = 11;
const PUT_TOKEN: u8 = 20;
const REMOVE_TOKEN: u8 = 21;

/// A change of the state, or a part of it.
pub(crate) enum EntryV2<'a> {
    PutInstance(Box<PutInstanceV2>),
    RemoveInstance(u32),
    SetDesired(u32, DesiredV2),
    /// A run that ended, and how many of its instance are kept.
    AddRun(u32, Box<RunV2>, u16),
    /// All runs of an instance that ended, the oldest first.
    PutRuns(u32, Vec<RunV2>),
    PutMaster(MasterV1),
    Totals(Vec<(u32, TotalsV2)>),
    /// The first event id that was not reserved yet.
    ReserveEvents(u64),
    /// Events and rules of the control API.
    Kept(KeptV2<'a>),
    /// A change, and the events of the control API that it causes.
    Caused(Box<Self>, KeptV2<'a>),
    /// All that a snapshot has of the control API.
    Control(ControlV2<'a>),
    /// A token: made, or used.
    PutToken(TokenV2),
    /// A token is revoked; its name.
    RemoveToken(String),
}

/// A token. Its text is nowhere: `digest` is the SHA-256 of it.
#[derive(Encode, Decode)]
pub(crate) struct TokenV2 {
    pub(crate) name: String,
    /// 0 read, 1 operate, 2 admin.
    pub(crate) role: u8,
    pub(crate) digest: [u8; 32],
    /// Times are microseconds since the epoch.
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) last_used: Option<u64>,
}

#[derive(Encode, Decode)]
pub(crate) struct PutInstanceV2 {
    pub(crate) definition: DefinitionV2,
    pub(crate) desired: DesiredV2,
    pub(crate) totals: TotalsV2,
}

/// A run that ended.
#[derive(Encode, Decode)]
pub(crate) struct RunV2 {
    pub(crate) id: u128,
    /// 0 if it was not known.
    pub(crate) pid: u32,
    /// When it began and when it ended.
    pub(crate) time: [u64; 2],
    pub(crate) last_seen: Option<u64>,
    /// Whether the instance was disabled, it was restarted, it was the only run that was wanted,
    /// and the master was shutting down.
    pub(crate) flags: [bool; 4],
    pub(crate) exit_code: u8,
    pub(crate) values: Vec<(String, String)>,
}

#[derive(Encode, Decode)]
pub(crate) struct TotalsV2 {
    pub(crate) mode: i32,
    /// TCP received and sent, UDP received and sent; of each what earlier processes counted, the
    /// raw value at the last reset, and the last raw value.
    pub(crate) counters: [[u64; 3]; 4],
    /// The run that counted the raw values.
    pub(crate) run: Option<u128>,
}

impl EntryV2<'_> {
    /// Appends its bytes.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::PutInstance(instance) => push(out, PUT_INSTANCE, *instance),
            Self::RemoveInstance(id) => push(out, REMOVE_INSTANCE, id),
            Self::SetDesired(id, desired) => push(out, SET_DESIRED, (id, desired)),
            Self::AddRun(id, run, most) => push(out, ADD_RUN, (id, *run, most)),
            Self::PutRuns(id, runs) => push(out, PUT_RUNS, (id, runs)),
            Self::PutMaster(master) => push(out, PUT_MASTER, master),
            Self::Totals(totals) => push(out, TOTALS, totals),
            Self::ReserveEvents(upto) => push(out, RESERVE_EVENTS, upto),
            Self::Kept(kept) => push(out, KEPT, kept),
            Self::Caused(change, kept) => {
                let mut bytes = Vec::new();
                change.encode(&mut bytes);
                push(out, CAUSED, (bytes, kept));
            }
            Self::Control(control) => push(out, CONTROL, control),
            Self::PutToken(token) => push(out, PUT_TOKEN, token),
            Self::RemoveToken(name) => push(out, REMOVE_TOKEN, name),
        }
    }

    /// # Errors
    /// A tag or a version that is not known, or a body that is not of this tag.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let Some(([tag, version], body)) = bytes.split_first_chunk() else {
            return Err(FormatError::Missing("the kind of an entry"));
        };
        Ok(match (*tag, *version) {
            (PUT_INSTANCE, VERSION) => Self::PutInstance(decode(body)?),
            (REMOVE_INSTANCE, VERSION) => Self::RemoveInstance(decode(body)?),
            (SET_DESIRED, VERSION) => {
                let (id, desired) = decode(body)?;
                Self::SetDesired(id, desired)
            }
            (ADD_RUN, VERSION) => {
                let (id, run, most) = decode(body)?;
                Self::AddRun(id, Box::new(run), most)
            }
            (PUT_RUNS, VERSION) => {
                let (id, runs) = decode(body)?;
                Self::PutRuns(id, runs)
            }
            (PUT_MASTER, VERSION) => Self::PutMaster(decode(body)?),
            (TOTALS, VERSION) => Self::Totals(decode(body)?),
            (RESERVE_EVENTS, VERSION) => Self::ReserveEvents(decode(body)?),
            (KEPT, VERSION) => Self::Kept(decode(body)?),
            (CAUSED, VERSION) => {
                let (change, kept): (Vec<u8>, KeptV2<'_>) = decode(body)?;
                // One within another would let a few bytes nest without end.
                if matches!(
                    change.first(),
                    Some(&(KEPT | CAUSED | CONTROL | PUT_TOKEN | REMOVE_TOKEN)) | None
                ) {
                    return Err(FormatError::Contradiction("events are caused by no change"));
                }
                Self::Caused(Box::new(Self::decode(&change)?), kept)
            }
            (CONTROL, VERSION) => Self::Control(decode(body)?),
            (PUT_TOKEN, VERSION) => Self::PutToken(decode(body)?),
            (REMOVE_TOKEN, VERSION) => Self::RemoveToken(decode(body)?),
            (tag, version) => return Err(FormatError::UnknownEntry { tag, version }),
        })
    }
}

fn push(out: &mut Vec<u8>, tag: u8, body: impl Encode) {
    out.extend_from_slice(&[tag, VERSION]);
    encode_onto(out, body);
}

/// Appends the body of a snapshot: each entry with its length before it, as 4 bytes.
pub(crate) fn encode_image<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = EntryV2<'a>>) {
    for entry in entries {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        entry.encode(out);
        let length = u32::try_from(out.len() - start - 4).expect("an entry is far below 4 GiB");
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

/// The bytes of the first entry of the body of a snapshot, and the rest of the body; `None` if it is
/// not whole.
pub(crate) fn split_entry(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

/// Whether the bytes of an entry may be those of a master: all others need not be decoded to find it.
pub(crate) fn may_have_master(entry: &[u8]) -> bool {
    !matches!(
        entry.first(),
        Some(
            &(PUT_INSTANCE
                | REMOVE_INSTANCE
                | SET_DESIRED
                | ADD_RUN
                | PUT_RUNS
                | TOTALS
                | RESERVE_EVENTS
                | KEPT
                | CONTROL
                | PUT_TOKEN
                | REMOVE_TOKEN)
        )
    )
}

/// The entries of the body of a snapshot.
///
/// # Errors
/// The first entry that cannot be read.
pub(crate) fn decode_image(mut body: &[u8]) -> Result<Vec<EntryV2<'static>>, FormatError> {
    let mut entries = Vec::new();
    while !body.is_empty() {
        let (entry, rest) = split_entry(body).ok_or(FormatError::Missing("the end of an entry"))?;
        entries.push(EntryV2::decode(entry)?);
        body = rest;
    }
    Ok(entries)
}
