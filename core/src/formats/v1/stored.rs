//! FROZEN: the snapshot and the entries of the journal, version 1.

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};

#[derive(Encode, Decode)]
pub(crate) struct ImageV1 {
    pub(crate) master: MasterV1,
    pub(crate) instances: Vec<InstanceV1>,
}

#[derive(Encode, Decode)]
pub(crate) struct MasterV1 {
    pub(crate) mid: String,
    pub(crate) alias: String,
    pub(crate) key: String,
}

#[derive(Encode, Decode)]
pub(crate) struct InstanceV1 {
    pub(crate) id: u32,
    pub(crate) url: String,
    pub(crate) alias: String,
    pub(crate) restart: bool,
    /// Id, kind and alias.
    pub(crate) peer: [String; 3],
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) totals: TotalsV1,
}

#[derive(Encode, Decode)]
pub(crate) struct TotalsV1 {
    pub(crate) mode: i32,
    /// TCP received and sent, UDP received and sent, as shown to clients.
    pub(crate) bytes: [u64; 4],
}

#[derive(Encode, Decode)]
pub(crate) enum EntryV1 {
    Put(InstanceV1),
    Remove(u32),
    Master(MasterV1),
    Totals(Vec<(u32, TotalsV1)>),
}
