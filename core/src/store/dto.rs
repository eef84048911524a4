//! What is stored, as types of the format: apart from the model on purpose, for the model may
//! change and a version of the format may not.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::image::{Image, StoredInstance};
use super::record::{Entry, Record};
use crate::codec::{self, Decode, Encode, encode};
use crate::counters::{SavedTotals, Totals};
use crate::ids::InstanceId;
use crate::instance::{Definition, Meta, Peer};
use crate::master::{ApiKey, MasterIdentity};
use crate::url::{InstanceUrl, InstanceUrlError};

/// Why a body whose checksum is right cannot be read.
#[derive(Debug)]
pub enum BodyError {
    /// It is not what this version writes.
    Malformed(String),
    /// An instance has a URL that no instance may have.
    Url(InstanceId, InstanceUrlError),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(f, "its content cannot be read: {reason}"),
            Self::Url(id, error) => write!(f, "instance {id}: {error}"),
        }
    }
}

impl core::error::Error for BodyError {}

pub(super) fn encode_image(image: &Image) -> Vec<u8> {
    encode(ImageV1::from(image))
}

pub(super) fn decode_image(body: &[u8]) -> Result<Image, BodyError> {
    decode::<ImageV1>(body)?.try_into()
}

pub(super) fn encode_entry(entry: &Entry) -> Vec<u8> {
    encode(EntryV1::from(entry))
}

pub(super) fn decode_entry(body: &[u8]) -> Result<Entry, BodyError> {
    decode::<EntryV1>(body)?.try_into()
}

fn decode<T: Decode<()>>(body: &[u8]) -> Result<T, BodyError> {
    codec::decode(body).map_err(BodyError::Malformed)
}

#[derive(Encode, Decode)]
struct ImageV1 {
    master: MasterV1,
    instances: Vec<InstanceV1>,
}

#[derive(Encode, Decode)]
struct MasterV1 {
    mid: String,
    alias: String,
    key: String,
}

#[derive(Encode, Decode)]
struct InstanceV1 {
    id: u32,
    url: String,
    alias: String,
    restart: bool,
    peer: [String; 3],
    tags: Vec<(String, String)>,
    totals: TotalsV1,
}

#[derive(Encode, Decode)]
struct TotalsV1 {
    mode: i32,
    bytes: [u64; 4],
}

#[derive(Encode, Decode)]
enum EntryV1 {
    Put(InstanceV1),
    Remove(u32),
    Master(MasterV1),
    Totals(Vec<(u32, TotalsV1)>),
}

impl From<&Image> for ImageV1 {
    fn from(image: &Image) -> Self {
        let instance = |stored: &StoredInstance| InstanceV1::new(&stored.definition, stored.totals);
        let instances = image.instances.values().map(instance).collect();
        Self { master: (&image.master).into(), instances }
    }
}

impl TryFrom<ImageV1> for Image {
    type Error = BodyError;

    fn try_from(image: ImageV1) -> Result<Self, BodyError> {
        let mut loaded = Self::new(image.master.into());
        for instance in image.instances {
            let stored = StoredInstance::try_from(instance)?;
            loaded.instances.insert(stored.definition.id, stored);
        }
        Ok(loaded)
    }
}

impl From<&MasterIdentity> for MasterV1 {
    fn from(master: &MasterIdentity) -> Self {
        let MasterIdentity { mid, alias, key } = master.clone();
        Self { mid, alias, key: key.reveal().into() }
    }
}

impl From<MasterV1> for MasterIdentity {
    fn from(master: MasterV1) -> Self {
        let MasterV1 { mid, alias, key } = master;
        Self { mid, alias, key: ApiKey::from_stored(key) }
    }
}

impl InstanceV1 {
    fn new(definition: &Definition, totals: SavedTotals) -> Self {
        let Definition { id, alias, meta, .. } = definition.clone();
        Self {
            id: id.0,
            url: definition.url().as_str().into(),
            alias,
            restart: definition.restarts(),
            peer: [meta.peer.sid, meta.peer.kind, meta.peer.alias],
            tags: meta.tags.into_iter().collect(),
            totals: totals.into(),
        }
    }
}

impl TryFrom<InstanceV1> for StoredInstance {
    type Error = BodyError;

    fn try_from(instance: InstanceV1) -> Result<Self, BodyError> {
        let id = InstanceId(instance.id);
        let url = InstanceUrl::parse(&instance.url).map_err(|error| BodyError::Url(id, error))?;
        let [sid, kind, alias] = instance.peer;
        let tags = instance.tags.into_iter().collect();
        let mut definition = Definition::new(id, url, instance.alias);
        definition.meta = Meta { peer: Peer { sid, kind, alias }, tags };
        definition.set_restarts(instance.restart);
        Ok(Self { definition: Arc::new(definition), totals: instance.totals.into() })
    }
}

impl From<SavedTotals> for TotalsV1 {
    fn from(saved: SavedTotals) -> Self {
        let Totals { tcprx, tcptx, udprx, udptx } = saved.totals;
        Self { mode: saved.mode, bytes: [tcprx, tcptx, udprx, udptx] }
    }
}

impl From<TotalsV1> for SavedTotals {
    fn from(totals: TotalsV1) -> Self {
        let [tcprx, tcptx, udprx, udptx] = totals.bytes;
        Self { mode: totals.mode, totals: Totals { tcprx, tcptx, udprx, udptx } }
    }
}

impl From<&Entry> for EntryV1 {
    fn from(entry: &Entry) -> Self {
        match entry {
            Entry::Change(Record::PutInstance { definition, totals }) => {
                Self::Put(InstanceV1::new(definition, *totals))
            }
            Entry::Change(Record::RemoveInstance(id)) => Self::Remove(id.0),
            Entry::Change(Record::PutMaster(master)) => Self::Master(master.into()),
            Entry::Totals(totals) => {
                Self::Totals(totals.iter().map(|(id, saved)| (id.0, (*saved).into())).collect())
            }
        }
    }
}

impl TryFrom<EntryV1> for Entry {
    type Error = BodyError;

    fn try_from(entry: EntryV1) -> Result<Self, BodyError> {
        Ok(match entry {
            EntryV1::Put(instance) => {
                let StoredInstance { definition, totals } = instance.try_into()?;
                Self::Change(Record::PutInstance { definition, totals })
            }
            EntryV1::Remove(id) => Self::Change(Record::RemoveInstance(InstanceId(id))),
            EntryV1::Master(master) => Self::Change(Record::PutMaster(master.into())),
            EntryV1::Totals(totals) => Self::Totals(
                totals.into_iter().map(|(id, saved)| (InstanceId(id), saved.into())).collect(),
            ),
        })
    }
}
