//! Slows down addresses that present wrong keys, and says when to log them.
//!
//! Owns how long an answer is delayed. A request with the right key is never delayed, so that
//! guesses from an address cannot lock out its other users.

use alloc::collections::BTreeMap;
use core::net::{IpAddr, Ipv6Addr};

use crate::time::Time;

/// Wrong keys that an address may present at once before its answers are delayed.
pub const FREE_GUESSES: u32 = 20;

/// The delay of an answer for each wrong key beyond that, in milliseconds.
const DELAY_STEP_MS: u64 = 500;

/// The longest delay of an answer, in milliseconds.
const DELAY_MAX_MS: u64 = 5_000;

/// After this time a wrong key is forgiven, in milliseconds.
const FORGIVE_MS: u64 = 1_000;

/// How many addresses are remembered. A further one takes the place of the one that was quiet
/// for the longest time.
const ADDRESSES_MAX: usize = 1_024;

/// The least time between two lines of the log, in milliseconds: the log has to keep the line with
/// the key in its newest 200 lines for long (Contract §2).
const REPORT_EVERY_MS: u64 = 60_000;

/// The addresses that presented wrong keys.
#[derive(Debug, Default)]
pub struct Guard {
    addresses: BTreeMap<IpAddr, Guesses>,
    /// When the log was last written to.
    reported: Option<Time>,
    /// Wrong keys since then.
    unreported: u64,
}

#[derive(Debug)]
struct Guesses {
    /// Wrong keys that are not forgiven yet.
    count: u32,
    /// The last one.
    last: Time,
}

/// What to do about a wrong key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How long to delay the answer.
    pub delay_ms: u64,
    /// How many wrong keys to log, this one included; `None` logs nothing.
    pub report: Option<u64>,
}

impl Guard {
    /// Records a wrong key from an address.
    pub fn wrong_key(&mut self, from: IpAddr, now: Time) -> Verdict {
        let address = network(from);
        if !self.addresses.contains_key(&address) && self.addresses.len() >= ADDRESSES_MAX {
            self.forget_quietest();
        }
        let guesses = self.addresses.entry(address).or_insert(Guesses { count: 0, last: now });
        let quiet_ms = now.as_micros().saturating_sub(guesses.last.as_micros()) / 1_000;
        let forgiven = u32::try_from(quiet_ms / FORGIVE_MS).unwrap_or(u32::MAX);
        guesses.count = guesses.count.saturating_sub(forgiven).saturating_add(1);
        guesses.last = now;
        let beyond = u64::from(guesses.count.saturating_sub(FREE_GUESSES));
        let delay_ms = beyond.saturating_mul(DELAY_STEP_MS).min(DELAY_MAX_MS);
        Verdict { delay_ms, report: self.report(now) }
    }

    fn report(&mut self, now: Time) -> Option<u64> {
        self.unreported += 1;
        if self.reported.is_some_and(|reported| now < reported.after_ms(REPORT_EVERY_MS)) {
            return None;
        }
        self.reported = Some(now);
        Some(core::mem::take(&mut self.unreported))
    }

    fn forget_quietest(&mut self) {
        let quietest = self.addresses.iter().min_by_key(|(_, guesses)| guesses.last);
        if let Some(address) = quietest.map(|(address, _)| *address) {
            self.addresses.remove(&address);
        }
    }
}

/// What counts as one address: of IPv6 the network, for one host has all of it.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    fn at(ms: u64) -> Time {
        Time::ZERO.after_ms(ms)
    }

    fn host(number: u32) -> IpAddr {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    }

    #[test]
    fn guesses_are_slowed_and_forgiven() {
        let mut guard = Guard::default();
        let mut delay = |from, ms| guard.wrong_key(from, at(ms)).delay_ms;
        for _ in 0..FREE_GUESSES {
            assert_eq!(delay(host(1), 0), 0);
        }
        assert_eq!([delay(host(1), 0), delay(host(1), 0)], [500, 1_000]);
        assert_eq!(delay(host(2), 0), 0, "another address");
        assert_eq!(delay(host(1), 2_000), 500, "two are forgiven");
        assert_eq!((0..100).map(|_| delay(host(1), 2_000)).max(), Some(5_000));
        assert_eq!(delay(host(1), 1_000_000), 0);
    }

    #[test]
    fn one_network_is_one_address() {
        let mut guard = Guard::default();
        for host in 0..u16::try_from(FREE_GUESSES).expect("a small number") {
            guard.wrong_key(Ipv6Addr::new(0xfe80, 1, 2, 3, 0, 0, 0, host).into(), at(0));
        }
        let other = Ipv6Addr::new(0xfe80, 1, 2, 3, 9, 9, 9, 9).into();
        assert_eq!(guard.wrong_key(other, at(0)).delay_ms, 500);
        let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped().into();
        assert_eq!(network(mapped), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn the_log_has_a_line_a_minute() {
        let mut guard = Guard::default();
        let mut report = |ms| guard.wrong_key(host(1), at(ms)).report;
        assert_eq!(
            [0, 1, 59_999, 60_000, 60_001].map(&mut report),
            [Some(1), None, None, Some(3), None]
        );
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_busiest() {
        let mut guard = Guard::default();
        for number in 0..5_000 {
            guard.wrong_key(host(number), at(u64::from(number)));
            guard.wrong_key(host(1_000_000), at(u64::from(number)));
        }
        assert_eq!(guard.addresses.len(), ADDRESSES_MAX);
        assert_eq!(guard.wrong_key(host(1_000_000), at(5_000)).delay_ms, 5_000);
    }
}
