//! Contract §7: how output becomes lines.

use openctrl_tests::output::Source;
use openctrl_tests::script::Step;
use openctrl_tests::sse::FRAME_LIMIT;
use openctrl_tests::{Master, Script, Sse, until};

/// Runs `script`, which must end in the line `end`, and returns every line before that.
fn lines(master: &Master, events: &mut Sse, script: Script) -> Vec<String> {
    let id = master.api().run(&script.print("end").wait());
    events.wait_log(&id, "end");
    let mut logs = events.logs(&id);
    assert_eq!(logs.pop().as_deref(), Some("end"));
    logs
}

#[test]
fn stdout_and_stderr_are_read_alike() {
    let master = Master::start();
    let mut events = master.events();
    let (one, two) = (master.cue("one"), master.cue("two"));
    let script = Script::new()
        .print("from stdout")
        .cue(&one)
        .step(Step::PrintError("from stderr".into()))
        .cue(&two)
        .step(Step::PrintError(openctrl_tests::script::checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9])))
        .wait();
    let id = master.api().run(&script);
    events.wait_log(&id, "from stdout");
    one.give();
    events.wait_log(&id, "from stderr");
    two.give();
    events.wait_value(&id, "udptx", 9);
    assert_eq!(events.logs(&id), ["from stdout", "from stderr"]);
}

#[test]
fn a_line_ends_in_lf_and_loses_one_cr_before_it() {
    let master = Master::start();
    let mut events = master.events();
    let script = Script::new().raw("unix\nwindows\r\nin\rside\r\n\n\r\nx\r\r\n  spaces\t \n");
    assert_eq!(
        lines(&master, &mut events, script),
        ["unix", "windows", "in\rside", "", "", "x\r", "  spaces\t "]
    );
}

#[test]
fn a_line_may_arrive_in_any_number_of_reads() {
    let master = Master::start();
    let mut events = master.events();
    let text = "αβγ CHECK_POINT|MODE=no\r\n".as_bytes();
    let mut script = Script::new();
    for byte in text {
        script = script.raw([*byte]).step(Step::SleepMs(2));
    }
    let checkpoint = openctrl_tests::script::checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]) + "\n";
    for piece in checkpoint.as_bytes().chunks(5) {
        script = script.raw(piece).step(Step::SleepMs(2));
    }
    script = script.raw("several\nlines\nin one").step(Step::SleepMs(20)).raw(" write\n");
    assert_eq!(
        lines(&master, &mut events, script),
        ["αβγ CHECK_POINT|MODE=no", "several", "lines", "in one write"]
    );
    assert!(events.events().iter().any(|event| event.instance["udptx"] == 9));
}

#[test]
fn an_unterminated_last_line_counts_once() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.api().run(&Script::new().raw("first\nlast words").exit(0));
    events.wait_log(&id, "last words");
    let clean = master.api().run(&Script::new().raw("only\n").exit(0));
    events.wait_log(&clean, "only");
    let counted = master.api().run(&Script::new().raw(openctrl_tests::script::checkpoint([1; 9])));
    events.wait_value(&counted, "udptx", 1);
    let failed = master.api().run_once(&Script::new().raw("an ERROR").wait());
    let witness = master.api().run(&Script::new().print("witness").wait());
    events.wait_log(&witness, "witness");
    until("it to run", || master.api().status(&failed) == "running");
    assert_eq!(events.logs(&id), ["first", "last words"]);
    assert_eq!(events.logs(&clean), ["only"], "an ended line leaves no empty one");
    assert_eq!(events.logs(&counted), Vec::<String>::new());
}

/// What a process printed just before its end is in the pipe when its end is noticed.
#[test]
fn a_short_life_is_heard_to_its_last_word() {
    let master = Master::start();
    let mut events = master.events();
    let script = Script::new().print("first and last words").exit(0);
    for _ in 0..25 {
        let ids: Vec<String> = (0..10).map(|_| master.api().run(&script)).collect();
        for _ in &ids {
            events.wait_for("each to end", |event| {
                event.kind == "update" && event.instance["status"] == "stopped"
            });
        }
        for id in &ids {
            assert_eq!(events.logs(id), ["first and last words"]);
            master.api().delete(id).expect(204);
        }
    }
}

#[test]
fn invalid_utf8_is_replaced_and_characters_are_never_torn() {
    let master = Master::start();
    let mut events = master.events();
    let script = Script::new()
        .raw(b"\xff\xfeok\xc0\n")
        .raw(b"caf\xc3")
        .step(Step::SleepMs(20))
        .raw(b"\xa9 \xf0\x9f")
        .step(Step::SleepMs(20))
        .raw(b"\x98\x80\n")
        .raw(b"nul \x00 bell \x07 esc \x1b[1m quote \" back \\ del \x7f\n")
        .raw("\u{2028}\u{2029}\u{feff}\n");
    assert_eq!(
        lines(&master, &mut events, script),
        [
            "\u{fffd}\u{fffd}ok\u{fffd}",
            "café 😀",
            "nul \0 bell \u{7} esc \u{1b}[1m quote \" back \\ del \u{7f}",
            "\u{2028}\u{2029}\u{feff}"
        ]
    );
}

#[test]
fn every_other_line_goes_to_the_masters_stdout_with_its_id() {
    let master = Master::start();
    let mut events = master.events();
    let script = Script::new()
        .print("a line")
        .step(Step::PrintError("another".into()))
        .checkpoint([1; 9])
        .raw("with cr\r\n")
        .raw("unended")
        .exit(0);
    let id = master.api().run(&script);
    events.wait_status(&id, "stopped");
    for text in ["a line", "another", "with cr", "unended"] {
        let expected = format!("{text} [{id}]");
        master.output().wait_for_line(&expected, |line| line.text == expected);
        assert_eq!(master.output().count(|line| line.text == expected), 1);
    }
    let stdout = master.output().text(Source::Stdout);
    assert!(!stdout.contains("CHECK_POINT"), "checkpoints are not lines: {stdout}");
    assert!(stdout.contains(&format!("a line [{id}]\n")), "forwarded to stdout, not stderr");
}

/// What an operator turns off is only the copy on standard output.
#[test]
fn lines_are_kept_from_stdout_on_request() {
    let mut master = Master::builder().query("console", "off").start();
    let mut events = master.events();
    let id = master.api().run(&Script::new().print("a line").wait());
    events.wait_log(&id, "a line");
    let page = master.api().get(&format!("/instances/{id}/logs")).expect(200).json();
    assert_eq!(page["lines"][0]["text"], "a line");
    // Everything that waits is written before the end.
    master.stop();
    let stdout = master.output().text(Source::Stdout);
    assert!(!stdout.contains("a line"), "{stdout}");
}

#[test]
fn a_flood_loses_nothing_and_keeps_its_order() {
    let master = Master::start();
    let mut events = master.events();
    let (count, length) = (20_000, 60);
    let script = Script::new().step(Step::Flood(count, length)).print("end").wait();
    let id = master.api().run(&script);
    events.wait_log(&id, "end");
    let logs = events.logs(&id);
    assert_eq!(logs.len(), count + 1);
    for (number, line) in logs[..count].iter().enumerate() {
        assert!(line.starts_with(&format!("flood-{number}-")), "line {number} is {line}");
        assert_eq!(line.len(), length);
    }
    let last = format!("end [{id}]");
    master.output().wait_for_line(&last, |line| line.text == last);
    let forwarded = master.output().count(|line| line.text.ends_with(&format!("x [{id}]")));
    assert_eq!(forwarded, count, "stdout has every line too");
}

/// What a long line becomes: the start of it, as one event in a frame that fits.
fn assert_cut(master: &Master, events: &mut Sse, line: Script, unit: &str, count: usize) {
    let id = master.api().run(&line.raw("\n").print("next").wait());
    events.wait_log(&id, "next");
    let logs = events.logs(&id);
    assert_eq!(logs.len(), 2, "one event a line");
    assert_eq!(logs[1], "next", "the line after it is whole");
    let kept = logs[0].matches(unit).count();
    assert!(logs[0].starts_with(&unit.repeat(kept)), "the start of the line is kept");
    assert!(kept > 1000 && kept <= count, "{kept} of {count} kept");
}

#[test]
fn a_long_line_is_cut_so_that_its_frame_fits() {
    let master = Master::start();
    let mut events = master.events();
    for byte in [b'x', 0x1b, b'"', 0xff, 0x00] {
        let script = Script::new().step(Step::Fill(byte, 100_000));
        let unit = String::from_utf8_lossy(&[byte]).into_owned();
        assert_cut(&master, &mut events, script, &unit, 100_000);
    }
    let script = Script::new().step(Step::Repeat(1_000, Script::new().raw("😀".repeat(64))));
    assert_cut(&master, &mut events, script, "😀", 64_000);
    let huge = Script::new().step(Step::Fill(b'h', 5 << 20));
    assert_cut(&master, &mut events, huge, "h", 5 << 20);
    // `Sse` fails the test on a longer frame by itself; this shows that there were long ones.
    let longest = events.frames().iter().map(|frame| frame.text.len() + 2).max().unwrap();
    assert!(longest > FRAME_LIMIT / 4 && longest < FRAME_LIMIT, "{longest} bytes");
}

/// A frame carries the line and the object, both at their largest.
#[test]
fn a_long_line_of_a_large_instance_still_fits() {
    let master = Master::start();
    let mut events = master.events();
    let script = Script::new().step(Step::Fill(0x1b, 100_000)).raw("\n").print("next").wait();
    let padding = "u".repeat(30 * 1024);
    let created = master.api().create(&format!("{}#{padding}", script.url()));
    let id = openctrl_tests::api::id_of(&created);
    events.wait_log(&id, "next");
    let logs = events.logs(&id);
    assert_eq!(logs.len(), 2);
    assert!(logs[0].starts_with("\u{1b}\u{1b}"), "something of the line is left");
}

#[test]
fn a_long_line_is_still_searched_for_what_counts() {
    let master = Master::start();
    let mut events = master.events();
    let script = Script::new()
        .step(Step::Fill(b'.', 500))
        .raw("ERROR")
        .step(Step::Fill(b'.', 200_000))
        .raw("\n")
        .wait();
    let id = master.api().run_once(&script);
    events.wait_status(&id, "error");
}
