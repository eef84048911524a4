//! The parameters of `exec:` URLs that set policy and setup, such as `restart=always`.
//!
//! Only those: which command runs, with which arguments, variables and directory, is in the same
//! URL and is the runtime's affair.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::edit::{
    LEASE_MS, LIMIT, PolicyEdit, PolicyField, RESTART_WINDOW_MS, TIME_MS, WAIT_MS, is_account,
    parse_umask,
};
use super::policy::{Boot, RESTARTS_MAX, Restart, RestartLimit, StopPolicy};
use crate::process::Signal;
use crate::url::InstanceUrl;

/// The names of these parameters.
pub const EXEC_PARAMETERS: [&str; 12] = [
    "restart",
    "max_restarts",
    "restart_window",
    "boot",
    "stop_signal",
    "stop_timeout",
    "user",
    "group",
    "umask",
    "open_files",
    "memory",
    "lease",
];

/// The edit that the parameters of a URL request; empty for a URL of another scheme.
///
/// # Errors
/// A sentence that names the parameter and its valid values.
pub fn exec_policy(url: &InstanceUrl) -> Result<PolicyEdit, String> {
    let mut edit = PolicyEdit::default();
    if !url.scheme().eq_ignore_ascii_case("exec") {
        return Ok(edit);
    }
    let query = url.as_str().split_once('?').map_or("", |(_, query)| query);
    let mut seen = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let Some(known) = EXEC_PARAMETERS.iter().find(|known| **known == name) else { continue };
        if seen.contains(known) {
            return Err(format!("{known} is given twice: give it once"));
        }
        seen.push(*known);
        let field = take(&mut edit, known, &value)?;
        edit.fields.insert(field);
    }
    if seen.contains(&"restart_window") && !seen.contains(&"max_restarts") {
        return Err("restart_window has no effect without max_restarts: give both".to_string());
    }
    Ok(edit)
}

fn take(edit: &mut PolicyEdit, name: &str, value: &str) -> Result<PolicyField, String> {
    let (policy, setup) = (&mut edit.policy, &mut edit.setup);
    let no_limit = RestartLimit { max: 1, window_ms: RESTART_WINDOW_MS };
    let must = |want: &str| format!("{name} must be {want}");
    Ok(match name {
        "restart" => {
            policy.restart =
                Restart::parse(value).ok_or_else(|| must("never, on-failure or always"))?;
            PolicyField::Restart
        }
        "max_restarts" => {
            let max = value.parse().ok().filter(|max| (1..=RESTARTS_MAX).contains(max));
            let max = max.ok_or_else(|| must("a whole number from 1 to 1000"))?;
            policy.limit.get_or_insert(no_limit).max = max;
            PolicyField::MaxRestarts
        }
        "restart_window" => {
            let window_ms = duration_ms(value, TIME_MS);
            let window_ms =
                window_ms.ok_or_else(|| must("a time such as 60s or 10m, at most 7 days"))?;
            policy.limit.get_or_insert(no_limit).window_ms = window_ms;
            PolicyField::RestartWindow
        }
        "boot" => {
            policy.boot = Boot::parse(value).ok_or_else(|| must("restart, saved or always"))?;
            PolicyField::Boot
        }
        "stop_signal" => {
            let signal = Signal::parse(value)
                .ok_or_else(|| must("a signal of Linux such as TERM, SIGINT or 15"))?;
            policy.stop = StopPolicy::signal_then_kill(signal, policy.stop.steps()[0].wait_ms);
            PolicyField::StopSignal
        }
        "stop_timeout" => {
            let wait_ms = duration_ms(value, WAIT_MS)
                .ok_or_else(|| must("a time such as 10s or 500ms, at most 1h"))?;
            policy.stop = StopPolicy::signal_then_kill(policy.stop.steps()[0].signal, wait_ms);
            PolicyField::StopGrace
        }
        "user" | "group" => {
            let account = is_account(value).then(|| value.to_string());
            let account = Some(account.ok_or_else(|| must("a name or a number"))?);
            let (at, field) = match name {
                "user" => (&mut setup.user, PolicyField::User),
                _ => (&mut setup.group, PolicyField::Group),
            };
            *at = account;
            field
        }
        "umask" => {
            let mask = parse_umask(value);
            setup.umask = Some(mask.ok_or_else(|| must("octal digits such as 022, at most 777"))?);
            PolicyField::Umask
        }
        "open_files" => {
            let limit = value.parse().ok().filter(|limit| LIMIT.contains(limit));
            setup.open_files = Some(limit.ok_or_else(|| must("a whole number from 1"))?);
            PolicyField::OpenFiles
        }
        "lease" => {
            let lease_ms = duration_ms(value, LEASE_MS);
            policy.lease_ms =
                Some(lease_ms.ok_or_else(|| must("a time such as 30s or 5m, from 10s to 24h"))?);
            PolicyField::Lease
        }
        _ => {
            let bytes = bytes(value).filter(|bytes| LIMIT.contains(bytes));
            setup.memory_bytes = Some(bytes.ok_or_else(|| must("a size such as 512M or 2G"))?);
            PolicyField::Memory
        }
    })
}

/// A number with its unit; a number alone is in seconds.
pub(super) fn duration_ms(text: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
    let (number, unit) = split(text);
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
    bounds.contains(&ms).then_some(ms)
}

/// A number of bytes, also as KiB, MiB or GiB.
fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(query: &str) -> Result<PolicyEdit, String> {
        let url = InstanceUrl::parse(&format!("exec:sh?arg=-c&{query}")).expect("a URL");
        exec_policy(&url)
    }

    #[test]
    fn parameters_set_policy_and_setup() {
        let all = "restart=always&max_restarts=3&restart_window=2m&boot=saved&stop_signal=INT\
            &stop_timeout=500ms&user=www-data&group=33&umask=027&open_files=64&memory=1G&lease=30s";
        let edit = edit(all).expect("good parameters");
        assert_eq!(edit.fields.len(), EXEC_PARAMETERS.len());
        let (policy, setup) = (edit.policy, edit.setup);
        assert_eq!((policy.restart, policy.boot), (Restart::Always, Boot::Saved));
        assert_eq!(policy.limit, Some(RestartLimit { max: 3, window_ms: 120_000 }));
        assert_eq!(policy.stop, StopPolicy::signal_then_kill(Signal::INT, 500));
        assert_eq!((setup.user.as_deref(), setup.group.as_deref()), (Some("www-data"), Some("33")));
        assert_eq!((setup.umask, setup.open_files), (Some(0o27), Some(64)));
        assert_eq!((setup.memory_bytes, policy.lease_ms), (Some(1 << 30), Some(30_000)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        insta::assert_snapshot!(edit("restart=yes").expect_err("bad"), @"restart must be never, on-failure or always");
        insta::assert_snapshot!(edit("stop_timeout=2h").expect_err("bad"), @"stop_timeout must be a time such as 10s or 500ms, at most 1h");
        insta::assert_snapshot!(edit("restart_window=9").expect_err("bad"), @"restart_window has no effect without max_restarts: give both");
        insta::assert_snapshot!(edit("boot=saved&boot=saved").expect_err("bad"), @"boot is given twice: give it once");
        insta::assert_snapshot!(edit("lease=9s").expect_err("bad"), @"lease must be a time such as 30s or 5m, from 10s to 24h");
        for bad in [
            "max_restarts=0",
            "boot=",
            "stop_signal=NO",
            "user=",
            "umask=8",
            "open_files=0",
            "memory=1T",
        ] {
            let reason = edit(bad).expect_err(bad);
            assert!(reason.starts_with(bad.split('=').next().expect("a name")), "{reason}");
        }
    }

    #[test]
    fn other_parameters_and_schemes_are_left_alone() {
        assert!(edit("env=A%3D1&cwd=/&restarts=x").expect("not ours").is_empty());
        let other = InstanceUrl::parse("demo://a?restart=nonsense").expect("a URL");
        assert!(exec_policy(&other).expect("not ours").is_empty());
    }
}
