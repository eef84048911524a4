//! The URL of a demo, read strictly; the parameters are in the table of the module.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::runtime::failure::UrlError;
use crate::runtime::params::Params;

/// Longer than any demonstration, and far from overflowing a clock.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const DURATION: &str = "a duration such as 250ms, 2s or 1m, at most a year";

const PARAMETERS: [&str; 9] = [
    "every",
    "log",
    "checkpoints",
    "start_delay",
    "error_after",
    "silent_after",
    "exit_after",
    "exit",
    "ignore_term",
];

/// The timeline of a demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct Spec {
    pub(super) name: String,
    pub(super) every: Duration,
    pub(super) log: Option<String>,
    pub(super) checkpoints: bool,
    pub(super) start_delay: Duration,
    pub(super) error_after: Option<Duration>,
    pub(super) silent_after: Option<Duration>,
    pub(super) exit_after: Option<Duration>,
    pub(super) exit: u8,
    pub(super) ignore_term: bool,
}

impl Spec {
    /// Reads a parsed `demo:` URL.
    pub(in crate::runtime) fn parse(url: &Url) -> Result<Self, UrlError> {
        let params = Params::parse(url, &PARAMETERS, &[])?;
        let exit_after = duration(&params, "exit_after")?;
        Ok(Self {
            name: name(url)?,
            every: every(&params)?,
            log: params.one("log").map(str::to_owned),
            checkpoints: switch(&params, "checkpoints", ["off", "on"], true)?,
            start_delay: duration(&params, "start_delay")?.unwrap_or_default(),
            error_after: duration(&params, "error_after")?,
            silent_after: duration(&params, "silent_after")?,
            exit_after,
            exit: exit(&params, exit_after.is_some())?,
            ignore_term: switch(&params, "ignore_term", ["0", "1"], false)?,
        })
    }
}

fn name(url: &Url) -> Result<String, UrlError> {
    let name = percent_decode_str(url.host_str().unwrap_or_default()).decode_utf8();
    match name {
        Ok(name) if !name.is_empty() && url.path().is_empty() => Ok(name.into_owned()),
        Ok(_) | Err(_) => Err(UrlError::Target("no name, or more than one: write demo://name")),
    }
}

fn every(params: &Params) -> Result<Duration, UrlError> {
    match duration(params, "every")? {
        Some(Duration::ZERO) => {
            Err(UrlError::BadValue { name: "every", want: "more than nothing" })
        }
        Some(every) => Ok(every),
        None => Ok(Duration::from_secs(1)),
    }
}

fn exit(params: &Params, ends: bool) -> Result<u8, UrlError> {
    match params.one("exit") {
        None => Ok(0),
        Some(_) if !ends => {
            Err(UrlError::BadValue { name: "exit", want: "given together with exit_after" })
        }
        Some(code) => digits(code)
            .and_then(|code| u8::try_from(code).ok())
            .ok_or(UrlError::BadValue { name: "exit", want: "a number from 0 to 255" }),
    }
}

fn switch(
    params: &Params,
    name: &'static str,
    [off, on]: [&'static str; 2],
    default: bool,
) -> Result<bool, UrlError> {
    match params.one(name) {
        None => Ok(default),
        Some(value) if value == on => Ok(true),
        Some(value) if value == off => Ok(false),
        Some(_) if on == "on" => Err(UrlError::BadValue { name, want: "on or off" }),
        Some(_) => Err(UrlError::BadValue { name, want: "0 or 1" }),
    }
}

fn duration(params: &Params, name: &'static str) -> Result<Option<Duration>, UrlError> {
    let Some(text) = params.one(name) else { return Ok(None) };
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit_ms = match unit {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    unit_ms
        .and_then(|unit_ms| digits(number)?.checked_mul(unit_ms))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .map(Some)
        .ok_or(UrlError::BadValue { name, want: DURATION })
}

/// Digits only: the standard parser would also take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<Spec, UrlError> {
        Spec::parse(&crate::runtime::parse(text)?)
    }

    #[test]
    fn defaults_and_every_parameter_are_read() {
        let plain = spec("demo://Web%201").expect("valid");
        assert_eq!((plain.name.as_str(), plain.every), ("Web 1", Duration::from_secs(1)));
        assert!(plain.checkpoints && !plain.ignore_term && plain.exit_after.is_none());

        let full = spec(
            "demo://a?every=250ms&log=hi+there&checkpoints=off&start_delay=1s&error_after=2s\
             &silent_after=1m&exit_after=0s&exit=255&ignore_term=1",
        );
        let want = Spec {
            name: "a".to_owned(),
            every: Duration::from_millis(250),
            log: Some("hi there".to_owned()),
            checkpoints: false,
            start_delay: Duration::from_secs(1),
            error_after: Some(Duration::from_secs(2)),
            silent_after: Some(Duration::from_secs(60)),
            exit_after: Some(Duration::ZERO),
            exit: 255,
            ignore_term: true,
        };
        assert_eq!(full, Ok(want));
    }

    #[test]
    fn bad_values_are_refused() {
        for bad in [
            "every=0s",
            "every=1",
            "every=s",
            "every=",
            "every=-1s",
            "every=%2B1s",
            "every=1.5s",
            "every=1h",
            "every=600000m",
            "every=99999999999999999999s",
            "error_after=18446744073709551615m",
            "checkpoints=no",
            "ignore_term=yes",
            "exit=1",
            "exit_after=1s&exit=256",
            "exit_after=1s&exit=",
            "exit_after=1s&exit=-1",
        ] {
            let got = spec(&format!("demo://a?{bad}"));
            assert!(matches!(got, Err(UrlError::BadValue { .. })), "{bad}: {got:?}");
        }
    }

    #[test]
    fn names_duplicates_and_unknown_parameters_are_checked() {
        for bad in ["demo:", "demo:a", "demo://", "demo:///a", "demo://a/", "demo://a/b"] {
            assert!(matches!(spec(bad), Err(UrlError::Target(_))), "{bad}");
        }
        assert_eq!(spec("demo://a?log=x&log=y"), Err(UrlError::Repeated("log".to_owned())));
        assert!(matches!(spec("demo://a?speed=9"), Err(UrlError::UnknownParameter { .. })));
    }
}
