//! Series of each instance: as many as there are instances, so only where they are asked for.

use openctrl_core::counters::on_wire;
use openctrl_core::instance::{InstanceView, Status};

use super::text::Kind::{Counter, Gauge};
use super::text::{Exposition, Value};
use crate::daemon::hub::Hub;

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
