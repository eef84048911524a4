//! Lines without an end: prompts and progress bars are shown as they are until they end, and count
//! as a line once, when they do.

use openctrl_tests::browser::Browser;
use openctrl_tests::script::Step;
use openctrl_tests::sse::Frame;
use openctrl_tests::{Api, Master, Script, Sse, until};
use serde_json::{Value, json};

fn raw(script: Script, text: &str) -> Script {
    script.step(Step::Raw(text.as_bytes().to_vec()))
}

/// What the stream says of lines that have not ended.
fn unfinished(frame: &Frame) -> Option<Value> {
    (frame.field("event") == Some("unfinished"))
        .then(|| serde_json::from_str(frame.field("data").expect("data")).expect("JSON"))
}

fn wait_unfinished(events: &Sse, id: &str, text: &str) {
    let what = format!("the unfinished line {text:?}");
    let frame = events.wait_frame(0, &what, |frame| {
        unfinished(frame).is_some_and(|line| line["instance"] == id && line["text"] == text)
    });
    assert_eq!(frame.field("id"), None, "it is no event to resume from");
}

fn page(api: &Api, id: &str) -> Value {
    api.get(&format!("/instances/{id}/logs")).expect(200).json()
}

fn texts(page: &Value) -> Vec<String> {
    let lines = page["lines"].as_array().expect("lines").iter();
    lines.map(|line| line["text"].as_str().expect("a text").to_owned()).collect()
}

#[test]
fn a_prompt_is_shown_until_it_is_answered_and_is_one_line_then() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let answer = master.cue("answer");
    let script = raw(Script::new().print("hello"), "name? ");
    let script = raw(script.step(Step::Cue(answer.path().into())), "joe\n").wait();
    let id = master.run(&mut events, &script);
    wait_unfinished(&events, &id, "name? ");
    let shown = page(&api, &id);
    assert_eq!(texts(&shown), ["hello"]);
    assert_eq!(shown["unfinished"]["text"], "name? ");
    assert_eq!(events.logs(&id), ["hello"], "it is no line yet");
    // Pages that do not reach the end do not have it, nor those that look for something else.
    let with = |query: &str| {
        api.get(&format!("/instances/{id}/logs?{query}")).json()["unfinished"].clone()
    };
    let next = shown["next"].as_str().expect("a cursor").to_owned();
    assert_eq!(with(&format!("cursor={next}"))["text"], "name? ");
    assert_eq!(with(&format!("before={next}")), Value::Null);
    assert_eq!(with("grep=name")["text"], "name? ");
    assert_eq!(with("grep=other"), Value::Null);
    // One who comes later sees it, too.
    let late = master.events();
    wait_unfinished(&late, &id, "name? ");

    answer.give();
    events.wait_log(&id, "name? joe");
    until("the page", || page(&api, &id)["unfinished"].is_null());
    assert_eq!(texts(&page(&api, &id)), ["hello", "name? joe"]);
    wait_unfinished(&events, &id, "");
    assert_eq!(events.logs(&id), ["hello", "name? joe"], "each line is one event");
    let output = master.output().text(openctrl_tests::output::Source::Stdout);
    assert_eq!(output.matches("name?").count(), 1, "{output}");
}

#[test]
fn a_progress_bar_that_never_pauses_is_shown_as_it_goes() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let mut script = Script::new();
    for percent in 0..40 {
        script = raw(script, &format!("\r{percent:3} % of all")).step(Step::SleepMs(100));
    }
    let end = master.cue("end");
    let script = raw(script.step(Step::Cue(end.path().into())), "\rdone\x1b[K\n").wait();
    let id = master.run(&mut events, &script);
    // More than one look while it moves, each as a terminal would show it.
    until("several states of it", || {
        let shown: Vec<Value> = events.frames().iter().filter_map(unfinished).collect();
        let is_state = |line: &Value| {
            line["text"].as_str().is_some_and(|text| text.len() == "  0 % of all".len())
        };
        assert!(shown.iter().all(is_state), "{shown:?}");
        shown.len() >= 3
    });
    wait_unfinished(&events, &id, " 39 % of all");
    end.give();
    // The event has the line as it was printed (contract §7), the history as it looks.
    let event = events.wait_for("the line", |event| event.is_log_of(&id));
    assert!(event.logs.starts_with("\r  0 %") && event.logs.ends_with("\rdone\u{1b}[K"));
    assert_eq!(texts(&page(&api, &id)), ["done"]);
}

#[test]
fn of_a_long_progress_bar_the_end_is_kept() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let step = raw(Script::new(), "\rat work");
    let script = raw(Script::new().step(Step::Repeat(20_000, step)), "\r100 % done\r\nafter\n");
    let id = master.run(&mut events, &script.wait());
    let event = events.wait_for("the line", |event| event.is_log_of(&id));
    let (kept, cut) = event.logs.split_once(" … (").expect("the note of a cut");
    assert!(kept.ends_with("\rat work\r100 % done"), "{}", &kept[kept.len() - 40..]);
    let cut: usize = cut.trim_end_matches(" bytes cut)").parse().expect("a number");
    assert_eq!(kept.len() + cut, 20_000 * "\rat work".len() + "\r100 % done".len());
    events.wait_log(&id, "after");
    assert_eq!(texts(&page(&api, &id)), ["100 % done", "after"]);
}

#[test]
fn a_line_that_ends_with_its_process_is_one_line() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let end = master.cue("end");
    let script = raw(Script::new(), "last words").step(Step::Cue(end.path().into()));
    let id = master.api().run_once(&script);
    wait_unfinished(&events, &id, "last words");
    end.give();
    events.wait_log(&id, "last words");
    events.wait_status(&id, "stopped");
    let page = page(&api, &id);
    assert_eq!((texts(&page), &page["unfinished"]), (vec!["last words".to_owned()], &Value::Null));
    assert_eq!(events.logs(&id).len(), 1);
}

#[test]
fn a_checkpoint_that_comes_in_two_parts_leaves_nothing_behind() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let end = master.cue("end");
    let script = raw(Script::new(), "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=6");
    let script = raw(script.step(Step::Cue(end.path().into())), "|TCPTX=7|UDPRX=8|UDPTX=9\n");
    let id = master.run(&mut events, &script.wait());
    until("it to be shown", || !page(&api, &id)["unfinished"].is_null());
    end.give();
    events.wait_value(&id, "udptx", 9);
    until("nothing to be left", || page(&api, &id)["unfinished"].is_null());
    wait_unfinished(&events, &id, "");
    assert_eq!(texts(&page(&api, &id)), Vec::<String>::new());
    // A reader that comes now hears nothing of it.
    let late = master.events();
    master.run(&mut events, &raw(Script::new(), "mark").wait());
    late.wait_frame(0, "another prompt", |frame| unfinished(frame).is_some());
    let of_id = |frame: &Frame| unfinished(frame).is_some_and(|line| line["instance"] == id);
    assert!(!late.frames().iter().any(of_id));
}

#[test]
fn the_page_shows_a_prompt_and_what_a_terminal_would() {
    let Some(browser) = Browser::start(env!("CARGO_TARGET_TMPDIR")) else { return };
    let master = Master::start();
    let mut events = master.events();
    let answer = master.cue("answer");
    let script = raw(Script::new().print("50 %\r100 %"), "name? ");
    let script = raw(script.step(Step::Cue(answer.path().into())), "joe\n").wait();
    let id = master.run(&mut events, &script);
    let root = format!("http://{}/", master.endpoint().address);
    browser.log_in(&root, master.key());
    browser.wait_row(&id, "running");
    browser.open_row(&id);
    let shows = |selector: &str, text: &str| {
        let script = "const found = document.querySelectorAll(arguments[0]); \
            return [...found].some((node) => node.textContent.includes(arguments[1]))";
        browser.script(script, &[json!(selector), json!(text)]) == true
    };
    until("the prompt", || shows("#log-unfinished .text", "name? "));
    until("the line before it", || shows("#log .lines .text", "100 %"));
    assert!(!shows("#log .lines .text", "50 %"), "it is overwritten");
    answer.give();
    until("the line", || shows("#log .lines .text", "name? joe"));
    until("the prompt to go", || !shows("#log-unfinished .text", "name?"));
}
