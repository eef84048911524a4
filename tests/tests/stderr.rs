//! Lines of standard error of commands are distinguished from standard output, from the start of a
//! process to every reader.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::path::Path;

use openctrl_tests::api::id_of;
use openctrl_tests::browser::Browser;
use openctrl_tests::script::Step;
use openctrl_tests::sse::Frame;
use openctrl_tests::{Api, Cue, Master, Script, Shell, binary, until};
use serde_json::{Value, json};

/// A master that is its own runtime, for `exec:`.
fn own() -> Master {
    Master::builder_for(binary::openctrl()).start()
}

/// The URL of a shell script, with more parameters.
fn shell_url(script: &str, more: &[(&str, &str)]) -> String {
    let mut url = "exec:///bin/sh?arg=-c".to_owned();
    let pairs = [("arg", script)].into_iter().chain(more.iter().copied());
    for (name, value) in pairs {
        url.extend(["&", name, "="]);
        url.extend(value.bytes().map(|byte| format!("%{byte:02X}")));
    }
    url
}

/// Starts a shell script that is not restarted.
fn start(api: &Api, script: &str) -> String {
    id_of(&api.create(&shell_url(script, &[("restart", "never")])))
}

/// What a shell does until a cue is given.
fn wait(cue: &Cue) -> String {
    format!("until [ -e '{}' ]; do sleep 0.02; done", cue.path().display())
}

const WAIT: &str = "exec sleep 1000";

fn page(api: &Api, id: &str, query: &str) -> Value {
    api.get(&format!("/instances/{id}/logs?limit=5000&{query}")).expect(200).json()
}

/// The lines of an answer; `! ` is before those of standard error.
fn shown(page: &Value) -> Vec<String> {
    let line = |line: &Value| {
        let text = line["text"].as_str().unwrap();
        match line.get("stream") {
            None => text.to_owned(),
            Some(stream) => {
                assert_eq!(stream, "stderr", "standard output is not named");
                format!("! {text}")
            }
        }
    };
    page["lines"].as_array().unwrap().iter().map(line).collect()
}

fn lines(api: &Api, id: &str) -> Vec<String> {
    shown(&page(api, id, ""))
}

/// Waits until these lines are there, among others. Lines of two streams that are written at about
/// the same time may be in either order.
fn wait_lines(api: &Api, id: &str, wanted: &[&str]) {
    until(&format!("the lines {wanted:?}"), || {
        let lines = lines(api, id);
        wanted.iter().all(|wanted| lines.iter().filter(|line| line == wanted).count() == 1)
    });
}

/// The files that the descriptors 1 and 2 of a process lead to.
fn outputs(pid: i64) -> [String; 2] {
    [1, 2].map(|number| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap();
        target.into_os_string().into_string().unwrap()
    })
}

fn pid(api: &Api, id: &str) -> i64 {
    api.process(id)["pid"].as_i64().unwrap()
}

#[test]
fn every_line_has_its_stream() {
    let master = own();
    let api = master.api();
    let mut events = master.events();
    let script = "for n in 1 2 3 4 5 6 7 8 9; do echo out $n; echo err $n >&2; done";
    let id = start(&api, &format!("{script}; {WAIT}"));
    wait_lines(&api, &id, &["out 9", "! err 9"]);
    let of = |name: &str, mark: &str| -> Vec<String> {
        (1..10).map(|number| format!("{mark}{name} {number}")).collect()
    };
    let lines = lines(&api, &id);
    let (errors, others): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| line.starts_with('!'));
    assert_eq!((others, errors), (of("out", ""), of("err", "! ")), "each stream is in its order");

    assert_eq!(shown(&page(&api, &id, "stream=stdout")), of("out", ""));
    assert_eq!(shown(&page(&api, &id, "stream=stderr")), of("err", "! "));
    assert_eq!(shown(&page(&api, &id, "stream=stderr&grep=[12]")), of("err", "! ")[..2]);
    let refused = api.get(&format!("/instances/{id}/logs?stream=both")).expect_error(400).json();
    assert_eq!(refused["error"], "stream is not stdout or stderr");

    // The event stream and the output of the master are those of the contract.
    events.wait_log(&id, "err 9");
    let frames = events.frames();
    let data = frames.iter().filter_map(|frame| frame.field("data"));
    let line = data.into_iter().find(|data| data.contains("\"logs\":\"err 9\"")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let mut names: Vec<&String> = line.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["instance", "logs", "time", "type"]);
    let printed = format!("err 9 [{id}]");
    master.output().wait_for_line(&printed, |line| line.text == printed);
}

#[test]
fn lines_keep_their_streams_when_the_master_is_killed() {
    let mut master = own();
    let (one, two) = (master.cue("one"), master.cue("two"));
    let script = format!(
        "echo out 1; echo err 1 >&2; {}; echo out 2; echo err 2 >&2; printf 'half out' ; \
         printf 'half err' >&2; {}; echo ' is whole'; echo ' is whole' >&2; {WAIT}",
        wait(&one),
        wait(&two)
    );
    let id = start(&master.api(), &script);
    wait_lines(&master.api(), &id, &["out 1", "! err 1"]);
    let before = master.api().process(&id);
    master.crash();
    one.give();
    master.restart();
    wait_lines(&master.api(), &id, &["out 2", "! err 2"]);
    two.give();
    wait_lines(&master.api(), &id, &["half out is whole", "! half err is whole"]);
    assert_eq!(master.api().process(&id)["pid"], before["pid"]);
    let [stdout, stderr] = outputs(pid(&master.api(), &id));
    assert_ne!(stdout, stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn lines_keep_their_streams_when_the_keeper_is_lost() {
    use openctrl_tests::keeper::{find, wait_other_than};
    use openctrl_tests::process::send;
    use rustix::process::Signal;

    let mut master = own();
    let (one, two) = (master.cue("one"), master.cue("two"));
    let script = format!(
        "echo out 1; echo err 1 >&2; {}; echo out 2; echo err 2 >&2; {}; echo out 3; \
         echo err 3 >&2; {WAIT}",
        wait(&one),
        wait(&two)
    );
    let id = start(&master.api(), &script);
    wait_lines(&master.api(), &id, &["out 1", "! err 1"]);
    let pipes = outputs(pid(&master.api(), &id));
    let keeper = find(&master).unwrap();
    send(keeper, Signal::KILL);
    let keeper = wait_other_than(&master, keeper);
    let holds = |pipe: &String| {
        let open = fs::read_dir(format!("/proc/{keeper}/fd")).unwrap().flatten();
        let mut targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        targets.any(|target| target == Path::new(pipe))
    };
    until("the next keeper to hold both pipes", || pipes.iter().all(holds));
    one.give();
    wait_lines(&master.api(), &id, &["out 2", "! err 2"]);
    // And the next master gets both from the next keeper.
    master.crash();
    two.give();
    master.restart();
    wait_lines(&master.api(), &id, &["out 3", "! err 3"]);
}

#[test]
#[cfg(target_os = "linux")]
fn lines_keep_their_streams_over_an_upgrade() {
    let master = own();
    let on = master.cue("on");
    let script = format!(
        "echo out 1; echo err 1 >&2; printf 'half out'; printf 'half err' >&2; {}; \
         echo ' is whole'; echo ' is whole' >&2; {WAIT}",
        wait(&on)
    );
    let api = master.api();
    let id = start(&api, &script);
    let unfinished = || {
        let page = page(&api, &id, "");
        ["unfinished", "unfinished_stderr"].map(|field| page[field]["text"].clone())
    };
    until("both half lines", || unfinished() == [json!("half out"), json!("half err")]);
    let shell = Shell::beside(&master);
    shell.ok(&["upgrade"]);
    wait_lines(&api, &id, &["out 1", "! err 1"]);
    on.give();
    wait_lines(&api, &id, &["half out is whole", "! half err is whole"]);
    assert_eq!(unfinished(), [Value::Null, Value::Null]);
    assert_eq!(lines(&api, &id).len(), 4, "without a hole");
}

#[test]
fn both_streams_may_have_a_line_that_has_not_ended() {
    let master = own();
    let api = master.api();
    let (one, two) = (master.cue("one"), master.cue("two"));
    let script = format!(
        "printf '50 %%'; printf 'name? ' >&2; {}; echo; {}; echo joe >&2; {WAIT}",
        wait(&one),
        wait(&two)
    );
    let events = master.events();
    let id = start(&api, &script);
    let is_shown = |frame: &Frame, stream: Option<&str>, text: &str| {
        if frame.field("event") != Some("unfinished") {
            return false;
        }
        let shown: Value = serde_json::from_str(frame.field("data").unwrap()).unwrap();
        shown["instance"] == *id
            && shown["text"] == text
            && shown.get("stream").and_then(Value::as_str) == stream
    };
    events.wait_frame(0, "the bar", |frame| is_shown(frame, None, "50 %"));
    events.wait_frame(0, "the prompt", |frame| is_shown(frame, Some("stderr"), "name? "));
    let filtered = page(&api, &id, "stream=stderr");
    assert_eq!(
        (&filtered["unfinished"], &filtered["unfinished_stderr"]["text"]),
        (&Value::Null, &json!("name? "))
    );
    one.give();
    events.wait_frame(0, "the end of the bar", |frame| is_shown(frame, None, ""));
    let page = page(&api, &id, "");
    assert_eq!(page["unfinished_stderr"]["text"], "name? ", "the prompt stays");
    two.give();
    events.wait_frame(0, "the end of the prompt", |frame| is_shown(frame, Some("stderr"), ""));
    wait_lines(&api, &id, &["50 %", "! name? joe"]);
}

#[test]
fn a_process_may_close_one_of_its_streams() {
    let master = own();
    let api = master.api();
    for (closes, half, is_left) in [
        ("exec 2>&-", "printf half >&2", "echo left"),
        ("exec >&-", "printf half", "echo left >&2"),
    ] {
        let cue = master.cue(closes.split(' ').next_back().unwrap());
        let script = format!("{half}; {closes}; {is_left}; {}; {is_left}; exit 7", wait(&cue));
        let id = start(&api, &script);
        // The line ends with its stream, although the process runs on.
        let (half, left) = match closes {
            "exec 2>&-" => ("! half", "left"),
            _ => ("half", "! left"),
        };
        wait_lines(&api, &id, &[half, left]);
        assert_eq!(api.status(&id), "running");
        cue.give();
        until("its exit", || api.status(&id) == "error");
        let mut lines = lines(&api, &id);
        lines.sort();
        assert_eq!(lines, {
            let mut all = vec![half, left, left];
            all.sort_unstable();
            all
        });
    }
}

#[test]
fn a_flood_on_standard_error_holds_up_nothing_and_loses_nothing() {
    let master = Master::builder_for(binary::openctrl()).query("log_lines", "100000").start();
    let api = master.api();
    let script = "seq 1 30000 >&2; echo between; seq 30001 40000 >&2; exit 3";
    let id = start(&api, script);
    until("its exit", || api.status(&id) == "error");
    assert_eq!(shown(&page(&api, &id, "stream=stdout")), ["between"]);
    let (mut next, mut cursor) = (1, "stream=stderr&cursor=00000000-0".to_owned());
    loop {
        let page = page(&api, &id, &cursor);
        for line in shown(&page) {
            assert_eq!(line, format!("! {next}"));
            next += 1;
        }
        if page["more"] == false {
            break;
        }
        cursor = format!("stream=stderr&cursor={}", page["next"].as_str().unwrap());
    }
    assert_eq!(next, 40_001, "what was in the pipe at the exit is there");
}

#[test]
fn an_endless_flood_on_one_stream_leaves_the_other_readable() {
    let master = own();
    let api = master.api();
    let cue = master.cue("go");
    let script = format!("yes >&2 & {}; echo I am here; wait", wait(&cue));
    let id = id_of(&api.create(&shell_url(&script, &[("ready", "line:I am here")])));
    until("the flood", || !shown(&page(&api, &id, "stream=stderr")).is_empty());
    assert_eq!(api.process(&id)["ready"], false);
    cue.give();
    // The flood soon replaces the line in the history, but it was read.
    until("the line", || api.process(&id)["ready"] == true);
    api.act(&id, "stop");
    until("it to end", || api.status(&id) == "stopped");
}

#[test]
fn joined_streams_keep_the_order_of_all_lines() {
    let master = own();
    let api = master.api();
    let script = format!("for n in 1 2 3 4; do echo $n; echo $n >&2; done; {WAIT}");
    let url = shell_url(&script, &[("stderr", "joined")]);
    let id = id_of(&api.create(&url));
    until("the lines", || lines(&api, &id) == ["1", "1", "2", "2", "3", "3", "4", "4"]);
    let [stdout, stderr] = outputs(pid(&api, &id));
    assert_eq!(stdout, stderr);
    let bad = api.post("/instances", &json!({"url": shell_url(WAIT, &[("stderr", "x")])}));
    assert_eq!(bad.expect_error(400).json()["error"], "stderr must be apart or joined");
}

#[test]
fn runtimes_have_one_pipe_as_in_the_contract() {
    let master = Master::start();
    let api = master.api();
    let script = Script::new().print("a").step(Step::PrintError("b".into())).print("c").wait();
    let id = api.run(&script);
    until("the lines", || lines(&api, &id) == ["a", "b", "c"]);
    let [stdout, stderr] = outputs(pid(&api, &id));
    assert_eq!(stdout, stderr);
}

#[test]
fn a_daemon_that_has_only_standard_error_belongs_to_its_instance() {
    let master = own();
    let api = master.api();
    let left = master.folder().join("daemon");
    // In a session of its own, its parent has exited, and it has one stream of the instance.
    let daemon = format!("echo $$ >'{0}.new'; mv '{0}.new' '{0}'; exec sleep 1000", left.display());
    let script = format!("(setsid sh -c \"$0\" >/dev/null &); {WAIT}");
    let url = shell_url(&script, &[("arg", &daemon)]);
    let id = id_of(&api.create(&url));
    until("the daemon", || left.exists());
    let daemon: i32 = fs::read_to_string(&left).unwrap().trim().parse().unwrap();
    assert!(openctrl_tests::process::is_alive(daemon));
    api.delete(&id).expect(204);
    openctrl_tests::process::wait_gone(daemon);
}

#[test]
fn survive_off_tells_them_apart_too() {
    let master = Master::builder_for(binary::openctrl()).query("survive", "off").start();
    let api = master.api();
    let id = start(&api, &format!("echo out; echo err >&2; {WAIT}"));
    wait_lines(&api, &id, &["out", "! err"]);
    let refused = start(&api, "exec /no/such/command");
    until("its exit", || api.status(&refused) == "error");
    let said = shown(&page(&api, &refused, "stream=stderr"));
    assert!(said.len() == 1 && said[0].contains("/no/such/command"), "{said:?}");
}

#[test]
fn files_keep_the_streams_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut master = Master::builder_for(binary::openctrl())
        .query("logs", folder.path().to_str().unwrap())
        .start();
    let id = start(&master.api(), "echo out; sleep 0.1; echo err >&2");
    wait_lines(&master.api(), &id, &["out", "! err"]);
    let before = page(&master.api(), &id, "");
    master.stop();
    let time = |index: usize| before["lines"][index]["time"].as_str().unwrap();
    let file = fs::read_to_string(folder.path().join(format!("{id}.log"))).unwrap();
    assert_eq!(file, format!("{} out\n{}! err\n", time(0), time(1)));
    master.restart();
    assert_eq!(lines(&master.api(), &id), ["out", "! err"]);
}

/// Under so few descriptors not every process has two pipes.
const DESCRIPTORS: usize = 256;

#[test]
#[cfg(target_os = "linux")]
fn few_descriptors_leave_one_pipe_to_later_processes() {
    let limit = format!("ulimit -n {DESCRIPTORS} && exec \"$0\" \"$@\"");
    let master =
        Master::builder_for(binary::openctrl()).through(&["/bin/sh", "-c", &limit]).start();
    let api = master.api();
    let script = format!("echo out; echo err >&2; {WAIT}");
    let ids: Vec<String> = (0..120).map(|_| start(&api, &script)).collect();
    let of_first = lines_of_both(&api, &ids[0]);
    let of_last = lines_of_both(&api, ids.last().unwrap());
    assert!(of_first.contains(&"! err".to_owned()), "{of_first:?}");
    assert!(of_last.contains(&"err".to_owned()), "{of_last:?}");
    assert!(ids.iter().all(|id| api.status(id) == "running"));
    let said = "warning: Master.run: instances use half of the 256 open files";
    master.output().wait_for_line(said, |line| line.text.contains(said));
}

fn lines_of_both(api: &Api, id: &str) -> Vec<String> {
    until("both lines", || lines(api, id).len() == 2);
    lines(api, id)
}

#[test]
fn the_command_line_tells_them_apart() {
    let master = own();
    let api = master.api();
    let shell = Shell::beside(&master);
    let id = start(&api, &format!("echo out; sleep 0.1; echo err >&2; {WAIT}"));
    wait_lines(&api, &id, &["out", "! err"]);
    shell.ok(&["set", &id, "--alias", "web"]);
    // As it was printed where it is read by a program.
    assert_eq!(shell.ok(&["logs", "web"]), "out\nerr\n");
    assert_eq!(shell.ok(&["logs", "web", "--stream", "stderr"]), "err\n");
    assert_eq!(shell.ok(&["logs", "web", "--stream", "stdout"]), "out\n");
    assert_eq!(shell.ok(&["logs", "--all"]), "web | out\nweb ! err\n");
    let json = shell.ok(&["logs", "web", "-o", "json"]);
    let objects: Vec<Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((objects[0].get("stream"), &objects[1]["stream"]), (None, &json!("stderr")));
    let bad = shell.fails(2, &["logs", "web", "--stream", "both"]);
    assert!(bad.contains("stdout, stderr"), "{bad}");

    let mut terminal = shell.terminal(80, 24, &["logs", "web"]);
    assert_eq!(terminal.wait(), Some(0));
    terminal.wait_output("\u{1b}[31merr\u{1b}[0m");
    assert!(terminal.output().starts_with("out"), "{:?}", terminal.output());
    let without = Shell::beside(&master).with("NO_COLOR", "1");
    let mut terminal = without.terminal(80, 24, &["logs", "web"]);
    assert_eq!(terminal.wait(), Some(0));
    terminal.wait_output("! err");

    let joined = shell.ok(&["run", "--stderr", "joined", "--name", "j", "sleep", "1000"]);
    assert!(api.instance(joined.trim())["url"].as_str().unwrap().contains("stderr=joined"));
}

#[test]
fn the_page_tells_them_apart() {
    let Some(browser) = Browser::start(env!("CARGO_TARGET_TMPDIR")) else { return };
    let master = own();
    let api = master.api();
    let (go, end) = (master.cue("go"), master.cue("end"));
    let script = format!(
        "echo out 1; echo err 1 >&2; {}; echo out 2; echo err 2 >&2; printf 'name? ' >&2; {}; {WAIT}",
        wait(&go),
        wait(&end)
    );
    let id = start(&api, &script);
    wait_lines(&api, &id, &["out 1", "! err 1"]);
    browser.log_in(&format!("http://{}/", master.endpoint().address), master.key());
    browser.wait_row(&id, "running");
    browser.open_row(&id);
    // With words, not with a color alone.
    let drawn = || {
        let script = "return [...document.querySelectorAll('#log .lines .line')].map((line) => \
            [line.querySelector('.stream')?.title ?? '', line.querySelector('.text').textContent])";
        browser.script(script, &[])
    };
    let has =
        |stream: &str, text: &str| drawn().as_array().unwrap().contains(&json!([stream, text]));
    until("the history", || has("", "out 1") && has("standard error", "err 1"));
    go.give();
    until("new lines", || has("", "out 2") && has("standard error", "err 2"));
    let prompt = "const line = document.querySelector('#log-unfinished .line'); \
        return line?.querySelector('.stream')?.textContent + line?.querySelector('.text').textContent";
    until("the prompt", || browser.script(prompt, &[]) == "errname? ");
    let choose = "const choice = document.querySelector('#log-stream'); \
        choice.value = arguments[0]; choice.dispatchEvent(new Event('change'))";
    browser.script(choose, &[json!("stderr")]);
    let errors = json!([["standard error", "err 1"], ["standard error", "err 2"]]);
    until("only standard error", || drawn() == errors);
    browser.script(choose, &[json!("stdout")]);
    until("only standard output", || drawn() == json!([["", "out 1"], ["", "out 2"]]));
}
