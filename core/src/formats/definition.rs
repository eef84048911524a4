//! Definitions and the master in traces, version 1: apart from the model, because the model may change
//! and a released format may not. No type here has room for a key.

use alloc::string::String;
use alloc::vec::Vec;

use super::mask::Masks;
use crate::codec::{Decode, Encode};
use crate::command::InstanceAction;
use crate::escape::escaped_bytes;
use crate::ids::InstanceId;
use crate::instance::{Definition, Meta, Peer};
use crate::master::{ApiKey, MasterIdentity};
use crate::url::InstanceUrl;

#[derive(Encode, Decode)]
pub(crate) struct MasterV1 {
    mid: String,
    alias: String,
    key_bytes: u32,
}

#[derive(Encode, Decode)]
pub(crate) struct DefinitionV1 {
    id: u32,
    url: String,
    alias: String,
    restart: bool,
    peer: [String; 3],
    tags: Vec<(String, String)>,
}

const ACTIONS: [InstanceAction; 4] =
    [InstanceAction::Start, InstanceAction::Stop, InstanceAction::Restart, InstanceAction::Reset];

/// The number of an action in the format.
pub(crate) fn action_number(action: InstanceAction) -> u8 {
    match action {
        InstanceAction::Start => 0,
        InstanceAction::Stop => 1,
        InstanceAction::Restart => 2,
        InstanceAction::Reset => 3,
    }
}

/// The action of a number.
pub(crate) fn nth_action(number: u8) -> Result<InstanceAction, String> {
    let known = ACTIONS.get(usize::from(number)).copied();
    known.ok_or_else(|| "an unknown action".into())
}

impl MasterV1 {
    pub(crate) fn new(master: &MasterIdentity, masks: &mut Masks) -> Self {
        let MasterIdentity { mid, alias, key } = master;
        Self { mid: mid.clone(), alias: masks.text(alias), key_bytes: key_bytes(key) }
    }

    pub(crate) fn into_master(self) -> Result<MasterIdentity, String> {
        let Self { mid, alias, key_bytes } = self;
        Ok(MasterIdentity { mid, alias, key: star_key(key_bytes)? })
    }
}

/// As many bytes as the key has in JSON: the key instance is no larger or smaller with stars.
pub(crate) fn key_bytes(key: &ApiKey) -> u32 {
    u32::try_from(escaped_bytes(key.reveal())).unwrap_or(KEY_MAX_BYTES).min(KEY_MAX_BYTES)
}

/// A key of so many stars.
pub(crate) fn star_key(bytes: u32) -> Result<ApiKey, String> {
    if bytes > KEY_MAX_BYTES {
        return Err("a key is longer than any".into());
    }
    Ok(ApiKey::from_stored("*".repeat(bytes as usize)))
}

impl DefinitionV1 {
    pub(crate) fn new(definition: &Definition, masks: &mut Masks) -> Self {
        let Definition { id, alias, meta: Meta { peer, tags }, .. } = definition;
        Self {
            id: id.0,
            url: masks.url(definition.url().as_str()),
            alias: masks.text(alias),
            restart: definition.restarts(),
            peer: peer_of(peer, masks),
            tags: tags.iter().map(|(key, tag)| (key.clone(), masks.text(tag))).collect(),
        }
    }

    pub(crate) fn into_definition(self) -> Result<Definition, String> {
        let Self { id, url, alias, restart, peer, tags } = self;
        let meta = Meta { peer: into_peer(peer), tags: tags.into_iter().collect() };
        let mut definition = Definition::new(InstanceId(id), into_url(&url)?, alias);
        definition.meta = meta;
        definition.set_restarts(restart);
        Ok(definition)
    }
}

pub(crate) fn peer_of(peer: &Peer, masks: &mut Masks) -> [String; 3] {
    [&peer.sid, &peer.kind, &peer.alias].map(|text| masks.text(text))
}

pub(crate) fn into_peer([sid, kind, alias]: [String; 3]) -> Peer {
    Peer { sid, kind, alias }
}

/// A masked URL as one of the model.
pub(crate) fn into_url(url: &str) -> Result<InstanceUrl, String> {
    InstanceUrl::parse(url).map_err(|error| alloc::format!("{error}"))
}

/// Longer than any key.
const KEY_MAX_BYTES: u32 = 64 * 1024;
