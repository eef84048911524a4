//! `/instances/{id}/policy`: what is shown and refused there, and that instances are kept running,
//! stopped and started with the master as their policies say.

use openctrl_tests::{Api, KEY_ID, Master, Response, Script, until};
use serde_json::{Value, json};

fn path(id: &str) -> String {
    format!("/instances/{id}/policy")
}

fn send(api: &Api, method: &str, id: &str, body: &Value) -> Response {
    api.request(method, &path(id)).json(body).send()
}

/// An edit that is only for this ETag.
fn send_if(api: &Api, tag: &str, method: &str, id: &str, body: &Value) -> Response {
    api.request(method, &path(id)).header("If-Match", tag).json(body).send()
}

/// A PATCH that must be accepted; the policy after it.
fn patch(api: &Api, id: &str, body: &Value) -> Value {
    send(api, "PATCH", id, body).expect(200).json()
}

fn policy(api: &Api, id: &str) -> Value {
    api.get(&path(id)).expect(200).json()
}

/// An instance that runs code in a shell.
fn shell(master: &Master, code: &str) -> String {
    let code: String = code.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let created = master.api().create(&format!("exec:sh?arg=-c&arg={code}"));
    created["id"].as_str().expect("an id").to_owned()
}

mod resource {
    use super::*;

    #[test]
    fn a_policy_is_shown_patched_put_and_kept_over_a_crash() {
        let mut master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let id = master.run(&mut events, &Script::new().wait());
        let first = policy(&api, &id);
        assert_eq!(first["restart"], "on-failure");
        assert_eq!(first["boot"], "restart");
        assert_eq!(first["stop"]["steps"][0], json!({"signal": "SIGTERM", "waitMs": 5000}));

        let edit = json!({"restart": "always", "maxRestarts": 3, "env": {"A": "b"}, "umask": "77"});
        let patched = patch(&api, &id, &edit);
        assert_eq!(patched["maxRestarts"], 3);
        assert_eq!(patched["restartWindowMs"], 60_000);
        assert_eq!((&patched["env"]["A"], &patched["umask"]), (&json!("b"), &json!("077")));
        assert_eq!(patched["stop"], first["stop"], "what is absent stays");
        assert_eq!(policy(&api, &id), patched);

        let put = send(&api, "PUT", &id, &json!({"boot": "saved"})).expect(200).json();
        assert_eq!((&put["restart"], &put["env"]), (&json!("on-failure"), &json!({})));
        assert_eq!(
            send(&api, "PUT", &id, &put).expect(200).json(),
            put,
            "what is shown can be put"
        );
        let kept = patch(&api, &id, &edit);
        master.kill9();
        master.restart();
        assert_eq!(policy(&master.api(), &id), kept);
    }

    #[test]
    fn the_bool_of_the_instance_and_the_policy_agree() {
        let master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let id = master.run(&mut events, &Script::new().wait());
        patch(&api, &id, &json!({"restart": "never"}));
        events.wait_for("the update", |event| {
            event.is_change_of(&id) && event.instance["restart"] == false
        });
        assert_eq!(api.instance(&id)["restart"], false);
        patch(&api, &id, &json!({"restart": "always"}));
        assert_eq!(api.instance(&id)["restart"], true);
        api.patch(&id, &json!({"restart": true})).expect(200);
        assert_eq!(policy(&api, &id)["restart"], "always", "it is shown as true already");
        api.patch(&id, &json!({"restart": false})).expect(200);
        assert_eq!(policy(&api, &id)["restart"], "never");
        api.patch(&id, &json!({"restart": true})).expect(200);
        assert_eq!(policy(&api, &id)["restart"], "on-failure");
    }

    #[test]
    fn it_has_the_etag_of_the_instance() {
        let master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let id = master.run(&mut events, &Script::new().wait());
        let tag = |response: &Response| response.header("etag").expect("an ETag").to_owned();
        let old = tag(&api.get(&path(&id)).expect(200));
        assert_eq!(tag(&api.get(&format!("/instances/{id}")).expect(200)), old);
        assert_eq!(tag(&send(&api, "PATCH", &id, &json!({"history": 10})).expect(200)), old);
        let new = tag(&send_if(&api, &old, "PATCH", &id, &json!({"history": 3})).expect(200));
        assert_ne!(new, old);
        for method in ["PATCH", "PUT"] {
            let refused = send_if(&api, &old, method, &id, &json!({"history": 4}));
            let refused = refused.expect_error(412);
            assert_eq!(tag(&refused), new);
        }
        assert_eq!(policy(&api, &id)["history"], 3);
    }

    #[test]
    fn what_is_wrong_is_named_and_changes_nothing() {
        let master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let id = master.run(&mut events, &Script::new().wait());
        let before = policy(&api, &id);
        for (body, part) in [
            (json!({"history": 5, "restrat": "never"}), "unknown field \"restrat\""),
            (json!({"history": 5, "restart": true}), "restart must be never, on-failure or always"),
            (json!({"history": 500}), "history must be a whole number from 0 to 100"),
            (json!({"stopSignal": "SIGNOPE"}), "stopSignal must be a signal"),
            (json!({"restartWindowMs": 9}), "send both"),
            (json!({"umask": "999"}), "umask must be octal digits"),
            (json!([]), "the body must be a JSON object"),
        ] {
            for method in ["PATCH", "PUT"] {
                let refused = send(&api, method, &id, &body).expect_error(400).json();
                let reason = refused["error"].as_str().expect("a reason");
                assert!(reason.contains(part), "{method} {body}: {reason}");
            }
        }
        assert_eq!(policy(&api, &id), before);
        let empty = json!({});
        for (method, id, status) in [
            ("GET", KEY_ID, 403),
            ("PATCH", KEY_ID, 403),
            ("PUT", KEY_ID, 403),
            ("GET", "00000000", 404),
            ("PATCH", "00000000", 404),
            ("PUT", "nonsense", 404),
            ("DELETE", &id, 405),
            ("POST", &id, 405),
        ] {
            send(&api, method, id, &empty).expect_error(status);
        }
        send(&api.without_key(), "PATCH", &id, &empty).expect_error(401);
        assert_eq!(policy(&api, &id), before);
    }
}

mod restarts {
    use super::*;

    #[test]
    fn always_restarts_after_a_clean_exit_and_never_does_not() {
        let master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let (cue, mark) = (master.cue("end"), master.mark("starts"));
        let id = master.run(&mut events, &Script::new().mark(&mark).cue(&cue).exit(0));
        patch(&api, &id, &json!({"restart": "always", "backoff": {"firstMs": 1, "longestMs": 1}}));
        cue.give();
        mark.wait(3);
        patch(&api, &id, &json!({"restart": "never"}));
        let count = api.process(&id)["starts"].as_u64().expect("a count");
        events.wait_for("its end", |event| {
            event.is_change_of(&id)
                && event.instance["restart"] == false
                && event.instance["status"] == "stopped"
        });
        let now = api.process(&id);
        assert!(now["nextRestart"].is_null() && now["pid"].is_null(), "{now}");
        assert!(now["starts"].as_u64().expect("a count") <= count + 1, "{now}");
    }

    #[test]
    fn a_limit_ends_the_restarts_until_a_start_by_request() {
        let master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let (cue, mark) = (master.cue("end"), master.mark("starts"));
        let id = master.run(&mut events, &Script::new().mark(&mark).cue(&cue).exit(3));
        let edit = json!({"maxRestarts": 2, "restartWindowMs": 600_000,
            "backoff": {"firstMs": 1, "longestMs": 1}});
        patch(&api, &id, &edit);
        cue.give();
        mark.wait(3);
        until("the limit is reached", || {
            let now = api.process(&id);
            now["restarts"] == 2 && now["exits"] == 3 && now["nextRestart"].is_null()
        });
        let reason = api.process(&id)["reason"].as_str().expect("a reason").to_owned();
        assert!(reason.contains('2') && reason.contains("restart"), "{reason}");
        assert_eq!(api.status(&id), "error");
        api.act(&id, "start");
        mark.wait(6);
    }
}

mod boot {
    use super::*;

    #[test]
    fn saved_remembers_a_stop_and_a_start() {
        let mut master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let (stopped, started) = (master.mark("stopped"), master.mark("started"));
        let first = master.run(&mut events, &Script::new().mark(&stopped).wait());
        let second = master.run(&mut events, &Script::new().mark(&started).wait());
        // A process that runs has not begun its script yet, and may be stopped before that.
        stopped.wait(1);
        started.wait(1);
        for id in [&first, &second] {
            patch(&api, id, &json!({"boot": "saved", "restart": "never"}));
            api.act(id, "stop");
            events.wait_status(id, "stopped");
        }
        api.act(&second, "start");
        started.wait(2);
        master.stop();
        master.restart();
        started.wait(3);
        assert_eq!(master.api().status(&first), "stopped");
        master.kill9();
        master.restart();
        started.wait(4);
        assert_eq!((master.api().status(&first), stopped.count()), ("stopped".to_owned(), 1));
        master.api().act(&first, "start");
        stopped.wait(2);
        master.kill9();
        master.restart();
        stopped.wait(3);
    }

    #[test]
    fn always_starts_what_was_stopped() {
        let mut master = Master::start();
        let (api, mut events, mark) = (master.api(), master.events(), master.mark("starts"));
        let id = master.run(&mut events, &Script::new().mark(&mark).wait());
        mark.wait(1);
        patch(&api, &id, &json!({"boot": "always", "restart": "never"}));
        api.act(&id, "stop");
        events.wait_status(&id, "stopped");
        master.stop();
        master.restart();
        mark.wait(2);
    }
}

mod stops {
    use super::*;

    #[test]
    fn the_signal_and_the_grace_are_those_of_the_policy() {
        let master = Master::builder().without_bin().start();
        let (api, mut events) = (master.api(), master.events());
        let id =
            shell(&master, "trap 'echo got INT' INT; echo ready; while :; do sleep 0.02; done");
        events.wait_log(&id, "ready");
        patch(&api, &id, &json!({"stopSignal": "INT", "stopGraceMs": 50}));
        api.act(&id, "stop");
        events.wait_log(&id, "got INT");
        events.wait_status(&id, "stopped");
        let last = api.process(&id)["lastExit"].clone();
        assert_eq!(last["signal"], 9, "KILL after the grace: {last}");
    }
}

mod setup {
    use std::fs;

    use super::*;

    const FACTS: &str = "echo facts $(id -u) $(id -g) $(umask) $(pwd) $(ulimit -n) $(ulimit -v) \
        $A ${UNSET_BY_CLEAR-cleared}; sleep 1000";

    #[test]
    fn it_is_that_of_the_next_process() {
        let master = Master::builder().variable("UNSET_BY_CLEAR", "there").without_bin().start();
        let (api, mut events) = (master.api(), master.events());
        let id = shell(&master, FACTS);
        events.wait_for("the first facts", |event| {
            event.is_log_of(&id) && event.logs.ends_with(" there")
        });
        let edit = json!({"umask": "027", "cwd": "/", "env": {"A": "b"}, "clearEnv": true,
            "openFiles": 77, "memoryBytes": 1u64 << 30});
        patch(&api, &id, &edit);
        assert_eq!(api.process(&id)["starts"], 1, "an edit restarts nothing");
        api.act(&id, "restart");
        events.wait_for("the facts of the policy", |event| {
            event.is_log_of(&id) && event.logs.ends_with(" 0027 / 77 1048576 b cleared")
        });
        let pid = api.process(&id)["pid"].as_i64().expect("a pid");
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("it is there");
        assert_eq!(name.trim(), "sh", "the step became the command");
    }

    #[test]
    fn a_runtime_of_its_own_gets_it_too() {
        let master = Master::start();
        let (api, mut events) = (master.api(), master.events());
        let id = master.run(
            &mut events,
            &Script::new().step(openctrl_tests::script::Step::Env("A".into())).wait(),
        );
        events.wait_log(&id, "A=(unset)");
        patch(&api, &id, &json!({"env": {"A": "b c"}, "cwd": "/"}));
        api.act(&id, "restart");
        events.wait_log(&id, "A=b c");
        let pid = api.process(&id)["pid"].as_i64().expect("a pid");
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).expect("it is there");
        assert_eq!(cwd.to_str(), Some("/"));
    }

    #[test]
    fn what_cannot_be_done_is_the_reason_of_the_failed_start() {
        for master in [Master::start(), Master::builder().without_bin().start()] {
            let api = master.api();
            let id = shell(&master, "sleep 1000");
            patch(&api, &id, &json!({"restart": "never"}));
            for (edit, part) in [
                (json!({"user": "no-such-user"}), "user \"no-such-user\" does not exist"),
                (
                    json!({"user": null, "group": "no-such-group"}),
                    "group \"no-such-group\" does not exist",
                ),
                (json!({"group": null, "cwd": "/no/such/place"}), "cwd /no/such/place: "),
            ] {
                patch(&api, &id, &edit);
                api.act(&id, "restart");
                until(part, || {
                    api.process(&id)["reason"].as_str().is_some_and(|reason| reason.contains(part))
                });
            }
        }
    }

    #[test]
    fn the_user_is_switched_with_its_groups() {
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
            use std::os::unix::fs::MetadataExt;
            own.uid() == 0
        });
        let master = Master::builder().without_bin().start();
        let (api, mut events) = (master.api(), master.events());
        let id = shell(&master, "echo ids $(id -u) $(id -g) $(id -G); sleep 1000");
        let first = events
            .wait_for("its ids", |event| event.is_log_of(&id) && event.logs.starts_with("ids "));
        patch(&api, &id, &json!({"user": "nobody", "restart": "never"}));
        api.act(&id, "restart");
        if is_root {
            let now = events.wait_for("the ids of nobody", |event| {
                event.is_log_of(&id) && event.logs.starts_with("ids ") && event.logs != first.logs
            });
            assert!(now.logs.starts_with("ids 65534 65534 65534"), "{}", now.logs);
        } else {
            until("the reason", || {
                let reason = api.process(&id)["reason"].as_str().unwrap_or_default().to_owned();
                reason.contains("only a master that runs as root may switch users")
            });
        }
    }
}

mod exec_urls {
    use super::*;

    #[test]
    fn their_parameters_are_the_policy() {
        let master = Master::builder().without_bin().start();
        let (api, mut events) = (master.api(), master.events());
        let code = "arg=-c&arg=echo+umask+$(umask)+$(ulimit+-n);sleep+1000";
        let given = "restart=always&max_restarts=3&restart_window=2m&boot=saved&stop_signal=INT\
            &stop_timeout=500ms&umask=027&open_files=64";
        let created = api.create(&format!("exec:sh?{code}&{given}"));
        let id = created["id"].as_str().expect("an id");
        events.wait_log(id, "umask 0027 64");
        let shown = policy(&api, id);
        assert_eq!((&shown["restart"], &shown["boot"]), (&json!("always"), &json!("saved")));
        assert_eq!(
            (&shown["maxRestarts"], &shown["restartWindowMs"]),
            (&json!(3), &json!(120_000))
        );
        assert_eq!(shown["stop"]["steps"][0], json!({"signal": "SIGINT", "waitMs": 500}));
        patch(&api, id, &json!({"history": 3, "umask": "022"}));
        api.act(id, "restart");
        events.wait_log(id, "umask 0022 64");

        api.put(id, &format!("exec:sh?{code}&restart=never")).expect(200);
        let shown = policy(&api, id);
        assert_eq!((&shown["restart"], &shown["boot"]), (&json!("never"), &json!("restart")));
        assert_eq!((&shown["openFiles"], &shown["history"]), (&Value::Null, &json!(3)));
    }

    #[test]
    fn a_bad_parameter_is_refused_by_name() {
        let master = Master::builder().without_bin().start();
        let api = master.api();
        for (bad, part) in [
            ("restart=yes", "restart must be never, on-failure or always"),
            ("stop_timeout=soon", "stop_timeout must be a time"),
            ("memory=much", "memory must be a size"),
            ("restart_window=5s", "give both"),
        ] {
            let url = json!({"url": format!("exec:true?{bad}")});
            let refused = api.post("/instances", &url).expect_error(400).json();
            let reason = refused["error"].as_str().expect("a reason");
            assert!(reason.contains(part), "{bad}: {reason}");
        }
        assert_eq!(api.list().len(), 1, "the key instance alone");
    }
}
