//! Released formats: each version of stored or recorded data, in files that are never edited after
//! their release, and one step from each version to the next.
//!
//! `v1` and `v2` are the encodings. `read` reads any known version as the newest one. `definition`
//! and `parts` convert that to the model and back; `store` and `trace` convert what only they
//! contain.

#[cfg(test)]
pub(crate) mod arbitrary;
mod definition;
mod error;
mod mask;
mod parts;
mod read;
#[cfg(test)]
mod tests;
mod upgrade;
pub(crate) mod v1;
pub(crate) mod v2;

pub use error::FormatError;
pub(crate) use mask::Masks;
pub(crate) use parts::{
    action_number, counter_words, counters_of, expect_of, expected_by, into_peer, into_url,
    key_bytes, nth_action, peer_of, star_key,
};
pub(crate) use read::Version;
