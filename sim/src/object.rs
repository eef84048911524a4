//! Objects as shown to clients, and a check that the JSON of the REST API has the same content.
//!
//! `read` is not a JSON parser: the engine renders objects compactly and in one order of fields
//! (the tests of the core pin that), and quotes in strings are escaped, so the text between two
//! field names is a field.

use std::sync::Arc;

use openctrl_core::counters::{Metrics, Totals, on_wire};
use openctrl_core::doors::v2::{InstanceObject, Secrets};
use openctrl_core::event::{Object, Subject};
use openctrl_core::instance::{Definition, InstanceView, Status};
use openctrl_core::master::{MasterFace, MasterIdentity};

/// An object as shown at one time. Cheap to copy.
#[derive(Clone, Debug)]
pub struct Shown(Object);

impl Shown {
    /// The object of an event.
    pub fn new(object: &Object) -> Self {
        Self(object.clone())
    }

    /// An instance.
    pub fn instance(view: &InstanceView) -> Self {
        Self(Object::Instance(view.clone()))
    }

    /// The key instance.
    pub fn key(face: &MasterFace) -> Self {
        Self(Object::Key(face.identity.clone()))
    }

    /// Its subject.
    pub fn subject(&self) -> Subject {
        self.0.subject()
    }

    /// The master, if it is the key instance.
    pub fn master(&self) -> Option<&MasterIdentity> {
        match &self.0 {
            Object::Key(master) => Some(master),
            Object::Instance(_) => None,
        }
    }

    /// Whether both are the key instance, with one key.
    pub fn is_same_key(&self, other: &Self) -> bool {
        let [one, other] =
            [self, other].map(|shown| shown.master().map(|master| master.key.reveal()));
        one.is_some() && one == other
    }

    /// The instance, if it is one.
    pub fn view(&self) -> Option<&InstanceView> {
        match &self.0 {
            Object::Instance(view) => Some(view),
            Object::Key(_) => None,
        }
    }

    /// The definition of the instance, if it is one.
    pub fn definition(&self) -> Option<&Arc<Definition>> {
        self.view().map(|view| &view.definition)
    }

    /// The status; `None` for the key instance.
    pub fn status(&self) -> Option<Status> {
        self.view().map(|view| view.status)
    }

    /// Whether clients see no difference.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Object::Key(one), Object::Key(other)) => is_same_master(one, other),
            (Object::Instance(one), Object::Instance(other)) => {
                one.status == other.status
                    && one.metrics == other.metrics
                    && one.totals == other.totals
                    && is_same(&one.definition, &other.definition)
            }
            (Object::Key(_), Object::Instance(_)) | (Object::Instance(_), Object::Key(_)) => false,
        }
    }
}

/// Whether two masters are the same, their keys included.
pub(crate) fn is_same_master(one: &MasterIdentity, other: &MasterIdentity) -> bool {
    let [one, other] = [one, other]
        .map(|master| (master.mid.as_str(), master.alias.as_str(), master.key.reveal()));
    one == other
}

/// Whether two definitions are equal except for their revisions.
pub(crate) fn is_same(one: &Arc<Definition>, other: &Arc<Definition>) -> bool {
    if Arc::ptr_eq(one, other) {
        return true;
    }
    let Definition { id, revision: _, label, origin, alias, .. } = one.as_ref();
    let Definition { launch, setup, policy, liveness, clears_values, meta, .. } = one.as_ref();
    (id, label, origin, alias) == (&other.id, &other.label, &other.origin, &other.alias)
        && (launch, setup, clears_values) == (&other.launch, &other.setup, &other.clears_values)
        && (policy, liveness, meta) == (&other.policy, &other.liveness, &other.meta)
}

/// The byte counters in the order in which they are shown, as they are shown.
pub(crate) fn on_wire_each(totals: Totals) -> [u64; 4] {
    let Totals { tcprx, tcptx, udprx, udptx } = totals;
    [tcprx, tcptx, udprx, udptx].map(on_wire)
}

const STATUS: &[u8] = b"\"status\":\"";
const MODE: &[u8] = b",\"mode\":";
const NUMBERS: [&[u8]; 9] = [
    MODE,
    b",\"ping\":",
    b",\"pool\":",
    b",\"tcps\":",
    b",\"udps\":",
    b",\"tcprx\":",
    b",\"tcptx\":",
    b",\"udprx\":",
    b",\"udptx\":",
];

/// Checks that the JSON of an instance has the values of its fields.
///
/// # Errors
/// The difference.
pub fn check_json(view: &InstanceView) -> Result<(), String> {
    let mut object = InstanceObject::new(view.clone());
    let json = object.json(Secrets::Shown);
    object.view = InstanceView::new(Arc::clone(&view.definition));
    let bare = object.json(Secrets::Shown);
    let wrong = |what: &str| format!("no {what} in {}", String::from_utf8_lossy(&json));
    let said = read(&json).map_err(wrong)?;
    let defined = bare.strip_prefix(said.head).and_then(|rest| rest.strip_prefix(b"stopped"));
    let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
    let gauges = [mode, ping, pool, tcps, udps].map(i64::from);
    let is_so = said.status == view.status.as_str().as_bytes()
        && said.gauges == gauges
        && said.totals == on_wire_each(view.totals)
        && defined.is_some_and(|rest| rest.starts_with(said.tail));
    if is_so { Ok(()) } else { Err(wrong("good values")) }
}

/// The parts of an object in its JSON.
struct Read<'a> {
    /// Up to the status.
    head: &'a [u8],
    status: &'a [u8],
    /// Between the status and the numbers.
    tail: &'a [u8],
    gauges: [i64; 5],
    totals: [u64; 4],
}

fn read(json: &[u8]) -> Result<Read<'_>, &'static str> {
    str::from_utf8(json).map_err(|_| "text")?;
    let head = find(json, STATUS).ok_or("status")? + STATUS.len();
    let status = head + find(&json[head..], b"\",").ok_or("status")?;
    let tail = memchr::memmem::rfind(json, MODE).filter(|end| *end >= status).ok_or("mode")?;
    let (gauges, totals) = numbers(&json[tail..]).ok_or("good numbers")?;
    let (head, status, tail) = (&json[..head], &json[head..status], &json[status..tail]);
    Ok(Read { head, status, tail, gauges, totals })
}

fn numbers(mut text: &[u8]) -> Option<([i64; 5], [u64; 4])> {
    let mut found = [0i64; 9];
    for (number, name) in found.iter_mut().zip(NUMBERS) {
        text = text.strip_prefix(name)?;
        let end = text.iter().position(|byte| matches!(byte, b',' | b'}'))?;
        *number = str::from_utf8(&text[..end]).ok()?.parse().ok()?;
        text = &text[end..];
    }
    let mut gauges = [0; 5];
    for (gauge, found) in gauges.iter_mut().zip(found) {
        *gauge = found;
    }
    let mut totals = [0; 4];
    for (total, found) in totals.iter_mut().zip(&found[5..]) {
        *total = u64::try_from(*found).ok()?;
    }
    (text == b"}").then_some((gauges, totals))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::{InstanceId, KeyEpoch};
    use openctrl_core::master::MasterIdentity;
    use openctrl_core::url::InstanceUrl;

    fn view(alias: &str) -> InstanceView {
        let url = InstanceUrl::parse("demo:\",\"status\":\"x").expect("a valid URL");
        let mut definition = Definition::new(InstanceId(1), url, alias.to_string());
        definition.meta.tags.insert("mode".to_string(), ",\"mode\":1".to_string());
        InstanceView::new(Arc::new(definition))
    }

    #[test]
    fn the_json_says_what_the_fields_say() {
        let mut view = view("\"url\":\"");
        view.metrics.mode = -4;
        view.totals = Totals { tcptx: 7, udptx: u64::MAX, ..Totals::default() };
        assert_eq!(check_json(&view), Ok(()));
        let json = InstanceObject::new(view).json(Secrets::Shown);
        let said = read(&json).expect("an object");
        assert_eq!((said.status, said.gauges), (&b"stopped"[..], [-4, 0, 0, 0, 0]));
        assert_eq!(said.totals, [0, 7, 0, i64::MAX as u64]);
        for bad in [r#"{}"#, r#"{"status":"x",,"mode":1}"#] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_looks_the_same_is_the_same() {
        let (one, other) = (view("a"), view("a"));
        let shown = Shown::instance(&one);
        assert!(shown.is_same(&Shown::instance(&other)));
        let mut counted = other.clone();
        counted.totals.tcprx = 1;
        for other in [view("b"), counted] {
            assert!(!shown.is_same(&Shown::instance(&other)));
        }
    }

    #[test]
    fn another_key_is_another_object() {
        let shown = |key| {
            let identity = MasterIdentity::from_random([1; 8], [key; 16]);
            Shown::key(&MasterFace { identity, key_epoch: KeyEpoch::default() })
        };
        assert!(shown(2).is_same(&shown(2)) && !shown(2).is_same(&shown(3)));
        assert_eq!((shown(2).status(), shown(2).subject()), (None, Subject::Key));
    }
}
