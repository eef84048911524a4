//! The local time zone of this machine: `TZ`, else the system's.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use openctrl_core::doors::patrol::layout::Zone;
use openctrl_core::time::Wall;

/// The local time zone, read once.
#[derive(Clone, Debug)]
pub(crate) struct LocalTime(TimeZone);

impl LocalTime {
    /// Reads the zone; UTC if there is none.
    pub(crate) fn read() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// The offset and the abbreviation at a moment.
    pub(crate) fn zone(&self, at: Wall) -> Zone {
        let micros = i64::try_from(at.as_micros()).unwrap_or(i64::MAX);
        let timestamp = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        let info = self.0.to_offset_info(timestamp);
        Zone { offset_s: info.offset().seconds(), name: info.abbreviation().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_depends_on_the_season() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let zone = |micros| LocalTime(berlin.clone()).zone(Wall::from_micros(micros));
        let winter = zone(1_767_225_600_000_000);
        assert_eq!((winter.offset_s, winter.name.as_str()), (3_600, "CET"));
        let summer = zone(1_782_864_000_000_000);
        assert_eq!((summer.offset_s, summer.name.as_str()), (7_200, "CEST"));
        assert_eq!(zone(u64::MAX).offset_s, 3_600, "the last moment is one, too");
    }
}
