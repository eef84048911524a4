//! Arbitrary entries, for property tests.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;

use super::kept::Kept;
use super::record::{Entry, Record};
use crate::access::{Role, Token, TokenChange, TokenDigest, TokenName};
use crate::event::StoredId;
use crate::formats::arbitrary::{definition, desired, text, totals};
use crate::ids::{EventId, InstanceId};
use crate::master::{ApiKey, MasterIdentity};
use crate::time::Wall;

/// A place among the events of the control API that is taken by none.
fn kept(upto: u32) -> Kept {
    Kept { epoch: 0, events: Vec::new(), rules: None, upto: StoredId(u64::from(upto)) }
}

fn token_change() -> impl Strategy<Value = TokenChange> {
    let wall = || any::<u64>().prop_map(Wall::from_micros);
    let name = || "[a-c]".prop_map(|name| TokenName::parse(&name).expect("a name"));
    let role = proptest::sample::select(&Role::ALL[..]);
    let times = (wall(), proptest::option::of(wall()), proptest::option::of(wall()));
    let token = (name(), role, any::<[u8; 32]>(), times);
    let token = token.prop_map(|(name, role, digest, (created, expires, last_used))| Token {
        name,
        role,
        digest: TokenDigest(digest),
        created,
        expires,
        last_used,
    });
    prop_oneof![token.prop_map(TokenChange::Put), name().prop_map(TokenChange::Remove)]
}

/// Any entry of a journal.
pub(super) fn entry() -> BoxedStrategy<Entry> {
    let id = || (0..4u32).prop_map(InstanceId);
    let put = (definition(), desired(), totals()).prop_map(|(definition, desired, totals)| {
        let (definition, desired) = (Arc::new(definition), Arc::new(desired));
        Entry::Change(Record::PutInstance { definition, desired, totals })
    });
    let set = (id(), desired()).prop_map(|(id, desired)| {
        Entry::Change(Record::SetDesired { id, desired: Arc::new(desired) })
    });
    let master = [text(), text(), text()].prop_map(|[mid, alias, key]| {
        let key = ApiKey::from_stored(key);
        Entry::Change(Record::PutMaster(MasterIdentity { mid, alias, key }))
    });
    prop_oneof![
        put,
        id().prop_map(|id| Entry::Change(Record::RemoveInstance(id))),
        set,
        master,
        vec((id(), totals()), 0..3).prop_map(Entry::Totals),
        any::<u32>().prop_map(|upto| Entry::Kept(Box::new(kept(upto)))),
        (id(), any::<u32>()).prop_map(|(id, upto)| {
            Entry::Caused(Record::RemoveInstance(id), Box::new(kept(upto)))
        }),
        any::<u64>().prop_map(|upto| Entry::Change(Record::ReserveEvents(EventId(upto)))),
        token_change().prop_map(|change| Entry::Tokens(Box::new(change))),
    ]
    .boxed()
}
