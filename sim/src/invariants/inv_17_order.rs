//! INV-17: an instance is started only while every instance that it starts after is ready, and none
//! waits for what is ready.

use openctrl_core::engine::{Effect, Engine, Input};
use openctrl_core::ids::RecordSeq;
use openctrl_core::instance::Instance;

use super::{Invariant, Scene, Verdict, ensure};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The last record that is known as durable.
    durable: RecordSeq,
    /// Whether several changes take effect by the input under way: what was ready when one of them
    /// did cannot be seen.
    is_blurred: bool,
}

impl Invariant for Order {
    fn id(&self) -> &'static str {
        "INV-17"
    }

    fn before_input(&mut self, _scene: Scene<'_>, input: &Input) -> Verdict {
        self.is_blurred = false;
        if let Input::RecordsPersisted { upto } = input {
            self.is_blurred = upto.0 > self.durable.0 + 1;
            self.durable = *upto;
        }
        Ok(())
    }

    fn on_effect(&mut self, scene: Scene<'_>, effect: &Effect) -> Verdict {
        let Effect::Spawn { definition, .. } = effect else { return Ok(()) };
        if self.is_blurred {
            return Ok(());
        }
        let missing = definition.checks.after.iter().find(|name| !is_ready(scene.engine, name));
        ensure(missing.is_none(), || {
            format!("{} is started, and {missing:?} is not ready", definition.id)
        })
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        scene.instances().try_for_each(|instance| waits_for_what_it_should(scene.engine, instance))
    }
}

fn waits_for_what_it_should(engine: &Engine, instance: &Instance) -> Verdict {
    let id = instance.definition().id;
    let names = &instance.definition().checks.after;
    let expected = names.iter().find(|name| !is_ready(engine, name)).map(String::as_str);
    let found = instance.readiness().waits_for.as_deref();
    ensure(found == expected, || format!("{id} waits for {found:?}, not for {expected:?}"))
}

/// Whether there are instances with this alias, and all of them are ready.
fn is_ready(engine: &Engine, name: &str) -> bool {
    let rows = engine.table().slots().filter_map(|slot| engine.table().get(slot));
    let mut bearers = rows.filter(|row| row.definition().alias == name).peekable();
    bearers.peek().is_some() && bearers.all(Instance::is_ready)
}
