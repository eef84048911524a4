//! The configuration that was read last, and whether it is applied. `configure` applies it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::instance::{Definition, Desired};

/// The configuration that was read last.
#[derive(Clone, Debug)]
pub(super) struct Reload {
    pub(super) set: Arc<Vec<(Definition, Desired)>>,
    /// Whether it is still to be applied, or to be applied again.
    pub(super) is_due: bool,
}
