//! Tests of replies: what the published document and the contract show.

use super::*;
use crate::doors::patrol::layout::{RFC1123Z, RFC3339};
use alloc::string::ToString;
use alloc::vec;

/// 2018-07-18 18:43:44 at -0700.
const STARTED: Wall = Wall::from_micros(1_531_964_624_000_000);

fn west(_: Wall) -> Zone {
    Zone { offset_s: -25_200, name: "PDT".to_string() }
}

fn values(text: &str) -> KeyValues {
    KeyValues::new(serde_json::from_str::<serde_json::Map<_, _>>(text).expect(text))
}

fn with_clock<T>(layout: &str, show: impl FnOnce(Clock<'_>) -> T) -> T {
    show(Clock { layout: &Layout::new(layout), zone: &west })
}

fn view() -> View<'static> {
    View {
        instance_id: "fd1b743c-752d-4034-a502-2bdddb7e262f",
        name: "testapp",
        pid: 10_732,
        started: Some(STARTED),
        last_seen: Some(Wall::from_micros(STARTED.as_micros() + 3_000_000)),
        cas: 57_684,
        ..View::default()
    }
}

fn reply(view: View<'_>) -> Reply<'_> {
    Reply { id: "http", group: Group::App, shutdown: false, cas_invalid: false, view }
}

#[test]
fn a_reply_reads_as_the_published_document_shows_it() {
    let text = with_clock(RFC1123Z, |clock| http(&reply(view()), true, clock));
    insta::assert_snapshot!(text, @r#"
    {
    	"id": "http",
    	"instance-id": "fd1b743c-752d-4034-a502-2bdddb7e262f",
    	"group": "app",
    	"name": "testapp",
    	"pid": 10732,
    	"started": "Wed, 18 Jul 2018 18:43:44 -0700",
    	"lastseen": "Wed, 18 Jul 2018 18:43:47 -0700",
    	"cas": 57684
    }
    "#);
}

#[test]
fn every_field_has_its_place() {
    let values = values(r#"{"b":"<&>","a":1}"#);
    let record = Record {
        instance_id: "4b53b0e9-45a6-4c2f-8c3d-1a6d4f3ad7ce".to_string(),
        pid: 70_000,
        started: Some(STARTED),
        last_seen: Some(STARTED),
        stopped: Some(STARTED),
        disabled: true,
        restart: true,
        run_once: true,
        shutdown: true,
        exit_code: 255,
        values: values.clone(),
    };
    let history = [record, Record::default()];
    let view = View {
        disabled: true,
        restart: true,
        run_once: true,
        history: &history,
        values: Some(&values),
        secret: true,
        ..view()
    };
    let reply = Reply { group: Group::Service, shutdown: true, cas_invalid: true, ..reply(view) };
    insta::assert_snapshot!(with_clock(RFC3339, |clock| http(&reply, true, clock)), @r#"
    {
    	"id": "http",
    	"instance-id": "fd1b743c-752d-4034-a502-2bdddb7e262f",
    	"group": "service",
    	"name": "testapp",
    	"pid": 10732,
    	"started": "2018-07-18T18:43:44-07:00",
    	"lastseen": "2018-07-18T18:43:47-07:00",
    	"disabled": true,
    	"restart": true,
    	"run-once": true,
    	"shutdown": true,
    	"history": [
    		{
    			"instance-id": "4b53b0e9-45a6-4c2f-8c3d-1a6d4f3ad7ce",
    			"pid": 70000,
    			"started": "2018-07-18T18:43:44-07:00",
    			"lastseen": "2018-07-18T18:43:44-07:00",
    			"stopped": "2018-07-18T18:43:44-07:00",
    			"disabled": true,
    			"restart": true,
    			"run-once": true,
    			"shutdown": true,
    			"exit-code": 255,
    			"keyvalue": {
    				"a": 1,
    				"b": "\u003c\u0026\u003e"
    			}
    		},
    		{}
    	],
    	"keyvalue": {
    		"a": 1,
    		"b": "\u003c\u0026\u003e"
    	},
    	"secret": true,
    	"cas": 57684,
    	"cas-invalid": true
    }
    "#);
    let without = with_clock(RFC3339, |clock| http(&reply, false, clock));
    assert!(!without.contains("history") && without.contains("keyvalue"));
    insta::assert_snapshot!(with_clock(RFC3339, |clock| datagram(&reply, clock)), @r#"{"id":"http","instance-id":"fd1b743c-752d-4034-a502-2bdddb7e262f","group":"service","name":"testapp","pid":10732,"started":"2018-07-18T18:43:44-07:00","lastseen":"2018-07-18T18:43:47-07:00","disabled":true,"restart":true,"run-once":true,"shutdown":true,"secret":true,"cas":57684,"cas-invalid":true}"#);
}

#[test]
fn a_refusal_says_one_thing() {
    insta::assert_snapshot!(refusal(ApiError::UnknownApp), @r#"
    {
    	"errors": [
    		"Unknown App"
    	]
    }
    "#);
}

#[test]
fn the_status_has_no_ids_and_calls_services_service() {
    let server = Server {
        instance_id: "5127ce9b-61e3-4818-a0fd-f1bebafb2fac",
        started: Some(STARTED),
        shutdown: false,
    };
    let secret = View {
        name: "Fake Secret App",
        disabled: true,
        secret: true,
        cas: 40_875,
        ..View::default()
    };
    let ssh = View { name: "SSH", pid: 0, ..view() };
    let text = with_clock(RFC1123Z, |clock| {
        status(server, [("fake-secret", secret), ("testapp", view())], [("ssh", ssh)], clock)
    });
    insta::assert_snapshot!(text, @r#"
    {
    	"instance-id": "5127ce9b-61e3-4818-a0fd-f1bebafb2fac",
    	"apps": {
    		"fake-secret": {
    			"name": "Fake Secret App",
    			"disabled": true,
    			"secret": true,
    			"cas": 40875
    		},
    		"testapp": {
    			"instance-id": "fd1b743c-752d-4034-a502-2bdddb7e262f",
    			"name": "testapp",
    			"pid": 10732,
    			"started": "Wed, 18 Jul 2018 18:43:44 -0700",
    			"lastseen": "Wed, 18 Jul 2018 18:43:47 -0700",
    			"cas": 57684
    		}
    	},
    	"service": {
    		"ssh": {
    			"instance-id": "fd1b743c-752d-4034-a502-2bdddb7e262f",
    			"name": "SSH",
    			"started": "Wed, 18 Jul 2018 18:43:44 -0700",
    			"lastseen": "Wed, 18 Jul 2018 18:43:47 -0700",
    			"cas": 57684
    		}
    	},
    	"started": "Wed, 18 Jul 2018 18:43:44 -0700"
    }
    "#);
}

#[test]
fn empty_groups_are_left_out_and_the_end_shows() {
    let server = Server { instance_id: "x", started: None, shutdown: true };
    let text = with_clock(RFC1123Z, |clock| status(server, [], [], clock));
    insta::assert_snapshot!(text, @r#"
    {
    	"instance-id": "x",
    	"shutdown": true
    }
    "#);
}

#[test]
fn the_oldest_records_are_forgotten_first() {
    let record = |exit_code| Record { exit_code, ..Record::default() };
    let mut history = vec![record(1), record(2), record(3)];
    remember(&mut history, record(4), 3);
    assert_eq!(history, [record(2), record(3), record(4)]);
    remember(&mut history, record(5), 2);
    assert_eq!(history, [record(4), record(5)]);
}
