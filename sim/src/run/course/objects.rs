//! The objects in effects. An answer has one as JSON, which has to be what was shown last.

use openctrl_core::command::Reply;
use openctrl_core::engine::Effect;

use super::Run;
use crate::invariants::Violation;
use crate::object::{Shown, subject_of};

impl Run {
    /// The object in an effect, if there is one.
    pub(super) fn object_of(&self, effect: &Effect) -> Result<Option<Shown>, Violation> {
        Ok(match effect {
            Effect::ShowMaster(face) => Some(Shown::key(face)),
            Effect::ShowInstance(view) => Some(Shown::instance(view)),
            Effect::Publish(event) => Some(Shown::new(&event.object)),
            Effect::PublishLogs(run) => Some(Shown::instance(&run.view)),
            Effect::Respond { reply: Reply::Instance(json) | Reply::Created(json), .. } => {
                Some(self.answered(json)?)
            }
            Effect::Respond { .. }
            | Effect::ShowProcess { .. }
            | Effect::CloseStreams { .. }
            | Effect::Persist { .. }
            | Effect::SaveTotals(_)
            | Effect::Spawn { .. }
            | Effect::Adopt { .. }
            | Effect::Signal { .. }
            | Effect::Dial { .. }
            | Effect::AnnounceKey(_)
            | Effect::Finish => None,
        })
    }

    /// The object in an answer, which has to be what everybody was shown last.
    fn answered(&self, json: &[u8]) -> Result<Shown, Violation> {
        let shown = subject_of(json).and_then(|subject| self.oracle.shown.get(&subject));
        shown.filter(|shown| shown.is_json(json)).cloned().ok_or_else(|| {
            let json = String::from_utf8_lossy(json);
            let what = format!("{json} is answered, and {shown:?} was shown last");
            Violation { invariant: "INV-6", what }
        })
    }
}
