//! The result of an action on many instances.

use super::refusal::Refusal;
use crate::ids::InstanceId;
use crate::instance::Status;

/// What an action on many instances did with one of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acted {
    /// Which instance.
    pub id: InstanceId,
    /// Its status when the action was taken (a stop may still be under way), or why it was refused.
    pub result: Result<Status, Refusal>,
}
