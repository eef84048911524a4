//! Control contract A "Event store", D 4-6: what is stored, for how long, and as what.

use std::fs;

use openctrl_tests::control::Sockets;
use openctrl_tests::{Master, Script, until};
use serde_json::{Value, json};

fn create(master: &Master, alias: &str, script: &Script) -> String {
    let body = json!({"url": script.url(), "alias": alias});
    let answer = master.api().post("/instances", &body).expect(201).json();
    answer["id"].as_str().expect("an id").to_owned()
}

fn ids(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["id"].as_u64().expect("an id")).collect()
}

#[test]
fn ids_rise_by_one_and_survive_a_kill() {
    let (mut master, sockets) = Sockets::start();
    create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let before = sockets.stored(0);
    assert_eq!(ids(&before), (1..=before.len() as u64).collect::<Vec<_>>());
    master.kill9();
    master.restart();
    sockets.wait_phase("web", "Running");
    let after = sockets.stored(0);
    assert_eq!(after[..before.len()], before[..], "nothing that was shown is lost");
    assert_eq!(ids(&after), (1..=after.len() as u64).collect::<Vec<_>>());
    assert!(
        after.windows(2).all(|pair| pair[0]["createdAt"].as_str() <= pair[1]["createdAt"].as_str()
            || pair[0]["createdAt"].as_str().map(str::len)
                != pair[1]["createdAt"].as_str().map(str::len))
    );
}

#[test]
fn an_event_is_durable_before_its_cause_is_answered() {
    let (mut master, sockets) = Sockets::start();
    for round in 0..5 {
        let name = format!("i{round}");
        create(&master, &name, &Script::new().wait());
        master.kill9();
        master.restart();
        let created: Vec<String> = sockets
            .stored(0)
            .iter()
            .filter(|event| event["topic"] == "openctrl.instance.created")
            .map(|event| event["resourceName"].as_str().expect("a name").to_owned())
            .collect();
        assert_eq!(created, (0..=round).map(|round| format!("i{round}")).collect::<Vec<_>>());
    }
}

#[test]
fn a_new_alias_is_told_once() {
    let (master, sockets) = Sockets::start();
    let id = create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let head = sockets.head();
    master.api().patch(&id, &json!({"alias": "site"})).expect(200);
    let events = sockets.stored(head);
    let topics: Vec<&str> = events.iter().filter_map(|event| event["topic"].as_str()).collect();
    assert_eq!(topics, ["openctrl.instance.renamed"]);
    assert_eq!(
        (&events[0]["resourceName"], &events[0]["attributes"]["previousName"]),
        (&json!("site"), &json!("web"))
    );
    let head = sockets.head();
    master.api().patch(&id, &json!({"restart": false, "meta": {"tags": {"a": "b"}}})).expect(200);
    let events = sockets.stored(head);
    assert_eq!(
        (&events[0]["topic"], &events[0]["attributes"]),
        (&json!("openctrl.instance.updated"), &json!({"changedFields": "restart,tags"}))
    );
    let head = sockets.head();
    master.api().patch(&id, &json!({"restart": false})).expect(200);
    assert_eq!(sockets.stored(head), [] as [Value; 0], "nothing changed");
}

#[test]
fn the_newest_come_first_and_filters_are_exact() {
    let (master, sockets) = Sockets::start();
    create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let get = |query: &str| {
        let answer = sockets.get(&format!("/get?subject=events&{query}")).expect(200).json();
        answer["events"].as_array().cloned().unwrap_or_default()
    };
    let head = sockets.head();
    let all = get("");
    assert_eq!(ids(&all), (1..=head).rev().collect::<Vec<_>>());
    assert_eq!(ids(&get(&format!("since-id={}&limit=2", head - 3))), [head, head - 1]);
    assert_eq!(
        ids(&get(&format!("since-id={}&limit=2&order=asc", head - 3))),
        [head - 2, head - 1]
    );
    assert_eq!(get("topic=routerd.daemon.*.ready").len(), 1);
    assert_eq!(get("topic=routerd.daemon").len(), 0);
    assert_eq!(get("kind=process").len(), 0, "letter case counts");
    assert_eq!(get("kind=Process&name=web").len(), all.len());
    assert_eq!(get("resource=Process/web").len(), all.len());
    let changed = &get("topic=routerd.resource.status.changed");
    let first = changed.last().expect("the first status");
    assert_eq!(
        (&first["sourceKind"], &first["sourceInstance"]),
        (&json!("openctrl"), &json!("store"))
    );
    assert_eq!(first["attributes"]["previousPhase"], "<nil>");
    assert_eq!(
        changed[0]["attributes"],
        json!({"changedFields": "health,phase,reason", "phase": "Running", "previousPhase": "Starting"})
    );
    assert_eq!(first.get("generation"), None);
}

#[test]
fn the_oldest_go_and_a_reader_sees_the_gap() {
    let (master, sockets) = Sockets::start_with(|builder| builder.query("control_events", "10"));
    create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    for _ in 0..6 {
        sockets.managed("web", "POST", "/v1/commands/renew").expect(200);
    }
    let head = sockets.head();
    assert_eq!(ids(&sockets.stored(0)), (head - 9..=head).collect::<Vec<_>>());
    let answer = sockets.managed("web", "GET", "/v1/events?since=1").expect(200).json();
    assert_eq!(
        (&answer["gap"], answer["events"].as_array().map(Vec::len)),
        (&json!(true), Some(10))
    );
    let answer = sockets.managed("web", "GET", &format!("/v1/events?since={}", head - 2)).json();
    assert_eq!(answer.get("gap"), None);
}

#[test]
fn sqlite_has_the_same_rows_and_is_made_anew() {
    let (mut master, sockets) = Sockets::start();
    let id = create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let database = master.folder().join("gob/events.db");
    let head = sockets.head();
    master.stop();
    let rows = |sql: &str| -> Vec<String> {
        let connection = rusqlite::Connection::open(&database).expect("it is a database");
        let mut statement = connection.prepare(sql).expect("SQL that people have");
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.map(|row| row.expect("a text")).collect()
    };
    let topics = rows(
        "SELECT topic FROM events WHERE resource_kind = 'Process' AND resource_name = 'web' ORDER BY id",
    );
    assert!(topics.len() as u64 >= head && topics[0] == "openctrl.instance.created", "{topics:?}");
    assert_eq!(
        rows(
            "SELECT json_extract(attributes, '$.previousPhase') FROM events WHERE type = 'routerd.resource.status.changed' ORDER BY id LIMIT 1"
        ),
        ["<nil>"]
    );
    assert_eq!(
        rows("SELECT name FROM sqlite_master WHERE name = 'event_consumer_cursors'").len(),
        1
    );
    let before = rows("SELECT CAST(id AS TEXT) FROM events ORDER BY id");

    fs::remove_file(&database).expect("it is there");
    master.restart();
    sockets.wait_phase("web", "Running");
    master.api().act(&id, "stop");
    sockets.wait_phase("web", "Stopped");
    master.stop();
    assert_eq!(rows("SELECT CAST(id AS TEXT) FROM events ORDER BY id")[..before.len()], before[..]);

    fs::write(&database, "damaged ".repeat(4_000)).expect("it can be written");
    master.restart();
    master.output().wait_for_line("the damage", |line| {
        line.text.contains("events.db") && line.text.contains("created it again")
    });
    master.stop();
    assert_eq!(rows("SELECT CAST(id AS TEXT) FROM events ORDER BY id")[..before.len()], before[..]);
}

#[test]
fn each_instance_has_a_file_of_its_events() {
    let (master, sockets) = Sockets::start_with(|builder| builder.query("control_jsonl", "on"));
    let id = create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    let path = master.folder().join(format!("gob/events/{id}.jsonl"));
    until("the events to be in the file", || {
        fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 4)
    });
    let answer = sockets.managed("web", "GET", "/v1/events").json();
    let lines: Vec<Value> = fs::read_to_string(&path)
        .expect("it is there")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(json!(lines), answer["events"]);
}

#[test]
fn a_file_of_events_is_rotated_and_made_only_if_it_is_wanted() {
    let (mut master, sockets) = Sockets::start();
    let id = create(&master, "web", &Script::new().wait());
    sockets.wait_phase("web", "Running");
    master.stop();
    let folder = master.folder().join("gob/events");
    assert!(!folder.exists(), "it is off unless it is wanted");
    fs::create_dir(&folder).expect("it is not there");
    let path = folder.join(format!("{id}.jsonl"));
    let full = vec![b'\n'; 4 * 1024 * 1024];
    fs::write(&path, &full).expect("it can be written");
    master.reconfigure(|builder| builder.query("control_jsonl", "on"));
    master.restart();
    sockets.wait_phase("web", "Running");
    let older = folder.join(format!("{id}.jsonl.1"));
    until("the full file to make room", || {
        fs::metadata(&older).is_ok_and(|file| file.len() == full.len() as u64)
    });
    until("the new file to have its events", || {
        fs::read_to_string(&path).is_ok_and(|text| text.contains("lifecycle.ready"))
    });
    assert!(fs::metadata(&path).expect("it is there").len() < 10_000);
}
