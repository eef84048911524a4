//! Released formats: each version of what is stored or recorded, in a file of its own.

pub(crate) mod definition;
pub(crate) mod mask;

pub(crate) use definition::{
    DefinitionV1, MasterV1, action_number, into_peer, into_url, key_bytes, nth_action, peer_of,
    star_key,
};
pub(crate) use mask::Masks;
