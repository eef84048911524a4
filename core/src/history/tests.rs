//! Tests of the history: retained lines against a model, and the answers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::event::LogRun;
use crate::ids::{BootId, EventId, InstanceId};
use crate::instance::{Definition, InstanceView};
use crate::output::OutputParser;
use crate::stream::Stream;
use crate::time::Wall;
use crate::url::InstanceUrl;

const BOOT: BootId = BootId(0xb007);

/// A book that events of one stream are written into.
struct Writer {
    book: LogBook,
    next: u64,
}

impl Writer {
    fn new(lines: usize, bytes: usize) -> Self {
        Self { book: LogBook::new(HistoryLimits { lines, bytes }), next: 1 }
    }

    /// One read of output that has these lines.
    fn print(&mut self, id: u32, lines: &[&str]) -> &mut Self {
        self.print_on(Stream::Stdout, id, lines)
    }

    fn print_on(&mut self, stream: Stream, id: u32, lines: &[&str]) -> &mut Self {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let batch = Arc::new(OutputParser::of(stream).push(text.as_bytes()));
        let items = 0..batch.items.len();
        let url = InstanceUrl::parse("a:b").expect("a good URL");
        let definition = Definition::new(InstanceId(id), url, String::new());
        let run = LogRun {
            first: EventId(self.next),
            time: Wall::from_micros(self.next),
            instance: InstanceId(id),
            view: InstanceView::new(Arc::new(definition)),
            batch,
            items,
        };
        let count = lines.len() as u64;
        self.next += count;
        let keep = self.book_lines();
        let skipped = count.saturating_sub(keep as u64);
        self.book.append(InstanceId(id), &blocks_of(&run, keep), skipped);
        self
    }

    fn book_lines(&self) -> usize {
        self.book.limits().lines
    }

    fn texts(&self, id: u32) -> Vec<String> {
        let shelf = self.book.shelf(InstanceId(id));
        shelf.lines().map(|(_, line)| line.text().into_owned()).collect()
    }

    fn ask(&self, id: u32, query: &str) -> Value {
        let query = LogQuery::decode(query).expect("a good query");
        let grep = query.grep.clone().unwrap_or_default();
        let page =
            Page::new(&self.book.shelf(InstanceId(id)), &query, BOOT, |text| text.contains(&grep));
        serde_json::from_slice(&page.json()).expect("JSON")
    }
}

fn texts(page: &Value) -> Vec<&str> {
    let lines = page["lines"].as_array().expect("an array");
    lines.iter().map(|line| line["text"].as_str().expect("a string")).collect()
}

fn streams(page: &Value) -> Vec<&str> {
    let lines = page["lines"].as_array().expect("an array");
    lines.iter().map(|line| line["stream"].as_str().unwrap_or_default()).collect()
}

#[test]
fn lines_have_their_streams_and_are_selected_by_them() {
    let mut writer = Writer::new(10, 1 << 20);
    let (out, err) = (Stream::Stdout, Stream::Stderr);
    for (stream, line) in [(out, "a"), (err, "b"), (err, "c"), (out, "d")] {
        writer.print_on(stream, 1, &[line]);
    }
    let page = writer.ask(1, "");
    assert_eq!(
        (texts(&page), streams(&page)),
        (vec!["a", "b", "c", "d"], vec!["", "stderr", "stderr", ""])
    );
    assert_eq!(texts(&writer.ask(1, "stream=stderr")), ["b", "c"]);
    assert_eq!(texts(&writer.ask(1, "stream=stdout")), ["a", "d"]);
    let last = writer.ask(1, "stream=stderr&limit=1&grep=b");
    assert_eq!(texts(&last), ["b"]);
    let first = writer.ask(1, "stream=stderr&limit=1&cursor=0000b007-0");
    assert_eq!((texts(&first), &first["more"]), (vec!["b"], &Value::Bool(true)));
    let next = first["next"].as_str().expect("a cursor");
    let rest = writer.ask(1, &format!("stream=stderr&cursor={next}"));
    assert_eq!((texts(&rest), &rest["more"]), (vec!["c"], &Value::Bool(false)));
}

#[test]
fn both_streams_may_have_a_line_that_has_not_ended() {
    let writer = Writer::new(10, 1 << 20);
    let page = |query: &str| {
        let query = LogQuery::decode(query).expect("a good query");
        let text = |stream: Stream| stream.as_str().to_string();
        let unfinished = |stream| Some(Unfinished { time: Wall::default(), text: text(stream) });
        let page = Page::new(&writer.book.shelf(InstanceId(1)), &query, BOOT, |_| true);
        let page: Value =
            serde_json::from_slice(&page.with_unfinished(&query, unfinished).json()).expect("JSON");
        ["unfinished", "unfinished_stderr"]
            .map(|field| page[field]["text"].as_str().unwrap_or_default().to_string())
    };
    assert_eq!(page(""), ["stdout", "stderr"]);
    assert_eq!(page("stream=stdout"), ["stdout", ""]);
    assert_eq!(page("stream=stderr"), ["", "stderr"]);
    assert_eq!(page("before=0000b007-1"), ["", ""]);
}

#[test]
fn a_tail_says_where_to_go_on() {
    let mut writer = Writer::new(10, 1 << 20);
    writer.print(1, &["a", "b"]).print(2, &["other"]).print(1, &["c"]);
    let page = writer.ask(1, "limit=2");
    assert_eq!(texts(&page), ["b", "c"]);
    assert_eq!((&page["missed"], &page["more"]), (&Value::from(0), &Value::from(true)));
    insta::assert_snapshot!(page["lines"][1], @r#"{"cut":0,"id":"0000b007-4","text":"c","time":"1970-01-01T00:00:00.000004Z"}"#);
    assert_eq!(page["next"], "0000b007-4:3");

    let nothing = writer.ask(1, "cursor=0000b007-4:3");
    assert_eq!((texts(&nothing).len(), &nothing["next"]), (0, &page["next"]));
    writer.print(1, &["d"]);
    assert_eq!(texts(&writer.ask(1, "cursor=0000b007-4:3")), ["d"]);
    // The id of an event serves as well, whosever it is.
    assert_eq!(texts(&writer.ask(1, "cursor=0000b007-3")), ["c", "d"]);
    let back = writer.ask(1, "before=0000b007-4&limit=1");
    assert_eq!((texts(&back), &back["next"]), (["b"].to_vec(), &Value::from("0000b007-2:2")));
}

#[test]
fn what_is_gone_is_counted_for_a_reader_that_says_where_it_was() {
    let mut writer = Writer::new(3, 1 << 20);
    let page = writer.print(1, &["a"]).ask(1, "");
    let next = page["next"].as_str().expect("a cursor").to_string();
    writer.print(1, &["b", "c", "d", "e", "f"]);
    let page = writer.ask(1, &format!("cursor={next}"));
    assert_eq!((texts(&page), &page["missed"]), (["d", "e", "f"].to_vec(), &Value::from(2)));
    assert_eq!(writer.ask(1, "cursor=0000b007-1")["missed"], Value::Null, "not known how many");
    assert_eq!(writer.ask(1, "cursor=0000b007-3")["missed"], 0);
    let other = writer.ask(1, "cursor=0000b006-6:6");
    assert_eq!((texts(&other).len(), &other["missed"]), (3, &Value::Null));
}

#[test]
fn an_instance_that_said_nothing_has_an_empty_page() {
    let mut writer = Writer::new(3, 1 << 20);
    let page = writer.ask(1, "");
    assert_eq!((texts(&page).len(), &page["next"]), (0, &Value::from("0000b007-0:0")));
    let page = writer.print(1, &["x"]).ask(1, "cursor=0000b007-0:0");
    assert_eq!((texts(&page), &page["missed"]), (["x"].to_vec(), &Value::from(0)));
}

#[test]
fn only_what_matches_counts_and_the_rest_is_passed() {
    let mut writer = Writer::new(100, 1 << 20);
    writer.print(1, &["yes 1", "no", "yes 2", "no", "yes 3", "no"]);
    let page = writer.ask(1, "grep=yes&limit=2");
    assert_eq!((texts(&page), &page["more"]), (["yes 2", "yes 3"].to_vec(), &Value::from(true)));
    assert_eq!(page["next"], "0000b007-6:6");
    let page = writer.ask(1, "grep=yes&limit=2&cursor=0000b007-0:0");
    assert_eq!(
        (texts(&page), &page["next"]),
        (["yes 1", "yes 2"].to_vec(), &"0000b007-3:3".into())
    );
    let page = writer.ask(1, "grep=yes&cursor=0000b007-3:3");
    assert_eq!((texts(&page), &page["next"]), (["yes 3"].to_vec(), &"0000b007-6:6".into()));
}

#[test]
fn an_answer_is_bounded_in_text() {
    let mut writer = Writer::new(1_000, 64 << 20);
    let line = "x".repeat(60_000);
    for _ in 0..100 {
        writer.print(1, &[&line]);
    }
    let page = writer.ask(1, "limit=5000&cursor=0000b007-0:0");
    assert_eq!(texts(&page).len(), PAGE_TEXT_MAX_BYTES / 60_000);
    assert_eq!(page["more"], true);
    let rest = writer.ask(1, &format!("limit=5000&cursor={}", page["next"].as_str().unwrap()));
    assert_eq!(texts(&page).len() + texts(&rest).len(), 100);
}

#[test]
fn a_flood_takes_nothing_from_the_others() {
    let mut writer = Writer::new(1_000, 100_000);
    for id in 0..10 {
        writer.print(id, &["first", "last"]);
    }
    let flood: Vec<String> = (0..50).map(|n| format!("{n:099}")).collect();
    let flood: Vec<&str> = flood.iter().map(String::as_str).collect();
    for _ in 0..100 {
        writer.print(99, &flood);
    }
    for id in 0..10 {
        assert_eq!(writer.texts(id), ["first", "last"]);
    }
    assert!(writer.texts(99).len() > 200, "{}", writer.texts(99).len());
    assert!(writer.book.bytes() <= 100_000, "{}", writer.book.bytes());
    writer.book.forget(InstanceId(99));
    assert!(writer.texts(99).is_empty());
    assert_eq!(writer.book.lines(), 20);
}

#[test]
fn lines_of_an_earlier_run_come_first() {
    let mut writer = Writer::new(10, 1 << 20);
    let lines = [
        (Wall::from_micros(5), Stream::Stdout, &b"old 1"[..]),
        (Wall::from_micros(5), Stream::Stderr, &b"old \xff"[..]),
    ];
    writer.book.append(InstanceId(1), &restored(lines), 0);
    writer.print(1, &["new"]);
    let page = writer.ask(1, "");
    assert_eq!(texts(&page), ["old 1", "old \u{fffd}", "new"]);
    assert_eq!(streams(&page), ["", "stderr", ""]);
    assert_eq!(page["lines"][1]["id"], "0000b007-0.2");
    assert_eq!(texts(&writer.ask(1, "cursor=0000b007-0.1")), ["old \u{fffd}", "new"]);
    assert_eq!(texts(&writer.ask(1, "before=0000b007-0.2")), ["old 1"]);
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    for (query, message) in [
        ("limit=0", "limit is not a number from 1 to 5000"),
        ("limit=5001", "limit is not a number from 1 to 5000"),
        ("limit=", "limit is not a number from 1 to 5000"),
        ("stream=both", "stream is not stdout or stderr"),
        ("limit=x", "limit is not a number from 1 to 5000"),
        ("cursor=x", "cursor is not an id of a line or the next of an answer"),
        ("before=0000b007-", "before is not an id of a line or the next of an answer"),
        ("cursor=0000b007-+1", "cursor is not an id of a line or the next of an answer"),
        (
            "cursor=0000b007-1&before=0000b007-2",
            "cursor and before were both given; ask for one of them",
        ),
    ] {
        let refusal = LogQuery::decode(query).expect_err(query);
        assert_eq!(refusal.0, message);
    }
    let long = format!("grep={}", "x".repeat(1_025));
    assert!(LogQuery::decode(&long).is_err());
    let plain = LogQuery { place: Place::End, limit: 200, grep: None, stream: None };
    for query in ["", "x=1", "cursor=&grep=&before=&stream="] {
        assert_eq!(LogQuery::decode(query), Ok(plain.clone()), "{query}");
    }
}

#[test]
fn nothing_is_kept_where_nothing_is_to_be() {
    let mut writer = Writer::new(0, 1 << 20);
    writer.print(1, &["a"]);
    assert_eq!((writer.texts(1).len(), writer.book.bytes()), (0, 0));
    let mut writer = Writer::new(10, 0);
    writer.print(1, &["a"]);
    assert_eq!((writer.texts(1).len(), writer.book.bytes()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is printed, the lines kept of an instance are its last ones, no more than the
    /// limit, and all of those where the memory suffices; the sums are right.
    #[test]
    fn the_last_lines_are_kept(
        limit in 1..40usize,
        bytes in prop_oneof![Just(1 << 30), 500..20_000usize],
        prints in prop::collection::vec((0..4u32, 1..60usize, 0..400usize), 0..60),
    ) {
        let mut writer = Writer::new(limit, bytes);
        let mut model: [Vec<String>; 4] = Default::default();
        for (id, count, length) in prints {
            let lines: Vec<String> =
                (0..count).map(|n| format!("{n}{}", "x".repeat(length))).collect();
            let borrowed: Vec<&str> = lines.iter().map(String::as_str).collect();
            writer.print(id, &borrowed);
            model[id as usize].extend(lines);
        }
        for (id, all) in (0..).zip(&model) {
            let kept = writer.texts(id);
            prop_assert!(kept.len() <= limit);
            prop_assert!(all.ends_with(&kept));
            prop_assert!(bytes < 1 << 30 || kept.len() == limit.min(all.len()));
            let shelf = writer.book.shelf(InstanceId(id));
            prop_assert_eq!(shelf.gone().0 as usize, all.len() - kept.len());
            let last = shelf.lines().next_back().map(|(number, _)| number as usize);
            prop_assert_eq!(last.unwrap_or(all.len()), all.len());
        }
        prop_assert!(writer.book.bytes() <= bytes);
    }

    #[test]
    fn paging_forward_sees_every_line_once(
        counts in prop::collection::vec(1..30usize, 1..20),
        limit in 1..20usize,
    ) {
        let mut writer = Writer::new(10_000, 1 << 30);
        let mut all: Vec<String> = Vec::new();
        for count in counts {
            let lines: Vec<String> = (0..count).map(|n| format!("{}", all.len() + n)).collect();
            writer.print(7, &lines.iter().map(String::as_str).collect::<Vec<_>>());
            writer.print(8, &["between"]);
            all.extend(lines);
        }
        let (mut seen, mut cursor) = (Vec::new(), "0000b007-0".to_string());
        loop {
            let page = writer.ask(7, &format!("limit={limit}&cursor={cursor}"));
            seen.extend(texts(&page).into_iter().map(String::from));
            cursor = page["next"].as_str().expect("a cursor").to_string();
            if page["more"] == false {
                break;
            }
        }
        prop_assert_eq!(seen, all);
    }

    #[test]
    fn no_query_panics(query in "\\PC{0,60}") {
        let _ = LogQuery::decode(&query);
    }
}
