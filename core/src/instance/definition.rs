//! What an operator says about an instance: its URL, name, policy and meta data.
//!
//! Definitions are values: a change makes a new one, which becomes current once it is durable.
//! What an instance is doing is not here.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::Serialize;

use crate::ids::InstanceId;
use crate::revision::Revision;
use crate::url::InstanceUrl;

/// The longest alias, peer field, tag key or tag value that a PATCH may set, in bytes
/// (Contract §4).
pub const TEXT_MAX_BYTES: usize = 256;

/// The largest instance object as JSON, in bytes: half of the 64 KiB that an event frame may
/// have, so that every frame has room for the object and a log line (Contract §4, §8).
pub const OBJECT_MAX_BYTES: usize = 32 * 1024;

/// One instance as its operator defined it (Contract §4).
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its id, for good.
    pub id: InstanceId,
    /// What the runtime is given as its argument.
    pub url: InstanceUrl,
    /// The operator's name for it; may be empty.
    pub alias: String,
    /// Whether it is started again after a failure, and at the start of the master.
    pub restart: bool,
    /// Free-form data of the operator.
    pub meta: Meta,
    /// Rises by one with every change of the above.
    pub revision: Revision,
}

impl Definition {
    /// A new definition: to be restarted, without meta data.
    pub fn new(id: InstanceId, url: InstanceUrl, alias: String) -> Self {
        let (meta, revision) = (Meta::default(), Revision::FIRST);
        Self { id, url, alias, restart: true, meta, revision }
    }

    /// The definition with another URL: the next revision.
    #[must_use]
    pub fn with_url(&self, url: InstanceUrl) -> Self {
        Self { url, revision: self.revision.next(), ..self.clone() }
    }
}

/// The `meta` object of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Meta {
    /// The other end of whatever the instance does.
    pub peer: Peer,
    /// Labels; never null on the wire.
    pub tags: BTreeMap<String, String>,
}

/// The `meta.peer` object of an instance. Its fields are replaced together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// The peer's id.
    pub sid: String,
    /// The peer's kind; `type` on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// The peer's name.
    pub alias: String,
}
