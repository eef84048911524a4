//! Parts that several types have: counters, peers, actions, and the master without its key.

use alloc::string::String;
use alloc::vec::Vec;

use super::FormatError;
use super::mask::Masks;
use super::v1::engine::MasterV1;
use crate::command::InstanceAction;
use crate::counters::{Counter, Counters};
use crate::escape::escaped_bytes;
use crate::expect::Expect;
use crate::ids::Revision;
use crate::instance::Peer;
use crate::master::{ApiKey, MasterIdentity};
use crate::url::InstanceUrl;

const ACTIONS: [InstanceAction; 4] =
    [InstanceAction::Start, InstanceAction::Stop, InstanceAction::Restart, InstanceAction::Reset];

/// Longer than any key.
const KEY_MAX_BYTES: u32 = 64 * 1024;

/// The number of an action in the format.
pub(crate) const fn action_number(action: InstanceAction) -> u8 {
    match action {
        InstanceAction::Start => 0,
        InstanceAction::Stop => 1,
        InstanceAction::Restart => 2,
        InstanceAction::Reset => 3,
    }
}

/// The action of a number.
pub(crate) fn nth_action(number: u8) -> Result<InstanceAction, FormatError> {
    ACTIONS.get(usize::from(number)).copied().ok_or(FormatError::Unknown("an action"))
}

impl MasterV1 {
    pub(crate) fn new(master: &MasterIdentity, masks: &mut Masks) -> Self {
        let MasterIdentity { mid, alias, key } = master;
        Self { mid: mid.clone(), alias: masks.text(alias), key_bytes: key_bytes(key) }
    }

    pub(crate) fn into_master(self) -> Result<MasterIdentity, FormatError> {
        let Self { mid, alias, key_bytes } = self;
        Ok(MasterIdentity { mid, alias, key: star_key(key_bytes)? })
    }
}

/// As many bytes as the key has in JSON: the key instance is no larger or smaller with stars.
pub(crate) fn key_bytes(key: &ApiKey) -> u32 {
    u32::try_from(escaped_bytes(key.reveal())).unwrap_or(KEY_MAX_BYTES).min(KEY_MAX_BYTES)
}

/// A key of this many stars.
pub(crate) fn star_key(bytes: u32) -> Result<ApiKey, FormatError> {
    if bytes > KEY_MAX_BYTES {
        return Err(FormatError::TooLarge("a key"));
    }
    Ok(ApiKey::from_stored("*".repeat(bytes as usize)))
}

pub(crate) fn peer_of(peer: &Peer, masks: &mut Masks) -> [String; 3] {
    [&peer.sid, &peer.kind, &peer.alias].map(|text| masks.text(text))
}

pub(crate) fn into_peer([sid, kind, alias]: [String; 3]) -> Peer {
    Peer { sid, kind, alias }
}

/// A masked URL as one of the model.
pub(crate) fn into_url(url: &str) -> Result<InstanceUrl, FormatError> {
    Ok(InstanceUrl::parse(url)?)
}

/// Of each counter its base, reset point and last raw value.
pub(crate) fn counter_words(counters: &Counters) -> [[u64; 3]; 4] {
    let Counters { tcprx, tcptx, udprx, udptx } = *counters;
    [tcprx, tcptx, udprx, udptx].map(|one| [one.base, one.reset_point, one.last_raw])
}

/// # Errors
/// A reset point above the last raw value.
pub(crate) fn counters_of(words: [[u64; 3]; 4]) -> Result<Counters, FormatError> {
    let counter = |[base, reset_point, last_raw]: [u64; 3]| {
        if reset_point > last_raw {
            return Err(FormatError::Contradiction("a counter was reset beyond its value"));
        }
        Ok(Counter { base, reset_point, last_raw })
    };
    let [tcprx, tcptx, udprx, udptx] = words;
    Ok(Counters {
        tcprx: counter(tcprx)?,
        tcptx: counter(tcptx)?,
        udprx: counter(udprx)?,
        udptx: counter(udptx)?,
    })
}

/// The revisions that a request accepts; any if there are none.
pub(crate) fn expected_by(expect: &Expect) -> Option<Vec<u64>> {
    match expect {
        Expect::Any => None,
        Expect::OneOf(revisions) => Some(revisions.iter().map(|revision| revision.0).collect()),
    }
}

pub(crate) fn expect_of(expected: Option<Vec<u64>>) -> Expect {
    expected
        .map_or(Expect::Any, |expected| Expect::OneOf(expected.into_iter().map(Revision).collect()))
}
