//! What others see of an instance at one moment. Plain values; doors render them.

use alloc::sync::Arc;
use core::hash::{Hash, Hasher};

use super::definition::{Definition, Meta};
use super::health::Status;
use crate::counters::{Metrics, Totals, on_wire};
use crate::escape::escaped_bytes;

/// An instance at one moment (Contract §4). Cheap to copy.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// The current definition.
    pub definition: Arc<Definition>,
    /// The status.
    pub status: Status,
    /// The gauges.
    pub metrics: Metrics,
    /// The byte counters; on the wire none exceeds 2^63-1.
    pub totals: Totals,
}

/// Size of an object without its texts and numbers: names, quotes and punctuation.
const FIXED_BYTES: usize = concat!(
    r#"{"id":"","alias":"","type":"","status":"","url":"","config":"","restart":,"#,
    r#""meta":{"peer":{"sid":"","type":"","alias":""},"tags":{}},"mode":,"ping":,"pool":,"#,
    r#""tcps":,"udps":,"tcprx":,"tcptx":,"udprx":,"udptx":}"#,
)
.len();

/// Size of the id of an instance.
const ID_BYTES: usize = 8;

/// Size of a tag without its texts: `"":"",`; the last tag has no comma.
const TAG_BYTES: usize = 6;

impl Hash for InstanceView {
    /// Its figures, and the revision in the place of the definition, which it stands for: the
    /// definition itself is taken in where it is stored.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { definition, status, metrics, totals } = self;
        (definition.id, definition.revision, status, metrics, totals).hash(state);
    }
}

impl InstanceView {
    /// An instance with this definition that does not run and has counted nothing.
    pub fn new(definition: Arc<Definition>) -> Self {
        let (metrics, totals) = (Metrics::default(), Totals::default());
        Self { definition, status: Status::Stopped, metrics, totals }
    }

    /// How many bytes the instance takes as a JSON object (Contract §4). This is what bounds a
    /// definition; the door of the REST API proves that it renders just as many.
    pub fn object_bytes(&self) -> usize {
        let Definition { alias, meta: Meta { peer, tags }, .. } = &*self.definition;
        let (url, restarts) = (self.definition.url(), self.definition.restarts());
        let texts = [url.scheme(), url.as_str(), alias, &peer.sid, &peer.kind, &peer.alias];
        let tags_bytes: usize =
            tags.iter().map(|(key, tag)| escaped_bytes(key) + escaped_bytes(tag) + TAG_BYTES).sum();
        let Metrics { mode, ping, pool, tcps, udps } = self.metrics;
        let Totals { tcprx, tcptx, udprx, udptx } = self.totals;
        let gauges = [mode, ping, pool, tcps, udps].map(digits);
        let totals = [tcprx, tcptx, udprx, udptx].map(|total| digits(on_wire(total)));
        FIXED_BYTES
            + ID_BYTES
            + texts.map(escaped_bytes).iter().sum::<usize>()
            + self.status.as_str().len()
            + if restarts { "true".len() } else { "false".len() }
            + tags_bytes.saturating_sub(1)
            + gauges.iter().chain(&totals).sum::<usize>()
    }
}

fn digits(number: impl itoa::Integer) -> usize {
    itoa::Buffer::new().format(number).len()
}
