//! Commands: the requests of doors to the engine.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;

use super::{Amend, Desire, InstanceAction};
use crate::access::Role;
use crate::expect::Expect;
use crate::ids::InstanceId;
use crate::master::ApiKey;
use crate::url::InstanceUrl;

/// A request that only the engine can answer. Reads are answered from published data.
#[derive(Clone, Debug)]
pub enum Command {
    /// Change the alias of the master; `None` changes nothing.
    SetAlias(Option<String>),
    /// Create an instance and start it.
    Create {
        /// What to run.
        url: InstanceUrl,
        /// Its display name; may be empty, and longer than an [`Amend`] may set.
        alias: String,
    },
    /// Change an instance, or let it do something.
    Amend {
        /// Which instance.
        id: InstanceId,
        /// Which of its revisions; of any other nothing is changed.
        expect: Expect,
        /// What to change.
        amend: Box<Amend>,
    },
    /// Stop an instance, give it another URL, start it.
    Replace {
        /// Which instance.
        id: InstanceId,
        /// Which of its revisions; of any other nothing is changed.
        expect: Expect,
        /// What to run from now on.
        url: InstanceUrl,
    },
    /// Stop and delete an instance.
    Remove {
        /// Which instance.
        id: InstanceId,
        /// Which of its revisions; of any other nothing is changed.
        expect: Expect,
    },
    /// Change what is wanted of an instance from a configuration file, or report that it runs.
    Desire {
        /// Which instance.
        id: InstanceId,
        /// What to change.
        desire: Box<Desire>,
    },
    /// Do the same with many instances. Each is done or refused by itself.
    Act {
        /// Which instances.
        ids: BTreeSet<InstanceId>,
        /// What to do; a start also retries instances in error.
        action: InstanceAction,
    },
    /// Replace the API key. The driver has generated the new one.
    RotateKey(ApiKey),
    /// Measure how long a TCP connection to `host:port` takes.
    Dial(String),
}

impl Command {
    /// The role that a caller has to have.
    pub const fn role(&self) -> Role {
        match self {
            Self::Create { .. }
            | Self::Amend { .. }
            | Self::Replace { .. }
            | Self::Remove { .. }
            | Self::Desire { .. }
            | Self::Act { .. }
            | Self::Dial(_) => Role::Operate,
            Self::SetAlias(_) | Self::RotateKey(_) => Role::Admin,
        }
    }
}
