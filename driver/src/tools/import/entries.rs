//! What readers give: entries and a report.

use std::collections::BTreeMap;

use openctrl_core::instance::exec_policy;
use openctrl_core::url::InstanceUrl;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::manifest::{Entry, check_name};

/// The longest `stop_timeout`.
const WAIT_MAX_MS: u64 = 3_600_000;

/// The content of a file as entries, with notes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imported {
    /// The name of the whole, if it has one.
    pub(super) name: Option<String>,
    /// The instances by name.
    pub(super) instances: BTreeMap<String, Entry>,
    /// The report, one line each.
    pub(super) notes: Vec<String>,
}

impl Imported {
    /// Adds a line to the report.
    pub(super) fn note(&mut self, place: &str, text: impl AsRef<str>) {
        self.notes.push(format!("{place}: {}", text.as_ref()));
    }

    /// Adds an entry under a name that files may have.
    pub(super) fn add(&mut self, name: &str, entry: Entry) -> Result<(), String> {
        check_name(name)?;
        if self.instances.insert(name.to_owned(), entry).is_some() {
            return Err(format!("{name:?} is there twice; rename one of them"));
        }
        Ok(())
    }

    /// Sets the key `name` of a policy. A value that the key cannot have is reported, and not set.
    pub(super) fn set_policy(&mut self, policy: &mut Policy, place: &str, name: &str, value: &str) {
        // A value with a variable is checked when the file is applied.
        let refused = (!value.contains('$')).then(|| check(name, value).err()).flatten();
        match refused {
            Some(reason) => self.note(place, format!("{value:?} has no counterpart: {reason}")),
            None => drop(policy.insert(name.to_owned(), value.to_owned())),
        }
    }

    /// Sets the time before KILL, given as other managers write times.
    pub(super) fn set_stop_timeout(&mut self, policy: &mut Policy, place: &str, value: &str) {
        let ms = if value == "infinity" { Some(u64::MAX) } else { time_ms(value) };
        match ms {
            Some(ms) if ms > WAIT_MAX_MS => {
                self.note(place, format!("{value}: the longest stop_timeout is 1h"));
                policy.insert("stop_timeout".to_owned(), "1h".to_owned());
            }
            Some(ms) => drop(policy.insert("stop_timeout".to_owned(), time(ms))),
            None => self.set_policy(policy, place, "stop_timeout", value),
        }
    }
}

/// Policy of an entry, by the names of its keys.
pub(super) type Policy = BTreeMap<String, String>;

fn check(name: &str, value: &str) -> Result<(), String> {
    let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
    // A window is refused by itself.
    let needed = if name == "restart_window" { "max_restarts=1&" } else { "" };
    let url = InstanceUrl::parse(&format!("exec:x?{needed}{name}={value}"));
    let url = url.map_err(|error| error.to_string())?;
    exec_policy(&url).map(drop)
}

/// A time in the form of our files.
pub(super) fn time(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// A time as systemd and docker write it: `90`, `1min 30s`, `1m30s`.
pub(super) fn time_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum_ms: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit_ms = match unit {
            "ms" | "msec" => 1,
            "" | "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hour" | "hours" => 3_600_000,
            _ => return None,
        };
        sum_ms = sum_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        rest = after.trim_start();
    }
    Some(sum_ms)
}

/// A line of words as a shell splits it.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    shell_words::split(line).map_err(|_| "a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_others_write_them() {
        let all = ["90", "1min 30s", "1m30s", "500ms", "2 h", "0"].map(time_ms);
        let ms = [90_000, 90_000, 90_000, 500, 7_200_000, 0].map(Some);
        assert_eq!(all, ms);
        assert!(
            ["", "x", "1y", "-1", "1.5s", "99999999999999999999"]
                .iter()
                .all(|bad| time_ms(bad).is_none())
        );
        assert_eq!((time(1_600), time(90_000)), ("1600ms".to_owned(), "90s".to_owned()));
    }

    #[test]
    fn a_policy_without_a_counterpart_is_reported_and_not_set() {
        let (mut imported, mut policy) = (Imported::default(), Policy::new());
        imported.set_policy(&mut policy, "Signal", "stop_signal", "LOUD");
        imported.set_policy(&mut policy, "User", "user", "${WHO}");
        imported.set_stop_timeout(&mut policy, "Stop", "infinity");
        let is = |name: &str| policy.get(name).map(String::as_str);
        assert_eq!((is("stop_signal"), is("user")), (None, Some("${WHO}")));
        assert_eq!(is("stop_timeout"), Some("1h"));
        assert_eq!(imported.notes.len(), 2);
    }
}
