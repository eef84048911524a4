//! Contract §7: checkpoints and counters.

use openctrl_tests::script::{Step, checkpoint};
use openctrl_tests::{Cue, Master, Script};
use serde_json::{Value, json};

const I63_MAX: u64 = i64::MAX as u64;

fn metrics(instance: &Value) -> [u64; 9] {
    let fields = ["mode", "ping", "pool", "tcps", "udps", "tcprx", "tcptx", "udprx", "udptx"];
    fields.map(|field| instance[field].as_u64().expect("a metric is an integer"))
}

#[test]
fn a_checkpoint_sets_every_field_and_is_no_log_line() {
    let master = Master::start();
    let mut events = master.events();
    let id = master.api().run(&Script::new().checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]).wait());
    let update = events.wait_value(&id, "udptx", 9);
    assert_eq!(update.kind, "update");
    assert_eq!(metrics(&update.instance), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(metrics(&master.api().instance(&id)), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(events.logs(&id), Vec::<String>::new());
}

#[test]
fn each_checkpoint_is_an_update() {
    let master = Master::start();
    let mut events = master.events();
    let mut script = Script::new();
    for number in 1..=50 {
        script = script.checkpoint([number; 9]);
    }
    let id = master.api().run(&script.wait());
    for number in 1..=50 {
        let update = events.wait_for("the next checkpoint", |event| {
            event.is_change_of(&id) && event.instance["mode"] != 0
        });
        assert_eq!(metrics(&update.instance), [number; 9], "in order, none left out");
    }
}

#[test]
fn a_checkpoint_may_stand_anywhere_in_a_line() {
    let master = Master::start();
    let mut events = master.events();
    let at = |n: u64| checkpoint([n; 9]);
    let lines = [
        format!("\u{1b}[32m{}\u{1b}[0m", at(1)),
        format!("2026-06-08 12:00:00 INFO {} trailing words", at(2)),
        format!("CHECK_POINT|MODE=5|CHECK_POINT|MODE=|{}", at(3)),
        format!("{}abc", at(4)),
        format!("CHECK_POINTCHECK_POINT|{}|", at(5)),
        format!("ERROR {}", at(6)),
    ];
    let script = lines.iter().fold(Script::new(), |script, line| script.print(line.clone()));
    let id = master.api().run(&script.raw(format!("ab\u{1b}\0{}\r\n", at(7))).wait());
    for number in 1..=7 {
        let update = events.wait_value(&id, "mode", number);
        assert_eq!(metrics(&update.instance), [number; 9]);
        assert_eq!(update.instance["status"], "running");
    }
    assert_eq!(events.logs(&id), Vec::<String>::new());
}

#[test]
fn anything_else_is_a_log_line() {
    let master = Master::start();
    let mut events = master.events();
    let good = checkpoint([1; 9]);
    let lines = [
        good.replace("CHECK_POINT", "CHECKPOINT"),
        good.replace("CHECK_POINT", "check_point"),
        good.replace("MODE", "mode"),
        good.replace("PING=1ms", "PING=1"),
        good.replace("PING=1ms", "PING=1s"),
        good.replace("PING=1ms", "PING=1 ms"),
        good.replace("POOL=1", "POOL="),
        good.replace("POOL=1", "POOL=-1"),
        good.replace("POOL=1", "POOL=+1"),
        good.replace("POOL=1", "POOL= 1"),
        good.replace("POOL=1", "POOL=0x1"),
        good.replace("POOL=1", "POOL=1.0"),
        good.replace("POOL=1", "POOL=1e3"),
        good.replace("POOL=1", "POOL=١"),
        good.replace("|POOL=1", ""),
        good.replace("TCPS=1|UDPS=1", "UDPS=1|TCPS=1"),
        good.replace('|', " "),
        good.replace("|UDPTX=1", "|UDPTX="),
        good.replace("|UDPTX=1", ""),
        good.replace("|TCPRX", "||TCPRX"),
        good.replace("|TCPRX", "|X=1|TCPRX"),
    ];
    let script = lines.iter().fold(Script::new(), |script, line| script.print(line.clone()));
    let id = master.api().run(&script.print("end").wait());
    events.wait_log(&id, "end");
    let logs = events.logs(&id);
    assert_eq!(logs[..lines.len()], lines);
    assert_eq!(metrics(&master.api().instance(&id)), [0; 9]);
}

#[test]
fn a_field_that_overflows_keeps_its_old_value_and_the_others_apply() {
    let master = Master::start();
    let mut events = master.events();
    let text = |fields: [&str; 9]| checkpoint(fields);
    let script = Script::new()
        .checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9])
        .print(text(["2147483648", "20", "30", "40", "50", "60", "70", "80", "90"]))
        .print(text([
            "2147483647",
            "99999999999999999999",
            "31",
            "41",
            "51",
            "61",
            "71",
            "81",
            "91",
        ]))
        .print(text([
            "10",
            "0022",
            "32",
            "2147483648",
            "52",
            "18446744073709551616",
            "72",
            "82",
            "92",
        ]))
        .print(text([
            "11",
            "23",
            "33",
            "43",
            "53",
            "000000000000000000000000000064",
            "73",
            "83",
            "93",
        ]))
        .wait();
    let id = master.api().run(&script);
    for (last, expected) in [
        (9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (90, [1, 20, 30, 40, 50, 60, 70, 80, 90]),
        (91, [2_147_483_647, 20, 31, 41, 51, 61, 71, 81, 91]),
        (92, [10, 22, 32, 41, 52, 61, 72, 82, 92]),
        (93, [11, 23, 33, 43, 53, 64, 73, 83, 93]),
    ] {
        let update = events.wait_value(&id, "udptx", last);
        assert_eq!(metrics(&update.instance), expected);
    }
    assert_eq!(events.logs(&id), Vec::<String>::new());
}

/// A script that shows `values` as all four counters, one after each cue.
fn stepwise(master: &Master, name: &str, values: &[u64]) -> (Script, Vec<Cue>) {
    let mut script = Script::new();
    let mut cues = Vec::new();
    for (number, value) in values.iter().enumerate() {
        let cue = master.cue(&format!("{name}-{number}"));
        // The mode counts along, so that each checkpoint differs from the one before.
        let [a, b, c, d] = [*value; 4];
        script = script.cue(&cue).checkpoint([number as u64 + 1, 0, 0, 0, 0, a, b, c, d]);
        cues.push(cue);
    }
    (script.wait(), cues)
}

#[test]
fn shown_is_base_plus_value_minus_reset_point() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let (script, cues) = stepwise(&master, "a", &[1000, 1500, 1600, 200, 300, 350, 360]);
    let id = master.run(&mut events, &script);
    let mut show = |number: usize, expected: u64| {
        cues[number].give();
        let update = events.wait_value(&id, "mode", number as u64 + 1);
        for counter in ["tcprx", "tcptx", "udprx", "udptx"] {
            assert_eq!(update.instance[counter], expected, "checkpoint {number}, {counter}");
        }
    };
    let reset = || {
        let answer = api.act(&id, "reset");
        assert_eq!(metrics(&answer)[5..], [0; 4]);
    };
    show(0, 1000);
    reset();
    show(1, 500);
    reset();
    show(2, 100);
    // Below the reset point: the runtime counts from zero again.
    show(3, 200);
    show(4, 300);
    reset();
    show(5, 50);
    reset();
    reset();
    show(6, 10);
}

#[test]
fn totals_go_on_over_new_processes() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let first = Script::new().checkpoint([1, 0, 0, 0, 0, 100, 200, 300, 400]).exit(0);
    let id = api.run(&first);
    events.wait_value(&id, "mode", 1);
    events.wait_status(&id, "stopped");
    let (script, cues) = stepwise(&master, "b", &[10, 20, 30]);
    api.put(&id, &script.url()).expect(200);
    let mut show = |number: usize, expected: [u64; 4]| {
        cues[number].give();
        let update = events.wait_for("the next checkpoint", |event| {
            event.is_change_of(&id)
                && event.instance["status"] == "running"
                && event.instance["mode"] == number + 1
                && event.instance["tcprx"] != 100
        });
        assert_eq!(metrics(&update.instance)[5..], expected, "checkpoint {number}");
    };
    show(0, [110, 210, 310, 410]);
    show(1, [120, 220, 320, 420]);
    api.act(&id, "reset");
    show(2, [10, 10, 10, 10]);
    api.act(&id, "restart");
    // Cues 0 to 2 are given, so the new process shows 10, 20, 30 upon its base of 10.
    let update = events.wait_for("the last checkpoint", |event| {
        event.is_change_of(&id) && event.instance["tcprx"] == 40
    });
    assert_eq!(metrics(&update.instance)[5..], [40; 4], "a new process starts at reset point 0");
    // Also where its first value is above the old reset point.
    api.act(&id, "reset");
    api.put(&id, &Script::new().checkpoint([9, 0, 0, 0, 0, 50, 50, 50, 50]).wait().url());
    let update = events.wait_value(&id, "mode", 9);
    assert_eq!(metrics(&update.instance)[5..], [50; 4], "a new process starts at reset point 0");
}

#[test]
fn a_reset_while_stopped_clears_the_base() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = api.run(&Script::new().checkpoint([1, 0, 0, 0, 0, 100, 100, 100, 100]).exit(0));
    events.wait_status(&id, "running");
    events.wait_status(&id, "stopped");
    assert_eq!(api.instance(&id)["udptx"], 100);
    assert_eq!(api.act(&id, "reset")["udptx"], 0);
    api.act(&id, "start");
    events.wait_value(&id, "udptx", 100);
    events.wait_status(&id, "stopped");
    api.act(&id, "start");
    events.wait_value(&id, "udptx", 200);
}

#[test]
fn counters_saturate_and_stay_within_63_bits_on_the_wire() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let at = |n: &str| checkpoint(["1", "0", "0", "0", "0", n, n, n, n]);
    let id = api.run(&Script::new().print(at("18446744073709551615")).exit(0));
    let update = events.wait_value(&id, "mode", 1);
    assert_eq!(metrics(&update.instance)[5..], [I63_MAX; 4]);
    events.wait_status(&id, "stopped");
    // Base and value together are far beyond 64 bits.
    api.act(&id, "start");
    events.wait_status(&id, "stopped");
    assert_eq!(metrics(&api.instance(&id))[5..], [I63_MAX; 4]);
    let text = api.get(&format!("/instances/{id}")).expect(200).text().to_owned();
    assert!(text.contains("\"tcprx\":9223372036854775807,"), "{text}");
    assert_eq!(api.act(&id, "reset")["tcprx"], 0);

    let other = api.run(&Script::new().print(at("9223372036854775808")).wait());
    assert_eq!(metrics(&events.wait_value(&other, "mode", 1).instance)[5..], [I63_MAX; 4]);
    let live = ["2147483647"; 5];
    let [a, b, c, d, e] = live;
    let line = checkpoint([a, b, c, d, e, "0", "0", "0", "0"]);
    let id = api.run(&Script::new().print(line).wait());
    let update = events.wait_value(&id, "mode", 2_147_483_647);
    assert_eq!(metrics(&update.instance)[..5], [2_147_483_647; 5]);
}

#[test]
fn a_counter_that_shrinks_without_a_reset_shows_base_plus_value() {
    let master = Master::start();
    let mut events = master.events();
    let (script, cues) = stepwise(&master, "c", &[1000, 200]);
    let id = master.run(&mut events, &script);
    cues.iter().for_each(Cue::give);
    assert_eq!(events.wait_value(&id, "mode", 2).instance["tcprx"], 200);
}

#[test]
fn a_torrent_of_checkpoints_ends_at_the_last_one() {
    let master = Master::start();
    let mut events = master.events();
    let burst = Script::new().step(Step::Repeat(3_000, Script::new().checkpoint([1; 9])));
    let id = master.api().run(&burst.checkpoint([2; 9]).print("end").wait());
    events.wait_log(&id, "end");
    assert_eq!(metrics(&master.api().instance(&id)), [2; 9]);
    assert_eq!(master.api().instance(&id)["alias"], json!(""));
}
