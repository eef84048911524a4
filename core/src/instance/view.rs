//! The JSON that clients are shown of an instance (Contract §4): all 17 fields, compact.
//!
//! Rendering only; when to render and who is told is decided elsewhere.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use serde::Serialize;

use super::definition::{Definition, Meta};
use super::health::Status;
use crate::counters::{Metrics, Totals, on_wire};
use crate::ids::KEY_INSTANCE_ID;
use crate::master::MasterIdentity;

/// What an instance looks like to clients at one moment (Contract §4). Cheap to copy; the JSON is
/// made where somebody reads it, which most of a flood of checkpoints nobody does.
#[derive(Clone)]
pub struct InstanceView {
    pub(super) template: Arc<Template>,
    /// The status.
    pub status: Status,
    /// The gauges.
    pub metrics: Metrics,
    /// The byte counters; on the wire none exceeds 2^63-1.
    pub totals: Totals,
}

/// The parts of the JSON that only the operator changes, rendered once a definition.
#[derive(Debug)]
pub(super) struct Template {
    definition: Arc<Definition>,
    /// Up to the status.
    head: Box<[u8]>,
    /// From behind the status up to the first number.
    middle: Box<[u8]>,
}

/// What the numbers and the status take at most: five of 11 digits, four of 19, and their names.
const NUMBERS_MAX_BYTES: usize = 224;

impl InstanceView {
    /// An instance with this definition that does not run and has counted nothing.
    pub fn new(definition: Arc<Definition>) -> Self {
        let template = Arc::new(Template::new(definition));
        let (metrics, totals) = (Metrics::default(), Totals::default());
        Self { template, status: Status::Stopped, metrics, totals }
    }

    /// What the instance is defined as.
    pub fn definition(&self) -> &Arc<Definition> {
        &self.template.definition
    }

    /// The instance object, compact.
    pub fn json(&self) -> Bytes {
        let mut json = Vec::with_capacity(self.json_max_bytes());
        self.write_json(&mut json);
        Bytes::from(json)
    }

    /// How long the object is at most; not far from what it is.
    pub fn json_max_bytes(&self) -> usize {
        self.template.head.len() + self.template.middle.len() + NUMBERS_MAX_BYTES
    }

    /// How much memory its definition takes with the text that follows from it, roughly. Every tag
    /// is two strings and its share of a map: ten times what a short one takes in the object.
    pub fn definition_bytes(&self) -> usize {
        const TAG_BYTES: usize = 144;
        let definition = self.definition();
        let Definition { alias, meta, .. } = &**definition;
        let url = definition.url();
        let tags: usize =
            meta.tags.iter().map(|(key, tag)| key.len() + tag.len() + TAG_BYTES).sum();
        let peer = meta.peer.sid.len() + meta.peer.kind.len() + meta.peer.alias.len();
        self.json_max_bytes() + url.as_str().len() + alias.len() + peer + tags
    }

    /// Appends the instance object.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.template.head);
        out.extend_from_slice(self.status.as_str().as_bytes());
        out.extend_from_slice(&self.template.middle);
        let Metrics { mode, ping, pool, tcps, udps } = self.metrics;
        let Totals { tcprx, tcptx, udprx, udptx } = self.totals;
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(mode).as_bytes());
        for (name, gauge) in
            [(",\"ping\":", ping), (",\"pool\":", pool), (",\"tcps\":", tcps), (",\"udps\":", udps)]
        {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(digits.format(gauge).as_bytes());
        }
        for (name, total) in [
            (",\"tcprx\":", tcprx),
            (",\"tcptx\":", tcptx),
            (",\"udprx\":", udprx),
            (",\"udptx\":", udptx),
        ] {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(digits.format(on_wire(total)).as_bytes());
        }
        out.push(b'}');
    }
}

impl fmt::Debug for InstanceView {
    /// As clients see it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json()))
    }
}

impl Template {
    pub(super) fn new(definition: Arc<Definition>) -> Self {
        let mut head = Vec::new();
        put(&mut head, "{\"id\":", &definition.id.to_string());
        put(&mut head, ",\"alias\":", &definition.alias);
        put(&mut head, ",\"type\":", definition.url().scheme());
        head.extend_from_slice(b",\"status\":\"");
        let mut middle = b"\"".to_vec();
        put(&mut middle, ",\"url\":", definition.url().as_str());
        put(&mut middle, ",\"config\":", "");
        put(&mut middle, ",\"restart\":", &definition.restarts());
        put(&mut middle, ",\"meta\":", &definition.meta);
        middle.extend_from_slice(b",\"mode\":");
        Self { definition, head: head.into(), middle: middle.into() }
    }
}

fn put(out: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) {
    out.extend_from_slice(name.as_bytes());
    let json = serde_json::to_vec(value).expect("strings and booleans always encode");
    out.extend_from_slice(&json);
}

/// The JSON of the key instance: the key as `url`, the master's id as `config`.
pub fn render_key_instance(master: &MasterIdentity) -> Bytes {
    let mut json = Vec::new();
    put(&mut json, "{\"id\":", KEY_INSTANCE_ID);
    put(&mut json, ",\"alias\":", &master.alias);
    put(&mut json, ",\"type\":\"\",\"status\":\"\",\"url\":", master.key.reveal());
    put(&mut json, ",\"config\":", &master.mid);
    put(&mut json, ",\"restart\":false,\"meta\":", &Meta::default());
    json.extend_from_slice(
        b",\"mode\":0,\"ping\":0,\"pool\":0,\"tcps\":0,\"udps\":0\
          ,\"tcprx\":0,\"tcptx\":0,\"udprx\":0,\"udptx\":0}",
    );
    Bytes::from(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::url::InstanceUrl;

    fn text(json: &Bytes) -> &str {
        core::str::from_utf8(json).expect("JSON is UTF-8")
    }

    #[test]
    fn every_field_is_present_and_compact() {
        let url = InstanceUrl::parse("MANAGED://Edge?x=<a&b>").expect("a good URL");
        let definition = Definition::new(InstanceId(0xd34d_b33f), url, "edge \"a\"".to_string());
        let json = InstanceView::new(Arc::new(definition)).json();
        insta::assert_snapshot!(text(&json), @r#"{"id":"d34db33f","alias":"edge \"a\"","type":"managed","status":"stopped","url":"managed://Edge?x=<a&b>","config":"","restart":true,"meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":0,"ping":0,"pool":0,"tcps":0,"udps":0,"tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#);
    }

    #[test]
    fn the_key_instance_shows_the_key_and_the_master_id() {
        let master = MasterIdentity::from_random([0x1a; 8], [0x2b; 16]);
        insta::assert_snapshot!(text(&render_key_instance(&master)), @r#"{"id":"********","alias":"","type":"","status":"","url":"2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b","config":"1a1a1a1a1a1a1a1a","restart":false,"meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":0,"ping":0,"pool":0,"tcps":0,"udps":0,"tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#);
    }

    #[test]
    fn counters_stay_within_what_clients_decode() {
        let url = InstanceUrl::parse("a:b").expect("a good URL");
        let definition = Definition::new(InstanceId(0), url, String::new());
        let mut view = InstanceView::new(Arc::new(definition));
        view.totals.tcprx = u64::MAX;
        let json = view.json();
        assert!(json.len() <= view.json_max_bytes());
        assert!(text(&json).contains(r#""tcprx":9223372036854775807,"tcptx":0"#));
    }
}
