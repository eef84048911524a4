//! Effects as short lines of text, without keys and with names instead of ids.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::super::show::show_outcome;
use super::super::{Effect, Engine, TimerReason, show_effect_with};
use crate::command::{Acted, DialOutcome, Outcome};
use crate::counters::{Metrics, Totals};
use crate::doors::v2::Rejection;
use crate::ids::{InstanceId, SlotId, StoreEpoch};
use crate::instance::{Definition, InstanceView};
use crate::master::{ApiKey, MasterFace, MasterIdentity};
use crate::time::Wall;

const LETTERS: [&str; 26] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S",
    "T", "U", "V", "W", "X", "Y", "Z",
];

/// Who is called what: instances by a letter, keys by a number, in the order they appear.
#[derive(Clone, Default)]
pub(super) struct Names {
    instances: Vec<InstanceId>,
    keys: Vec<String>,
    /// Whether the time of each event is printed.
    pub(super) times: bool,
    /// Whether facts about processes are printed.
    pub(super) facts: bool,
}

impl Names {
    /// The instances that have a name.
    pub(super) fn instances(&self) -> BTreeMap<&'static str, InstanceId> {
        LETTERS.into_iter().zip(self.instances.iter().copied()).collect()
    }

    /// The name of a timer.
    pub(super) fn timer(&mut self, reason: TimerReason, engine: &Engine) -> String {
        let mut of = |slot: SlotId| {
            let instance = engine.table().get(slot).expect("a timer belongs to a live slot");
            self.letter(instance.definition().id)
        };
        match reason {
            TimerReason::Tick => "Tick".to_string(),
            TimerReason::StopStep(slot) => format!("Grace of {}", of(slot)),
            TimerReason::Leftover(slot) => format!("Leftover of {}", of(slot)),
            TimerReason::Restart(slot) => format!("Restart of {}", of(slot)),
            TimerReason::Look(slot) => format!("Look of {}", of(slot)),
            TimerReason::BeatDue(slot) => format!("BeatDue of {}", of(slot)),
            TimerReason::Hold(slot) => format!("Hold of {}", of(slot)),
            TimerReason::RunLimit(slot) => format!("RunLimit of {}", of(slot)),
            TimerReason::DialWait(request) => format!("DialWait of {}", request.0),
            TimerReason::ShutdownLimit => "ShutdownLimit".to_string(),
            TimerReason::Ready(slot) => format!("Ready of {}", of(slot)),
            TimerReason::Live(slot) => format!("Live of {}", of(slot)),
            TimerReason::ReadyLimit(slot) => format!("ReadyLimit of {}", of(slot)),
            TimerReason::Schedule(slot) => format!("Schedule of {}", of(slot)),
            TimerReason::Recovered(slot) => format!("Recovered of {}", of(slot)),
            TimerReason::FilesChanged(slot) => format!("FilesChanged of {}", of(slot)),
            TimerReason::Redeliver(hook) => format!("Redeliver to {}", hook.0),
            TimerReason::ShutdownOrder => "ShutdownOrder".to_string(),
        }
    }

    /// The line of an effect.
    pub(super) fn effect(&mut self, effect: &Effect) -> String {
        show_effect_with(effect, self)
    }

    fn key_instance(&mut self, master: &MasterIdentity) -> String {
        format!("the key instance, {}", self.key_and_alias(master))
    }

    fn key_and_alias(&mut self, master: &MasterIdentity) -> String {
        format!("{}, alias {:?}", self.number(master.key.reveal()), master.alias)
    }

    fn letter(&mut self, id: InstanceId) -> &'static str {
        let known = self.instances.iter().position(|known| *known == id);
        let index = known.unwrap_or_else(|| {
            self.instances.push(id);
            self.instances.len() - 1
        });
        LETTERS[index]
    }

    fn number(&mut self, key: &str) -> String {
        let known = self.keys.iter().position(|known| known == key);
        let index = known.unwrap_or_else(|| {
            self.keys.push(key.to_string());
            self.keys.len() - 1
        });
        format!("key {}", index + 1)
    }
}

impl crate::engine::Names for Names {
    fn instance(&mut self, id: InstanceId) -> String {
        self.letter(id).to_string()
    }

    fn key(&mut self, key: &ApiKey) -> String {
        self.number(key.reveal())
    }

    fn master(&mut self, face: &MasterFace) -> String {
        format!("the master, {}", self.key_and_alias(&face.identity))
    }

    fn identity(&mut self, identity: &MasterIdentity) -> Option<String> {
        Some(self.key_and_alias(identity))
    }

    fn epoch(&mut self, epoch: StoreEpoch) -> String {
        if epoch.0 == 0 { String::new() } else { " in a new epoch".to_string() }
    }

    fn time(&mut self, time: Wall) -> String {
        if self.times { format!(" at {time}") } else { String::new() }
    }

    /// The answer as the REST API gives it.
    fn outcome(&mut self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Done { after: view, .. } | Outcome::Replaced(view) => {
                format!("200 {}", self.view(view))
            }
            Outcome::Created(view) => format!("201 {}", self.view(view)),
            Outcome::Removed => "204".to_string(),
            Outcome::AliasSet => "200 info".to_string(),
            Outcome::KeyRotated(master) => format!("200 {}", self.key_instance(master)),
            Outcome::Dialed(report) => match &report.outcome {
                DialOutcome::Connected { latency_ms } => format!("200 connected, {latency_ms} ms"),
                DialOutcome::Failed(reason) => format!("200 not connected, {reason}"),
            },
            Outcome::Desired(_) => show_outcome(outcome),
            Outcome::Acted(acted) => {
                let each = acted.iter().map(|Acted { id, result }| match result {
                    Ok(status) => format!("{} {}", self.letter(*id), status.as_str()),
                    Err(refusal) => {
                        format!("{} {}", self.letter(*id), Rejection::from(refusal.clone()))
                    }
                });
                format!("200 {}", each.collect::<Vec<_>>().join(", "))
            }
            Outcome::Stale(view) => {
                let (rejection, revision) = (Rejection::Stale, view.definition.revision);
                format!("{} at revision {}", rejection.status(), revision.0)
            }
            Outcome::Refused(refusal) => {
                let rejection = Rejection::from(refusal.clone());
                format!("{} {rejection}", rejection.status())
            }
        }
    }

    /// An instance: what is always there, and what is not at its default.
    fn view(&mut self, view: &InstanceView) -> String {
        let Definition { id, alias, meta, .. } = view.definition.as_ref();
        let (url, restarts) = (view.definition.url(), view.definition.restarts());
        let mut shown = format!("{} {} {}", self.letter(*id), url.as_str(), view.status.as_str());
        if !alias.is_empty() {
            write!(shown, " alias={alias}").expect("a String takes everything");
        }
        if !restarts {
            shown.push_str(" restart=false");
        }
        if !meta.tags.is_empty() {
            let tags = serde_json::to_string(&meta.tags).expect("strings always encode");
            write!(shown, " tags={tags}").expect("a String takes everything");
        }
        let Metrics { mode, ping, pool, tcps, udps } = view.metrics;
        for (field, gauge) in
            [("mode", mode), ("ping", ping), ("pool", pool), ("tcps", tcps), ("udps", udps)]
        {
            if gauge != 0 {
                write!(shown, " {field}={gauge}").expect("a String takes everything");
            }
        }
        let Totals { tcprx, tcptx, udprx, udptx } = view.totals;
        if tcprx != 0 {
            write!(shown, " tcprx={tcprx}").expect("a String takes everything");
        }
        for other in [tcptx, udprx, udptx] {
            assert_eq!(other, tcprx, "stories move all four counters alike");
        }
        shown
    }
}
