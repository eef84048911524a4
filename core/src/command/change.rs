//! The change of an instance that a command requests, as values.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::instance::{Definition, Peer, PolicyEdit};

/// An action on an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceAction {
    /// Run, if it is stopped.
    Start,
    /// Be stopped.
    Stop,
    /// Stop, then run.
    Restart,
    /// Set the totals to zero.
    Reset,
}

impl InstanceAction {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reset => "reset",
        }
    }
}

/// A change of an instance: applied as a whole, or refused as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amend {
    /// A new alias; never empty.
    pub alias: Option<String>,
    /// Something to do.
    pub action: Option<InstanceAction>,
    /// A new restart policy.
    pub restart: Option<bool>,
    /// New meta data.
    pub meta: Option<AmendMeta>,
    /// New values in policy and setup; they win over `restart`.
    pub policy: Option<Box<PolicyEdit>>,
}

/// A change of meta data. Absent parts stay unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmendMeta {
    /// Replaces all three fields together.
    pub peer: Option<Peer>,
    /// Replaces the whole map.
    pub tags: Option<BTreeMap<String, String>>,
}

impl Amend {
    /// The definition after this change, or `None` if it changes nothing. New meta data counts as
    /// a change even if it is equal to the old.
    pub fn apply(&self, definition: &Definition) -> Option<Definition> {
        let alias = self.alias.as_ref().filter(|alias| **alias != definition.alias);
        let restart = self.restart.filter(|restart| *restart != definition.restarts());
        let is_empty = alias.is_none() && restart.is_none() && self.meta.is_none();
        if is_empty && self.policy.is_none() {
            return None;
        }
        let mut changed = definition.clone();
        if let Some(alias) = alias {
            changed.alias.clone_from(alias);
        }
        if let Some(restart) = restart {
            changed.set_restarts(restart);
        }
        if let Some(policy) = &self.policy {
            policy.apply(&mut changed.policy, &mut changed.setup);
        }
        if let Some(meta) = &self.meta {
            if let Some(peer) = &meta.peer {
                changed.meta.peer.clone_from(peer);
            }
            if let Some(tags) = &meta.tags {
                changed.meta.tags.clone_from(tags);
            }
        }
        if self.meta.is_none() && changed == *definition {
            return None;
        }
        changed.revision = definition.revision.next();
        Some(changed)
    }
}
