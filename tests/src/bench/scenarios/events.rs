//! Storing events of the control API.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::super::client::{Until, load};
use super::super::figure::{Figure, short};
use super::super::floor::sync::syncs_per_s;
use super::super::meter::cpu_ns;
use super::super::stage::{Measured, Stage};
use super::super::subject::Subject;
use super::Scenario;
use super::control::{command, cursor, instance};
use crate::control::{BASE, event_rule};

pub(super) const SCENARIO: Scenario =
    Scenario { name: "events", about: "store events of the control API", limit_s: 120, run };

const CONNECTIONS: usize = 128;
/// Rules that fire at each event of a command: each command then makes 2 × (1 + RULES) events.
const RULES: usize = 3;

fn run(stage: &Stage) -> Measured {
    let (subject, dir) = Subject::with_control(stage, &[])?;
    let socket = instance(&subject, &dir)?;
    let control = dir.join("openctrl.sock");
    let duration = stage.read_time();
    stage.step("events of commands");
    let commands = store(&subject, &socket, &control, duration)?;
    stage.step("the same with rules that fire");
    apply_rules(&control)?;
    let first = store(&subject, &socket, &control, duration)?;
    stage.step("the same with as many events kept as there may be");
    while newest(&control)? < stage.size(150_000, 2_000) as u64 {
        store(&subject, &socket, &control, duration)?;
    }
    let last = store(&subject, &socket, &control, duration)?;
    let syncs = syncs_per_s(&stage.file("bare"), duration / 4)?;
    let stored = Figure::rate("events stored a second", "1/s", last.per_s)
        .floor("the same master with few events kept", first.per_s)
        .wanted(20_000.0)
        .note(format!(
            "{RULES} rules fire at each event of a command; without rules {}/s; {} µs of CPU an \
             event; the disk does {} fdatasync/s one by one",
            short(commands.per_s),
            short(last.cpu_us),
            short(syncs)
        ));
    Ok(vec![stored])
}

/// What storing came to.
struct Stored {
    per_s: f64,
    /// CPU time of the master an event, in µs.
    cpu_us: f64,
}

fn store(
    subject: &Subject,
    socket: &Path,
    control: &Path,
    duration: Duration,
) -> io::Result<Stored> {
    let renew = command("renew");
    let (before, used) = (newest(control)?, cpu_ns(subject.pid()));
    let load = load(socket, CONNECTIONS, Until::Elapsed(duration), |_| &renew[..])?;
    let used = cpu_ns(subject.pid()) - used;
    // Every command is answered, so all of its events are durable and shown.
    cursor(socket)?;
    let events = (newest(control)? - before) as f64;
    Ok(Stored { per_s: events / load.took.as_secs_f64(), cpu_us: used / 1e3 / events })
}

/// The id of the newest event.
fn newest(control: &Path) -> io::Result<u64> {
    let target = format!("{BASE}/get?subject=events&limit=1");
    let answer = crate::control::call(control, "GET", &target, None).expect(200).json();
    answer["events"][0]["id"].as_u64().ok_or_else(|| io::Error::other("there is no event"))
}

fn apply_rules(control: &Path) -> io::Result<()> {
    let pattern = json!({"operator": "any_of", "topic": "routerd.daemon.command.*"});
    let rules: Vec<_> = (0..RULES)
        .map(|index| event_rule(&format!("r{index}"), pattern.clone(), "bench.fired"))
        .collect();
    let candidate = json!({"spec": {"resources": rules}}).to_string();
    let body = json!({"candidateYaml": candidate}).to_string();
    let target = format!("{BASE}/apply");
    crate::control::call(control, "POST", &target, Some(body.as_bytes())).expect(200);
    Ok(())
}
