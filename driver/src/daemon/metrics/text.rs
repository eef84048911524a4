//! Metrics as text: the Prometheus exposition format, version 0.0.4.
//!
//! Owns: the format of families and samples, and escaping. Does not own: what is measured.

use std::fmt::Write;

/// The type of the text, for `Content-Type`.
pub(crate) const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of figures a family has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only increases while the master runs; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// How many there were, and their sum.
    Summary,
}

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A number of something.
    Count(u64),
    /// A time in microseconds, shown in seconds.
    Micros(u64),
}

/// A text that is being written, a family after the other.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    text: String,
}

/// The family that is being written.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    /// Begins a family. Names are of letters, digits and `_`; each is there once.
    pub(crate) fn family(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        };
        let text = &mut self.text;
        text.push_str("# HELP ");
        text.push_str(name);
        text.push(' ');
        escape(text, help, false);
        writeln!(text, "\n# TYPE {name} {kind}").expect("a String takes everything");
        Family { text, name }
    }

    /// A family of one sample without labels.
    pub(crate) fn single(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        value: Value,
    ) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    pub(crate) fn finish(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// Writes a sample. No two of a family have the same labels.
    pub(crate) fn sample(&mut self, labels: &[(&str, &str)], value: Value) {
        self.write("", labels, value);
    }

    /// Writes the two samples of a summary.
    pub(crate) fn summary(&mut self, labels: &[(&str, &str)], sum: Value, count: u64) {
        self.write("_sum", labels, sum);
        self.write("_count", labels, Value::Count(count));
    }

    fn write(&mut self, suffix: &str, labels: &[(&str, &str)], value: Value) {
        let text = &mut *self.text;
        text.push_str(self.name);
        text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            text.push(if index == 0 { '{' } else { ',' });
            text.push_str(name);
            text.push_str("=\"");
            escape(text, value, true);
            text.push('"');
        }
        if !labels.is_empty() {
            text.push('}');
        }
        match value {
            Value::Count(count) => writeln!(text, " {count}"),
            Value::Micros(micros) => {
                writeln!(text, " {}.{:06}", micros / 1_000_000, micros % 1_000_000)
            }
        }
        .expect("a String takes everything");
    }
}

/// Backslash and line feed are escaped everywhere, the quote within quotes.
fn escape(out: &mut String, text: &str, is_quoted: bool) {
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_quoted => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    #[test]
    fn families_are_written_as_scrapers_read_them() {
        let mut text = Exposition::default();
        text.single("up", Kind::Gauge, "Whether \"it\" is.\nA \\.", Value::Count(1));
        let mut family = text.family("seen_total", Kind::Counter, "Seen.");
        family.sample(&[("a", "x\"y\\z\n"), ("b", "")], Value::Count(u64::MAX));
        let mut family = text.family("took_seconds", Kind::Summary, "Took.");
        family.summary(&[("route", "/x")], Value::Micros(1_000_005), 2);
        insta::assert_snapshot!(text.finish(), @r#"
        # HELP up Whether "it" is.\nA \\.
        # TYPE up gauge
        up 1
        # HELP seen_total Seen.
        # TYPE seen_total counter
        seen_total{a="x\"y\\z\n",b=""} 18446744073709551615
        # HELP took_seconds Took.
        # TYPE took_seconds summary
        took_seconds_sum{route="/x"} 1.000005
        took_seconds_count{route="/x"} 2
        "#);
    }

    proptest! {
        #[test]
        fn any_label_reads_back(value in any::<String>()) {
            let mut text = Exposition::default();
            text.family("m", Kind::Gauge, "").sample(&[("l", &value)], Value::Count(0));
            let text = text.finish();
            let lines: Vec<&str> = text.split('\n').collect();
            prop_assert_eq!(lines.len(), 4, "{}", text);
            let quoted = lines[2].strip_prefix("m{l=\"").and_then(|l| l.strip_suffix("\"} 0"));
            prop_assert_eq!(unescape(quoted.expect("its form")), Some(value));
        }

        #[test]
        fn times_are_seconds(micros: u64) {
            let mut text = Exposition::default();
            text.single("m", Kind::Gauge, "", Value::Micros(micros));
            let text = text.finish();
            let shown = text.lines().last().and_then(|line| line.strip_prefix("m ")).expect("one");
            let (whole, fraction) = shown.split_once('.').expect("a fraction");
            prop_assert_eq!(fraction.len(), 6);
            let read: u128 = format!("{whole}{fraction}").parse().expect("digits");
            prop_assert_eq!(read, u128::from(micros));
        }
    }

    /// The value as a scraper parses it; `None` if it would refuse it.
    fn unescape(text: &str) -> Option<String> {
        let mut plain = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            plain.push(match letter {
                '\\' => match letters.next()? {
                    '\\' => '\\',
                    'n' => '\n',
                    '"' => '"',
                    _ => return None,
                },
                '"' | '\n' => return None,
                other => other,
            });
        }
        Some(plain)
    }
}
