//! Contract §5: `ETag` and `If-Match`, so that a client does not overwrite what it has not seen.

use openctrl_tests::{Api, KEY_ID, Master, Response, Script};
use serde_json::{Value, json};

/// The ETag of an answer, which must have one.
fn etag(response: &Response) -> String {
    response.header("etag").expect("an ETag").to_owned()
}

/// A request about an instance that is only for one of these ETags.
fn send(api: &Api, method: &str, id: &str, if_match: &str, body: Option<Value>) -> Response {
    let request = api.request(method, &format!("/instances/{id}")).header("If-Match", if_match);
    match body {
        Some(body) => request.json(&body).send(),
        None => request.send(),
    }
}

fn read(api: &Api, id: &str) -> Response {
    api.get(&format!("/instances/{id}")).expect(200)
}

#[test]
fn every_answer_with_an_instance_has_the_same_etag_until_it_is_changed() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let created = api.post("/instances", &json!({"url": Script::new().wait().url()})).expect(201);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let first = etag(&created);
    assert!(first.starts_with('"') && first.ends_with('"') && first.len() > 2, "{first}");
    events.wait_for("its start", |event| event.is_change_of(&id));
    assert_eq!(etag(&read(&api, &id)), first, "a start is no change");
    for same in [json!({}), json!({"alias": ""}), json!({"action": "reset"})] {
        assert_eq!(etag(&api.patch(&id, &same).expect(200)), first, "{same}");
    }
    let mut seen = vec![first];
    for change in [json!({"alias": "a"}), json!({"restart": false}), json!({"meta": {}})] {
        let answer = api.patch(&id, &change).expect(200);
        assert!(!seen.contains(&etag(&answer)), "{change}");
        assert_eq!(etag(&read(&api, &id)), etag(&answer));
        seen.push(etag(&answer));
    }
    let answer = api.put(&id, &Script::new().print("x").wait().url()).expect(200);
    assert!(!seen.contains(&etag(&answer)));
    assert_eq!(etag(&read(&api, &id)), etag(&answer));
    for other in ["/instances", "/info", &format!("/instances/{KEY_ID}")] {
        assert!(api.get(other).expect(200).header("etag").is_none(), "{other}");
    }
}

#[test]
fn a_change_of_what_was_changed_since_is_refused_and_changes_nothing() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = master.run(&mut events, &Script::new().wait());
    let old = etag(&read(&api, &id));
    let answer = send(&api, "PATCH", &id, &old, Some(json!({"alias": "mine"}))).expect(200);
    let (new, before) = (etag(&answer), read(&api, &id).json());
    let other = Script::new().print("x").wait().url();
    for (method, body) in [
        ("PATCH", Some(json!({"alias": "theirs"}))),
        ("PATCH", Some(json!({"action": "stop"}))),
        ("PATCH", Some(json!({"action": "reset"}))),
        ("PUT", Some(json!({"url": other}))),
        ("DELETE", None),
    ] {
        let refused = send(&api, method, &id, &old, body).expect_error(412);
        assert_eq!(etag(&refused), new, "{method}");
        assert_eq!(read(&api, &id).json(), before, "{method}");
    }
    let witness = send(&api, "PATCH", &id, &new, Some(json!({"alias": "again"}))).expect(200);
    events.wait_for("the first change", |event| event.instance["alias"] == "mine");
    let next = events.wait_for("the next change", |event| event.is_change_of(&id));
    assert_eq!(next.instance, witness.json());
    send(&api, "DELETE", &id, &etag(&witness), None).expect(204);
}

#[test]
fn lists_stars_and_tags_of_others() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = master.run(&mut events, &Script::new().wait());
    let alias = |if_match: &str| send(&api, "PATCH", &id, if_match, Some(json!({"alias": "a"})));
    let now = etag(&alias("*").expect(200));
    alias(&format!("\"x\", {now}, W/\"7\"")).expect(200);
    for other in ["\"x\"", &format!("W/{now}"), "\"0\""] {
        alias(other).expect_error(412);
    }
    for bad in ["", "7", "\"7"] {
        alias(bad).expect_error(400);
    }
    // Who does not exist is found out first; the key instance has no ETag.
    send(&api, "PATCH", "00000000", "\"x\"", Some(json!({}))).expect_error(404);
    send(&api, "PATCH", KEY_ID, "\"x\"", Some(json!({}))).expect(200);
    let conditional = api.request("GET", &format!("/instances/{id}")).header("If-None-Match", &now);
    assert_eq!(conditional.send().expect(200).json(), api.instance(&id), "never 304");
}

#[test]
fn of_two_replacements_of_one_revision_one_wins() {
    let master = Master::start();
    let (api, mut events) = (master.api(), master.events());
    let id = master.run(&mut events, &Script::new().wait());
    let tag = etag(&read(&api, &id));
    let put = |text: &str| {
        let (api, id, tag) = (api.clone(), id.clone(), tag.clone());
        let url = Script::new().print(text).wait().url();
        std::thread::spawn(move || {
            let answer = send(&api, "PUT", &id, &tag, Some(json!({"url": url})));
            (answer.status, url)
        })
    };
    let answers = [put("one"), put("two")].map(|put| put.join().expect("no panic"));
    let mut statuses = answers.each_ref().map(|(status, _)| *status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let (_, winner) = answers.iter().find(|(status, _)| *status == 200).expect("one won");
    assert_eq!(api.instance(&id)["url"], **winner);
    events.wait_for("its process", |event| {
        event.instance["url"] == **winner && event.instance["status"] == "running"
    });
}
