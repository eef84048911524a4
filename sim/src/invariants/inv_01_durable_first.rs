//! INV-1: no visible effect precedes the durability of the record it depends on.
//!
//! Includes that the streams of an old key end before anything shows the new one.

use std::collections::BTreeMap;
use std::sync::Arc;

use openctrl_core::command::{Amend, Command, InstanceAction, Outcome, Refusal};
use openctrl_core::engine::Effect;
use openctrl_core::event::{Event, EventKind, Subject};
use openctrl_core::expect::Expect;
use openctrl_core::ids::{InstanceId, KeyEpoch};
use openctrl_core::instance::Definition;

use super::{Invariant, Scene, Verdict, ensure};
use crate::object::{Shown, is_same, is_same_master};
use crate::oracle::Asked;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct DurableFirst {
    /// Which version of each instance was shown last: an older one may not be shown again.
    shown: BTreeMap<InstanceId, usize>,
    /// Streams of earlier keys than this are closed.
    open_from: KeyEpoch,
}

impl Invariant for DurableFirst {
    fn id(&self) -> &'static str {
        "INV-1"
    }

    fn resume(&mut self, scene: Scene<'_>) {
        self.open_from = scene.engine.under_way().face.key_epoch;
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        match effect {
            Effect::ShowInstance(view) => self.shows(scene, view.definition.id),
            Effect::Publish(event) => self.on_event(scene, event),
            Effect::PublishLogs(run) => self.shows(scene, run.instance),
            Effect::Respond { request, outcome } => {
                let asked = scene.oracle.ledger.asked.get(request);
                asked.map_or(Ok(()), |asked| self.on_outcome(scene, asked, outcome))
            }
            Effect::Spawn { definition, .. } => {
                self.version(scene, definition)?;
                let shown = scene.oracle.shown.get(&Subject::Instance(definition.id));
                let shown = shown.and_then(Shown::definition);
                ensure(shown.is_some_and(|shown| is_same(shown, definition)), || {
                    format!("{definition:?} is started, and {shown:?} is shown")
                })
            }
            Effect::ShowMaster(face) => {
                ensure(face.key_epoch <= self.open_from, || {
                    "a new key is shown, and streams of the old one are open".to_string()
                })?;
                self.master(scene)
            }
            Effect::CloseStreams { keep_from, .. } => {
                self.open_from = keep_from.unwrap_or(self.open_from);
                Ok(())
            }
            Effect::AnnounceKey(key) => {
                let face = scene.oracle.face.as_ref();
                let is_shown =
                    face.is_some_and(|face| face.identity.key.admits(key.reveal().as_bytes()));
                ensure(is_shown, || "a key is announced that is not in force".to_string())
            }
            Effect::Adopt { .. }
            | Effect::Track { .. }
            | Effect::ReadPidFile { .. }
            | Effect::RunVerb { .. }
            | Effect::ShowRun { .. }
            | Effect::ShowProcess { .. }
            | Effect::Persist { .. }
            | Effect::SaveTotals(_)
            | Effect::Signal { .. }
            | Effect::Dial { .. }
            | Effect::Check { .. }
            | Effect::ReadZone { .. }
            | Effect::Watch { .. }
            | Effect::Unwatch { .. }
            | Effect::Deliver { .. }
            | Effect::ShowHook { .. }
            | Effect::RenewLeases
            | Effect::Finish => Ok(()),
        }
    }
}

impl DurableFirst {
    fn on_event(&mut self, scene: Scene<'_>, event: &Event) -> Verdict {
        match (event.object.subject(), event.kind) {
            (Subject::Instance(id), EventKind::Delete) => self.removed(scene, id),
            (
                Subject::Instance(id),
                EventKind::Create
                | EventKind::Update
                | EventKind::Initial
                | EventKind::Log
                | EventKind::Shutdown,
            ) => self.shows(scene, id),
            (Subject::Key, _) => self.master(scene),
        }
    }

    fn on_outcome(&mut self, scene: Scene<'_>, asked: &Asked, outcome: &Outcome) -> Verdict {
        let is_refused_key = matches!(outcome, Outcome::Refused(Refusal::NotAdmitted));
        ensure(is_refused_key != asked.is_admitted, || {
            format!("{asked:?} is answered with {outcome:?}: its key decides")
        })?;
        let command = &asked.command;
        match (command, outcome) {
            (_, Outcome::Refused(_)) | (Command::Dial(_), Outcome::Dialed(_)) => Ok(()),
            (
                Command::Amend { id, expect, .. }
                | Command::Replace { id, expect, .. }
                | Command::Remove { id, expect },
                Outcome::Stale(_),
            ) => {
                let definition = self.answered(scene)?;
                ensure(definition.id == *id && *expect != Expect::Any, || {
                    format!("{command:?} takes any revision and is found stale")
                })
            }
            (Command::Create { url, .. }, Outcome::Created(_)) => {
                let definition = self.answered(scene)?;
                ensure(definition.url() == url, || format!("{definition:?} was not asked for"))
            }
            (Command::Amend { id, amend, .. }, Outcome::Done { .. }) => {
                let definition = self.answered(scene)?;
                let is_shown = is_in(amend, definition) || self.was_in_force(scene, amend, *id);
                ensure(definition.id == *id && is_shown, || {
                    format!("{amend:?} is answered with {definition:?}")
                })
            }
            (Command::Replace { id, url, .. }, Outcome::Replaced(_)) => {
                let definition = self.answered(scene)?;
                ensure(definition.id == *id && definition.url() == url, || {
                    format!("PUT of {url:?} is answered with {definition:?}")
                })
            }
            (Command::Remove { id, .. }, Outcome::Removed) => self.removed(scene, *id),
            (Command::SetAlias(alias), Outcome::AliasSet) => {
                let face = scene.oracle.face.as_ref();
                let shown = face.map(|face| &face.identity.alias);
                ensure(alias.is_none() || shown == alias.as_ref(), || {
                    format!("alias {alias:?} is answered, and {shown:?} is shown")
                })
            }
            (Command::Act { ids, .. }, Outcome::Acted(acted)) => {
                ensure(ids.iter().eq(acted.iter().map(|one| &one.id)), || {
                    format!("{command:?} is answered with {acted:?}")
                })
            }
            (Command::RotateKey(key), Outcome::KeyRotated(master)) => {
                self.master(scene)?;
                ensure(key.admits(master.key.reveal().as_bytes()), || {
                    "the answer is another key".to_string()
                })
            }
            _ => Err(format!("{command:?} is answered with {outcome:?}")),
        }
    }

    /// Whether an amendment took effect before what is shown now. One that starts may be answered
    /// later: its goal is stored again if it was not accepted when it arrived.
    fn was_in_force(&self, scene: Scene<'_>, amend: &Amend, id: InstanceId) -> bool {
        let versions = scene.oracle.ledger.versions.get(&id).map_or(&[][..], Vec::as_slice);
        let shown = self.shown.get(&id).copied().unwrap_or_default();
        let mut earlier = versions.iter().take(shown);
        amend.action == Some(InstanceAction::Start) && earlier.any(|version| is_in(amend, version))
    }

    /// The definition in an answer, which has to be durable.
    fn answered<'a>(&mut self, scene: Scene<'a>) -> Result<&'a Definition, String> {
        let shown = scene.object()?;
        let definition = shown.definition().ok_or_else(|| format!("no instance: {shown:?}"))?;
        self.version(scene, definition).map(|()| definition.as_ref())
    }

    fn shows(&mut self, scene: Scene<'_>, id: InstanceId) -> Verdict {
        let shown = scene.object()?;
        let definition = shown.definition().filter(|definition| definition.id == id);
        self.version(scene, definition.ok_or_else(|| format!("{shown:?} is told of {id}"))?)
    }

    /// A definition is shown, and an equal one is durable that is not older than the one shown
    /// last.
    fn version(&mut self, scene: Scene<'_>, shown: &Arc<Definition>) -> Verdict {
        let versions = scene.oracle.ledger.versions.get(&shown.id).map_or(&[][..], Vec::as_slice);
        let last = self.shown.entry(shown.id).or_default();
        let newer = versions.iter().skip(*last).position(|version| is_same(version, shown));
        *last += newer.ok_or_else(|| format!("{shown:?} is shown and is not durable"))?;
        Ok(())
    }

    fn removed(&self, scene: Scene<'_>, id: InstanceId) -> Verdict {
        ensure(scene.oracle.ledger.removed.contains(&id), || {
            format!("{id} is told to be deleted, and its removal is not durable")
        })
    }

    fn master(&self, scene: Scene<'_>) -> Verdict {
        let shown = scene.object()?;
        let mut durable = scene.oracle.ledger.masters.iter();
        let is_shown = |master| shown.master().is_some_and(|shown| is_same_master(shown, master));
        ensure(durable.any(is_shown), || "a master is shown that is not durable".to_string())
    }
}

/// Whether a definition is the one that an amendment requested.
fn is_in(amend: &Amend, definition: &Definition) -> bool {
    let bare = Amend { meta: None, ..amend.clone() };
    let meta = amend.meta.clone().unwrap_or_default();
    bare.apply(definition).is_none()
        && meta.peer.is_none_or(|peer| peer == definition.meta.peer)
        && meta.tags.is_none_or(|tags| tags == definition.meta.tags)
}
