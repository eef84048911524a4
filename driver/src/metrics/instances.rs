//! Series of each instance: as many as there are instances, so only where they are asked for.

use openctrl_core::ids::InstanceId;
use openctrl_core::instance::Status;
use openctrl_core::metrics::Kind::{Counter, Gauge};
use openctrl_core::metrics::{Exposition, Value};
use serde::Deserialize;

use crate::hub::Hub;

/// What of the published object is wanted.
#[derive(Deserialize)]
struct Shown {
    alias: String,
    #[serde(rename = "type")]
    scheme: String,
    status: String,
    tcps: i64,
    udps: i64,
    tcprx: u64,
    tcptx: u64,
    udprx: u64,
    udptx: u64,
}

/// Writes the series of all instances as they are published.
pub(super) fn write(text: &mut Exposition, hub: &Hub) {
    let read = |(id, json): (InstanceId, bytes::Bytes)| {
        Some((id.to_string(), serde_json::from_slice::<Shown>(&json).ok()?))
    };
    let shown: Vec<(String, Shown)> = hub.instances().into_iter().filter_map(read).collect();

    let help = "What an instance is called; always 1.";
    let mut family = text.family("openctrl_instance_info", Gauge, help);
    for (id, shown) in &shown {
        let labels = [("id", id.as_str()), ("alias", &shown.alias), ("type", &shown.scheme)];
        family.sample(&labels, Value::Count(1));
    }
    let help = "1 for the status that an instance has.";
    let mut family = text.family("openctrl_instance_status", Gauge, help);
    for (id, shown) in &shown {
        for status in Status::ALL.map(Status::as_str) {
            let value = u64::from(shown.status == status);
            family.sample(&[("id", id), ("status", status)], Value::Count(value));
        }
    }
    let mut family = text.family("openctrl_instance_sessions", Gauge, "Live sessions.");
    for (id, shown) in &shown {
        for (protocol, count) in [("tcp", shown.tcps), ("udp", shown.udps)] {
            // A runtime may print any number.
            let count = u64::try_from(count).unwrap_or(0);
            family.sample(&[("id", id), ("protocol", protocol)], Value::Count(count));
        }
    }
    let help = "Bytes that an instance reports, since its creation or the last reset.";
    let mut family = text.family("openctrl_instance_bytes_total", Counter, help);
    for (id, shown) in &shown {
        for (protocol, direction, bytes) in [
            ("tcp", "rx", shown.tcprx),
            ("tcp", "tx", shown.tcptx),
            ("udp", "rx", shown.udprx),
            ("udp", "tx", shown.udptx),
        ] {
            let labels = [("id", id.as_str()), ("protocol", protocol), ("direction", direction)];
            family.sample(&labels, Value::Count(bytes));
        }
    }
}
