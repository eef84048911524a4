//! Time zones as plain data, and back.

use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::zones::{KnownZone, Zones};
use crate::formats::v2::engine::ZoneV2;
use crate::instance::Zone;
use crate::time::Wall;

impl Zones {
    pub(super) fn freeze(&self) -> Vec<(String, ZoneV2)> {
        let zone = |zone: &Option<KnownZone>| match zone {
            None => ZoneV2::Asked,
            Some(KnownZone::Missing) => ZoneV2::Missing,
            Some(KnownZone::Offsets(zone)) => ZoneV2::from(zone),
        };
        self.0.iter().map(|(name, known)| (name.clone(), zone(known))).collect()
    }

    /// Those that are asked for.
    pub(super) fn under_way(&self) -> Vec<String> {
        let asked = self.0.iter().filter(|(_, known)| known.is_none());
        asked.map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn thaw(frozen: Vec<(String, ZoneV2)>) -> Self {
        let zone = |zone: ZoneV2| match zone {
            ZoneV2::Asked => None,
            known @ (ZoneV2::Missing | ZoneV2::Offsets(..)) => {
                Some(known.into_zone().map_or(KnownZone::Missing, KnownZone::Offsets))
            }
        };
        Self(frozen.into_iter().map(|(name, known)| (name, zone(known))).collect())
    }
}

impl From<&Zone> for ZoneV2 {
    fn from(zone: &Zone) -> Self {
        let changes = zone.changes.iter().map(|(at, offset_s)| (at.as_micros(), *offset_s));
        Self::Offsets(zone.offset_s, changes.collect())
    }
}

impl ZoneV2 {
    /// The offsets, if there are any.
    pub(crate) fn into_zone(self) -> Option<Zone> {
        let Self::Offsets(offset_s, changes) = self else { return None };
        let changes = changes.into_iter().map(|(at, offset_s)| (Wall::from_micros(at), offset_s));
        Some(Zone { offset_s, changes: changes.collect() })
    }
}
