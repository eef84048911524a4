//! What process groups use, where the system does not say it in `/proc`.

use std::collections::HashMap;

/// What a group uses, its members together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupUse {
    pub(super) cpu_centis: u64,
    pub(super) memory_bytes: u64,
    pub(super) processes: u64,
}

/// Nothing is known of any group.
pub(super) fn look(_is_wanted: impl Fn(i32) -> bool) -> HashMap<i32, GroupUse> {
    HashMap::new()
}
