//! INV-21: a process with a lease runs on while its master does, and one whose lease expired is in
//! error with that as its reason, however it exits.

use openctrl_core::engine::Input;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Process, Reason, Status};

use super::{Invariant, Scene, Verdict, ensure};
use crate::world::Eviction;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// The instance whose lease expired, until its process has exited.
    expired: Option<InstanceId>,
}

impl Invariant for Leases {
    fn id(&self) -> &'static str {
        "INV-21"
    }

    fn before_input(&mut self, scene: Scene<'_>, input: &Input) -> Verdict {
        if let Input::LeaseExpired { process } = input {
            let row = scene.engine.table().get(process.slot).filter(|_| !scene.is_late);
            let row = row.filter(|row| row.lifecycle().generation() == process.generation);
            let row = row.filter(|row| row.state().process == Process::Live);
            self.expired = row.map(|row| row.definition().id);
        }
        Ok(())
    }

    fn after_input(&mut self, scene: Scene<'_>, input: Option<&Input>) -> Verdict {
        let Some(id) = self.expired else { return Ok(()) };
        if matches!(input, Some(Input::ProcessExited { .. })) {
            self.expired = None;
        }
        let Some(row) = scene.instances().find(|row| row.definition().id == id) else {
            return Ok(());
        };
        let (status, reason) = (row.state().status(), &row.facts().reason);
        ensure(status == Status::Error && *reason == Reason::LeaseExpired, || {
            format!("the lease of {id} expired, and it is {status:?} because of {reason:?}")
        })
    }
}

/// A keeper stops nothing whose master was awake long enough to renew.
pub fn judge_eviction(eviction: Eviction) -> Verdict {
    let (unrenewed_ms, limit_ms) = eviction.unrenewed_ms;
    ensure(unrenewed_ms < limit_ms, || {
        format!("{} lost its lease: not renewed for {unrenewed_ms} ms", eviction.instance)
    })
}
