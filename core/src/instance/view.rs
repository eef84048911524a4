//! The JSON that clients are shown of an instance (Contract §4): all 17 fields, compact.
//!
//! Rendering only; when to render and who is told is decided elsewhere.

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use super::definition::{Definition, Meta};
use super::instance::Metrics;
use super::state::Status;
use crate::counters::Counters;
use crate::ids::KEY_INSTANCE_ID;
use crate::master::MasterIdentity;

/// The instance object, its fields in the order of the wire.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    alias: &'a str,
    #[serde(rename = "type")]
    scheme: &'a str,
    status: &'a str,
    url: &'a str,
    config: &'a str,
    restart: bool,
    meta: &'a Meta,
    mode: i32,
    ping: i32,
    pool: i32,
    tcps: i32,
    udps: i32,
    tcprx: u64,
    tcptx: u64,
    udprx: u64,
    udptx: u64,
}

/// The JSON of an instance. Byte counters never exceed 2^63-1.
pub(super) fn render(
    definition: &Definition,
    status: Status,
    metrics: &Metrics,
    counters: &Counters,
) -> Bytes {
    encode(&View {
        id: &definition.id.to_string(),
        alias: &definition.alias,
        scheme: definition.url.scheme(),
        status: status.as_str(),
        url: definition.url.as_str(),
        config: "",
        restart: definition.restart,
        meta: &definition.meta,
        mode: metrics.mode,
        ping: metrics.ping,
        pool: metrics.pool,
        tcps: metrics.tcps,
        udps: metrics.udps,
        tcprx: counters.tcprx.on_wire(),
        tcptx: counters.tcptx.on_wire(),
        udprx: counters.udprx.on_wire(),
        udptx: counters.udptx.on_wire(),
    })
}

/// The JSON of the key instance: the key as `url`, the master's id as `config`.
pub fn render_key_instance(master: &MasterIdentity) -> Bytes {
    encode(&View {
        id: KEY_INSTANCE_ID,
        alias: &master.alias,
        scheme: "",
        status: "",
        url: master.key.reveal(),
        config: &master.mid,
        restart: false,
        meta: &Meta::default(),
        mode: 0,
        ping: 0,
        pool: 0,
        tcps: 0,
        udps: 0,
        tcprx: 0,
        tcptx: 0,
        udprx: 0,
        udptx: 0,
    })
}

fn encode(view: &View<'_>) -> Bytes {
    let json: Vec<u8> = serde_json::to_vec(view).expect("strings and integers always encode");
    Bytes::from(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::url::InstanceUrl;
    use alloc::string::String;

    fn text(json: &Bytes) -> &str {
        core::str::from_utf8(json).expect("JSON is UTF-8")
    }

    #[test]
    fn every_field_is_present_and_compact() {
        let url = InstanceUrl::parse("MANAGED://Edge?x=<a&b>").expect("a good URL");
        let definition = Definition::new(InstanceId(0xd34d_b33f), url, "edge \"a\"".to_string());
        let json = render(&definition, Status::Stopped, &Metrics::default(), &Counters::default());
        insta::assert_snapshot!(text(&json), @r#"{"id":"d34db33f","alias":"edge \"a\"","type":"managed","status":"stopped","url":"managed://Edge?x=<a&b>","config":"","restart":true,"meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":0,"ping":0,"pool":0,"tcps":0,"udps":0,"tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#);
    }

    #[test]
    fn the_key_instance_shows_the_key_and_the_master_id() {
        let master = MasterIdentity::from_random([0x1a; 8], [0x2b; 16]);
        insta::assert_snapshot!(text(&render_key_instance(&master)), @r#"{"id":"********","alias":"","type":"","status":"","url":"2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b","config":"1a1a1a1a1a1a1a1a","restart":false,"meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":0,"ping":0,"pool":0,"tcps":0,"udps":0,"tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#);
    }

    #[test]
    fn counters_stay_within_what_clients_decode() {
        let mut counters = Counters::default();
        counters.tcprx.observe(u64::MAX);
        let url = InstanceUrl::parse("a:b").expect("a good URL");
        let definition = Definition::new(InstanceId(0), url, String::new());
        let json = render(&definition, Status::Running, &Metrics::default(), &counters);
        assert!(text(&json).contains(r#""tcprx":9223372036854775807,"tcptx":0"#));
    }
}
