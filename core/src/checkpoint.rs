//! Finds a checkpoint, the report of a runtime's metrics, in a line of its output.
//!
//! Owns: the text format. Does not own: the effect of the values on an instance, or the arithmetic
//! of the byte counters (see [`crate::counters`]).

/// The values of one checkpoint (Contract §7). `None` is a field whose digits overflow its type;
/// such a field is skipped and the instance keeps the old value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The runtime's own mode.
    pub mode: Option<i32>,
    /// Latency, in ms.
    pub ping: Option<i32>,
    /// Pool or worker count.
    pub pool: Option<i32>,
    /// Active TCP connections.
    pub tcps: Option<i32>,
    /// Active UDP flows.
    pub udps: Option<i32>,
    /// TCP bytes received since the runtime started.
    pub tcprx: Option<u64>,
    /// TCP bytes sent since the runtime started.
    pub tcptx: Option<u64>,
    /// UDP bytes received since the runtime started.
    pub udprx: Option<u64>,
    /// UDP bytes sent since the runtime started.
    pub udptx: Option<u64>,
}

/// The text before the first `|` of a checkpoint.
const MARKER: &[u8] = b"CHECK_POINT";

impl Checkpoint {
    /// The leftmost checkpoint in `line`, anywhere in it (Contract §7), or `None`: a log line.
    ///
    /// Runs for every line of every process. It searches for the `|` after the marker: that needs
    /// no searcher to be built, and log lines rarely contain one. A failed attempt cannot have
    /// passed another marker, so the time is linear in the line.
    pub fn find(line: &[u8]) -> Option<Checkpoint> {
        memchr::memchr_iter(b'|', line)
            .filter(|bar| line[..*bar].ends_with(MARKER))
            .find_map(|bar| Fields(&line[bar..]).checkpoint())
    }
}

/// The rest of a line, read from the left.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn checkpoint(mut self) -> Option<Checkpoint> {
        Some(Checkpoint {
            mode: self.number(b"|MODE=")?.small(),
            ping: self.number(b"|PING=")?.small(),
            pool: self.number(b"ms|POOL=")?.small(),
            tcps: self.number(b"|TCPS=")?.small(),
            udps: self.number(b"|UDPS=")?.small(),
            tcprx: self.number(b"|TCPRX=")?.0,
            tcptx: self.number(b"|TCPTX=")?.0,
            udprx: self.number(b"|UDPRX=")?.0,
            udptx: self.number(b"|UDPTX=")?.0,
        })
    }

    /// The decimal digits after `label`, at least one; `None` if other text follows.
    fn number(&mut self, label: &[u8]) -> Option<Number> {
        let digits = self.0.strip_prefix(label)?;
        let mut value = Some(0u64);
        let mut length = 0;
        while let Some(digit) = digits.get(length).filter(|byte| byte.is_ascii_digit()) {
            let digit = u64::from(digit - b'0');
            value = value.and_then(|value| value.checked_mul(10)?.checked_add(digit));
            length += 1;
        }
        self.0 = &digits[length..];
        (length > 0).then_some(Number(value))
    }
}

/// A run of digits: its value, or `None` if that does not fit.
struct Number(Option<u64>);

impl Number {
    fn small(self) -> Option<i32> {
        self.0.and_then(|value| i32::try_from(value).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::String, vec::Vec};
    use core::str::FromStr;
    use proptest::prelude::*;
    use regex::bytes::Regex;
    use std::sync::LazyLock;

    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"CHECK_POINT\|MODE=([0-9]+)\|PING=([0-9]+)ms\|POOL=([0-9]+)\|TCPS=([0-9]+)\|UDPS=([0-9]+)\|TCPRX=([0-9]+)\|TCPTX=([0-9]+)\|UDPRX=([0-9]+)\|UDPTX=([0-9]+)";
        Regex::new(pattern).expect("the pattern is constant")
    });

    const PLAIN: &str = "CHECK_POINT|MODE=1|PING=12ms|POOL=4|TCPS=10|UDPS=2\
        |TCPRX=123456|TCPTX=654321|UDPRX=2048|UDPTX=4096";

    #[test]
    fn reads_every_field() {
        let expected = Checkpoint {
            mode: Some(1),
            ping: Some(12),
            pool: Some(4),
            tcps: Some(10),
            udps: Some(2),
            tcprx: Some(123_456),
            tcptx: Some(654_321),
            udprx: Some(2048),
            udptx: Some(4096),
        };
        assert_eq!(Checkpoint::find(PLAIN.as_bytes()), Some(expected));
        let coloured = format!("\u{1b}[36mINFO\u{1b}[0m {PLAIN}\u{1b}[0m");
        assert_eq!(Checkpoint::find(coloured.as_bytes()), Some(expected));
        let again = format!("CHECK_POINT|MODE=CHECK_POINT|{PLAIN} {}", PLAIN.replace('2', "7"));
        assert_eq!(Checkpoint::find(again.as_bytes()), Some(expected));
    }

    #[test]
    fn an_overflowing_field_is_skipped_alone() {
        let line = PLAIN
            .replace("MODE=1", "MODE=2147483648")
            .replace("PING=12", "PING=0000000000000000000000002147483647")
            .replace("TCPRX=123456", "TCPRX=18446744073709551616")
            .replace("TCPTX=654321", "TCPTX=18446744073709551615");
        let found = Checkpoint::find(line.as_bytes()).expect("it is a checkpoint");
        assert_eq!((found.mode, found.ping), (None, Some(i32::MAX)));
        assert_eq!((found.tcprx, found.tcptx), (None, Some(u64::MAX)));
        assert_eq!((found.pool, found.udptx), (Some(4), Some(4096)));
    }

    #[test]
    fn anything_else_is_a_log_line() {
        for (from, to) in [
            ("MODE=1", "MODE=-1"),
            ("MODE=1", "MODE="),
            ("12ms", "12"),
            ("|POOL", " |POOL"),
            ("TCPS", "tcps"),
            ("|UDPTX=4096", ""),
            ("UDPTX=4096", "UDPTX=\u{0664}"),
            ("CHECK_POINT", "CHECKPOINT"),
        ] {
            let line = PLAIN.replace(from, to);
            assert_eq!(Checkpoint::find(line.as_bytes()), None, "{line}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn equals_the_pattern(line in line()) {
            prop_assert_eq!(Checkpoint::find(&line), by_pattern(&line));
        }
    }

    fn by_pattern(line: &[u8]) -> Option<Checkpoint> {
        fn field<T: FromStr>(groups: &regex::bytes::Captures<'_>, index: usize) -> Option<T> {
            core::str::from_utf8(&groups[index]).expect("digits are UTF-8").parse().ok()
        }
        let groups = PATTERN.captures(line)?;
        Some(Checkpoint {
            mode: field(&groups, 1),
            ping: field(&groups, 2),
            pool: field(&groups, 3),
            tcps: field(&groups, 4),
            udps: field(&groups, 5),
            tcprx: field(&groups, 6),
            tcptx: field(&groups, 7),
            udprx: field(&groups, 8),
            udptx: field(&groups, 9),
        })
    }

    /// Up to four checkpoints, some of them spoilt, in between other bytes.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => checkpoint(),
            4 => (checkpoint(), any::<prop::sample::Index>(), spoil()).prop_map(spoilt),
            1 => Just(b"CHECK_POINT|".to_vec()),
            1 => Just(b"CHECK_POINT|MODE=".to_vec()),
            1 => "[|CHEK_POINT0-9 =]{0,20}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ];
        prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    fn checkpoint() -> impl Strategy<Value = Vec<u8>> {
        let digits = prop_oneof![
            6 => "[0-9]{1,8}",
            1 => "0{0,30}[0-9]{9,11}",
            1 => "0{0,3}[0-9]{19,21}",
            1 => Just(format!("{}", i32::MAX)),
            1 => Just(format!("{}", u64::MAX)),
        ];
        prop::collection::vec(digits, 9).prop_map(|d| {
            format!(
                "CHECK_POINT|MODE={}|PING={}ms|POOL={}|TCPS={}|UDPS={}\
                |TCPRX={}|TCPTX={}|UDPRX={}|UDPTX={}",
                d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8]
            )
            .into_bytes()
        })
    }

    #[derive(Debug, Clone)]
    enum Spoil {
        CutOff,
        Remove,
        Replace(u8),
        Insert(&'static str),
    }

    fn spoil() -> impl Strategy<Value = Spoil> {
        prop_oneof![
            Just(Spoil::CutOff),
            Just(Spoil::Remove),
            any::<u8>().prop_map(Spoil::Replace),
            prop::sample::select(&["|", "0", "m", " ", "-", "CHECK_POINT|", "CHECK_POINT|MODE=1"])
                .prop_map(Spoil::Insert),
        ]
    }

    fn spoilt((mut text, index, spoil): (Vec<u8>, prop::sample::Index, Spoil)) -> Vec<u8> {
        let at = index.index(text.len());
        match spoil {
            Spoil::CutOff => text.truncate(at),
            Spoil::Remove => {
                text.remove(at);
            }
            Spoil::Replace(byte) => text[at] = byte,
            Spoil::Insert(more) => {
                text.splice(at..at, more.bytes());
            }
        }
        text
    }
}
