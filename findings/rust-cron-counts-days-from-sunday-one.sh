#!/usr/bin/env bash
# cron 0.15.0 and croner 2.1.0 (crates.io): the number of a weekday, and a day of the month beside it.
#
# Guessed: both read a crontab's numbers: Sunday is 0 or 7, and when a day of the month and a weekday are both
# given, either of them is enough.
# Seen: `cron` wants a field for seconds, counts weekdays from 1 for Sunday, so 7 is Saturday and 0 is
# refused, and asks for both days at once: `13 * 5` is Thursday the 13th. `croner` does as crontab(5) says.
# Matters to: whoever offers schedules. The same five numbers start a job on another day, silently.
# Needs: cargo.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/src"
cat >"$work/Cargo.toml" <<'TOML'
[package]
name = "schedules"
version = "0.0.0"
edition = "2021"
[dependencies]
cron = "=0.15.0"
croner = "=2.1.0"
chrono = "=0.4.41"
[workspace]
TOML
cat >"$work/src/main.rs" <<'RUST'
use chrono::TimeZone;
use std::str::FromStr;

fn main() {
    let start = chrono::Utc.with_ymd_and_hms(2026, 11, 1, 12, 0, 0).unwrap();
    for text in ["* * 7", "* * 0", "* * 1", "13 * 5"] {
        let by_cron = cron::Schedule::from_str(&format!("0 0 0 {text}"))
            .map(|schedule| schedule.after(&start).next().unwrap().format("%a %d %b").to_string())
            .unwrap_or_else(|_| "refused".to_string());
        let by_croner = croner::Cron::new(&format!("0 0 {text}")).parse().unwrap();
        let by_croner = by_croner.iter_after(start).next().unwrap().format("%a %d %b").to_string();
        println!("{text}: cron {by_cron}, croner {by_croner}");
    }
}
RUST
(cd "$work" && cargo fetch -q) || exit 2
seen=$(cd "$work" && cargo run -q)
echo "$seen"
expected='* * 7: cron Sat 07 Nov, croner Sun 08 Nov
* * 0: cron refused, croner Sun 08 Nov
* * 1: cron Sun 08 Nov, croner Mon 02 Nov
13 * 5: cron Thu 13 May, croner Fri 06 Nov'
[ "$seen" = "$expected" ] || { echo "changed: expected"; echo "$expected"; exit 1; }
