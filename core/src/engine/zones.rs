//! The time zones that schedules are in, as far as the driver has said what they are.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::instance::Zone;

/// The time zones of schedules, by name; `None` while one is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Zones(pub(super) BTreeMap<String, Option<KnownZone>>);

/// What the driver said of a time zone.
#[derive(Clone, Debug)]
pub(super) enum KnownZone {
    /// Its offsets.
    Offsets(Zone),
    /// This machine has no such zone.
    Missing,
}
