//! What `openctrl replay` is asked for.

use std::path::PathBuf;

use openctrl_core::ids::InstanceId;
use openctrl_core::time::Now;

/// The words after `replay`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// A segment, or a directory of them.
    pub(crate) path: PathBuf,
    /// Where to stop.
    pub(crate) until: Option<Until>,
    /// The instance that is shown; all are if there is none.
    pub(crate) instance: Option<InstanceId>,
    /// JSON, one object a line.
    pub(crate) json: bool,
}

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// So many microseconds after the start of the master.
    Uptime(u64),
    /// The beginning of an RFC 3339 time, in UTC: up to the end of what it names.
    Wall(String),
}

impl Options {
    /// Reads `FILE [--until T] [--instance ID] [--json]`, in any order.
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let (mut path, mut until, mut instance, mut json) = (None, None, None, false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let is_new = match *word {
                "--json" => !std::mem::replace(&mut json, true),
                "--until" => until.replace(Until::parse(words.next()?)?).is_none(),
                "--instance" => instance.replace(InstanceId::parse(words.next()?)?).is_none(),
                option if option.starts_with('-') => false,
                file => path.replace(PathBuf::from(file)).is_none(),
            };
            if !is_new {
                return None;
            }
        }
        Some(Self { path: path?, until, instance, json })
    }
}

impl Until {
    /// Seconds since the start of the master, such as `12.5`, or a time, such as
    /// `2026-06-09T10:13`.
    fn parse(text: &str) -> Option<Self> {
        let is_time = |text: &str| {
            let shape = "dddd-dd-ddTdd:dd:dd.dddddd";
            let fits = |(byte, shape): (u8, u8)| match shape {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            };
            (10..=shape.len()).contains(&text.len()) && text.bytes().zip(shape.bytes()).all(fits)
        };
        let time = text.strip_suffix('Z').unwrap_or(text);
        if is_time(time) {
            return Some(Self::Wall(time.to_owned()));
        }
        let seconds: f64 = text.parse().ok()?;
        let is_good = seconds.is_finite() && seconds >= 0.0;
        is_good.then_some(Self::Uptime((seconds * 1e6) as u64))
    }

    /// Whether `now` is later.
    pub(crate) fn is_before(&self, now: Now) -> bool {
        match self {
            Self::Uptime(micros) => now.mono.as_micros() > *micros,
            Self::Wall(text) => now.wall.to_string()[..text.len()] > **text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::time::{Time, Wall};

    #[test]
    fn words_are_told_apart() {
        let plain = Options { path: "f".into(), until: None, instance: None, json: false };
        assert_eq!(Options::parse(&["f"]), Some(plain.clone()));
        let all = ["--json", "--until", "12.5", "f", "--instance", "0000000a"];
        let options = Options::parse(&all).expect("good words");
        assert_eq!((options.json, options.instance), (true, Some(InstanceId(10))));
        assert_eq!(options.until, Some(Until::Uptime(12_500_000)));
        for bad in [
            &[][..],
            &["--json"],
            &["f", "g"],
            &["f", "--until"],
            &["f", "--until", "soon"],
            &["f", "--until", "-1"],
            &["f", "--until", "2026-6-9"],
            &["f", "--instance", "A"],
            &["f", "--json", "--json"],
            &["f", "--all"],
        ] {
            assert_eq!(Options::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_time_stands_for_all_that_it_names() {
        let now = |micros| Now {
            mono: Time::from_micros(micros),
            wall: Wall::from_micros(1_781_000_000_000_000 + micros),
        };
        for (text, last, first_after) in [
            ("2", 2_000_000, 2_000_001),
            ("2026-06-09T10:13:20Z", 999_999, 1_000_000),
            ("2026-06-09T10:13", 39_999_999, 40_000_000),
            ("2026-06-09", 49_599_999_999, 49_600_000_000),
        ] {
            let until = Until::parse(text).expect("a time");
            assert!(!until.is_before(now(last)) && until.is_before(now(first_after)), "{text}");
        }
    }
}
