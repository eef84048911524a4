//! Patterns that select topics (control contract B 2.3, D 10): `*` stands for one segment, `**` for
//! any number of them, including none. Both only as whole segments: `exec*` is literal.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// A pattern, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPattern {
    text: String,
    segments: Box<[Segment]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    One,
    Any,
}

impl TopicPattern {
    /// Accepts any text: everything except a wildcard is literal and case-sensitive.
    pub fn parse(text: &str) -> Self {
        let segment = |part: &str| match part {
            "*" => Segment::One,
            "**" => Segment::Any,
            literal => Segment::Literal(literal.into()),
        };
        Self { text: text.into(), segments: text.split('.').map(segment).collect() }
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it selects `topic`. Takes time in proportion to both lengths at the worst.
    pub fn matches(&self, topic: &str) -> bool {
        let mut segments = &self.segments[..];
        let mut rest = Some(topic);
        // Where to continue if the rest after the last `**` does not match: it then takes one more.
        let mut again: Option<(&[Segment], &str)> = None;
        loop {
            let is_step = match (segments.split_first(), rest) {
                (None, None) => return true,
                (Some((Segment::Any, [])), _) => return true,
                (Some((Segment::Any, tail)), _) => {
                    segments = tail;
                    // Without anything left, only more of these can follow.
                    again = rest.map(|rest| (tail, rest));
                    continue;
                }
                (Some((Segment::One, _)), Some(_)) => true,
                (Some((Segment::Literal(literal), _)), Some(rest)) => begins_with(rest, literal),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if is_step {
                segments = &segments[1..];
                rest = rest.and_then(|rest| split(rest).1);
                continue;
            }
            let Some((tail, from)) = again else { return false };
            let Some(from) = split(from).1 else {
                // `**` takes everything: the rest must match the empty list.
                return tail.iter().all(|segment| *segment == Segment::Any);
            };
            (segments, rest, again) = (tail, Some(from), Some((tail, from)));
        }
    }
}

impl fmt::Display for TopicPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The first segment, and the others if there are any.
fn split(topic: &str) -> (&str, Option<&str>) {
    match topic.bytes().position(|byte| byte == b'.') {
        Some(end) => (&topic[..end], Some(&topic[end + 1..])),
        None => (topic, None),
    }
}

/// Whether this is the first segment.
fn begins_with(topic: &str, segment: &str) -> bool {
    let rest = topic.as_bytes().strip_prefix(segment.as_bytes());
    rest.is_some_and(|rest| matches!(rest, [] | [b'.', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The definition, by recursion.
    fn model(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            ([], []) => true,
            (["**", rest @ ..], _) => (0..=topic.len()).any(|taken| model(rest, &topic[taken..])),
            (["*", rest @ ..], [_, tail @ ..]) => model(rest, tail),
            ([literal, rest @ ..], [first, tail @ ..]) => literal == first && model(rest, tail),
            _ => false,
        }
    }

    #[test]
    fn wildcards_are_whole_segments() {
        for (pattern, topic, expected) in [
            ("**", "a", true),
            ("**", "a.b.c", true),
            ("a.**", "a", true),
            ("a.**", "a.b.c", true),
            ("a.**", "ab", false),
            ("**.c", "c", true),
            ("**.c", "a.b.c", true),
            ("a.**.c", "a.c", true),
            ("a.**.c", "a.c.b", false),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("exec*", "executed", false),
            ("exec*", "exec*", true),
            ("A", "a", false),
            ("a", "a.b", false),
            ("", "a", false),
            ("a..b", "a..b", true),
            ("a.*.b", "a..b", true),
        ] {
            assert_eq!(TopicPattern::parse(pattern).matches(topic), expected, "{pattern} {topic}");
        }
    }

    proptest! {
        #[test]
        fn it_selects_what_the_definition_says(
            pattern in prop::collection::vec(
                prop::sample::select(["a", "b", "*", "**", "a*", ""].as_slice()), 1..7),
            topic in prop::collection::vec(
                prop::sample::select(["a", "b", "a*", "*", ""].as_slice()), 1..7),
        ) {
            let matched = TopicPattern::parse(&pattern.join(".")).matches(&topic.join("."));
            prop_assert_eq!(matched, model(&pattern, &topic));
        }

        #[test]
        fn a_literal_selects_itself_alone(topic in "[a-z]{1,5}(\\.[a-z]{1,5}){0,4}", other in "[a-z.]{1,9}") {
            let pattern = TopicPattern::parse(&topic);
            prop_assert!(pattern.matches(&topic));
            prop_assert_eq!(pattern.matches(&other), topic == other);
        }
    }

    #[test]
    fn many_wildcards_take_little_time() {
        let pattern = TopicPattern::parse(&["**.a"; 200].join("."));
        let topic = ["a"; 2_000].join(".");
        assert!(pattern.matches(&topic));
        let none: Vec<&str> = ["a"; 1_000].to_vec();
        assert!(
            !TopicPattern::parse(&["**.a"; 300].join("."))
                .matches(&[&none.join("."), "b"].join("."))
        );
    }
}
