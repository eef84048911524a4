//! Patrol contract §2 and A: apps that the server starts and waits for (keep-alive 1).

use std::fs;
use std::path::Path;
use std::time::Duration;

use openctrl_tests::patrol::{Builder, Folder, Patrol, records};
use openctrl_tests::process::{is_alive, wait_gone};
use openctrl_tests::wait::holds_for;
use openctrl_tests::{Mark, until};
use serde_json::{Value, json};

fn pid(app: &Value) -> i32 {
    app["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid")
}

fn instance(app: &Value) -> &str {
    app["instance-id"].as_str().unwrap_or_default()
}

fn start(folder: Folder, app: Value) -> Patrol {
    folder.start(json!({"web": app}), json!({}))
}

fn mark_word(name: &str, mark: &Mark) -> String {
    format!("{name}mark:{}", mark.path().display())
}

#[test]
fn an_app_runs_in_its_directory_with_its_environment_alone() {
    let folder = Folder::default();
    let file = folder.path("environment");
    let mut app = folder.app(1, &[&format!("env:{file}"), "wait"]);
    app["env-parent"] = json!(false);
    app["env"] = json!(["a=b", "c=d", "a=e", "PATROL_ID=x"]);
    let patrol = start(folder, app);
    until("the environment", || fs::exists(&file).unwrap_or(false));
    let text = fs::read_to_string(&file).expect("it is there");
    let folder = patrol.folder().display().to_string();
    let mut lines: Vec<String> = text.lines().map(|line| line.replace(&folder, "FOLDER")).collect();
    lines.sort_unstable();
    let ports = [patrol.http().port(), patrol.udp().port()];
    let expected = [
        "(argv)=FOLDER/app env:FOLDER/environment wait".to_owned(),
        "(cwd)=FOLDER".to_owned(),
        format!("PATROL_HTTP=[\"127.0.0.1:{}\"]", ports[0]),
        "PATROL_ID=web".to_owned(),
        "PATROL_KEEPALIVE=1".to_owned(),
        "PATROL_PID=FOLDER/app.pid".to_owned(),
        format!("PATROL_UDP=[\"127.0.0.1:{}\"]", ports[1]),
        "a=e".to_owned(),
        "c=d".to_owned(),
    ];
    assert_eq!(lines, expected);
    // The mark of this test is missing for once: the app has to be ended by its server.
    let running = pid(&patrol.wait_instance("web", ""));
    patrol.toggle("web", 2);
    wait_gone(running);
}

#[test]
fn the_environment_of_the_server_comes_first_if_the_app_wants_it() {
    let folder = Folder::default();
    let file = folder.path("environment");
    let mut app = folder.app(1, &[&format!("env:{file}"), "wait"]);
    app["env"] = json!(["FROM_BOTH=app"]);
    let builder = Builder::new(json!({"web": app}), json!({}))
        .variable("FROM_BOTH", "server")
        .variable("FROM_SERVER", "1");
    let _patrol = folder.start_with(builder);
    until("the environment", || fs::exists(&file).unwrap_or(false));
    let text = fs::read_to_string(&file).expect("it is there");
    for line in ["FROM_BOTH=app", "FROM_SERVER=1"] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    assert!(!text.contains("FROM_BOTH=server"), "{text}");
}

#[test]
fn every_app_leads_a_group_of_its_own() {
    let folder = Folder::default();
    let apps = json!({"a": folder.app(1, &["wait"]), "b": folder.app(2, &["wait"])});
    let patrol = folder.start(apps, json!({}));
    patrol.wait_instance("a", "");
    until("both to run", || patrol.descendants().len() == 2);
    for pid in patrol.descendants() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        assert_eq!(after.split_whitespace().nth(2), Some(pid.to_string().as_str()));
    }
}

/// `<log-directory>/<year>/<month>/<day>/<nanoseconds>.stdout.log` and `.stderr.log`.
#[test]
fn output_goes_to_two_files_of_the_day_or_to_one() {
    for merged in [false, true] {
        let folder = Folder::default();
        let mut app = folder.app(1, &["print:to-stdout", "error:to-stderr", "wait"]);
        app["std-merge"] = json!(merged);
        let patrol = start(folder, app);
        let expected = if merged { 1 } else { 2 };
        let mut files = Vec::new();
        until("the files", || {
            files = log_files(&patrol.folder().join("logs"));
            files.len() == expected && files.iter().all(|(_, text)| text.ends_with('\n'))
        });
        let texts: Vec<&str> = files.iter().map(|(_, text)| text.as_str()).collect();
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let parts: Vec<&str> = names[0].split('/').collect();
        let [year, month, day, file] = parts[..] else { panic!("{names:?}") };
        assert!(year.len() == 4 && month.chars().all(|c| c.is_ascii_lowercase()), "{names:?}");
        assert!(!day.starts_with('0'), "{names:?}");
        let number = file.split('.').next().unwrap_or_default();
        assert!(number.len() >= 19 && number.bytes().all(|byte| byte.is_ascii_digit()), "{file}");
        if merged {
            assert!(file.ends_with(".stdmerge.log"), "{file}");
            until("both lines", || {
                log_files(&patrol.folder().join("logs"))[0].1 == "to-stdout\nto-stderr\n"
            });
        } else {
            assert_eq!(texts, ["to-stderr\n", "to-stdout\n"]);
            assert!(names.iter().all(|name| name.contains(number)), "one number: {names:?}");
        }
    }
}

/// The paths below `root`, sorted, and what is in the files.
fn log_files(root: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it is below").display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap_or_default()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_exit_is_recorded_and_the_app_is_started_again_at_once() {
    for (word, code) in [
        ("exit:0", None),
        ("exit:7", Some(7)),
        ("exit:300", Some(300 & 255)),
        ("die:KILL", Some(255)),
    ] {
        let folder = Folder::default();
        let app = folder.app(1, &[&format!("on:HUP={word}"), "wait"]);
        let patrol = start(folder, app);
        let first = patrol.wait_instance("web", "");
        assert!(first["started"].is_string() && first["lastseen"].is_string(), "{first}");
        openctrl_tests::process::send(pid(&first), rustix::process::Signal::HUP);
        let record = patrol.wait_history("web", 1);
        assert_eq!(record["instance-id"], first["instance-id"]);
        assert_eq!(record["pid"], first["pid"]);
        assert_eq!(record.get("exit-code").and_then(Value::as_u64), code, "{word}");
        let fields: Vec<&str> =
            record.as_object().expect("an object").keys().map(String::as_str).collect();
        let mut expected = vec!["instance-id", "lastseen", "pid", "started", "stopped"];
        if code.is_some() {
            expected.insert(0, "exit-code");
        }
        assert_eq!(fields, expected);
        patrol.wait_instance("web", instance(&first));
    }
}

/// First at once, then with growing delays: a crashing app is no load.
#[test]
fn restarts_of_a_crashing_app_back_off() {
    let folder = Folder::default();
    let starts = folder.mark("starts");
    let app = folder.app(1, &[&mark_word("", &starts), "exit:1"]);
    let _patrol = start(folder, app);
    let times: Vec<u64> = starts.wait(5).iter().map(|entry| entry.unix_ms).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The first start is no restart: the first restart is at once, the next ones after about 1 s,
    // 2 s and so on.
    assert!(gaps[1] >= 800 && gaps[2] >= 1_600 && gaps[3] >= 3_200, "{gaps:?}");
}

/// USR1, then TERM after 5 s, then KILL after 5 s more; TERM and KILL reach the whole group.
#[test]
fn a_stop_escalates_until_nothing_of_the_group_is_left() {
    let folder = Folder::default();
    let [usr1, term, child] = ["usr1", "term", "child"].map(|name| folder.mark(name));
    let words = [
        mark_word("on:USR1=", &usr1),
        mark_word("on:TERM=", &term),
        format!("child:{}", child.path().display()),
        "wait".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let app = folder.app(1, &words);
    let patrol = start(folder, app);
    let running = pid(&patrol.wait_instance("web", ""));
    let member = child.wait(1)[0].pid;
    patrol.toggle("web", 2);
    let (first, second) = (usr1.wait(1)[0], term.wait(1)[0]);
    let gap = second.unix_ms - first.unix_ms;
    assert!((4_900..9_000).contains(&gap), "TERM follows USR1 by {gap} ms");
    let record = patrol.wait_history("web", 1);
    assert_eq!((&record["disabled"], &record["exit-code"]), (&json!(true), &json!(255)));
    wait_gone(running);
    wait_gone(member);
    assert_eq!((usr1.count(), term.count()), (1, 1), "each signal is sent once");
    assert!(instance(&patrol.app("web")).is_empty());
}

#[test]
fn a_polite_app_ends_by_usr1_with_its_own_code() {
    let folder = Folder::default();
    let app = folder.app(1, &["on:USR1=exit:10", "wait"]);
    let patrol = start(folder, app);
    patrol.wait_instance("web", "");
    let reply = patrol.toggle("web", 2);
    assert!(reply["disabled"].is_null(), "the state before the request: {reply}");
    let record = patrol.wait_history("web", 1);
    assert_eq!((&record["disabled"], &record["exit-code"]), (&json!(true), &json!(10)));
    assert!(record["restart"].is_null() && record["shutdown"].is_null(), "{record}");
    holds_for("disabled", Duration::from_secs(1), || instance(&patrol.app("web")).is_empty());
    patrol.toggle("web", 1);
    patrol.wait_instance("web", "");
}

/// USR2, once; the record says that a restart ended the instance.
#[test]
fn a_restart_is_one_usr2_and_a_new_instance_at_once() {
    let folder = Folder::default();
    let app = folder.app(1, &["on:USR2=exit:12", "wait"]);
    let patrol = start(folder, app);
    let first = patrol.wait_instance("web", "");
    patrol.toggle("web", 3);
    let record = patrol.wait_history("web", 1);
    assert_eq!((&record["restart"], &record["exit-code"]), (&json!(true), &json!(12)));
    let second = patrol.wait_instance("web", instance(&first));
    assert!(second["restart"].is_null(), "the wish is used up: {second}");
}

#[test]
fn a_restart_of_a_stopped_app_enables_and_starts_it() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["wait"]);
    app["disabled"] = json!(true);
    let patrol = start(folder, app);
    let before = patrol.app("web");
    assert_eq!(before["disabled"], true);
    assert!(instance(&before).is_empty());
    patrol.toggle("web", 3);
    let after = patrol.wait_instance("web", "");
    assert!(after["disabled"].is_null() && after["restart"].is_null(), "{after}");
}

#[test]
fn run_once_disables_when_the_instance_ends() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["on:HUP=exit:0", "wait"]);
    app["disabled"] = json!(true);
    let patrol = start(folder, app);
    patrol.toggle("web", 6);
    let running = patrol.wait_instance("web", "");
    assert_eq!(running["run-once"], true);
    openctrl_tests::process::send(pid(&running), rustix::process::Signal::HUP);
    let record = patrol.wait_history("web", 1);
    assert_eq!(record["run-once"], true);
    assert!(record["disabled"].is_null(), "flags are those before run-once disabled it: {record}");
    let after = patrol.wait_app("web", "disabled", |app| app["disabled"] == true);
    assert!(after["run-once"].is_null(), "{after}");
    // Toggle 4 while it runs means this instance, and does not enable anything.
    patrol.toggle("web", 4);
    let armed = patrol.app("web");
    assert_eq!((&armed["run-once"], &armed["disabled"]), (&json!(true), &json!(true)));
}

/// The table of toggles (§2.8): the flags after each one, and whether the app runs.
#[test]
fn every_toggle_has_the_effect_of_its_row() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["on:USR1=exit:10", "on:USR2=exit:12", "wait"]);
    app["disabled"] = json!(true);
    let patrol = start(folder, app);
    let flags = |app: &Value| (app["disabled"] == true, app["run-once"] == true);
    let steps = [
        (0, (true, false), false),
        (8, (true, false), false),
        (4, (true, true), false),
        (5, (true, false), false),
        (4, (true, true), false),
        (7, (false, false), true),
        (4, (false, true), true),
        (7, (false, false), true),
        (6, (false, true), true),
        (5, (false, false), true),
        (4, (false, true), true),
        (3, (false, false), true),
        (4, (false, true), true),
        (2, (true, false), false),
        (1, (false, false), true),
        (2, (true, false), false),
        (6, (false, true), true),
        (2, (true, false), false),
        (3, (false, false), true),
    ];
    let mut before = patrol.app("web");
    for (place, (toggle, expected, runs)) in steps.into_iter().enumerate() {
        patrol.toggle("web", toggle);
        let what = format!("step {place}: toggle {toggle}");
        assert_eq!(flags(&patrol.app("web")), expected, "{what}");
        let restarts = toggle == 3 && !instance(&before).is_empty();
        before = patrol.wait_app("web", &what, |app| {
            instance(app).is_empty() != runs && (!restarts || instance(app) != instance(&before))
        });
        assert_eq!(flags(&before), expected, "{what}: afterwards");
    }
}

/// A client sees that the server is ending, as long as it waits for an app.
#[test]
fn the_end_of_the_server_shows_while_it_lasts() {
    let folder = Folder::default();
    let usr1 = folder.mark("usr1");
    let app = folder.app(1, &[&mark_word("on:USR1=", &usr1), "on:TERM=ignore", "wait"]);
    let mut patrol = start(folder, app);
    patrol.wait_instance("web", "");
    assert!(patrol.status()["shutdown"].is_null());
    patrol.signal(rustix::process::Signal::TERM);
    usr1.wait(1);
    let status = patrol.status();
    assert_eq!(status["shutdown"], true, "{status}");
    assert!(status["apps"]["web"]["shutdown"].is_null(), "it is the server's: {status}");
    let reply = patrol.post(&json!({"group": "app", "id": "web"}));
    assert_eq!(reply["shutdown"], true, "{reply}");
    assert!(patrol.get("/").text().contains("Patrol IS Shutting Down!!!"));
    assert!(patrol.wait_exit().success());
}

#[test]
fn the_execute_timeout_is_a_maximum_run_time() {
    let folder = Folder::default();
    let up = folder.mark("up");
    let mut app = folder.app(1, &[&mark_word("", &up), "on:USR1=exit:3", "wait"]);
    app["execute-timeout"] = json!(2);
    let patrol = start(folder, app);
    let first = up.wait(1)[0];
    let record = patrol.wait_history("web", 1);
    assert_eq!(record["pid"], first.pid);
    let second = up.wait(2)[1];
    assert!(second.unix_ms - first.unix_ms >= 2_000, "it ran as long as it may");
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_record_and_no_cas() {
    let folder = Folder::default();
    let mut app = folder.app(1, &[]);
    app["binary"] = json!("nothing-here");
    let patrol = start(folder, app);
    let before = patrol.app("web");
    patrol.output().wait_for_line("nothing-here", |line| line.text.contains("nothing-here"));
    let after = patrol.app("web");
    assert_eq!(before["cas"], after["cas"]);
    assert!(records(&after).is_empty() && instance(&after).is_empty(), "{after}");
}

#[test]
fn a_log_folder_that_cannot_be_written_fails_the_start_and_nothing_else() {
    let folder = Folder::default();
    fs::write(folder.path("logs"), "a file in the way").expect("the folder is writable");
    let bad = folder.app(1, &["wait"]);
    let mut good = bad.clone();
    good["log-directory"] = json!("other");
    let patrol = folder.start(json!({"bad": bad, "good": good}), json!({}));
    patrol.wait_instance("good", "");
    patrol.output().wait_for_line("logs", |line| line.text.contains("/logs"));
    assert!(instance(&patrol.app("bad")).is_empty());
}

/// Key-values are emptied at the end of an instance if the app says so.
#[test]
fn key_values_go_with_the_instance_if_they_are_to_be_cleared() {
    for clear in [false, true] {
        let folder = Folder::default();
        let mut app = folder.app(1, &["on:HUP=exit:0", "wait"]);
        app["keyvalue"] = json!({"a": 1});
        app["keyvalue-clear"] = json!(clear);
        let patrol = start(folder, app);
        let running = patrol.wait_instance("web", "");
        assert_eq!(running["keyvalue"], json!({"a": 1}));
        openctrl_tests::process::send(pid(&running), rustix::process::Signal::HUP);
        assert_eq!(patrol.wait_history("web", 1)["keyvalue"], json!({"a": 1}));
        let after = patrol.wait_instance("web", instance(&running));
        assert_eq!(after["keyvalue"].is_null(), clear, "{after}");
    }
}

/// USR1, then TERM and KILL within 4 s: the end takes less than 6 s, and no child is left.
#[test]
fn the_end_of_the_server_ends_every_app_in_time() {
    let folder = Folder::default();
    let usr1 = folder.mark("usr1");
    let child = folder.path("child");
    let words = [
        mark_word("on:USR1=", &usr1),
        "on:TERM=ignore".into(),
        format!("child:{child}"),
        "wait".into(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let stubborn = folder.app(1, &words);
    let polite = folder.app(1, &["on:USR1=exit:10", "wait"]);
    let mut patrol = folder.start(json!({"stubborn": stubborn, "polite": polite}), json!({}));
    patrol.wait_instance("stubborn", "");
    patrol.wait_instance("polite", "");
    until("the child", || fs::exists(&child).unwrap_or(false));
    let took = patrol.stop();
    assert!(took < Duration::from_secs(6), "it took {took:?}");
    assert_eq!(patrol.descendants(), Vec::<i32>::new());
    assert_eq!(usr1.count(), 1);

    patrol.restart();
    let record = patrol.wait_history("polite", 1);
    assert_eq!((&record["shutdown"], &record["exit-code"]), (&json!(true), &json!(10)));
    assert!(record["disabled"].is_null(), "{record}");
}

#[test]
fn a_server_without_running_apps_ends_at_once() {
    let folder = Folder::default();
    let mut app = folder.app(1, &["wait"]);
    app["disabled"] = json!(true);
    let mut patrol = start(folder, app);
    assert!(patrol.stop() < Duration::from_secs(4));
}

/// The least number is 5, whatever the configuration says.
#[test]
fn a_number_of_history_records_is_kept() {
    let folder = Folder::default();
    let app = folder.app(1, &["on:USR2=exit:12", "wait"]);
    let builder = Builder::new(json!({"web": app}), json!({})).set("history", json!(1));
    let patrol = folder.start_with(builder);
    let mut ids = Vec::new();
    let mut last = String::new();
    for _ in 0..7 {
        last = instance(&patrol.wait_instance("web", &last)).to_owned();
        ids.push(last.clone());
        patrol.toggle("web", 3);
    }
    patrol.wait_instance("web", &last);
    let kept: Vec<String> =
        records(&patrol.app("web")).iter().map(|record| instance(record).to_owned()).collect();
    assert_eq!(kept, ids[2..]);
    assert!(is_alive(patrol.pid()));
}
