//! CPU and memory of process groups on systems without `/proc`.

use std::collections::HashMap;

/// The usage of a group, summed over its members.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupUse {
    pub(super) cpu_centis: u64,
    pub(super) memory_bytes: u64,
    pub(super) processes: u64,
}

/// Nothing is known of any group.
pub(super) fn look(_of: impl Fn(i32, i32) -> Option<i32>) -> HashMap<i32, GroupUse> {
    HashMap::new()
}
