//! The part of the frozen engine that is about revisions. It follows the rest in the header of a
//! trace: an earlier build wrote none, and its definitions are taken to be new.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::numbers::{count, nth};
use crate::codec::{Decode, Encode};
use crate::expect::Expect;
use crate::ids::RequestId;
use crate::ids::Revision;
use crate::instance::{Definition, Table};

#[derive(Default, Encode, Decode)]
pub(crate) struct RevisionsV1 {
    /// Of every definition, in the order in which the frozen engine has them.
    definitions: Vec<u64>,
    /// By the requests whose operations wait and do not take any revision.
    expected: Vec<(u64, Vec<u64>)>,
}

impl RevisionsV1 {
    pub(super) fn new(table: &Table, definitions: &[Arc<Definition>]) -> Self {
        let instances = table.slots().filter_map(|slot| table.get(slot));
        let operations = instances.flat_map(|instance| &instance.operations);
        let expected = operations.filter_map(|operation| match &operation.expect {
            Expect::Any => None,
            Expect::OneOf(revisions) => {
                let revisions = revisions.iter().map(|revision| revision.0).collect();
                Some((operation.request.0, revisions))
            }
        });
        Self {
            definitions: definitions.iter().map(|definition| definition.revision.0).collect(),
            expected: expected.collect(),
        }
    }

    /// # Errors
    /// There is none for that definition, or it is larger than any.
    pub(super) fn of_definition(&self, place: usize) -> Result<Revision, String> {
        if self.definitions.is_empty() {
            return Ok(Revision::FIRST);
        }
        Ok(Revision(count(*nth(&self.definitions, place)?)?))
    }

    pub(super) fn expected_by(&self, request: RequestId) -> Expect {
        let mut expected = self.expected.iter();
        let found = expected.find(|(of, _)| *of == request.0);
        found.map_or(Expect::Any, |(_, revisions)| {
            Expect::OneOf(revisions.iter().copied().map(Revision).collect())
        })
    }
}
