//! Patrol contract §3 and A: services, with a fake `service` in PATH and scripts in /etc/init.d.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use openctrl_tests::patrol::{Builder, Folder, Patrol, records, write_script};
use openctrl_tests::wait::holds_for;
use openctrl_tests::{eventually, until};
use serde_json::{Value, json};

/// A `service` that keeps its services as files `<name>.up`, notes each call in `calls`, and does
/// what a file `<name>.<verb>` says instead, if there is one.
const SERVICE: &str = r#"
cd "$FAKE" || exit 99
echo "$1 $2" >> calls
if [ -f "$1.$2" ]; then . "./$1.$2"; fi
case $2 in
    start | restart | force-reload) touch "$1.up" ;;
    stop) rm -f "$1.up" ;;
    status) [ -f "$1.up" ] || exit 3 ;;
esac
"#;

fn builder(folder: &Folder, services: Value) -> Builder {
    let fake = folder.path("fake");
    fs::create_dir_all(&fake).expect("the folder is writable");
    Builder::new(json!({}), services).service_script(folder, SERVICE).variable("FAKE", &fake)
}

fn instance(service: &Value) -> &str {
    service["instance-id"].as_str().unwrap_or_default()
}

fn calls(patrol: &Patrol) -> Vec<String> {
    let text = fs::read_to_string(patrol.folder().join("fake/calls")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_service(patrol: &Patrol, id: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("{id}: {what}"), || {
        let service = patrol.service(id);
        holds(&service).then_some(service)
    })
}

fn toggle(patrol: &Patrol, id: &str, toggle: u8) -> Value {
    patrol.post(&json!({"group": "service", "id": id, "toggle": toggle}))
}

fn service(members: Value) -> Value {
    let mut service = json!({"management": 1, "name": "A service", "service": "fake"});
    for (key, value) in members.as_object().expect("an object") {
        service[key] = value.clone();
    }
    service
}

#[test]
fn a_service_that_is_down_is_started_and_looked_after() {
    let folder = Folder::default();
    let builder = builder(&folder, json!({"web": service(json!({}))}));
    let patrol = folder.start_with(builder);
    let up = wait_service(&patrol, "web", "up", |service| service["started"].is_string());
    assert_eq!(calls(&patrol)[..2], ["fake status", "fake start"]);
    let seen = wait_service(&patrol, "web", "seen", |service| service["lastseen"].is_string());
    assert_eq!(instance(&seen), instance(&up));
    assert!(seen["cas"].as_u64() > up["cas"].as_u64(), "each look counts");
    fs::remove_file(patrol.folder().join("fake/fake.up")).expect("it is up");
    let again = wait_service(&patrol, "web", "another instance", |service| {
        !instance(service).is_empty() && instance(service) != instance(&up)
    });
    let record = &records(&again)[0];
    assert_eq!(instance(record), instance(&up));
    assert!(record["pid"].is_null() && record["exit-code"].is_null(), "{record}");
}

#[test]
fn a_service_that_runs_is_adopted_and_a_disabled_one_is_stopped_at_once() {
    let folder = Folder::default();
    let builder = builder(
        &folder,
        json!({
            "kept": service(json!({"service": "kept"})),
            "off": service(json!({"service": "off", "disabled": true})),
        }),
    );
    for name in ["kept", "off"] {
        fs::write(folder.path(&format!("fake/{name}.up")), "").expect("the folder is writable");
    }
    let patrol = folder.start_with(builder);
    wait_service(&patrol, "kept", "adopted", |service| !instance(service).is_empty());
    until("the stop", || calls(&patrol).contains(&"off stop".to_owned()));
    let off = wait_service(&patrol, "off", "stopped", |service| {
        instance(service).is_empty() && records(service).len() == 1
    });
    assert_eq!(records(&off)[0]["disabled"], true);
    assert!(!calls(&patrol).contains(&"kept start".to_owned()));
}

/// Toggles act at once and not at the next look.
#[test]
fn toggles_run_the_verbs_at_once() {
    let folder = Folder::default();
    let builder = builder(
        &folder,
        json!({"web": service(json!({
            "management-restart-parameter": "force-reload"
        }))}),
    )
    .set("tick-every", json!(120));
    let patrol = folder.start_with(builder);
    let first = wait_service(&patrol, "web", "up", |service| !instance(service).is_empty());
    toggle(&patrol, "web", 3);
    let second = wait_service(&patrol, "web", "restarted", |service| {
        !instance(service).is_empty() && instance(service) != instance(&first)
    });
    assert!(calls(&patrol).contains(&"fake force-reload".to_owned()));
    assert_eq!(records(&second)[0]["restart"], true);
    assert!(second["restart"].is_null(), "{second}");
    toggle(&patrol, "web", 2);
    wait_service(&patrol, "web", "stopped", |service| instance(service).is_empty());
    assert_eq!(calls(&patrol).last().map(String::as_str), Some("fake stop"));
    toggle(&patrol, "web", 1);
    wait_service(&patrol, "web", "up again", |service| !instance(service).is_empty());
}

/// A failed restart keeps the instance and uses up the wish.
#[test]
fn a_failed_restart_keeps_the_instance() {
    let folder = Folder::default();
    let builder = builder(&folder, json!({"web": service(json!({}))}));
    fs::write(folder.path("fake/fake.restart"), "exit 1").expect("the folder is writable");
    let patrol = folder.start_with(builder);
    let first = wait_service(&patrol, "web", "up", |service| !instance(service).is_empty());
    toggle(&patrol, "web", 3);
    until("the restart", || calls(&patrol).contains(&"fake restart".to_owned()));
    let after = wait_service(&patrol, "web", "used up", |service| service["restart"].is_null());
    assert_eq!(instance(&after), instance(&first));
}

#[test]
fn ignored_exit_codes_count_as_success() {
    let folder = Folder::default();
    let builder = builder(
        &folder,
        json!({
            "ignored": service(json!({"service": "ignored", "ignore-exit-codes-start": [5, 6]})),
            "failing": service(json!({"service": "failing", "ignore-exit-codes-start": [6]})),
        }),
    );
    for name in ["ignored", "failing"] {
        fs::write(folder.path(&format!("fake/{name}.start")), "exit 5").expect("writable");
    }
    let patrol = folder.start_with(builder);
    wait_service(&patrol, "ignored", "started", |service| !instance(service).is_empty());
    until("the start", || calls(&patrol).contains(&"failing start".to_owned()));
    let failing = patrol.service("failing");
    assert!(instance(&failing).is_empty() && records(&failing).is_empty(), "{failing}");
}

/// A command that hangs holds up nothing: neither replies nor other services nor the end.
#[test]
fn a_slow_command_holds_up_nothing_else() {
    let folder = Folder::default();
    let builder = builder(
        &folder,
        json!({
            "slow": service(json!({"service": "slow"})),
            "quick": service(json!({"service": "quick"})),
        }),
    );
    fs::write(folder.path("fake/slow.status"), "sleep 1000").expect("the folder is writable");
    let mut patrol = folder.start_with(builder);
    wait_service(&patrol, "quick", "up", |service| !instance(service).is_empty());
    let asked = Instant::now();
    for _ in 0..20 {
        toggle(&patrol, "slow", 4);
        patrol.service("slow");
    }
    // The command sleeps for 1000 s.
    assert!(asked.elapsed() < Duration::from_secs(60), "replies take {:?}", asked.elapsed());
    assert!(patrol.stop() < Duration::from_secs(60));
    patrol.wait_no_descendants();
}

#[test]
fn services_go_on_when_the_server_ends() {
    let folder = Folder::default();
    let builder = builder(&folder, json!({"web": service(json!({}))}));
    let mut patrol = folder.start_with(builder);
    wait_service(&patrol, "web", "up", |service| !instance(service).is_empty());
    patrol.stop();
    assert!(!calls(&patrol).contains(&"fake stop".to_owned()));
    assert!(patrol.folder().join("fake/fake.up").exists());
}

#[test]
fn run_once_is_for_services_too_and_pings_are_not() {
    let folder = Folder::default();
    let builder = builder(&folder, json!({"web": service(json!({}))}));
    let patrol = folder.start_with(builder);
    wait_service(&patrol, "web", "up", |service| !instance(service).is_empty());
    toggle(&patrol, "web", 4);
    fs::remove_file(patrol.folder().join("fake/fake.up")).expect("it is up");
    let off = wait_service(&patrol, "web", "disabled", |service| service["disabled"] == true);
    assert_eq!(records(&off)[0]["run-once"], true);
    holds_for("off", Duration::from_secs(1), || instance(&patrol.service("web")).is_empty());
    let refused =
        patrol.send("POST", "/api/", &[], Some(r#"{"group":"service","id":"web","ping":true}"#));
    assert_eq!(
        (refused.status, refused.text()),
        (400, "{\n\t\"errors\": [\n\t\t\"Services don't support Ping\"\n\t]\n}\n")
    );
}

/// `/etc/init.d/<service>`, where this test may write there, and the `service` of the system.
#[test]
fn init_scripts_manage_services_too() {
    for management in [1, 2] {
        manages_an_init_script(management);
    }
}

fn manages_an_init_script(management: u8) {
    if management == 1 && !openctrl_tests::process::has_program("service", "patrol_services") {
        return;
    }
    let name = format!("openctrl-test-{}", std::process::id());
    let script = Path::new("/etc/init.d").join(&name);
    if !rustix::process::geteuid().is_root() || !script.parent().is_some_and(Path::is_dir) {
        return;
    }
    let folder = Folder::default();
    let state = folder.path("state");
    write_script(
        &script,
        &format!(
            "case $1 in start) echo up > {state} ;; stop) rm -f {state} ;; status) [ -f {state} ] ;; esac"
        ),
    );
    let web = service(json!({"management": management, "service": name}));
    let builder = Builder::new(json!({}), json!({"web": web}));
    let patrol = folder.start_with(builder);
    let up = wait_service(&patrol, "web", "up", |service| !instance(service).is_empty());
    assert_eq!(up["name"], "A service");
    toggle(&patrol, "web", 2);
    wait_service(&patrol, "web", "stopped", |service| instance(service).is_empty());
    assert!(!Path::new(&state).exists());
    fs::remove_file(&script).expect("it is ours");
}
