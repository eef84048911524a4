//! The current definition of an instance, and its pending records.

use alloc::sync::Arc;

use super::definition::Definition;
use super::desired::Goal;
use crate::canary::{self, Canary};

/// The current definition, and the one that later changes are based on.
#[derive(Clone, Debug)]
pub struct Versions {
    pub(super) current: Arc<Definition>,
    pub(super) staged: Option<Arc<Definition>>,
    pub(super) staged_goal: Option<Goal>,
    /// Number of pending records of this instance.
    pub(super) unsaved_records: u32,
    /// How many of those set the totals to zero.
    pub(super) unsaved_resets: u32,
}

impl Versions {
    /// A durable definition without pending records.
    pub const fn new(current: Arc<Definition>) -> Self {
        Self { current, staged: None, staged_goal: None, unsaved_records: 0, unsaved_resets: 0 }
    }

    /// The current definition: durable, and shown to clients.
    pub const fn current(&self) -> &Arc<Definition> {
        &self.current
    }

    /// The newest pending definition, if any.
    pub const fn staged(&self) -> Option<&Arc<Definition>> {
        self.staged.as_ref()
    }

    /// The definition that a further change is based on: the staged one, else the current one.
    pub fn newest(&self) -> &Arc<Definition> {
        self.staged.as_ref().unwrap_or(&self.current)
    }

    /// The goal in the newest pending record, if there is one.
    pub const fn staged_goal(&self) -> Option<Goal> {
        self.staged_goal
    }

    /// Number of pending records.
    pub const fn unsaved_records(&self) -> u32 {
        self.unsaved_records
    }

    /// The number of pending records that set the totals to zero.
    pub const fn unsaved_resets(&self) -> u32 {
        self.unsaved_resets
    }

    /// Whether a record that sets the totals to zero is pending.
    pub const fn has_unsaved_reset(&self) -> bool {
        self.unsaved_resets > 0
    }

    /// Bases later changes on `definition` and `goal`, whose record is pending.
    pub(super) fn stage(&mut self, definition: Arc<Definition>, goal: Option<Goal>) {
        self.staged = Some(definition);
        self.staged_goal = goal;
        self.unsaved_records += 1;
    }

    /// The record that is staged next sets the totals to zero.
    pub const fn stage_reset(&mut self) {
        self.unsaved_resets += 1;
    }

    /// A record that set the totals to zero is durable.
    pub(super) const fn reset_settled(&mut self) {
        self.unsaved_resets = self.unsaved_resets.saturating_sub(1);
    }

    /// Applies a durable definition.
    pub(super) fn adopt(&mut self, definition: Arc<Definition>) {
        self.record_settled();
        if canary::is(Canary::StagedKept) && self.unsaved_records == 0 {
            self.staged = Some(Arc::clone(&definition));
        }
        self.current = definition;
    }

    /// One record reached the disk, or was refused by it.
    pub fn record_settled(&mut self) {
        self.unsaved_records = self.unsaved_records.saturating_sub(1);
        if self.unsaved_records == 0 {
            if !canary::is(Canary::RefusedChangeKept) {
                self.staged = None;
            }
            self.staged_goal = None;
            self.unsaved_resets = 0;
        }
    }
}
