//! Applies a configuration to a stored state, before an engine starts with it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use super::image::{Image, StoredInstance};
use crate::ids::InstanceId;
use crate::instance::{Definition, Desired, Label, first_cas};

impl Image {
    /// Replaces the definitions of an earlier configuration. The desired state of an instance, its
    /// runs and its id stay; instances that are no longer in the configuration are removed.
    /// `random` provides ids and the first CAS of new instances.
    pub fn configure(
        &mut self,
        set: impl IntoIterator<Item = (Definition, Desired)>,
        mut random: impl FnMut() -> u64,
    ) {
        let mut known: BTreeMap<Label, StoredInstance> = BTreeMap::new();
        let configured = |stored: &StoredInstance| stored.definition.is_configured();
        let ids: alloc::vec::Vec<InstanceId> = self
            .instances
            .iter()
            .filter_map(|(id, stored)| configured(stored).then_some(*id))
            .collect();
        for stored in ids.iter().filter_map(|id| self.instances.remove(id)) {
            if let Some(label) = stored.definition.label.clone() {
                known.insert(label, stored);
            }
        }
        for (mut definition, initial) in set {
            let label = definition.label.clone();
            let stored = match label.and_then(|label| known.remove(&label)) {
                Some(stored) => stored.redefined(definition),
                None => {
                    definition.id = self.unused_id(&mut random);
                    let mut stored = StoredInstance::new(Arc::new(definition));
                    stored.desired = Arc::new(begin(initial, random()));
                    stored
                }
            };
            self.instances.insert(stored.definition.id, stored);
        }
    }

    fn unused_id(&self, random: &mut impl FnMut() -> u64) -> InstanceId {
        loop {
            let id = InstanceId(u32::try_from(random() >> 32).expect("half of the bits"));
            if !self.instances.contains_key(&id) {
                return id;
            }
        }
    }
}

impl StoredInstance {
    /// The same with the definition that a configuration has now.
    fn redefined(mut self, mut definition: Definition) -> Self {
        definition.id = self.definition.id;
        definition.revision = self.definition.revision;
        if definition != *self.definition {
            definition.revision = self.definition.revision.next();
            self.definition = Arc::new(definition);
        }
        self
    }
}

/// The desired state of a new instance: no client can have its CAS by accident.
pub fn begin(initial: Desired, random: u64) -> Desired {
    Desired { cas: first_cas(random), ..initial }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Revision;
    use crate::instance::{Goal, Origin};
    use crate::master::MasterIdentity;
    use crate::url::InstanceUrl;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn planned(name: &str, alias: &str) -> (Definition, Desired) {
        let url = InstanceUrl::parse(&alloc::format!("app://{name}")).expect("a URL");
        let mut definition = Definition::new(InstanceId(0), url, alias.to_string());
        definition.origin = Origin::Config;
        definition.label = Some(Label(alloc::format!("app/{name}")));
        (definition, Desired { goal: Goal::Down, ..Desired::default() })
    }

    fn draw() -> impl FnMut() -> u64 {
        let mut number = 0;
        move || {
            number += 1;
            number << 32 | number
        }
    }

    #[test]
    fn a_configuration_keeps_what_it_knows_and_drops_what_it_does_not() {
        let mut image = Image::new(MasterIdentity::from_random([0; 8], [0; 16]));
        let url = InstanceUrl::parse("demo:x").expect("a URL");
        let api = Definition::new(InstanceId(99), url, "of the API".to_string());
        let stored = StoredInstance::new(Arc::new(api));
        image.instances.insert(InstanceId(99), stored);
        let mut draw = draw();
        image.configure([planned("a", "A"), planned("b", "B")], &mut draw);
        let id = |image: &Image, alias: &str| {
            let found = image.instances.values().find(|one| one.definition.alias == alias);
            found.map(|one| one.definition.id)
        };
        let a = id(&image, "A").expect("it is new");
        let cas = image.instances[&a].desired.cas;
        assert!(cas.0 >= 2 && image.instances[&a].desired.goal == Goal::Down);
        let wanted = Arc::new(Desired { goal: Goal::Up, cas, ..Desired::default() });
        image.instances.get_mut(&a).expect("it is there").desired = Arc::clone(&wanted);

        image.configure([planned("a", "A changed"), planned("c", "C")], &mut draw);
        let aliases: Vec<&str> =
            image.instances.values().map(|one| one.definition.alias.as_str()).collect();
        assert_eq!(aliases.len(), 3, "{aliases:?}");
        assert_eq!(id(&image, "A changed"), Some(a));
        let changed = &image.instances[&a];
        assert_eq!(
            (&changed.desired, changed.definition.revision),
            (&wanted, Revision::FIRST.next())
        );
        assert_eq!(id(&image, "B"), None);
        assert_eq!(id(&image, "of the API"), Some(InstanceId(99)));

        image.configure([planned("a", "A changed")], &mut draw);
        assert_eq!(image.instances[&a].definition.revision, Revision::FIRST.next());
    }
}
