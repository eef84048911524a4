//! Released formats: each version of what is stored or recorded, in files of its own that are never
//! edited after their release, and one step from each version to the next.
//!
//! `v1` and `v2` are the bytes. `read` reads any known version as the newest one. `definition` and
//! `parts` turn that into the model and back; what only state files or only traces have is turned
//! by `store` and `trace`.

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
