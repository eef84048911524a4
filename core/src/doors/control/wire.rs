//! The small shapes that several envelopes share, with their order and their omissions (control
//! contract B 1.4, 2.2, 3.1, 3.2).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use super::DAEMON_API_VERSION;
use crate::event::{Attributes, DaemonRef, ResourceRef, StoredEvent};
use crate::go::rfc3339_nano;
use crate::resource::{ResourceState, TimedCondition};
use crate::time::Wall;

/// `omitempty` of a text.
pub(super) fn is_empty(text: &str) -> bool {
    text.is_empty()
}

/// `omitempty` of a flag.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(super) const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// `omitempty` of a number.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(super) const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Debug, Serialize)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
}

#[derive(Debug, Serialize)]
pub(super) struct DaemonWire<'a> {
    name: &'a str,
    kind: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    instance: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceWire<'a> {
    #[serde(skip_serializing_if = "is_empty")]
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConditionWire {
    r#type: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "is_empty")]
    reason: &'static str,
    last_transition_time: String,
}

/// An event on a managed socket and in a jsonl file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DaemonEventWire<'a> {
    api_version: &'static str,
    kind: &'static str,
    cursor: String,
    time: String,
    daemon: DaemonWire<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceWire<'a>>,
    r#type: &'a str,
    topic: &'a str,
    severity: &'static str,
    #[serde(skip_serializing_if = "is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: &'a Attributes,
}

/// An event on a main socket.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredEventWire<'a> {
    id: u64,
    #[serde(skip_serializing_if = "is_empty")]
    api_version: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    name: &'a str,
    r#type: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    message: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "is_empty")]
    topic: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    source_kind: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    source_instance: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    resource_api_version: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    resource_kind: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    resource_name: &'a str,
    severity: &'static str,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: &'a Attributes,
}

/// An event within a resource. All fields are always there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceEventWire<'a> {
    id: u64,
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
    r#type: &'a str,
    reason: &'a str,
    message: &'a str,
    generation: u64,
    created_at: String,
}

impl<'a> From<&'a DaemonRef> for DaemonWire<'a> {
    fn from(daemon: &'a DaemonRef) -> Self {
        Self { name: &daemon.name, kind: &daemon.kind, instance: &daemon.instance }
    }
}

impl<'a> From<&'a ResourceRef> for ResourceWire<'a> {
    fn from(resource: &'a ResourceRef) -> Self {
        Self { api_version: &resource.api_version, kind: &resource.kind, name: &resource.name }
    }
}

impl<'a> DaemonWire<'a> {
    /// The daemon of an instance.
    pub(super) const fn of(name: &'a str, kind: &'a str, instance: &'a str) -> Self {
        Self { name, kind, instance }
    }
}

impl<'a> ResourceWire<'a> {
    pub(super) const fn of(api_version: &'a str, kind: &'a str, name: &'a str) -> Self {
        Self { api_version, kind, name }
    }
}

impl<'a> From<&'a StoredEvent> for DaemonEventWire<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        Self {
            api_version: DAEMON_API_VERSION,
            kind: "DaemonEvent",
            cursor: event.id.to_string(),
            time: rfc3339_nano(event.time),
            daemon: DaemonWire::from(&event.daemon),
            resource: event.resource.as_ref().map(ResourceWire::from),
            r#type: &event.topic,
            topic: &event.topic,
            severity: event.severity.as_str(),
            reason: &event.reason,
            message: &event.message,
            attributes: &event.attributes,
        }
    }
}

impl<'a> From<&'a StoredEvent> for StoredEventWire<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        let (api_version, kind, name) = row(event);
        let resource = event.resource.as_ref();
        let (resource_api_version, resource_kind, resource_name) = resource
            .map_or(("", "", ""), |resource| {
                (&*resource.api_version, &*resource.kind, &*resource.name)
            });
        Self {
            id: event.id.0,
            api_version,
            kind,
            name,
            r#type: &event.topic,
            reason: &event.reason,
            message: &event.message,
            created_at: rfc3339_nano(event.time),
            topic: &event.topic,
            source_kind: &event.daemon.kind,
            source_instance: &event.daemon.instance,
            resource_api_version,
            resource_kind,
            resource_name,
            severity: event.severity.as_str(),
            attributes: &event.attributes,
        }
    }
}

impl<'a> From<&'a StoredEvent> for ResourceEventWire<'a> {
    fn from(event: &'a StoredEvent) -> Self {
        let (api_version, kind, name) = row(event);
        Self {
            id: event.id.0,
            api_version,
            kind,
            name,
            r#type: &event.topic,
            reason: &event.reason,
            message: &event.message,
            generation: 0,
            created_at: rfc3339_nano(event.time),
        }
    }
}

/// The subject of an event in the stored form: its resource, else the event itself.
fn row(event: &StoredEvent) -> (&str, &str, &str) {
    let api_version = event.resource.as_ref().map_or(DAEMON_API_VERSION, |r| &*r.api_version);
    (api_version, event.row_kind(), event.row_name())
}

/// The conditions as JSON, as a DerivedEvent reads them.
pub fn conditions_text(state: &ResourceState) -> String {
    serde_json::to_string(&conditions(&state.conditions(), None)).expect("plain data encodes")
}

/// Conditions in their order; `Durable` only while it does not hold.
pub(super) fn conditions(
    conditions: &[TimedCondition],
    not_durable: Option<Wall>,
) -> Vec<ConditionWire> {
    let wire = |timed: &TimedCondition| ConditionWire {
        r#type: timed.condition.kind.as_str(),
        status: timed.condition.status.as_str(),
        reason: timed.condition.reason,
        last_transition_time: rfc3339_nano(timed.since),
    };
    let durable = not_durable.map(|since| ConditionWire {
        r#type: "Durable",
        status: "False",
        reason: "DiskFailed",
        last_transition_time: rfc3339_nano(since),
    });
    conditions.iter().map(wire).chain(durable).collect()
}
