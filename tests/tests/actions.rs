//! `POST /actions`: one request for many instances, from outside.

use std::fs;

use openctrl_tests::api::id_of;
use openctrl_tests::http::Connection;
use openctrl_tests::{Master, Shell, until, wait};
use serde_json::{Value, json};

/// Instances `n0`, `n1` … that run, with the tag `site=north` on the even ones.
fn running(master: &Master, count: usize) -> Vec<String> {
    let api = master.api();
    let create = |number: usize| {
        let alias = format!("n{number}");
        let body = json!({"url": format!("stub://{alias}"), "alias": alias});
        let id = id_of(&api.post("/instances", &body).expect(201).json());
        let tags = if number.is_multiple_of(2) { json!({"site": "north"}) } else { json!({}) };
        api.patch(&id, &json!({"meta": {"tags": tags}})).expect(200);
        id
    };
    let ids: Vec<String> = (0..count).map(create).collect();
    for id in &ids {
        until("it runs", || api.status(id) == "running");
    }
    ids
}

fn act(master: &Master, body: &Value) -> Value {
    master.api().post("/actions", body).expect(200).json()
}

#[test]
fn each_selected_instance_has_a_result() {
    let master = Master::start();
    let api = master.api();
    let ids = running(&master, 4);
    let answer = act(&master, &json!({"action": "stop", "tags": ["site=north"]}));
    assert_eq!((&answer["action"], &answer["done"]), (&json!("stop"), &json!(2)));
    for (number, id) in ids.iter().enumerate() {
        let wanted = if number.is_multiple_of(2) { "stopped" } else { "running" };
        until("it is as asked", || api.status(id) == wanted);
    }
    // Again changes nothing.
    let again = act(&master, &json!({"action": "stop", "tags": ["site=north"]}));
    assert_eq!((&again["done"], &again["refused"]), (&json!(2), &json!(0)));
    let starts = api.process(&ids[1])["starts"].clone();

    let body = json!({"action": "start", "ids": [ids[0], "0badc0de"], "aliases": ["n2", "no"]});
    let answer = act(&master, &body);
    assert_eq!((&answer["done"], &answer["refused"]), (&json!(2), &json!(2)));
    let results = answer["results"].as_array().expect("results");
    let refused: Vec<String> = results
        .iter()
        .filter(|result| result["outcome"] == "refused")
        .map(|result| format!("{} {} {}", result["id"], result["alias"], result["error"]))
        .collect();
    let expected =
        [r#""0badc0de" "" "no such instance""#, r#"null "no" "no instance has this alias""#];
    assert_eq!(refused, expected);
    for id in &ids {
        until("all run", || api.status(id) == "running");
    }
    assert_eq!(api.process(&ids[1])["starts"], starts);

    for bad in [
        json!({"action": "stop"}),
        json!({"action": "stop", "tag": ["site=north"], "all": true}),
        json!({"action": "kill", "all": true}),
        json!({"all": true}),
    ] {
        api.post("/actions", &bad).expect_error(400);
    }
    assert!(ids.iter().all(|id| api.status(id) == "running"));
}

#[test]
fn a_client_that_leaves_stops_nothing_halfway() {
    let master = Master::start();
    let api = master.api();
    let ids = running(&master, 40);
    let body = json!({"action": "stop", "all": true});
    let request = api.request("POST", "/actions").json(&body).into_request();
    let mut connection = Connection::open(api.endpoint()).expect("it listens");
    connection.write(&request).expect("it is sent");
    drop(connection);
    for id in &ids {
        until("it is stopped", || api.status(id) == "stopped");
    }
}

#[test]
fn the_order_of_after_holds() {
    let master = Master::builder().without_bin().start();
    let api = master.api();
    let order = master.folder().join("order");
    let create = |alias: &str, parameters: &str| {
        let trap = format!("echo {alias} >> {}; exit 0", order.display());
        let line = format!("trap '{trap}' TERM; echo up; while :; do sleep 0.02; done");
        let line: String = line.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let url = format!("exec:sh?arg=-c&arg={line}&ready=line:up{parameters}");
        id_of(&api.post("/instances", &json!({"url": url, "alias": alias})).expect(201).json())
    };
    let ids = [create("db", ""), create("app", "&after=db"), create("web", "&after=app")];
    let are_ready = || ids.iter().all(|id| api.process(id)["ready"] == true);
    until("all are ready", are_ready);
    act(&master, &json!({"action": "stop", "all": true}));
    for id in &ids {
        until("all are stopped", || api.process(id)["pid"] == Value::Null);
    }
    assert_eq!(fs::read_to_string(&order).expect("they wrote it"), "web\napp\ndb\n");

    act(&master, &json!({"action": "start", "all": true}));
    until("all are ready", are_ready);
    fs::remove_file(&order).expect("it is there");
    act(&master, &json!({"action": "restart", "all": true}));
    until("all are restarted", || are_ready() && api.process(&ids[2])["starts"] == 3);
    assert_eq!(fs::read_to_string(&order).expect("they wrote it"), "web\napp\ndb\n");
}

#[test]
fn it_takes_the_role_operate_and_is_audited() {
    let master = Master::start();
    let api = master.api();
    let ids = running(&master, 2);
    let body = json!({"action": "restart", "ids": ids});
    for (role, status) in [("read", 403), ("operate", 200)] {
        let made = api.post("/tokens", &json!({"name": role, "role": role})).expect(201).json();
        let holder = api.with_key(made["token"].as_str().expect("a token"));
        assert_eq!(holder.post("/actions", &body).status, status, "{role}");
    }
    api.without_key().post("/actions", &body).expect_error(401);
    let audit = api.get("/audit").expect(200).json();
    let entries = audit.as_array().expect("entries").iter();
    let mut found = entries.filter(|entry| entry["path"] == "/api/v2/actions");
    let entry = found.find(|entry| entry["status"] == 200).expect("the action is audited");
    assert_eq!(entry["detail"], "restart of 2 instances");
    assert_eq!(entry["who"], "token:operate");
}

#[test]
fn what_is_stored_is_stored_for_all() {
    let mut master = Master::start();
    let ids = running(&master, 3);
    for id in &ids {
        let path = format!("/instances/{id}/policy");
        let policy = json!({"boot": "saved"});
        master.api().request("PATCH", &path).json(&policy).send().expect(200);
    }
    let answer = act(&master, &json!({"action": "stop", "all": true}));
    assert_eq!(answer["done"], 3);
    master.crash();
    master.restart();
    // A process that was still being stopped outlived its master.
    let api = master.api();
    until("all are stopped", || ids.iter().all(|id| api.status(id) == "stopped"));
}

#[test]
fn the_cli_asks_once_for_many() {
    let master = Master::start();
    let shell = Shell::beside(&master);
    let ids = running(&master, 5);
    let told = shell.ok(&["stop", "--all", "--wait"]);
    assert_eq!(told.lines().filter(|line| line.ends_with(": stopped")).count(), 5, "{told}");
    let told = shell.ok(&["start", "--tag", "site=north"]);
    assert_eq!(told.lines().filter(|line| line.ends_with(": start requested")).count(), 3);
    let audit = master.api().get("/audit").expect(200).json();
    let entries = audit.as_array().expect("entries");
    let details: Vec<&str> = entries
        .iter()
        .filter(|entry| entry["path"] == "/api/v2/actions")
        .filter_map(|entry| entry["detail"].as_str())
        .collect();
    assert_eq!(details.len(), 2, "{details:?}");
    assert!(details.contains(&"stop of 5 instances"), "{details:?}");
    wait::eventually("the last runs", || (master.api().status(&ids[4]) == "running").then_some(()));
}
