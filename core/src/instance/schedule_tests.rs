//! Tests of schedules: the fields, the days, and what a clock that is set forward or back does.

use super::*;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn schedule(text: &str) -> Schedule {
    Schedule::parse(text, None).expect(text)
}

fn at(text: &str) -> Wall {
    Wall::parse(&format!("{text}:00.000000Z")).expect("a time")
}

/// The next times in a zone, in its local time.
fn times(text: &str, zone: &Zone, from: &str, count: usize) -> Vec<String> {
    let schedule = schedule(text);
    let mut after = at(from);
    let next = || {
        after = schedule.next(zone, after)?;
        Some(zone.show(after))
    };
    core::iter::from_fn(next).take(count).collect()
}

/// Central Europe in 2026: an hour ahead of UTC, two in summer.
fn berlin() -> Zone {
    let changes = vec![(at("2026-03-29T01:00"), 7_200), (at("2026-10-25T01:00"), 3_600)];
    Zone { offset_s: 3_600, changes }
}

#[test]
fn fields_are_numbers_names_ranges_steps_and_lists() {
    let next = |text| times(text, &Zone::UTC, "2026-06-09T10:00", 3);
    assert_eq!(
        next("*/20 10,11 * * *"),
        ["2026-06-09 10:20", "2026-06-09 10:40", "2026-06-09 11:00"]
    );
    assert_eq!(next("5/25 * * * *"), ["2026-06-09 10:05", "2026-06-09 10:30", "2026-06-09 10:55"]);
    assert_eq!(
        next("0 2 * * Mon-FRI"),
        ["2026-06-10 02:00", "2026-06-11 02:00", "2026-06-12 02:00"]
    );
    assert_eq!(
        next("0 0 1 jan,Jul *"),
        ["2026-07-01 00:00", "2027-01-01 00:00", "2027-07-01 00:00"]
    );
    assert_eq!(next("@weekly"), ["2026-06-14 00:00", "2026-06-21 00:00", "2026-06-28 00:00"]);
    assert_eq!(next("0 0 * * 7"), next("@weekly"));
    assert_eq!(next("0 0 29 2 *"), ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]);
    // If both days are restricted, either is enough.
    assert_eq!(next("0 0 13 * 5"), ["2026-06-12 00:00", "2026-06-13 00:00", "2026-06-19 00:00"]);
    assert_eq!(next("0 0 */2 * 5"), ["2026-06-19 00:00", "2026-07-03 00:00", "2026-07-17 00:00"]);
}

#[test]
fn the_last_leap_day_before_a_century_is_not_the_last() {
    assert_eq!(times("0 0 29 2 *", &Zone::UTC, "2096-03-01T00:00", 1), ["2104-02-29 00:00"]);
}

#[test]
fn what_the_clock_skips_takes_place_when_it_goes_on() {
    let next = |text, count| times(text, &berlin(), "2026-03-29T00:00", count);
    assert_eq!(next("30 2 * * *", 2), ["2026-03-29 03:00", "2026-03-30 02:30"]);
    assert_eq!(
        next("*/30 * * * *", 3),
        ["2026-03-29 01:30", "2026-03-29 03:00", "2026-03-29 03:30"]
    );
    assert_eq!(next("15 3 * * *", 1), ["2026-03-29 03:15"]);
}

#[test]
fn what_the_clock_repeats_takes_place_once_unless_every_hour_has_it() {
    let next = |text, count| times(text, &berlin(), "2026-10-24T23:59", count);
    assert_eq!(next("30 2 * * *", 2), ["2026-10-25 02:30", "2026-10-26 02:30"]);
    assert_eq!(
        next("0 2,3 * * *", 3),
        ["2026-10-25 02:00", "2026-10-25 03:00", "2026-10-26 02:00"]
    );
    let every = ["2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 02:00", "2026-10-25 02:30"];
    assert_eq!(next("*/30 2 * * *", 2), ["2026-10-25 02:00", "2026-10-25 02:30"]);
    assert_eq!(next("*/30 * * * *", 4), every);
}

#[test]
fn a_date_on_a_weekday_comes_after_years() {
    let found = times("0 0 */21 9 2", &Zone::UTC, "2026-09-23T00:00", 1);
    assert_eq!(found, ["2037-09-01 00:00"]);
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |text: &str| Schedule::parse(text, None).expect_err(text);
    insta::assert_snapshot!(wrong("0 0 30 2 *"), @r#"schedule "0 0 30 2 *" never comes: no such month has that day"#);
    insta::assert_snapshot!(wrong("0 0 31 4,6 *"), @r#"schedule "0 0 31 4,6 *" never comes: no such month has that day"#);
    insta::assert_snapshot!(wrong("61 * * * *"), @r#"schedule has "61" as the minute: it takes numbers from 0 to 59, *, a-b, */n and lists"#);
    insta::assert_snapshot!(wrong("0 0 * foo *"), @r#"schedule has "foo" as the month: it takes numbers from 1 to 12, names, *, a-b, */n and lists"#);
    insta::assert_snapshot!(wrong("* * * *"), @r#"schedule must have five fields: minute hour day month weekday, such as "30 2 * * 1-5", or be @hourly, @daily, @weekly, @monthly or @yearly"#);
    insta::assert_snapshot!(wrong("@reboot"), @"schedule has no @reboot: leave schedule out, or give boot=always");
    for bad in [
        "",
        "* * * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "1-2-3 * * * *",
        ", * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "0 0 * * mo",
        "@never",
    ] {
        assert!(wrong(bad).starts_with("schedule"), "{bad}");
    }
    let zone = |zone: &str| Schedule::parse("@daily", Some(zone));
    assert!(zone("Europe/Berlin").is_ok() && zone("../passwd").is_err() && zone("a b").is_err());
}

/// A field as text, with its numbers.
fn any_field(low: u32, high: u32) -> impl Strategy<Value = String> {
    let number = low..=high;
    prop_oneof![
        3 => Just("*".to_string()),
        2 => number.clone().prop_map(|one| one.to_string()),
        1 => (number.clone(), number.clone())
            .prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (1..=high).prop_map(|step| format!("*/{step}")),
        1 => (number.clone(), number).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

proptest! {
    #[test]
    fn the_next_time_is_the_first_that_fits(
        minute in any_field(0, 59),
        hour in any_field(0, 23),
        day in any_field(1, 28),
        month in any_field(1, 12),
        weekday in any_field(0, 7),
        start in 1_780_000_000_u64..1_800_000_000,
    ) {
        let schedule = schedule(&format!("{minute} {hour} {day} {month} {weekday}"));
        let after = Wall::from_micros(start * 1_000_000);
        let next = schedule.next(&Zone::UTC, after).expect("it comes");
        prop_assert!(next > after && next.as_micros().is_multiple_of(60_000_000));
        let fits = |minute: i64| {
            schedule.has_day(minute.div_euclid(DAY_MIN))
                && schedule.minute_of_day(minute.rem_euclid(DAY_MIN)) == Some(minute.rem_euclid(DAY_MIN))
        };
        let minute = seconds(next) / 60;
        prop_assert!(fits(minute));
        let earlier = minute_up(seconds(after) + 1)..minute;
        prop_assert!(earlier.take(3 * 1_440).all(|minute| !fits(minute)));
    }

    #[test]
    fn no_time_is_early_late_or_twice_where_the_clock_is_set(
        minute in any_field(0, 59),
        hour in any_field(0, 23),
        start in 1_774_700_000_u64..1_774_800_000,
        later in any::<bool>(),
    ) {
        let (schedule, zone) = (schedule(&format!("{minute} {hour} * * *")), berlin());
        let start = start + if later { 210 * 86_400 } else { 0 };
        let mut after = Wall::from_micros(start * 1_000_000);
        let mut shown = Vec::new();
        for _ in 0..8 {
            let next = schedule.next(&zone, after).expect("it comes");
            prop_assert!(next > after);
            // A day has at most 25 hours.
            prop_assert!(next.as_micros() - after.as_micros() <= 26 * 3_600_000_000);
            shown.push(zone.show(next));
            after = next;
        }
        let is_twice = shown.windows(2).any(|pair| pair[0] >= pair[1]);
        prop_assert!(!is_twice || schedule.is_every_hour(), "{:?}", shown);
    }

    #[test]
    fn every_time_is_later_than_the_last_in_any_zone(
        offsets in prop::collection::vec((0_u64..400_000_000_000, -50_000_i32..50_000), 0..6),
        micros in 0_u64..400_000_000_000,
        minute in any_field(0, 59),
    ) {
        let mut changes: Vec<(Wall, i32)> =
            offsets.into_iter().map(|(at, offset)| (Wall::from_micros(at), offset)).collect();
        changes.sort_unstable();
        let zone = Zone { offset_s: 0, changes };
        let schedule = schedule(&format!("{minute} * * * *"));
        let mut after = Wall::from_micros(micros);
        for _ in 0..20 {
            let next = schedule.next(&zone, after).expect("it comes");
            prop_assert!(next > after);
            after = next;
        }
    }

    #[test]
    fn no_text_stops_the_parser(text in "[-*/,0-9a-z@ ]{0,40}") {
        let _ = Schedule::parse(&text, Some(&text));
    }
}
