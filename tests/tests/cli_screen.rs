//! The live screens in a terminal: `list --watch` and `top`.

use openctrl_tests::{Master, Script, Shell, until};

#[test]
fn a_list_is_kept_and_the_terminal_given_back() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    shell.ok(&["create", "stub://one", "-a", "first", "--wait", "--for", "100ms"]);
    let mut screen = shell.terminal(80, 24, &["list", "--watch"]);
    let shown = screen.wait_for("the first", |shown| shown.contains("first"));
    assert!(shown.contains("1 instance: 1 running, 0 error, 0 stopped"), "{shown}");
    assert_eq!(shown.lines().count(), 24, "{shown}");
    assert!(!screen.is_ordinary(), "keys come one by one");

    shell.ok(&["create", "stub://two", "-a", "second"]);
    shell.ok(&["stop", "first"]);
    screen.wait_for("both", |s| s.contains("2 instances: 1 running, 0 error, 1 stopped"));
    screen.resize(40, 10);
    screen.wait_for("a smaller screen", |shown| {
        shown.lines().count() == 10
            && shown.lines().last().is_some_and(|l| l.starts_with("1-2 of 2"))
    });
    screen.press("s");
    screen.wait_for("another order", |shown| shown.contains("sort: status"));
    screen.press("q");
    assert_eq!(screen.wait(), Some(0));
    assert!(screen.is_ordinary());
    screen.wait_output("\x1b[?1049l");
}

#[test]
fn top_shows_processes_and_ends_with_ctrl_c() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let mut events = master.events();
    let checkpoint = Script::new().checkpoint([1, 23, 0, 4, 5, 0, 0, 0, 0]).wait();
    let id = master.run(&mut events, &checkpoint);
    let mut screen = shell.terminal(110, 24, &["top"]);
    let row = |shown: &str| shown.lines().find(|line| line.contains(&id)).map(str::to_owned);
    // Its process id and its memory come with the first sample.
    let shown = screen.wait_for("the process", |shown| {
        row(shown)
            .is_some_and(|row| row.contains("running") && row.contains(" 23 ") && row.contains('M'))
    });
    assert!(shown.contains("memory") && shown.contains("RX/s"), "{shown}");
    screen.press("\x03");
    assert_eq!(screen.wait(), Some(130));
    assert!(screen.is_ordinary());
    screen.wait_output("\x1b[?1049l");
}

#[test]
fn a_screen_says_that_the_master_is_gone_and_finds_the_next() {
    let mut master = Master::start();
    let shell = Shell::beside(&master);
    shell.ok(&["create", "stub://one", "-a", "first", "--wait", "--for", "100ms"]);
    let mut screen = shell.terminal(100, 30, &["top", "--sort", "alias"]);
    screen.wait_for("the first", |shown| shown.contains("first"));
    let port = master.endpoint().address.port();
    master.stop();
    screen.wait_for("that it is gone", |shown| shown.contains("not connected, trying again"));
    master.reconfigure(|builder| builder.authority(&format!("127.0.0.1:{port}")));
    master.restart();
    screen.wait_for("it again", |s| !s.contains("not connected") && s.contains("1 running"));
    screen.press("q");
    assert_eq!(screen.wait(), Some(0));
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    shell.ok(&[
        "create",
        "stub://x",
        "-a",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "--wait",
        "--for",
        "100ms",
    ]);
    let mut screen = shell.terminal(80, 24, &["list", "--watch"]);
    screen.wait_for("the name", |shown| shown.contains(r"\x1b[2J\x1b]0;"));
    assert!(!screen.output().contains("\x1b]0;owned"));
    screen.press("q");
    assert_eq!(screen.wait(), Some(0));
}

#[test]
fn more_than_one_is_deleted_after_a_yes() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    for alias in ["a", "b"] {
        shell.ok(&["create", "stub://x", "-a", alias]);
    }
    let mut asked = shell.terminal(80, 24, &["delete", "--all"]);
    asked.wait_output("[y/N]");
    asked.press("n\n");
    assert_eq!(asked.wait(), Some(1));
    assert_eq!(master.api().list().len(), 3);
    let mut asked = shell.terminal(80, 24, &["delete", "--all"]);
    asked.wait_output("[y/N]");
    asked.press("y\n");
    assert_eq!(asked.wait(), Some(0));
    assert_eq!(master.api().list().len(), 1);
}

#[test]
fn many_are_done_with_a_bar() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    for _ in 0..10 {
        shell.ok(&["create", "stub://x", "--tag", "many=1"]);
    }
    let mut screen = shell.terminal(80, 24, &["stop", "--tag", "many", "--wait"]);
    assert_eq!(screen.wait(), Some(0));
    screen.wait_output("stop [");
    until("a line for each", || screen.output().matches(": stopped").count() == 10);
}

#[test]
fn only_the_key_q_quits() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    shell.ok(&["create", "stub://one", "-a", "first", "--wait", "--for", "100ms"]);
    let mut screen = shell.terminal(100, 24, &["top"]);
    screen.wait_for("the first", |shown| shown.contains("first"));
    screen.wait_output("\x1b[?2004h");
    // Alt-q, a key of the keypad, an unknown sequence, and pasted text.
    screen.press("\x1bq");
    screen.press("\x1bOq");
    screen.press("\x1b[200~quit this now\nq\x1b[201~");
    screen.press("r");
    screen.wait_for("the reversed order", |shown| shown.contains("sort: cpu, reversed"));
    screen.press("q");
    assert_eq!(screen.wait(), Some(0));
    assert!(screen.is_ordinary());
    screen.wait_output("\x1b[?2004l");
}

#[test]
fn top_acts_and_shows_a_log() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let mut events = master.events();
    let id = master.run(&mut events, &Script::new().print("hello there").wait());
    events.wait_log(&id, "hello there");
    shell.ok(&["set", &id, "--alias", "web"]);
    let mut screen = shell.terminal(100, 24, &["top"]);
    screen.wait_for("it", |shown| shown.contains("web"));
    screen.press("\x1b[B");
    screen.press("l");
    let shown = screen.wait_for("its log", |shown| shown.contains("hello there"));
    assert!(shown.contains(&format!("log of web ({id})")), "{shown}");
    screen.press("T");
    screen.wait_for("the question", |shown| shown.contains(&format!("stop web ({id})? [y/n]")));
    screen.press("y");
    screen.wait_for("the stop", |shown| shown.contains("1 stopped"));
    events.wait_status(&id, "stopped");
    screen.press("q");
    assert_eq!(screen.wait(), Some(0));
}
