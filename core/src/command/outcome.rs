//! What the engine says of a command.

use bytes::Bytes;

use super::dial::PingReport;
use super::refusal::Refusal;

/// What the engine says of a call.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The instance as it is now.
    Instance(Bytes),
    /// The instance that was created.
    Created(Bytes),
    /// The instance is gone.
    Deleted,
    /// The alias of the master is as asked for; the answer is the info object.
    AliasSet,
    /// The TCP ping is done.
    Pinged(PingReport),
    /// Turned down.
    Refused(Refusal),
}
