//! Which name an instance has: its alias where that can be one, else its id (control contract A
//! "Names").

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::event::is_resource_name;
use crate::ids::InstanceId;

/// Whether an alias may be a name: `[A-Za-z0-9][A-Za-z0-9._-]{0,62}`, but not like an id.
fn may_be_name(alias: &str) -> bool {
    is_resource_name(alias) && !InstanceId::is_like(alias)
}

/// The name of an instance whose alias no older instance has.
pub fn resource_name(id: InstanceId, alias: &str) -> String {
    if may_be_name(alias) { alias.to_string() } else { id.to_string() }
}

/// The names of all instances. Of several with the same alias the oldest has the name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Instances by alias, the oldest first.
    claims: BTreeMap<String, BTreeSet<(u64, InstanceId)>>,
    instances: BTreeMap<InstanceId, Claim>,
    by_name: BTreeMap<Arc<str>, InstanceId>,
    next_age: u64,
}

#[derive(Clone, Debug)]
struct Claim {
    age: u64,
    alias: String,
    name: Arc<str>,
}

/// An instance that has another name now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Which.
    pub id: InstanceId,
    /// The name it had.
    pub previous: Arc<str>,
    /// The name it has.
    pub name: Arc<str>,
}

impl Names {
    /// Adds an instance, younger than all others. Gives its name.
    pub fn insert(&mut self, id: InstanceId, alias: &str) -> Arc<str> {
        let age = self.next_age;
        self.next_age += 1;
        let name: Arc<str> = id.to_string().into();
        self.by_name.insert(Arc::clone(&name), id);
        self.instances.insert(id, Claim { age, alias: String::new(), name: Arc::clone(&name) });
        self.set_alias(id, alias);
        self.name(id).unwrap_or(name)
    }

    /// Changes the alias of an instance. Returns the instances whose names change: first those that
    /// lose a name, then those that gain it.
    pub fn set_alias(&mut self, id: InstanceId, alias: &str) -> Vec<Renamed> {
        let Some(claim) = self.instances.get_mut(&id) else { return Vec::new() };
        if claim.alias == alias {
            return Vec::new();
        }
        let (age, old) = (claim.age, core::mem::replace(&mut claim.alias, alias.to_string()));
        self.withdraw(&old, age, id);
        if may_be_name(alias) {
            self.claims.entry(alias.to_string()).or_default().insert((age, id));
        }
        self.settle(&[&old, alias], Some(id))
    }

    /// Removes an instance. Says which instance has its name now, if any.
    pub fn remove(&mut self, id: InstanceId) -> Vec<Renamed> {
        let Some(claim) = self.instances.remove(&id) else { return Vec::new() };
        self.by_name.remove(&claim.name);
        self.withdraw(&claim.alias, claim.age, id);
        self.settle(&[&claim.alias], None)
    }

    /// The name of an instance.
    pub fn name(&self, id: InstanceId) -> Option<Arc<str>> {
        self.instances.get(&id).map(|claim| Arc::clone(&claim.name))
    }

    /// The instance of this name or id.
    pub fn find(&self, text: &str) -> Option<InstanceId> {
        let by_id = || InstanceId::parse(text).filter(|id| self.instances.contains_key(id));
        self.by_name.get(text).copied().or_else(by_id)
    }

    /// Every instance with its alias, the oldest first.
    pub fn by_age(&self) -> Vec<(InstanceId, &str)> {
        let claims = self.instances.iter();
        let mut rows: Vec<_> = claims.map(|(id, claim)| (claim.age, *id, &*claim.alias)).collect();
        rows.sort_unstable();
        rows.into_iter().map(|(_, id, alias)| (id, alias)).collect()
    }

    /// Every name with its instance, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, InstanceId)> {
        self.by_name.iter().map(|(name, id)| (name, *id))
    }

    fn withdraw(&mut self, alias: &str, age: u64, id: InstanceId) {
        if let Some(claims) = self.claims.get_mut(alias) {
            claims.remove(&(age, id));
            if claims.is_empty() {
                self.claims.remove(alias);
            }
        }
    }

    /// Assigns names again to the instances with these aliases, and to `id`.
    fn settle(&mut self, aliases: &[&str], id: Option<InstanceId>) -> Vec<Renamed> {
        let mut touched: BTreeSet<InstanceId> = id.into_iter().collect();
        for alias in aliases {
            // Only the first two can change: the one that has the name, and the one before it.
            let claims = self.claims.get(*alias).into_iter().flatten();
            touched.extend(claims.take(2).map(|(_, id)| *id));
        }
        let mut renamed = Vec::new();
        for id in touched {
            let wanted = self.wanted_name(id);
            let Some(claim) = self.instances.get_mut(&id) else { continue };
            if *claim.name == *wanted {
                continue;
            }
            let previous = core::mem::replace(&mut claim.name, Arc::clone(&wanted));
            if self.by_name.get(&previous) == Some(&id) {
                self.by_name.remove(&previous);
            }
            self.by_name.insert(Arc::clone(&wanted), id);
            renamed.push(Renamed { id, previous, name: wanted });
        }
        renamed.sort_by_key(|renamed| {
            let has_own_id = *renamed.name == *renamed.id.to_string();
            (!has_own_id, Some(renamed.id) != id)
        });
        renamed
    }

    fn wanted_name(&self, id: InstanceId) -> Arc<str> {
        let alias = self.instances.get(&id).map(|claim| claim.alias.as_str()).unwrap_or_default();
        let oldest = self.claims.get(alias).and_then(BTreeSet::first);
        if oldest.is_some_and(|(_, oldest)| *oldest == id) {
            alias.into()
        } else {
            id.to_string().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_alias_that_looks_like_an_id_is_no_name() {
        let id = InstanceId(0xd34d_b33f);
        for (alias, name) in [
            ("web", "web"),
            ("", "d34db33f"),
            ("0123abcd", "d34db33f"),
            ("0123ABCD", "d34db33f"),
            ("0123abcde", "0123abcde"),
            ("my app", "d34db33f"),
            ("../x", "d34db33f"),
        ] {
            assert_eq!(resource_name(id, alias), name);
        }
    }

    #[test]
    fn the_oldest_has_the_name_and_gives_it_up() {
        let mut names = Names::default();
        let [a, b] = [InstanceId(1), InstanceId(2)];
        assert_eq!(&*names.insert(a, "web"), "web");
        assert_eq!(&*names.insert(b, "web"), "00000002");
        let renamed = names.set_alias(a, "other");
        let shown: Vec<(u32, &str, &str)> =
            renamed.iter().map(|r| (r.id.0, &*r.previous, &*r.name)).collect();
        assert_eq!(shown, [(1, "web", "other"), (2, "00000002", "web")]);
        // The older one takes it back.
        let renamed = names.set_alias(a, "web");
        let shown: Vec<(u32, &str, &str)> =
            renamed.iter().map(|r| (r.id.0, &*r.previous, &*r.name)).collect();
        assert_eq!(shown, [(2, "web", "00000002"), (1, "other", "web")]);
        assert_eq!(
            names.remove(a),
            [Renamed { id: b, previous: "00000002".into(), name: "web".into() }]
        );
        assert_eq!(
            (names.find("web"), names.find("00000002"), names.find("00000001")),
            (Some(b), Some(b), None)
        );
    }

    proptest! {
        #[test]
        fn names_are_those_of_the_rule(
            steps in prop::collection::vec((0u32..5, 0usize..6, any::<bool>()), 0..60),
        ) {
            const ALIASES: [&str; 6] = ["web", "db", "", "no name", "0badcafe", "x"];
            let mut names = Names::default();
            let mut model: Vec<(InstanceId, &str)> = Vec::new();
            for (id, alias, is_removal) in steps {
                let (id, alias) = (InstanceId(id), ALIASES[alias]);
                match model.iter().position(|(known, _)| *known == id) {
                    Some(place) if is_removal => {
                        model.remove(place);
                        names.remove(id);
                    }
                    Some(place) => {
                        model[place].1 = alias;
                        let mut taken: BTreeSet<Arc<str>> =
                            names.iter().map(|(name, _)| Arc::clone(name)).collect();
                        for renamed in names.set_alias(id, alias) {
                            // Whoever takes a name takes one that was given up before.
                            prop_assert!(taken.remove(&renamed.previous));
                            prop_assert!(taken.insert(renamed.name), "{}", renamed.id);
                        }
                    }
                    None => {
                        model.push((id, alias));
                        names.insert(id, alias);
                    }
                }
                for (place, (id, alias)) in model.iter().enumerate() {
                    let is_taken = model[..place].iter().any(|(_, older)| older == alias);
                    let name = if is_taken { id.to_string() } else { resource_name(*id, alias) };
                    let shown = names.name(*id);
                    prop_assert_eq!(shown.as_deref(), Some(name.as_str()));
                    prop_assert_eq!(names.find(&name), Some(*id));
                    prop_assert_eq!(names.find(&id.to_string()), Some(*id));
                }
                prop_assert_eq!(names.iter().count(), model.len());
            }
        }
    }
}
