//! INV-5: a master that starts after a crash has every acknowledged change, perhaps unacknowledged
//! ones, each whole and in their order, and nothing else: no refused change, unless the disk could
//! not even take it back, and no totals from before an acknowledged reset.

use std::collections::BTreeMap;
use std::sync::Arc;

use openctrl_core::command::Command;
use openctrl_core::engine::Input;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Boot, Definition, Instance};
use openctrl_core::store::{Image, Record};

use super::{Invariant, Scene, Verdict, ensure};
use crate::object::is_same;
use crate::oracle::Ledger;
use crate::world::{Crash, Tail};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// The highest totals of each instance since its last reset.
    highest: BTreeMap<InstanceId, [u64; 4]>,
    /// The last checked change of the counters and of the disk.
    seen: (u64, u64),
}

impl Invariant for Recovery {
    fn id(&self) -> &'static str {
        "INV-5"
    }

    fn before_input(&mut self, scene: Scene<'_>, input: &Input) -> Verdict {
        let Input::RecordsPersisted { upto } = input else { return Ok(()) };
        if scene.oracle.gave_up {
            return Ok(()); // a shutdown that did not wait could only say that it did not
        }
        let ledger = &scene.oracle.ledger;
        let mut newest: BTreeMap<InstanceId, Arc<Definition>> = BTreeMap::new();
        for record in ledger.due(*upto) {
            let Record::PutInstance { definition, .. } = record else { continue };
            let before = newest.insert(definition.id, Arc::clone(definition)).or_else(|| {
                let last = ledger.versions.get(&definition.id)?.last()?;
                Some(Arc::clone(last))
            });
            let mut asked = ledger.unanswered();
            ensure(
                asked.any(|(_, asked)| explains(&asked.command, before.as_ref(), definition)),
                || {
                    format!(
                        "{definition:?} becomes durable after {before:?}, and nobody asked for it"
                    )
                },
            )?;
        }
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        let now = (scene.oracle.changes, scene.world.disk.changes());
        if std::mem::replace(&mut self.seen, now) == now {
            return Ok(());
        }
        for (id, counters) in &scene.oracle.counters {
            let now = counters.map(|counter| counter.stored());
            let highest = self.highest.entry(*id).or_default();
            if scene.oracle.resets.contains(id) {
                *highest = now;
            }
            *highest = std::array::from_fn(|index| now[index].max(highest[index]));
        }
        for (id, stored) in &scene.world.disk.image().instances {
            let Some(highest) = self.highest.get(id) else { continue };
            let totals = stored.totals.totals();
            let stored = [totals.tcprx, totals.tcptx, totals.udprx, totals.udptx];
            let fits = stored.iter().zip(highest).all(|(stored, highest)| stored <= highest);
            ensure(fits, || format!("{id} would come back with {stored:?}, above {highest:?}"))?;
        }
        Ok(())
    }

    fn at_rest(&mut self, scene: Scene<'_>) -> Verdict {
        if scene.oracle.gave_up {
            return Ok(());
        }
        let back = after_power_loss(scene)?;
        let stored: Vec<InstanceId> = back.instances.keys().copied().collect();
        let mut live: Vec<InstanceId> = scene.instances().map(|row| row.definition().id).collect();
        live.sort_unstable();
        ensure(stored == live, || format!("{live:?} live, and {stored:?} would come back"))?;
        scene.instances().try_for_each(|instance| comes_back(scene, &back, instance))
    }
}

/// Checks the state that a master finds after a crash.
///
/// # Errors
/// The crash cannot have left this state.
pub fn judge(ledger: &Ledger, found: &Image) -> Verdict {
    ensure(ledger.is_legal(found), || {
        let first = &ledger.legal_states()[0];
        format!("{found:?} is found after a crash; durable were {first:?}")
    })
}

/// The state after a power failure at rest: everything was synced.
fn after_power_loss(scene: Scene<'_>) -> Result<Image, String> {
    scene.world.disk.after(Crash { power_loss: true, tail: Tail::Nothing, names: 0 })
}

/// Whether a command that is not answered yet makes of `before` what reads as `after`.
fn explains(command: &Command, before: Option<&Arc<Definition>>, after: &Arc<Definition>) -> bool {
    let made = match (command, before) {
        (Command::Create { .. }, None) => return true,
        (Command::Amend { id, expect, amend }, Some(before))
            if *id == before.id && expect.admits(before.revision) =>
        {
            amend.apply(before).map_or_else(|| Arc::clone(before), Arc::new)
        }
        (Command::Act { ids, .. }, Some(before)) if ids.contains(&before.id) => Arc::clone(before),
        (Command::Replace { id, expect, url }, Some(before))
            if *id == before.id && expect.admits(before.revision) =>
        {
            Arc::new(before.with_url(url.clone()))
        }
        _ => return false,
    };
    // Of one that was under way when a trace began, it is not known whether it changes anything.
    let is_unchanged =
        before.is_some_and(|before| before.revision == after.revision && is_same(before, after));
    is_same(&made, after) && (made.revision == after.revision || is_unchanged)
}

fn comes_back(scene: Scene<'_>, back: &Image, instance: &Instance) -> Verdict {
    let id = instance.definition().id;
    let stored = &back.instances[&id];
    let (live, would) = (&instance.definition(), &stored.definition);
    ensure(is_same(live, would), || format!("{live:?} would come back as {would:?}"))?;
    let (goal, saved) = (instance.desired().goal, stored.desired.goal);
    let is_saved = live.policy.boot != Boot::Saved || saved == goal;
    ensure(is_saved, || format!("{id} is wanted {goal:?} and would come back {saved:?}"))?;
    // Refused totals wait for the next write.
    if scene.world.disk.is_failing() {
        return Ok(());
    }
    // The last tick has saved them. Which run counts matters only where it has counted something.
    let saved = instance.saved_totals();
    let mut folded = saved.counters;
    folded.rebase();
    let is_same_run = saved.run == stored.totals.run || folded == saved.counters;
    let known = (saved.mode, saved.counters) == (stored.totals.mode, stored.totals.counters);
    ensure(known && is_same_run, || {
        format!("{id}: {saved:?} would come back as {:?}", stored.totals)
    })
}
