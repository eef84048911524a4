//! The program of the master is replaced now and then: the engine goes through bytes and comes back,
//! and nothing of that may show.

use openctrl_core::engine::Engine;
use openctrl_core::ids::{InstanceId, ProcessRef, RunId};

use super::Run;
use crate::invariants::Violation;

/// After how many inputs, if nothing is under way then. Not a multiple of anything else.
const EVERY: u64 = 61;

impl Run {
    /// Puts the same engine in the place of the engine, as an upgrade in place does.
    pub(super) fn replace_program(&mut self) -> Result<(), Violation> {
        if !self.report.inputs.is_multiple_of(EVERY) || !self.engine.is_settled() {
            return Ok(());
        }
        // A trace ends with the program that records it; and a handover checks the engine as well.
        if self.recording.is_some() || !self.checks_engine {
            return Ok(());
        }
        // Whether a process is started that was ordered is known by what the keeper has, so the
        // engine would hear of it here.
        let table = self.engine.table();
        let is_starting = |slot| table.get(slot).is_some_and(|row| row.state().is_spawning());
        if table.slots().any(is_starting) {
            return Ok(());
        }
        let broken = |what: String| Violation { invariant: "HANDOVER", what };
        let (before, now) = (self.engine.fingerprint(), self.world.clock.now());
        let resumed = Engine::resume(&self.engine.hand_over(), &self.runs(), now);
        let mut resumed = resumed.map_err(|error| broken(error.to_string()))?;
        // What is shown again, and the processes that it keeps.
        while resumed.poll_effect().is_some() {}
        if resumed.fingerprint() != before {
            return Err(broken("the engine is another one after a handover".to_owned()));
        }
        self.engine = resumed;
        Ok(())
    }

    /// The last run of each instance: the keeper has all of them.
    fn runs(&self) -> Vec<(InstanceId, RunId)> {
        let table = self.engine.table();
        let run = |slot| {
            let row = table.get(slot)?;
            let process = ProcessRef { slot, generation: row.lifecycle().generation() };
            Some((row.definition().id, self.engine.run_of(process)?))
        };
        table.slots().filter_map(run).collect()
    }
}
