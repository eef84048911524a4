//! The objects in effects. That of an answer has to be what was shown last.

use openctrl_core::command::Outcome;
use openctrl_core::engine::Effect;
use openctrl_core::event::Object;

use super::Run;
use crate::invariants::Violation;
use crate::object::Shown;

impl Run {
    /// The object in an effect, if there is one.
    pub(super) fn object_of(&self, effect: &Effect) -> Result<Option<Shown>, Violation> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "others hold no object")]
        Ok(match effect {
            Effect::ShowMaster(face) => Some(Shown::key(face)),
            Effect::ShowInstance(view) => Some(Shown::instance(view)),
            Effect::Publish(event) => Some(Shown::new(&event.object)),
            Effect::PublishLogs(run) => Some(Shown::instance(&run.view)),
            Effect::Respond { outcome, .. } => self.answered(outcome)?,
            _ => None,
        })
    }

    /// The object in an answer, which has to be what everybody was shown last.
    fn answered(&self, outcome: &Outcome) -> Result<Option<Shown>, Violation> {
        let object = match outcome {
            Outcome::Done { after: view, .. }
            | Outcome::Created(view)
            | Outcome::Stale(view)
            | Outcome::Replaced(view) => Object::Instance(view.clone()),
            Outcome::KeyRotated(master) => Object::Key(master.clone()),
            Outcome::Removed
            | Outcome::AliasSet
            | Outcome::Dialed(_)
            | Outcome::Desired(_)
            | Outcome::Acted(_)
            | Outcome::Refused(_) => return Ok(None),
        };
        let answered = Shown::new(&object);
        let shown = self.oracle.shown.get(&answered.subject());
        if shown.is_some_and(|shown| shown.is_same(&answered)) {
            return Ok(Some(answered));
        }
        let what = format!("{answered:?} is answered, and {shown:?} was shown last");
        Err(Violation { invariant: "INV-6", what })
    }
}
