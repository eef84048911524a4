//! Format version 2: tagged entries in snapshot and journal; definitions with launch, setup,
//! policy, liveness and revision.
//!
//! Frozen with the first release that writes it. What did not change is used from version 1.

pub(crate) mod control;
pub(crate) mod definition;
pub(crate) mod engine;
pub(crate) mod handed;
pub(crate) mod machine;
pub(crate) mod presence;
pub(crate) mod stored;
pub(crate) mod traced;
