//! INV-10: the same seed gives the same effects, byte for byte.
//!
//! Compares digests of the effects. The two runs here are of one build; `sweep --digest` compares
//! builds.

use openctrl_core::trace::Digest;

use super::{Verdict, ensure};

/// Judges the digests of two runs of the same seed.
///
/// # Errors
/// They differ.
pub fn compare(first: Digest, second: Digest) -> Verdict {
    ensure(first == second, || {
        format!("the same choices gave {:016x}, then {:016x}", first.0, second.0)
    })
}
