//! INV-20: files are watched exactly while their instance is wanted to run.

use openctrl_core::engine::Input;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::Goal;

use super::{Invariant, Scene, Verdict, ensure};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Watches;

impl Invariant for Watches {
    fn id(&self) -> &'static str {
        "INV-20"
    }

    fn after_input(&mut self, scene: Scene<'_>, _input: Option<&Input>) -> Verdict {
        if scene.oracle.shutdowns > 0 {
            return Ok(());
        }
        for instance in scene.instances() {
            let definition = instance.definition();
            let has_files = !definition.checks.watch.is_empty();
            let is_wanted = has_files && instance.desired().goal == Goal::Up;
            let is_watched = scene.world.watched.contains(&definition.id);
            ensure(is_wanted == is_watched, || {
                let id = definition.id;
                format!("files of {id} are to be watched: {is_wanted}; they are: {is_watched}")
            })?;
        }
        let is_known = |id: &&InstanceId| scene.engine.table().find(**id).is_some();
        let stray = scene.world.watched.iter().find(|id| !is_known(id));
        ensure(stray.is_none(), || format!("files of {stray:?} are watched, which was deleted"))
    }
}
