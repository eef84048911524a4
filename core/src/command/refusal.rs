//! Why the engine refuses a command: the kind and the cause, as values.
//!
//! Each door has its own messages and numbers for them. Refusals of a door itself, such as for a
//! malformed body, are not here.

use alloc::string::String;

use crate::access::Role;

/// Why a command was refused. It changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The API key of the caller is no longer valid.
    NotAdmitted,
    /// The command takes this role, and the token of the caller has a lesser one.
    TakesRole(Role),
    /// There is no such instance.
    NoInstance,
    /// The instance has the requested URL already.
    SameUrl,
    /// The instance stands in a configuration file, which says what it is.
    Configured,
    /// The instance would be larger than allowed.
    TooLarge {
        /// Its size as a JSON object, in bytes.
        bytes: usize,
        /// The largest size allowed.
        limit: usize,
    },
    /// The instance would start after itself.
    Circle {
        /// The names on the way back to it, such as `a -> b -> a`.
        path: String,
    },
    /// Too many requests wait for one instance to stop.
    Busy,
    /// Too many actions on many instances are under way.
    Crowded,
    /// The process of the instance does not exit, whatever signal it receives.
    CannotEnd,
    /// The limit on instances is reached.
    Full {
        /// That limit.
        limit: usize,
    },
    /// The change could not be made durable.
    NotDurable {
        /// Why, for people.
        reason: String,
    },
    /// The master is shutting down.
    ShuttingDown,
}
