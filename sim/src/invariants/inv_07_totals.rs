//! INV-7: totals never decrease except by `reset` or because the runtime restarts its counters, and
//! equal a model in integers that cannot overflow.

use std::collections::BTreeMap;

use openctrl_core::engine::Input;
use openctrl_core::event::Subject;
use openctrl_core::ids::InstanceId;

use super::{Invariant, Scene, Verdict, ensure};
use crate::object::{Shown, on_wire_each};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Totals {
    last: BTreeMap<InstanceId, [u64; 4]>,
    /// The last checked change of the shown values and of the model.
    seen: u64,
}

impl Invariant for Totals {
    fn id(&self) -> &'static str {
        "INV-7"
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        if std::mem::replace(&mut self.seen, scene.oracle.changes) == scene.oracle.changes {
            return Ok(());
        }
        for (id, model) in &scene.oracle.counters {
            let shown = scene.oracle.shown.get(&Subject::Instance(*id));
            let Some(view) = shown.and_then(Shown::view) else { continue };
            let shown = on_wire_each(view.totals);
            let expected = model.map(|counter| counter.on_wire());
            ensure(shown == expected, || format!("{id} shows {shown:?}, the model {expected:?}"))?;
            let last = self.last.insert(*id, shown).unwrap_or_default();
            let grew = last.iter().zip(&shown).all(|(last, now)| last <= now);
            let may_drop = scene.oracle.resets.contains(id) || scene.oracle.recounts.contains(id);
            ensure(grew || may_drop, || format!("{id} went from {last:?} to {shown:?}"))?;
        }
        Ok(())
    }
}
