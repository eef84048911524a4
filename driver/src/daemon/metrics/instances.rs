//! Series of each instance: as many as there are instances, so only where they are asked for.

use openctrl_core::counters::on_wire;
use openctrl_core::instance::{InstanceView, ProcessFacts, Status};

use super::text::Kind::{Counter, Gauge};
use super::text::{Exposition, Value};
use crate::daemon::hub::Hub;
use crate::daemon::usage::Processes;

/// Writes the series of all instances as they are published.
pub(super) fn write(text: &mut Exposition, hub: &Hub) {
    let views = hub.instances();
    let shown: Vec<(String, &InstanceView)> =
        views.iter().map(|view| (view.definition.id.to_string(), view)).collect();

    let help = "What an instance is called; always 1.";
    let mut family = text.family("openctrl_instance_info", Gauge, help);
    for (id, view) in &shown {
        let definition = &view.definition;
        let scheme = definition.url().scheme();
        let labels = [("id", id.as_str()), ("alias", &definition.alias), ("type", scheme)];
        family.sample(&labels, Value::Count(1));
    }
    let help = "1 for the status that an instance has.";
    let mut family = text.family("openctrl_instance_status", Gauge, help);
    for (id, view) in &shown {
        for status in Status::ALL {
            let value = Value::Count(u64::from(view.status == status));
            family.sample(&[("id", id), ("status", status.as_str())], value);
        }
    }
    let mut family = text.family("openctrl_instance_sessions", Gauge, "Live sessions.");
    for (id, view) in &shown {
        for (protocol, count) in [("tcp", view.metrics.tcps), ("udp", view.metrics.udps)] {
            // A runtime may print any number.
            let count = u64::try_from(count).unwrap_or(0);
            family.sample(&[("id", id), ("protocol", protocol)], Value::Count(count));
        }
    }
    let help = "Bytes that an instance reports, since its creation or the last reset.";
    let mut family = text.family("openctrl_instance_bytes_total", Counter, help);
    for (id, view) in &shown {
        for (protocol, direction, bytes) in [
            ("tcp", "rx", view.totals.tcprx),
            ("tcp", "tx", view.totals.tcptx),
            ("udp", "rx", view.totals.udprx),
            ("udp", "tx", view.totals.udptx),
        ] {
            let labels = [("id", id.as_str()), ("protocol", protocol), ("direction", direction)];
            family.sample(&labels, Value::Count(on_wire(bytes)));
        }
    }
}

/// Writes what is known about the processes of each instance.
pub(super) fn write_processes(text: &mut Exposition, processes: &Processes) {
    let rows = processes.each(|id, facts, usage| (id.to_string(), counts(facts), usage.copied()));
    for (place, (name, help)) in COUNTS.into_iter().enumerate() {
        let mut family = text.family(name, Counter, help);
        for (id, counts, _) in &rows {
            family.sample(&[("id", id)], Value::Count(counts[place]));
        }
    }
    let used = || rows.iter().filter_map(|(id, _, usage)| Some((id, usage.as_ref()?)));
    let help = "CPU time of the running processes of an instance; starts at 0 with each start.";
    let mut family = text.family("openctrl_instance_cpu_seconds_total", Counter, help);
    for (id, usage) in used() {
        family.sample(&[("id", id)], Value::Micros(usage.cpu_centis.saturating_mul(10_000)));
    }
    let help = "Resident memory of the running processes of an instance.";
    let mut family = text.family("openctrl_instance_memory_bytes", Gauge, help);
    for (id, usage) in used() {
        family.sample(&[("id", id)], Value::Count(usage.memory_bytes));
    }
    let mut family = text.family("openctrl_instance_processes", Gauge, "Running processes.");
    for (id, usage) in used() {
        family.sample(&[("id", id)], Value::Count(usage.processes));
    }
}

/// The families of [`counts`].
const COUNTS: [(&str, &str); 4] = [
    ("openctrl_instance_starts_total", "Processes of an instance that were started."),
    ("openctrl_instance_start_failures_total", "Processes that could not be started."),
    ("openctrl_instance_restarts_total", "Restarts by the restart policy."),
    ("openctrl_instance_exits_total", "Processes of an instance that exited."),
];

fn counts(facts: &ProcessFacts) -> [u64; 4] {
    [facts.starts, facts.failures, facts.restarts, facts.exits]
}
