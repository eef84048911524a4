//! What a command changes of an instance: the edits of a PATCH, as values.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::instance::{Definition, Peer};

/// What a PATCH asks an instance to do.
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

/// A PATCH that passed every check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// A new alias; never empty.
    pub alias: Option<String>,
    /// Something to do.
    pub action: Option<InstanceAction>,
    /// A new restart policy.
    pub restart: Option<bool>,
    /// New meta data.
    pub meta: Option<MetaPatch>,
}

/// The `meta` of a PATCH. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaPatch {
    /// Replaces all three fields together.
    pub peer: Option<Peer>,
    /// Replaces the whole map.
    pub tags: Option<BTreeMap<String, String>>,
}

impl Patch {
    /// The definition after this PATCH, or `None` if it changes nothing. Any `meta` object counts
    /// as a change.
    pub fn apply(&self, definition: &Definition) -> Option<Definition> {
        let alias = self.alias.as_ref().filter(|alias| **alias != definition.alias);
        let restart = self.restart.filter(|restart| *restart != definition.restarts());
        if alias.is_none() && restart.is_none() && self.meta.is_none() {
            return None;
        }
        let mut changed = definition.clone();
        if let Some(alias) = alias {
            changed.alias.clone_from(alias);
        }
        if let Some(restart) = restart {
            changed.set_restarts(restart);
        }
        if let Some(meta) = &self.meta {
            if let Some(peer) = &meta.peer {
                changed.meta.peer.clone_from(peer);
            }
            if let Some(tags) = &meta.tags {
                changed.meta.tags.clone_from(tags);
            }
        }
        Some(changed)
    }
}
