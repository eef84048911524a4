//! The JSON of an instance and of the key instance (Contract §4): all 17 fields, compact.
//!
//! Rendering only; other modules decide when, and for whom.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use super::secrets::Secrets;
use crate::counters::{Metrics, Totals, on_wire};
use crate::ids::Revision;
use crate::ids::{InstanceId, KEY_INSTANCE_ID};
use crate::instance::{Definition, InstanceView, Meta};
use crate::master::MasterIdentity;
use crate::url::mask_url;

/// An instance as clients see it at one moment. Cheap to copy: the JSON is made where it is read,
/// and most of a flood of checkpoints is never read.
#[derive(Clone, Debug)]
pub struct InstanceObject {
    /// The values.
    pub view: InstanceView,
    template: Arc<Template>,
}

/// The parts of the JSON that only the operator changes, rendered once for each definition.
#[derive(Debug)]
struct Template {
    id: InstanceId,
    revision: Revision,
    /// Head, middle and masked middle, one behind the other.
    text: Box<[u8]>,
    /// Where the middle begins, and where it ends.
    middle: [u32; 2],
}

/// The part of an object that readers without the key see in another form.
#[derive(Clone, Debug)]
pub struct MaskedPart {
    /// Its place in the object.
    pub range: Range<usize>,
    template: Arc<Template>,
}

impl MaskedPart {
    /// Its replacement.
    pub fn replacement(&self) -> &[u8] {
        self.template.masked()
    }
}

/// The rendered definition of each instance. The renderer owns it.
#[derive(Debug, Default)]
pub struct Templates {
    by_id: BTreeMap<InstanceId, Arc<Template>>,
    /// The one used last: what one process prints follows itself.
    last: Option<Arc<Template>>,
    /// Empty; saves an allocation.
    scratch: Vec<u8>,
}

/// Maximum size of the numbers and the status: five of 11 digits, four of 19, and their names.
const NUMBERS_MAX_BYTES: usize = 224;

/// The meta data of most instances.
const NO_META: &[u8] = br#","meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}}"#;

impl Templates {
    /// The object of a view.
    pub fn object(&mut self, view: InstanceView) -> InstanceObject {
        let template = match &self.last {
            Some(last) if last.is_of(&view.definition) => Arc::clone(last),
            _ => self.find(&view.definition),
        };
        InstanceObject { view, template }
    }

    /// Forgets an instance that was deleted.
    pub fn forget(&mut self, id: InstanceId) {
        self.by_id.remove(&id);
        self.last = None;
    }

    fn find(&mut self, definition: &Definition) -> Arc<Template> {
        let mut make = || Arc::new(Template::new(definition, &mut self.scratch));
        let template = self.by_id.entry(definition.id).or_insert_with(&mut make);
        if !template.is_of(definition) {
            *template = make();
        }
        self.last = Some(Arc::clone(template));
        Arc::clone(template)
    }
}

impl InstanceObject {
    /// The object of a view that is rendered this once.
    pub fn new(view: InstanceView) -> Self {
        let template = Arc::new(Template::new(&view.definition, &mut Vec::new()));
        Self { view, template }
    }

    /// The instance object, compact.
    pub fn json(&self, secrets: Secrets) -> Bytes {
        let mut json = Vec::with_capacity(self.max_bytes());
        self.write(secrets, &mut json);
        Bytes::from(json)
    }

    /// Whether it differs for readers without the key.
    pub fn has_secrets(&self) -> bool {
        !self.template.masked().is_empty()
    }

    /// What readers without the key see in another form.
    pub fn masked_part(&self) -> Option<MaskedPart> {
        let template = Arc::clone(&self.template);
        let start = template.head().len() + self.view.status.as_str().len();
        let range = start..start + template.middle().len();
        self.has_secrets().then_some(MaskedPart { range, template })
    }

    /// An upper bound on the size of the object in either form, close to the actual size.
    pub fn max_bytes(&self) -> usize {
        let (middle, masked) = (self.template.middle().len(), self.template.masked().len());
        self.template.head().len() + middle.max(masked) + NUMBERS_MAX_BYTES
    }

    /// Approximate memory of a definition with the text rendered from it. A tag is two strings and
    /// its share of a map: ten times the size of a short one in the object.
    pub fn definition_bytes(&self) -> usize {
        const TAG_BYTES: usize = 144;
        let definition = &*self.view.definition;
        let (url, Definition { alias, meta, .. }) = (definition.url(), definition);
        let tags: usize =
            meta.tags.iter().map(|(key, tag)| key.len() + tag.len() + TAG_BYTES).sum();
        let peer = meta.peer.sid.len() + meta.peer.kind.len() + meta.peer.alias.len();
        let masked = self.template.masked().len();
        self.max_bytes() + masked + url.as_str().len() + alias.len() + peer + tags
    }

    /// Appends the instance object.
    pub fn write(&self, secrets: Secrets, out: &mut Vec<u8>) {
        out.extend_from_slice(self.template.head());
        out.extend_from_slice(self.view.status.as_str().as_bytes());
        out.extend_from_slice(match secrets {
            Secrets::Masked if self.has_secrets() => self.template.masked(),
            Secrets::Masked | Secrets::Shown => self.template.middle(),
        });
        write_numbers(&self.view, out);
    }
}

impl Template {
    /// Renders a definition. `scratch` is empty before and after.
    fn new(definition: &Definition, scratch: &mut Vec<u8>) -> Self {
        let url = definition.url().as_str();
        write_head(definition, scratch);
        let start = scratch.len();
        write_middle(definition, url, scratch);
        let end = scratch.len();
        let shown = mask_url(url);
        if shown != url {
            write_middle(definition, &shown, scratch);
        }
        let middle = [start, end].map(|at| u32::try_from(at).expect("an object is below 4 GiB"));
        let text = Box::from(&scratch[..]);
        scratch.clear();
        Self { id: definition.id, revision: definition.revision, text, middle }
    }

    /// Up to the status.
    fn head(&self) -> &[u8] {
        &self.text[..self.middle[0] as usize]
    }

    /// From behind the status up to the first number.
    fn middle(&self) -> &[u8] {
        let [start, end] = self.middle.map(|at| at as usize);
        &self.text[start..end]
    }

    /// The same with the secrets of the URL masked; empty if it has none.
    fn masked(&self) -> &[u8] {
        &self.text[self.middle[1] as usize..]
    }

    fn is_of(&self, definition: &Definition) -> bool {
        (self.id, self.revision) == (definition.id, definition.revision)
    }
}

/// The JSON of an instance that is shown once; events and reads use [`Templates`].
pub(super) fn render_view(view: &InstanceView, secrets: Secrets) -> Bytes {
    let mut json = Vec::with_capacity(view.object_bytes());
    write_head(&view.definition, &mut json);
    json.extend_from_slice(view.status.as_str().as_bytes());
    let url = view.definition.url().as_str();
    match secrets {
        Secrets::Masked => write_middle(&view.definition, &mask_url(url), &mut json),
        Secrets::Shown => write_middle(&view.definition, url, &mut json),
    }
    write_numbers(view, &mut json);
    Bytes::from(json)
}

/// Up to the status.
fn write_head(definition: &Definition, out: &mut Vec<u8>) {
    put_text(out, "{\"id\":", &definition.id.to_string());
    put_text(out, ",\"alias\":", &definition.alias);
    put_text(out, ",\"type\":", definition.url().scheme());
    out.extend_from_slice(b",\"status\":\"");
}

/// From behind the status up to the first number.
fn write_middle(definition: &Definition, url: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    put_text(out, ",\"url\":", url);
    out.extend_from_slice(b",\"config\":\"\",\"restart\":");
    out.extend_from_slice(if definition.restarts() { b"true" } else { b"false" });
    if definition.meta == Meta::default() {
        out.extend_from_slice(NO_META);
    } else {
        put(out, ",\"meta\":", &definition.meta);
    }
    out.extend_from_slice(b",\"mode\":");
}

fn write_numbers(view: &InstanceView, out: &mut Vec<u8>) {
    let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
    let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
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

/// Appends a name and a string. Most strings have nothing to escape, and are copied.
fn put_text(out: &mut Vec<u8>, name: &str, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\')) {
        return put(out, name, text);
    }
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

fn put(out: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) {
    out.extend_from_slice(name.as_bytes());
    let json = serde_json::to_vec(value).expect("strings and booleans always encode");
    out.extend_from_slice(&json);
}

/// The JSON of the key instance: the key as `url`, which is empty where it is masked, and the
/// master's id as `config`.
pub fn render_key_instance(master: &MasterIdentity, secrets: Secrets) -> Bytes {
    let key = match secrets {
        Secrets::Shown => master.key.reveal(),
        Secrets::Masked => "",
    };
    let mut json = Vec::new();
    put(&mut json, "{\"id\":", KEY_INSTANCE_ID);
    put(&mut json, ",\"alias\":", &master.alias);
    put(&mut json, ",\"type\":\"\",\"status\":\"\",\"url\":", key);
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
    use crate::instance::{Peer, Status};
    use crate::url::InstanceUrl;
    use alloc::string::String;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn text(json: &Bytes) -> &str {
        core::str::from_utf8(json).expect("JSON is UTF-8")
    }

    fn object(definition: Definition) -> InstanceObject {
        InstanceObject::new(InstanceView::new(Arc::new(definition)))
    }

    #[test]
    fn every_field_is_present_and_compact() {
        let url = InstanceUrl::parse("MANAGED://Edge?x=<a&b>").expect("a good URL");
        let definition = Definition::new(InstanceId(0xd34d_b33f), url, "edge \"a\"".to_string());
        insta::assert_snapshot!(text(&object(definition).json(Secrets::Shown)), @r#"{"id":"d34db33f","alias":"edge \"a\"","type":"managed","status":"stopped","url":"managed://Edge?x=<a&b>","config":"","restart":true,"meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":0,"ping":0,"pool":0,"tcps":0,"udps":0,"tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#);
    }

    #[test]
    fn the_key_instance_shows_the_key_and_the_master_id() {
        let master = MasterIdentity::from_random([0x1a; 8], [0x2b; 16]);
        insta::assert_snapshot!(text(&render_key_instance(&master, Secrets::Shown)), @r#"{"id":"********","alias":"","type":"","status":"","url":"2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b","config":"1a1a1a1a1a1a1a1a","restart":false,"meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":0,"ping":0,"pool":0,"tcps":0,"udps":0,"tcprx":0,"tcptx":0,"udprx":0,"udptx":0}"#);
    }

    #[test]
    fn counters_stay_within_what_clients_decode() {
        let url = InstanceUrl::parse("a:b").expect("a good URL");
        let mut object = object(Definition::new(InstanceId(0), url, String::new()));
        object.view.totals.tcprx = u64::MAX;
        let json = object.json(Secrets::Shown);
        assert!(json.len() <= object.max_bytes());
        assert!(text(&json).contains(r#""tcprx":9223372036854775807,"tcptx":0"#));
    }

    #[test]
    fn a_definition_is_rendered_once() {
        let mut templates = Templates::default();
        let view = |alias: &str, revision| {
            let url = InstanceUrl::parse("a:b").expect("a good URL");
            let definition = Definition::new(InstanceId(1), url, alias.to_string());
            InstanceView::new(Arc::new(Definition { revision: Revision(revision), ..definition }))
        };
        let one = view("one", 1);
        let first = templates.object(one.clone());
        assert!(Arc::ptr_eq(&first.template, &templates.object(one.clone()).template));
        let other = templates.object(view("other", 2));
        assert!(text(&other.json(Secrets::Shown)).contains(r#""alias":"other""#));
        templates.forget(InstanceId(1));
        assert!(!Arc::ptr_eq(&first.template, &templates.object(one).template));
    }

    fn definitions() -> impl Strategy<Value = Definition> {
        let text = || prop_oneof![any::<String>(), "[\"\\\\\u{0}-\u{1f}é]{0,9}"];
        let tags = proptest::collection::btree_map(text(), text(), 0..4);
        let peer =
            (text(), text(), text()).prop_map(|(sid, kind, alias)| Peer { sid, kind, alias });
        let url = select(alloc::vec![
            "a:b",
            "Demo://h/p?q=\"x\"#\\",
            "exec:sh?arg=é",
            "exec:sh?env=A=\"&token=&env=B=",
            "demo://u:p@h",
        ]);
        (any::<u32>(), url, text(), any::<bool>(), peer, tags).prop_map(
            |(id, url, alias, restart, peer, tags)| {
                let url = InstanceUrl::parse(url).expect("a good URL");
                let mut definition = Definition::new(InstanceId(id), url, alias);
                definition.meta = Meta { peer, tags };
                definition.set_restarts(restart);
                definition
            },
        )
    }

    proptest! {
        #[test]
        fn a_view_knows_how_long_its_object_is(
            definition in definitions(),
            status in select(&Status::ALL[..]),
            gauges: [i32; 5],
            totals: [u64; 4],
        ) {
            let mut object = object(definition);
            let [mode, ping, pool, tcps, udps] = gauges;
            let [tcprx, tcptx, udprx, udptx] = totals;
            object.view.status = status;
            object.view.metrics = Metrics { mode, ping, pool, tcps, udps };
            object.view.totals = Totals { tcprx, tcptx, udprx, udptx };
            let json = object.json(Secrets::Shown);
            prop_assert_eq!(object.view.object_bytes(), json.len(), "{}", text(&json));
            prop_assert!(json.len() <= object.max_bytes());
            prop_assert_eq!(render_view(&object.view, Secrets::Shown), &json);

            let masked = object.json(Secrets::Masked);
            prop_assert_eq!(render_view(&object.view, Secrets::Masked), &masked);
            prop_assert!(masked.len() <= object.max_bytes());
            let mut edited = json.to_vec();
            if let Some(part) = object.masked_part() {
                edited.splice(part.range.clone(), part.replacement().iter().copied());
            }
            prop_assert_eq!(&edited, &masked);
            prop_assert_eq!(object.has_secrets(), masked != json);
        }
    }
}
