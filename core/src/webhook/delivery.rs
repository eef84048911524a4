//! One report of an instance on its way to webhooks.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use crate::ids::InstanceId;
use crate::instance::Status;
use crate::occasion::Occasion;
use crate::time::Wall;

/// A report, shown as 16 hex digits. The same for every webhook and every try, so that receivers
/// can discard a report that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub u64);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A report: what happened, and how the instance was then. No URL is part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// What happened.
    pub occasion: Occasion,
    /// When.
    pub time: Wall,
    /// The instance.
    pub instance: InstanceId,
    /// Its alias, which may be empty.
    pub alias: String,
    /// Its type: the scheme of its URL.
    pub kind: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its status.
    pub status: Status,
    /// Why it is in this status, for people; may be empty.
    pub reason: String,
    /// How often it was restarted without a request.
    pub restarts: u64,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The receiver answered with this status.
    Answered(u16),
    /// There was no answer, for this reason.
    Failed(String),
}
