//! The offsets of time zones, for the schedules of the engine: from `TZ` and the files of the system.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use openctrl_core::engine::Input;
use openctrl_core::instance::Zone;
use openctrl_core::time::Wall;

use super::inbox::{Mailbox, Notice};

/// How many changes are passed on: more than thirty years of summer time.
const CHANGES_MAX: usize = 64;

/// How far back they begin, in seconds: the last change may decide what was already.
const PAST_S: i64 = 400 * 86_400;

/// Reads a time zone and reports it.
pub(crate) fn read_zone(name: String, mailbox: Mailbox) {
    tokio::task::spawn_blocking(move || {
        let zone = find(&name).map(|zone| offsets(&zone, Timestamp::now()));
        if zone.is_none() {
            tracing::warn!("Master.run: this machine has no time zone {name:?}");
        }
        mailbox.fact(Notice::Fact(Input::ZoneRead { name, zone }));
    });
}

/// Whether this machine has a time zone.
pub(crate) fn has_zone(name: &str) -> bool {
    find(name).is_some()
}

/// That of the system has no name, and is UTC if there is none.
fn find(name: &str) -> Option<TimeZone> {
    if name.is_empty() {
        return Some(TimeZone::try_system().unwrap_or(TimeZone::UTC));
    }
    TimeZone::get(name).ok()
}

fn offsets(zone: &TimeZone, now: Timestamp) -> Zone {
    let first = Timestamp::from_second(now.as_second() - PAST_S).unwrap_or(Timestamp::UNIX_EPOCH);
    let change = |change: jiff::tz::TimeZoneTransition<'_>| {
        let micros = u64::try_from(change.timestamp().as_microsecond()).ok()?;
        Some((Wall::from_micros(micros), change.offset().seconds()))
    };
    let changes = zone.following(first).take(CHANGES_MAX).filter_map(change);
    Zone { offset_s: zone.to_offset(first).seconds(), changes: changes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offsets_of_a_zone_are_those_of_its_rules() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone");
        let now = Timestamp::from_second(1_780_999_200).expect("a time");
        let zone = offsets(&berlin, now);
        assert_eq!(zone.changes.len(), CHANGES_MAX);
        for seconds in [1_767_225_600, 1_782_864_000, 2_500_000_000] {
            let at = Timestamp::from_second(seconds).expect("a time");
            let wall = Wall::from_micros(seconds.cast_unsigned() * 1_000_000);
            assert_eq!(zone.offset_at(wall), berlin.to_offset(at).seconds(), "{seconds}");
        }
    }

    #[test]
    fn a_zone_is_there_or_not() {
        assert!(has_zone("") && has_zone("UTC") && !has_zone("Mars/Base"));
        assert_eq!(offsets(&TimeZone::UTC, Timestamp::now()), Zone::UTC);
    }
}
