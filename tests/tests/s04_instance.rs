//! Contract §4: the instance object and what may become one.

use openctrl_tests::api::id_of;
use openctrl_tests::json::{INSTANCE_FIELDS, instance_fault, is_hex};
use openctrl_tests::{KEY_ID, Master, Script, Sse};
use serde_json::{Value, json};

/// Nothing was stored and nothing published: the next event is that of `api.create` below.
fn assert_untouched(master: &Master, events: &mut Sse) {
    let api = master.api();
    assert_eq!(api.list().len(), 1, "only the key instance is there");
    let witness = id_of(&api.create("stub://witness"));
    let first = events.wait_for("any create", |event| event.kind == "create");
    assert_eq!(first.instance["id"], *witness, "the first create is the witness's");
    assert_eq!(api.delete(&witness).expect(204).body, b"");
    events.wait_for("the witness's end", |event| event.kind == "delete");
}

#[test]
fn all_fields_are_there_with_their_defaults() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let url = Script::new().wait().url();
    let created = api.post("/instances", &json!({"alias": "edge-a", "url": url})).expect(201);
    assert!(created.text().contains("\"tags\":{}"), "{}", created.text());
    let created = created.json();
    let id = id_of(&created);
    events.wait_status(&id, "running");
    let in_event = events.events().into_iter().find(|event| event.kind == "create");
    let in_event = in_event.expect("a create event comes first").instance;
    let listed = api.list().into_iter().find(|instance| instance["id"] == *id).unwrap();
    for instance in [&created, &in_event, &listed, &api.instance(&id)] {
        assert_eq!(instance_fault(instance), None);
        assert_eq!(instance.as_object().unwrap().len(), INSTANCE_FIELDS.len());
        assert!(is_hex(&id_of(instance), 8));
        assert_eq!(instance["alias"], "edge-a");
        assert_eq!(instance["type"], "stub");
        assert!(instance["status"] == "stopped" || instance["status"] == "running");
        assert_eq!(instance["url"], url);
        assert_eq!(instance["config"], "");
        assert_eq!(instance["restart"], true);
        let meta = json!({"peer": {"sid": "", "type": "", "alias": ""}, "tags": {}});
        assert_eq!(instance["meta"], meta);
        for field in &INSTANCE_FIELDS[8..] {
            assert_eq!(instance[*field], 0, "{field}");
        }
    }
    assert_eq!(api.create(&url)["alias"], "", "an alias is optional");
}

#[test]
fn only_the_scheme_is_lower_cased() {
    let master = Master::start();
    let api = master.api();
    for (given, scheme, rest) in [
        ("MANAGED://Edge", "managed", "://Edge"),
        (
            "Stub://HOST.Example/Path?Q=%41%2f%2F+#Frag",
            "stub",
            "://HOST.Example/Path?Q=%41%2f%2F+#Frag",
        ),
        ("stub://User:Pa%20Ss@Host:80/", "stub", "://User:Pa%20Ss@Host:80/"),
        ("mailto:joe", "mailto", ":joe"),
        ("MailTo:Joe@Example.COM", "mailto", ":Joe@Example.COM"),
        ("A+B.c-D://X", "a+b.c-d", "://X"),
        ("a+b.c-d://x", "a+b.c-d", "://x"),
        ("s1:", "s1", ":"),
        ("stub://", "stub", "://"),
        ("stub:///Only/Path", "stub", ":///Only/Path"),
        ("stub://[FE80::1]:90/x", "stub", "://[FE80::1]:90/x"),
        ("stub://h/a%2Fb/../c//d/.", "stub", "://h/a%2Fb/../c//d/."),
        ("stub://h/ü?ö=ä#ß", "stub", "://h/ü?ö=ä#ß"),
        ("stub://h/?<>&'\"{}|\\^`", "stub", "://h/?<>&'\"{}|\\^`"),
        ("masters://x", "masters", "://x"),
    ] {
        let response = api.post("/instances", &json!({ "url": given }));
        assert_eq!(response.status, 201, "{given}: {}", response.text());
        let created = response.json();
        assert_eq!(created["type"], scheme, "{given}");
        assert_eq!(created["url"], format!("{scheme}{rest}"), "{given}");
        let stored = api.instance(&id_of(&created));
        assert_eq!(stored["url"], created["url"]);
        assert_eq!(stored["type"], created["type"]);
    }
}

#[test]
fn what_is_not_a_url_is_refused_and_nothing_is_stored() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    for url in [
        "",
        "/x",
        "x",
        "nosch",
        "nosch/with:colon",
        "://x",
        ":x",
        "1http://x",
        "-x://y",
        "a b://x",
        "ü://x",
        "master://x",
        "MASTER://x",
        "MaStEr://127.0.0.1:1?tls=0",
        "master:x",
        "Master:",
        "http://a b/",
        "stub://h ost",
        "http://[::1",
        "http://[::1/x",
        "stub://h/%zz",
        "stub://h/%4",
        "stub://h/%",
        "stub://%zz/",
        "stub://h/\n",
        "stub://h/\u{0}",
        "stub://h/\u{7f}",
        "stub://h/?x=\t",
        "\u{1b}stub://h",
        "stub://h\r\n",
    ] {
        let response = api.post("/instances", &json!({ "url": url }));
        assert_eq!(response.status, 400, "{url:?}: {}", response.text());
        response.expect_error(400);
    }
    for body in [json!({}), json!({"url": null}), json!({"url": 5}), json!({"url": {}})] {
        api.post("/instances", &body).expect_error(400);
    }
    assert_untouched(&master, &mut events);
}

#[test]
fn the_256_byte_limit_does_not_hold_at_creation() {
    let master = Master::start();
    let alias = "a".repeat(300);
    let body = json!({"alias": alias, "url": Script::new().wait().url()});
    let created = master.api().post("/instances", &body).expect(201).json();
    assert_eq!(created["alias"], *alias);
    assert_eq!(master.api().instance(&id_of(&created))["alias"], *alias);
}

/// The cap is on the object's JSON text, so a character that must be escaped counts as what it
/// grows to.
#[test]
fn an_object_above_32_kib_is_refused() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let url = |length: usize| format!("stub://x#{}", "u".repeat(length));
    let big = url(33 * 1024);
    api.post("/instances", &json!({ "url": big })).expect_error(400);
    let quotes = "\"".repeat(17 * 1024);
    api.post("/instances", &json!({"url": "stub://x", "alias": quotes})).expect_error(400);
    let escapes = "\u{1b}".repeat(6 * 1024);
    api.post("/instances", &json!({"url": "stub://x", "alias": escapes})).expect_error(400);
    assert_untouched(&master, &mut events);

    let id = id_of(&api.create(&url(31 * 1024)));
    let before = events.wait_status(&id, "running").instance;
    api.put(&id, &big).expect_error(400);
    let many: Value = (0..20).map(|n| (format!("{n}"), json!("v".repeat(200)))).collect();
    api.patch(&id, &json!({"alias": "no", "meta": {"tags": many}})).expect_error(400);
    assert_eq!(api.instance(&id), before, "a refused change changes nothing");
}

#[test]
fn the_largest_object_accepted_still_fits_into_a_frame() {
    let master = Master::start();
    let api = master.api();
    let mut events = master.events();
    let url = |length: usize| format!("stub://x#{}", "u".repeat(length));
    let fits = |length: usize| {
        let response = api.post("/instances", &json!({ "url": url(length) }));
        let created = (response.status == 201).then(|| id_of(&response.json()));
        created.map(|id| api.delete(&id).expect(204)).is_some()
    };
    // Bisect to the last length that is accepted.
    let (mut accepted, mut refused) = (30 * 1024, 33 * 1024);
    assert!(fits(accepted) && !fits(refused));
    while refused - accepted > 1 {
        let middle = (accepted + refused) / 2;
        if fits(middle) {
            accepted = middle;
        } else {
            refused = middle;
        }
    }
    let id = id_of(&api.create(&url(accepted)));
    let text = events.wait_status(&id, "running").instance.to_string();
    assert!(text.len() <= 32 * 1024, "{} bytes", text.len());
}

#[test]
fn the_key_instance_holds_key_and_master_id() {
    let master = Master::start();
    let api = master.api();
    let info = api.get("/info").expect(200).json();
    let expected = json!({
        "id": KEY_ID, "alias": "", "type": "", "status": "", "url": master.key(),
        "config": info["mid"], "restart": false,
        "meta": {"peer": {"sid": "", "type": "", "alias": ""}, "tags": {}},
        "mode": 0, "ping": 0, "pool": 0, "tcps": 0, "udps": 0,
        "tcprx": 0, "tcptx": 0, "udprx": 0, "udptx": 0,
    });
    assert!(is_hex(info["mid"].as_str().unwrap(), 16));
    assert_eq!(api.instance(KEY_ID), expected);
    assert_eq!(api.list(), std::slice::from_ref(&expected));
    let events = master.events();
    assert_eq!(events.events()[0].kind, "initial");
    assert_eq!(events.events()[0].instance, expected);
    api.post("/info", &json!({"alias": "prod-1"})).expect(200);
    assert_eq!(api.instance(KEY_ID)["alias"], "prod-1", "its alias is the master's");
}

#[test]
fn ids_are_unique_and_random() {
    let master = Master::start();
    let mut ids: Vec<String> = (0..50).map(|_| id_of(&master.api().create("stub://x"))).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 50);
}
