//! Tests of the policy object: accepted and refused values, and that it reads its own output.

use super::*;
use crate::ids::InstanceId;
use crate::url::InstanceUrl;

fn definition() -> Definition {
    let url = InstanceUrl::parse("a:b").expect("a good URL");
    Definition::new(InstanceId(1), url, String::new())
}

fn text(definition: &Definition) -> String {
    String::from_utf8(render(definition, Secrets::Shown).to_vec()).expect("JSON is UTF-8")
}

fn patched(body: &str) -> Definition {
    let amend = decode_policy_patch(body.as_bytes(), Secrets::Shown).expect(body);
    amend.apply(&definition()).unwrap_or_else(definition)
}

fn refused(body: &str) -> String {
    let rejection = decode_policy_patch(body.as_bytes(), Secrets::Shown).expect_err(body);
    assert_eq!(rejection.status(), 400, "{body}");
    assert_eq!(decode_policy(body.as_bytes(), Secrets::Shown), Err(rejection.clone()), "{body}");
    rejection.to_string()
}

const ALL: &str = r#"{"restart":"always","maxRestarts":3,"restartWindowMs":500,"boot":"saved","backoff":{"firstMs":10,"longestMs":20,"healthyMs":30,"promptMs":40},"stop":{"steps":[{"signal":"SIGINT","waitMs":7},{"signal":"SIGKILL","waitMs":0}],"scope":"leader","restartSignal":"SIGHUP"},"history":4,"user":"www-data","group":"33","umask":"027","cwd":"/srv","env":{"A":"b"},"clearEnv":true,"openFiles":64,"memoryBytes":1048576,"leaseMs":30000}"#;

#[test]
fn every_field_is_shown_with_its_default() {
    insta::assert_snapshot!(text(&definition()), @r#"{"restart":"on-failure","maxRestarts":null,"restartWindowMs":null,"boot":"restart","backoff":{"firstMs":1000,"longestMs":60000,"healthyMs":60000,"promptMs":null},"stop":{"steps":[{"signal":"SIGTERM","waitMs":5000},{"signal":"SIGKILL","waitMs":0}],"scope":"group","restartSignal":null},"history":10,"user":null,"group":null,"umask":null,"cwd":null,"env":{},"clearEnv":false,"openFiles":null,"memoryBytes":null,"leaseMs":null}"#);
}

#[test]
fn what_is_rendered_can_be_put() {
    let changed = patched(ALL);
    assert_eq!(text(&changed), ALL);
    for from in [definition(), patched(r#"{"umask":"7","history":0}"#)] {
        let amend = decode_policy(ALL.as_bytes(), Secrets::Shown).expect("a good body");
        let put = amend.apply(&from).expect("a change");
        assert_eq!((&put.policy, &put.setup), (&changed.policy, &changed.setup));
        let amend =
            decode_policy(text(&definition()).as_bytes(), Secrets::Shown).expect("a good body");
        let put = amend.apply(&changed).expect("a change");
        assert_eq!(text(&put), text(&definition()));
    }
}

#[test]
fn a_patch_keeps_what_is_absent_and_a_put_does_not() {
    let changed = patched(ALL);
    assert_eq!(
        decode_policy_patch(b"{}", Secrets::Shown).expect("a good body").apply(&changed),
        None
    );
    let amend =
        decode_policy_patch(br#"{"user":null,"umask":"22"}"#, Secrets::Shown).expect("a good body");
    let patched = amend.apply(&changed).expect("a change");
    assert_eq!((&patched.setup.user, patched.setup.umask), (&None, Some(0o22)));
    assert_eq!(patched.setup.group.as_deref(), Some("33"));
    assert_eq!(patched.revision, changed.revision.next());
    let put = decode_policy(br#"{"restart":"never"}"#, Secrets::Shown)
        .expect("a good body")
        .apply(&changed);
    let put = put.expect("a change");
    assert_eq!(put.policy, Policy { restart: Restart::Never, ..Policy::default() });
    assert!(*put.setup == Setup::default() && !put.restarts());
}

#[test]
fn every_null_is_the_default() {
    let names = text(&definition());
    let Ok(Value::Object(fields)) = serde_json::from_str(&names) else { panic!("{names}") };
    let nulls: Map<String, Value> =
        fields.into_iter().map(|(name, _)| (name, Value::Null)).collect();
    let amend = decode_policy_patch(Value::Object(nulls).to_string().as_bytes(), Secrets::Shown);
    let back = amend.expect("a good body").apply(&patched(ALL)).expect("a change");
    assert_eq!(text(&back), text(&definition()));
}

#[test]
fn the_shorthand_of_a_stop_is_read() {
    let stop = patched(r#"{"stopSignal":"int","stopGraceMs":0}"#).policy.stop;
    assert_eq!(stop, StopPolicy::signal_then_kill(Signal::INT, 0));
    assert_eq!(patched(r#"{"stopSignal":"15"}"#).policy.stop, StopPolicy::default());
}

#[test]
fn a_bad_body_is_refused_with_the_name_of_the_field() {
    insta::assert_snapshot!(refused(""), @"the body is empty; send a JSON object");
    insta::assert_snapshot!(refused("[]"), @"the body must be a JSON object, not an array of 0");
    insta::assert_snapshot!(refused(r#"{"Restart":"never"}"#), @r#"unknown field "Restart"; the fields are restart, maxRestarts, restartWindowMs, boot, backoff, stop, stopSignal, stopGraceMs, history, user, group, umask, cwd, env, clearEnv, openFiles, memoryBytes and leaseMs"#);
    insta::assert_snapshot!(refused(r#"{"restart":true}"#), @"restart must be never, on-failure or always, not true");
    insta::assert_snapshot!(refused(r#"{"maxRestarts":0}"#), @"maxRestarts must be a whole number from 1 to 1000, not 0");
    insta::assert_snapshot!(refused(r#"{"restartWindowMs":5}"#), @"restartWindowMs has no effect without maxRestarts; send both");
    insta::assert_snapshot!(refused(r#"{"backoff":{"firstMs":9,"longestMs":8}}"#), @"backoff.firstMs is 9 and backoff.longestMs 8; give a first delay that is no longer than the longest");
    insta::assert_snapshot!(refused(r#"{"stopSignal":"TERMX"}"#), @r#"stopSignal must be a signal of Linux in a text, such as "TERM" or "15", not "TERMX""#);
    insta::assert_snapshot!(refused(r#"{"stop":{},"stopGraceMs":1}"#), @"stop and stopGraceMs contradict each other; send one of them");
    insta::assert_snapshot!(refused(r#"{"stop":{"steps":[{"signal":"TERM"},{"wait":1}]}}"#), @r#"unknown field "stop.steps[1].wait"; the fields are signal and waitMs"#);
    insta::assert_snapshot!(refused(r#"{"stop":{"steps":[{"waitMs":1}]}}"#), @r#"stop.steps[0].signal is missing; give a signal such as "TERM""#);
    insta::assert_snapshot!(refused(r#"{"stop":{"steps":[]}}"#), @"stop.steps must be one to four steps, not an array of 0");
    insta::assert_snapshot!(refused(r#"{"umask":22}"#), @"umask must be octal digits such as 022, at most 777, not 22");
    insta::assert_snapshot!(refused(r#"{"cwd":"srv"}"#), @r#"cwd must be an absolute path of at most 4096 bytes, not "srv""#);
    insta::assert_snapshot!(refused(r#"{"env":{"SECRET":5}}"#), @"env.SECRET must be a text without NUL; put numbers in quotes");
    for bad in [
        r#"{"history":101}"#,
        r#"{"history":1.5}"#,
        r#"{"user":""}"#,
        r#"{"group":7}"#,
        r#"{"env":[]}"#,
        r#"{"env":{"":"x"}}"#,
        r#"{"clearEnv":"yes"}"#,
        r#"{"openFiles":-1}"#,
        r#"{"memoryBytes":0}"#,
        r#"{"leaseMs":9999}"#,
        r#"{"boot":"never"}"#,
        r#"{"stop":{"scope":"tree"}}"#,
        r#"{"stop":{"steps":[{"signal":"KILL"},{"signal":"KILL"},{"signal":"KILL"},{"signal":"KILL"},{"signal":"KILL"}]}}"#,
        r#"{"backoff":{"first":1}}"#,
    ] {
        refused(bad);
    }
    let long = format!(r#"{{"env":{{"A":"{}"}}}}"#, "x".repeat(ENV_MAX_BYTES));
    assert!(refused(&long).starts_with("env has 16385 bytes"));
}

#[test]
fn values_of_variables_are_masked_for_readers_without_the_key() {
    let changed = patched(ALL);
    let masked = String::from_utf8(render(&changed, Secrets::Masked).to_vec()).expect("UTF-8");
    assert_eq!(masked, ALL.replace(r#"{"A":"b"}"#, r#"{"A":"***"}"#));
    for decode in [decode_policy, decode_policy_patch] {
        let refusal = decode(masked.as_bytes(), Secrets::Masked).expect_err("a mask");
        insta::allow_duplicates! {
            insta::assert_snapshot!(refusal, @"env.A is the mask ***, not a value; send the real value, which a token cannot read");
        }
        assert!(decode(masked.as_bytes(), Secrets::Shown).is_ok(), "a text like any other");
    }
}
