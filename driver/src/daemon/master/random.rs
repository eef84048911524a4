//! Randomness of the system.

use std::io;

use crate::daemon::start_error::StartError;

/// As many random bytes as asked for.
///
/// # Errors
/// When the system has none.
pub(super) fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut bytes = [0; N];
    let failed =
        |error| StartError::System("get randomness from the system", io::Error::other(error));
    getrandom::fill(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
