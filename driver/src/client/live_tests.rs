//! Tests of the screens without a terminal.

use super::*;
use crate::client::text::width;

fn board(is_top: bool) -> Board {
    let kind = if is_top {
        Kind { is_top, is_wide: false, tags: vec![], status: None, sort: Sort::Cpu }
    } else {
        Kind { is_top, is_wide: false, tags: vec![], status: None, sort: Sort::Alias }
    };
    let info = br#"{"alias":"edge","cpu":7,"mem_used":1048576,"mem_total":4194304,"uptime":61}"#;
    Board::new(kind, "http://h:1/api/v2", Document::parse(info).expect("JSON"))
}

fn event(kind: &str, id: &str, more: &str, number: Option<u64>) -> Item {
    Item::Event(Event {
        name: "instance".to_owned(),
        data: format!(
            r#"{{"type":"{kind}","time":"T","instance":{{"id":"{id}","alias":"a-{id}",
               "url":"demo://a","meta":{{"tags":{{}}}}{more}}},"logs":""}}"#
        ),
        id: number.map(|number| format!("c9e27ad1-{number}")),
    })
}

fn drawn(board: &mut Board, columns: usize, rows: usize) -> String {
    let canvas = Canvas { width: Some(columns), has_colours: false };
    let lines = board.draw(canvas, rows, Instant::now());
    assert_eq!(lines.len(), rows, "{lines:?}");
    assert!(lines.iter().all(|line| width(line) <= columns), "{lines:?}");
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn some(board: &mut Board) {
    board.hear(Item::Opened);
    board.hear(event("initial", "********", "", None));
    board.hear(event("initial", "00000001", r#","status":"running","tcps":2,"ping":5"#, None));
    board.hear(event("initial", "00000002", r#","status":"error""#, Some(7)));
}

#[test]
fn a_list_shows_what_is_there() {
    let mut board = board(false);
    some(&mut board);
    insta::assert_snapshot!(drawn(&mut board, 80, 6), @r"
    edge  2 instances: 1 running, 1 error, 0 stopped
    ALIAS       ID        STATUS   PING  SESSIONS  RX  TX  URL
    a-00000001  00000001  running     5         2   0   0  demo://a
    a-00000002  00000002  error       0         0   0   0  demo://a

    1-2 of 2  sort: alias  [s]ort [r]everse [q]uit, arrows, page up and down
    ");
}

#[test]
fn top_shows_processes() {
    let mut board = board(true);
    some(&mut board);
    let process =
        br#"[{"id":"00000002","pid":77,"cpuPercent":12.34,"memoryBytes":2097152,"starts":3}]"#;
    board.learn(Figures::Processes(Document::parse(process).expect("JSON").into_list()));
    insta::assert_snapshot!(drawn(&mut board, 80, 6), @r"
    edge  2 instances: 1 running, 1 error, 0 stopped
    cpu 7%  memory 1.0M of 4.0M  rx -/s  tx -/s  up 1m01s
    ALIAS       ID        STATUS   PID  CPU%   MEM  PING  SESS  RX/s  TX/s  STARTS
    a-00000002  00000002  error     77  12.3  2.0M     0     0     -     -       3
    a-00000001  00000001  running    -     -     -     5     2     -     -       -
    1-2 of 2  sort: cpu  [s]ort [r]everse [q]uit, arrows, page up and down
    ");
}

#[test]
fn a_new_picture_drops_what_is_gone() {
    let mut board = board(false);
    some(&mut board);
    let gap = Event { name: "gap".to_owned(), data: "{}".to_owned(), id: None };
    board.hear(Item::Event(gap));
    board.hear(event("initial", "********", "", None));
    assert!(board.entries.contains_key("00000001"), "it is kept until the picture is whole");
    board.hear(event("initial", "00000002", "", Some(99)));
    assert_eq!(board.entries.keys().collect::<Vec<_>>(), ["00000002"]);
    board.hear(event("delete", "00000002", "", Some(100)));
    assert!(board.entries.is_empty());
}

#[test]
fn a_lost_connection_is_said_and_nothing_else_changes() {
    let mut board = board(false);
    some(&mut board);
    board.hear(Item::Lost("nothing listens there".to_owned()));
    let shown = drawn(&mut board, 80, 8);
    assert!(shown.contains("not connected, trying again: nothing listens there"), "{shown}");
    assert!(shown.contains("a-00000001"), "{shown}");
    board.hear(Item::Opened);
    assert!(!drawn(&mut board, 80, 8).contains("not connected"));
}

#[test]
fn ten_thousand_are_scrolled_and_any_size_is_drawn() {
    let mut board = board(true);
    board.hear(Item::Opened);
    for number in 0..10_000 {
        let last = (number == 9_999).then_some(1);
        board.hear(event("initial", &format!("{number:08}"), r#","status":"running""#, last));
    }
    board.kind.sort = Sort::Alias;
    assert!(drawn(&mut board, 80, 24).contains("1-20 of 10000"));
    board.press(Key::PageDown);
    assert!(drawn(&mut board, 80, 24).contains("21-40 of 10000"));
    board.press(Key::End);
    assert!(drawn(&mut board, 80, 24).contains("a-00009999"));
    board.press(Key::Letter('r'));
    board.press(Key::Home);
    assert!(drawn(&mut board, 80, 24).contains("1-20 of 10000  sort: alias, reversed"));
    for columns in [1, 10, 40, 79, 200] {
        for rows in [1, 2, 3, 5, 50] {
            drawn(&mut board, columns, rows);
        }
    }
}
