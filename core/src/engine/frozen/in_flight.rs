//! The results that a running engine waits for, and the last facts that it published: for
//! simulations that continue from a running engine, as a trace starts with one.
//!
//! Read-only. The table of instances and the timers are visible without this.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::command::{Amend, AmendMeta, Command};
use crate::counters::SavedTotals;
use crate::engine::Engine;
use crate::engine::commits::{Change, Commit};
use crate::engine::life::Life;
use crate::expect::Expect;
use crate::ids::{EventId, Generation, RecordSeq, RequestId, SlotId, StoreEpoch};
use crate::instance::{Definition, Goal, Instance, OperationKind, PolicyEdit, Setup};
use crate::master::{MasterFace, MasterIdentity};
use crate::store::Record;
use crate::time::Wall;
use crate::webhook::{DeliveryId, HookId};

/// The pending work of an engine.
#[derive(Clone, Debug)]
pub struct UnderWay {
    /// The master as it was shown last.
    pub face: MasterFace,
    /// The id of the next event.
    pub next_event: EventId,
    /// The time of the last one.
    pub last_event_time: Wall,
    /// The newest process there was.
    pub last_generation: Generation,
    /// Requests without an answer. For a PATCH, all values of the new definition are listed,
    /// because the original request is no longer known.
    pub requests: BTreeMap<RequestId, Command>,
    /// Records that are neither durable nor refused, in order.
    pub records: Vec<RecordUnderWay>,
    /// The requests whose dials are under way.
    pub dials: Vec<RequestId>,
    /// The time zones that are being read.
    pub zones: Vec<String>,
    /// Reports that are being sent to webhooks.
    pub deliveries: Vec<(HookId, DeliveryId)>,
    /// Whether a shutdown was requested.
    pub is_ending: bool,
    /// Whether it came.
    pub is_finished: bool,
}

/// A pending record.
#[derive(Clone, Debug)]
pub struct RecordUnderWay {
    /// The epoch that it belongs to.
    pub epoch: StoreEpoch,
    /// Its place in the order.
    pub seq: RecordSeq,
    /// The sender of its change.
    pub request: RequestId,
    /// Whether it is the first of its instance.
    pub creates: bool,
    /// Its content. The totals are the current ones, which may be newer than those sent.
    pub record: Record,
}

impl Engine {
    /// Its pending work.
    pub fn under_way(&self) -> UnderWay {
        let waiting = self.dials.waiting.iter().map(|(request, target)| (request, target));
        let pings = self.dials.under_way.iter().chain(waiting);
        let mut requests: BTreeMap<RequestId, Command> =
            pings.map(|(request, target)| (*request, Command::Dial(target.clone()))).collect();
        for instance in self.table.slots().filter_map(|slot| self.table.get(slot)) {
            requests.extend(waiting_for(instance));
        }
        requests.extend(
            self.commits
                .queue
                .iter()
                .filter(|one| !one.request.is_part())
                .filter_map(|one| Some((one.request, self.command(&one.change)?))),
        );
        requests.extend(self.out.batches.open.iter().map(|(request, batch)| {
            let ids = batch.items.iter().map(|(id, _)| *id).collect();
            (*request, Command::Act { ids, action: batch.action })
        }));
        UnderWay {
            face: MasterFace { identity: self.master.clone(), key_epoch: self.key_epoch },
            next_event: self.out.next_event,
            last_event_time: self.out.last_event_time,
            last_generation: self.processes.last_generation,
            requests,
            records: self.records(),
            dials: self.dials.under_way.keys().copied().collect(),
            zones: self.zones.under_way(),
            deliveries: self.webhooks.under_way(),
            is_ending: !self.life.is_serving(),
            is_finished: self.life == Life::Finished,
        }
    }

    fn records(&self) -> Vec<RecordUnderWay> {
        let mut master = self.master.clone();
        let put = |slot: SlotId, definition: &Arc<Definition>, goal: Option<Goal>| {
            let instance = self.table.get(slot)?;
            let goal = goal.unwrap_or_else(|| instance.newest_goal());
            let (definition, desired) =
                (Arc::clone(definition), instance.newest_desired(goal).into_owned());
            let (desired, totals) = (Arc::new(desired), instance.saved_totals());
            Some(Record::PutInstance { definition, desired, totals })
        };
        let record = |Commit { seq, request, change }: &Commit| {
            let record = match change {
                Change::Create(definition) => {
                    let (definition, desired) = (Arc::clone(definition), Arc::default());
                    Record::PutInstance { definition, desired, totals: SavedTotals::default() }
                }
                Change::Patch { slot, definition, goal, .. } => {
                    put(*slot, definition, Some(*goal))?
                }
                Change::Replace { slot, definition } => put(*slot, definition, None)?,
                Change::Delete(slot) => {
                    Record::RemoveInstance(self.table.get(*slot)?.definition().id)
                }
                Change::Desire { .. } | Change::Shown { .. } | Change::Configure(..) => {
                    return None;
                }
                Change::SetAlias(alias) => {
                    master = MasterIdentity { alias: alias.clone(), ..master.clone() };
                    Record::PutMaster(master.clone())
                }
                Change::RotateKey(key) => {
                    master = MasterIdentity { key: key.clone(), ..master.clone() };
                    Record::PutMaster(master.clone())
                }
            };
            let creates = matches!(change, Change::Create(_));
            let (epoch, seq) = (self.commits.epoch, *seq);
            let request = self.out.batches.whole(*request);
            Some(RecordUnderWay { epoch, seq, request, creates, record })
        };
        self.commits.queue.iter().filter_map(record).collect()
    }

    /// The origin of a change; none if its instance was deleted.
    fn command(&self, change: &Change) -> Option<Command> {
        Some(match change {
            Change::Create(definition) => {
                Command::Create { url: definition.url().clone(), alias: definition.alias.clone() }
            }
            Change::Patch { definition, action, .. } => {
                let Definition { id, alias, meta, .. } = definition.as_ref();
                let (peer, tags) = (Some(meta.peer.clone()), Some(meta.tags.clone()));
                let meta = Some(AmendMeta { peer, tags });
                let (alias, restart) = (Some(alias.clone()), Some(definition.restarts()));
                let edit = PolicyEdit {
                    fields: PolicyEdit::all_defaults().fields,
                    policy: definition.policy.clone(),
                    setup: Setup::clone(&definition.setup),
                };
                let policy = Some(Box::new(edit));
                let amend = Box::new(Amend { alias, action: *action, restart, meta, policy });
                Command::Amend { id: *id, expect: Expect::Any, amend }
            }
            Change::Replace { definition, .. } => Command::Replace {
                id: definition.id,
                expect: Expect::Any,
                url: definition.url().clone(),
            },
            Change::Delete(slot) => {
                Command::Remove { id: self.table.get(*slot)?.definition().id, expect: Expect::Any }
            }
            Change::Desire { .. } | Change::Shown { .. } | Change::Configure(..) => return None,
            Change::SetAlias(alias) => Command::SetAlias(Some(alias.clone())),
            Change::RotateKey(key) => Command::RotateKey(key.clone()),
        })
    }
}

/// The requests that wait for a state of an instance.
fn waiting_for(instance: &Instance) -> impl Iterator<Item = (RequestId, Command)> {
    let id = instance.definition().id;
    let operations = instance.queue().operations().map(move |operation| {
        let expect = operation.expect.clone();
        let command = match &operation.kind {
            OperationKind::Replace(url) => Command::Replace { id, expect, url: url.clone() },
            OperationKind::Delete | OperationKind::Redefine(_) => Command::Remove { id, expect },
        };
        (operation.request, command)
    });
    let url = instance.definition().url();
    let replaced = move || Command::Replace { id, expect: Expect::Any, url: url.clone() };
    let started = instance.queue().awaiting_start().map(move |request| (request, replaced()));
    operations.chain(started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Caller;
    use crate::engine::{Effect, Input};
    use crate::ids::KeyEpoch;
    use crate::master::ApiKey;
    use crate::store::Image;
    use crate::time::Now;
    use crate::url::InstanceUrl;
    use alloc::string::ToString;

    #[test]
    fn what_is_under_way_is_what_was_asked_and_ordered() {
        let image = Image::new(MasterIdentity::from_random([1; 8], [1; 16]));
        let mut engine = Engine::new(image, [0; 32], Now::default());
        let url = InstanceUrl::parse("demo:a").expect("a valid URL");
        let commands = [
            Command::Create { url, alias: "a".to_string() },
            Command::SetAlias(Some("edge".to_string())),
            Command::RotateKey(ApiKey::from_random([2; 16])),
            Command::Dial("h:80".to_string()),
        ];
        let caller = Caller::v2(KeyEpoch(0));
        for (request, command) in (1..).map(RequestId).zip(commands) {
            engine.handle(Now::default(), Input::RequestArrived { request, caller, command });
        }
        let under_way = engine.under_way();
        let requests: Vec<RequestId> = under_way.requests.keys().copied().collect();
        assert_eq!(requests, [1, 2, 3, 4].map(RequestId));
        assert_eq!((under_way.dials.len(), under_way.is_ending), (1, false));
        let ordered = core::iter::from_fn(|| engine.poll_effect()).filter_map(|effect| {
            if let Effect::Persist { epoch, seq, record } = effect {
                Some((epoch, seq, record))
            } else {
                None
            }
        });
        let ordered: Vec<_> = ordered.collect();
        assert_eq!(ordered.len(), under_way.records.len());
        for ((epoch, seq, record), known) in ordered.into_iter().zip(under_way.records) {
            assert_eq!((epoch, seq), (known.epoch, known.seq));
            assert_eq!(alloc::format!("{record:?}"), alloc::format!("{:?}", known.record));
        }
    }
}
