//! What the engine is asked to do: a request after routing and decoding.

use alloc::string::String;

use super::Patch;
use crate::ids::InstanceId;
use crate::master::ApiKey;
use crate::url::InstanceUrl;

/// A request that only the engine can answer. Reads are answered from what it published.
#[derive(Clone, Debug)]
pub enum Call {
    /// `POST /info`; `None` changes nothing.
    SetAlias(Option<String>),
    /// `POST /instances`
    Create {
        /// What to run.
        url: InstanceUrl,
        /// Its display name; may be empty, and longer than a PATCH may set.
        alias: String,
    },
    /// `PATCH /instances/{id}`
    Patch(InstanceId, Patch),
    /// `PUT /instances/{id}`
    Replace(InstanceId, InstanceUrl),
    /// `DELETE /instances/{id}`
    Delete(InstanceId),
    /// `PATCH /instances/********` with `restart`. The driver drew the new key.
    RotateKey(ApiKey),
    /// `GET /tcping`
    Ping(String),
}
