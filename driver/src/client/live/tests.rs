//! Tests of the screens without a terminal.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::board::{Board, Order};
use super::*;
use crate::client::follow::Item;
use crate::client::stream::Event;
use crate::grammar::Sort;

fn board(is_top: bool) -> Board {
    let sort = if is_top { Sort::Cpu } else { Sort::Name };
    let kind = Kind { is_top, is_wide: false, tags: vec![], status: None, sort };
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

fn drawn(board: &mut Board, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("it is in memory");
    terminal.draw(|frame| board.draw(frame, Instant::now(), false)).expect("it is in memory");
    let buffer = terminal.backend().buffer();
    let line = |row: &[ratatui::buffer::Cell]| {
        row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n"
    };
    buffer.content().chunks(usize::from(columns)).map(line).collect()
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
    insta::assert_snapshot!(drawn(&mut board, 90, 6));
}

#[test]
fn top_shows_processes() {
    let mut board = board(true);
    some(&mut board);
    let process = br#"[{"id":"00000002","pid":77,"uptime":61,"cpuPercent":12.34,
        "memoryBytes":2097152,"restarts":3,"lastExit":{"reason":"exited with code 9"}}]"#;
    board.learn(Answer::Processes(Document::parse(process).expect("JSON").into_list()));
    insta::assert_snapshot!(drawn(&mut board, 110, 6));
}

#[test]
fn an_action_is_asked_for_and_done_after_a_yes() {
    let mut board = board(true);
    some(&mut board);
    drawn(&mut board, 80, 10);
    board.press(Key::Letter('T'));
    assert!(drawn(&mut board, 80, 10).contains("select an instance"), "nothing is selected");
    board.press(Key::Down);
    board.press(Key::Down);
    board.press(Key::Letter('T'));
    assert!(drawn(&mut board, 80, 10).contains("stop a-00000002 (00000002)? [y/n]"));
    board.press(Key::Letter('n'));
    assert_eq!(board.take_order(), None);
    board.press(Key::Letter('S'));
    board.press(Key::Letter('y'));
    let (id, name) = ("00000002".to_owned(), "a-00000002 (00000002)".to_owned());
    let order = Order::Act { id, name, action: "restart" };
    assert_eq!(board.take_order(), Some(order), "a start on error tries again");
}

#[test]
fn a_log_pane_follows_the_selection() {
    let mut board = board(true);
    some(&mut board);
    drawn(&mut board, 80, 12);
    board.press(Key::Down);
    board.press(Key::Letter('l'));
    let first = board.order[0].clone();
    assert_eq!(board.take_order(), Some(Order::Lines(first.clone())));
    let said = |text: &str, is_stderr| LogLine { text: text.to_owned(), is_stderr };
    board.learn(Answer::Lines(first.clone(), vec![said("one\x1b[2J", false)]));
    board.refresh_pane();
    assert_eq!(board.take_order(), None, "there are no new lines");
    let mut line = event("log", &first, "", Some(8));
    if let Item::Event(event) = &mut line {
        event.data = event.data.replace(r#""logs":"""#, r#""logs":"two""#);
    }
    board.hear(line);
    let shown = drawn(&mut board, 80, 12);
    assert!(shown.contains(&format!("log of a-{first}")), "{shown}");
    assert!(shown.contains("one\\x1b[2J\ntwo\n"), "{shown}");
    board.refresh_pane();
    board.refresh_pane();
    assert_eq!(board.take_order(), Some(Order::Lines(first.clone())), "events name no stream");
    assert_eq!(board.take_order(), None);
    board.learn(Answer::Lines(first, vec![said("one", false), said("two", true)]));
    assert!(drawn(&mut board, 80, 12).contains("one\n! two\n"));
    board.press(Key::Down);
    assert_eq!(board.take_order(), Some(Order::Lines(board.order[1].clone())));
    board.press(Key::Escape);
    assert!(!drawn(&mut board, 80, 12).contains("log of"));
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
    let shown = drawn(&mut board, 100, 8);
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
    board.kind.sort = Sort::Name;
    assert!(drawn(&mut board, 80, 24).contains("1-20 of 10000"));
    board.press(Key::PageDown);
    assert!(drawn(&mut board, 80, 24).contains("21-40 of 10000"));
    board.press(Key::End);
    assert!(drawn(&mut board, 80, 24).contains("a-00009999"));
    board.press(Key::Letter('r'));
    board.press(Key::Home);
    assert!(drawn(&mut board, 80, 24).contains("1-20 of 10000  sort: name, reversed"));
    for columns in [1, 10, 40, 79, 200] {
        for rows in [1, 2, 3, 5, 50] {
            drawn(&mut board, columns, rows);
        }
    }
}
