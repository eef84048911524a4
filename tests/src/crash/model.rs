//! What a client knows of a master's state: what was acknowledged, and what may be there since
//! were not answered.
//!
//! A client has at most one request on its way for an instance, so an instance is always wholly
//! one of two things: as acknowledged, or as the unanswered request wanted it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::child::{COUNT, Task};
use crate::KEY_ID;

/// What is durable of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its URL, and what its process does.
    pub task: Task,
    /// Its alias.
    pub alias: String,
    /// Whether it is started by itself.
    pub restart: bool,
    /// Its peer and tags.
    pub meta: Value,
    /// What its totals may be.
    pub totals: Totals,
}

/// Bounds of a total, as far as acknowledged changes give any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Seen before a change that was acknowledged, which keeps the totals as well.
    pub at_least: u64,
    /// Starts of its process before the last reset: what came later may count.
    pub starts_at_reset: u64,
}

/// An unanswered request for an instance.
#[derive(Clone, Debug, PartialEq)]
pub enum Pending {
    /// To be this.
    Change(Definition),
    /// To be gone.
    Delete,
}

/// An instance that was acknowledged.
#[derive(Clone, Debug)]
pub struct Known {
    /// What the last answer made of it.
    pub acknowledged: Definition,
    /// What the request after it wanted, if that was not answered.
    pub pending: Option<Pending>,
    /// The total in the last answer. Only a later change that is acknowledged keeps it.
    pub seen: u64,
}

/// Everything that was acknowledged, or may be there.
#[derive(Debug, Default)]
pub struct Model {
    /// The key, as answered or printed last.
    pub key: String,
    /// A change of the key was not answered.
    pub key_pending: bool,
    /// The id of the master.
    pub mid: String,
    /// The alias of the master.
    pub alias: String,
    /// One that was not answered.
    pub alias_pending: Option<String>,
    /// Instances by id.
    pub instances: BTreeMap<String, Known>,
    /// Creates without an answer.
    pub creates: Vec<Definition>,
}

impl Definition {
    /// What a create makes.
    pub fn new(task: Task, alias: String) -> Self {
        let totals = Totals { at_least: 0, starts_at_reset: 0 };
        Self { task, alias, restart: true, meta: no_meta(), totals }
    }

    /// What of it is not so in an instance object; `None` if everything is. Starts of the process
    /// bound the totals.
    pub fn fault(&self, found: &Value, starts: u64) -> Option<String> {
        let wanted = [
            ("url", json!(self.task.url())),
            ("alias", json!(self.alias)),
            ("restart", json!(self.restart)),
            ("meta", self.meta.clone()),
        ];
        for (field, value) in wanted {
            if found[field] != value {
                return Some(format!("{field} is {} and should be {value}", found[field]));
            }
        }
        self.totals_fault(found, starts)
    }

    fn totals_fault(&self, found: &Value, starts: u64) -> Option<String> {
        // A process counts once, whatever it prints; the one of the reset may count after it.
        let at_most = (starts.saturating_sub(self.totals.starts_at_reset) + 1) * COUNT;
        let total = found["tcprx"].as_u64().unwrap_or(u64::MAX);
        let fits = (self.totals.at_least..=at_most).contains(&total);
        let same = ["tcptx", "udprx", "udptx"].iter().all(|field| found[field] == total);
        (!fits || !same || !total.is_multiple_of(COUNT))
            .then(|| format!("totals are {found}, between {} and {at_most}", self.totals.at_least))
    }
}

impl Model {
    /// Compares it with the list of a master that was just started, and takes over what is found
    /// of what was not answered. Returns what was lost, or came from nowhere; `starts` says how
    /// often the process of a token was started.
    pub fn settle(&mut self, list: &[Value], starts: impl Fn(u32) -> u64) -> Vec<String> {
        let mut faults = Vec::new();
        let mut left: BTreeMap<&str, &Value> =
            list.iter().map(|found| (found["id"].as_str().unwrap_or(""), found)).collect();
        match left.remove(KEY_ID) {
            Some(found) => faults.extend(self.settle_master(found)),
            None => faults.push("the key instance is not listed".to_owned()),
        }
        for (id, known) in std::mem::take(&mut self.instances) {
            let found = left.remove(id.as_str());
            match settle_one(&known, found, &starts) {
                Ok(definition) => self.keep(&id, definition),
                Err(fault) => {
                    faults.push(format!("{id}: {fault}; known of it: {known:?}"));
                    // Said once.
                    self.keep(&id, found.and_then(|found| adopt(found, &starts)));
                }
            }
        }
        for (id, found) in left {
            match self.settle_create(found, &starts) {
                Ok(definition) => self.keep(id, Some(definition)),
                Err(fault) => {
                    faults.push(format!("{id}: {fault}"));
                    self.keep(id, adopt(found, &starts));
                }
            }
        }
        // What is not there now was never stored.
        self.creates.clear();
        faults
    }

    fn keep(&mut self, id: &str, definition: Option<Definition>) {
        if let Some(acknowledged) = definition {
            self.instances.insert(id.to_owned(), Known { acknowledged, pending: None, seen: 0 });
        }
    }

    fn settle_master(&mut self, found: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        if found["url"] != self.key.as_str() && !self.key_pending {
            faults.push(format!("the key is {} and should be {:?}", found["url"], self.key));
        }
        if !self.mid.is_empty() && found["config"] != self.mid.as_str() {
            faults.push(format!("the id is {} and should be {:?}", found["config"], self.mid));
        }
        let pending = self.alias_pending.take();
        let is_pending = pending.is_some_and(|alias| found["alias"] == alias.as_str());
        if !is_pending && found["alias"] != self.alias.as_str() {
            faults.push(format!("the alias is {} and should be {:?}", found["alias"], self.alias));
        }
        let text = |field: &str| found[field].as_str().unwrap_or("").to_owned();
        (self.key, self.mid, self.alias) = (text("url"), text("config"), text("alias"));
        self.key_pending = false;
        faults
    }

    /// An instance whose id no client knows: a create that was not answered, and only one.
    fn settle_create(
        &mut self,
        found: &Value,
        starts: &impl Fn(u32) -> u64,
    ) -> Result<Definition, String> {
        let index = self.creates.iter().position(|wanted| found["url"] == wanted.task.url());
        let Some(index) = index else {
            return Err(format!("deleted, or never created: {found}"));
        };
        let wanted = self.creates.remove(index);
        match wanted.fault(found, starts(wanted.task.token)) {
            None => Ok(wanted),
            Some(fault) => Err(fault),
        }
    }
}

/// The default `meta` of an instance.
pub fn no_meta() -> Value {
    json!({"peer": {"sid": "", "type": "", "alias": ""}, "tags": {}})
}

/// What an instance has turned out to be, or what is wrong with it.
fn settle_one(
    known: &Known,
    found: Option<&Value>,
    starts: &impl Fn(u32) -> u64,
) -> Result<Option<Definition>, String> {
    let count = starts(known.acknowledged.task.token);
    let Some(found) = found else {
        let is_deleted = known.pending == Some(Pending::Delete);
        return if is_deleted { Ok(None) } else { Err("it is lost".to_owned()) };
    };
    let Some(fault) = known.acknowledged.fault(found, count) else {
        return Ok(Some(known.acknowledged.clone()));
    };
    match &known.pending {
        Some(Pending::Change(wanted)) => match wanted.fault(found, count) {
            None => Ok(Some(wanted.clone())),
            Some(other) => Err(format!("neither old ({fault}) nor new ({other})")),
        },
        Some(Pending::Delete) | None => Err(fault),
    }
}

/// Accepts what was found, to continue from there.
fn adopt(found: &Value, starts: &impl Fn(u32) -> u64) -> Option<Definition> {
    let (task, _) = Task::from_url(found["url"].as_str()?)?;
    let reset = starts(task.token).saturating_sub(found["tcprx"].as_u64()? / COUNT);
    Some(Definition {
        task,
        alias: found["alias"].as_str()?.to_owned(),
        restart: found["restart"].as_bool()?,
        meta: found["meta"].clone(),
        totals: Totals { at_least: 0, starts_at_reset: reset },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::child::Kind;

    fn task(version: u32) -> Task {
        Task { token: 1, version, kind: Kind::Steady }
    }

    fn object(id: &str, definition: &Definition, total: u64) -> Value {
        json!({
            "id": id, "url": definition.task.url(), "alias": definition.alias,
            "restart": definition.restart, "meta": definition.meta,
            "tcprx": total, "tcptx": total, "udprx": total, "udptx": total,
        })
    }

    fn master() -> Value {
        json!({"id": KEY_ID, "url": "k", "config": "m", "alias": ""})
    }

    fn model(known: Known) -> Model {
        let instances = [("1".to_owned(), known)].into();
        Model { key: "k".into(), mid: "m".into(), instances, ..Model::default() }
    }

    fn old() -> Definition {
        Definition::new(task(1), "old".into())
    }

    fn settle(pending: Option<Pending>, found: &[Value]) -> (Vec<String>, Model) {
        let mut model = model(Known { acknowledged: old(), pending, seen: 0 });
        let list: Vec<Value> = [master()].into_iter().chain(found.iter().cloned()).collect();
        let faults = model.settle(&list, |_| 1);
        (faults, model)
    }

    #[test]
    fn an_unanswered_change_is_whole_or_absent() {
        let new = Definition { task: task(2), alias: "new".into(), ..old() };
        let pending = || Some(Pending::Change(new.clone()));
        for definition in [&old(), &new] {
            let (faults, model) = settle(pending(), &[object("1", definition, 0)]);
            assert_eq!(faults, Vec::<String>::new());
            assert_eq!(model.instances["1"].acknowledged, *definition);
            assert_eq!(model.instances["1"].pending, None);
        }
        let mixed = Definition { task: task(2), ..old() };
        assert_eq!(settle(pending(), &[object("1", &mixed, 0)]).0.len(), 1);
        assert_eq!(settle(None, &[object("1", &new, 0)]).0.len(), 1);
    }

    #[test]
    fn an_instance_is_there_until_its_delete_was_asked_for() {
        assert_eq!(settle(None, &[]).0.len(), 1);
        assert_eq!(settle(Some(Pending::Delete), &[]).0.len(), 0);
        assert_eq!(settle(Some(Pending::Delete), &[object("1", &old(), 0)]).0.len(), 0);
        let (faults, model) = settle(None, &[object("1", &old(), 0), object("2", &old(), 0)]);
        assert_eq!(faults.len(), 1, "nobody created the second one");
        assert_eq!(model.instances.len(), 2);
    }

    #[test]
    fn an_unanswered_create_may_be_there_once() {
        let mut model = model(Known { acknowledged: old(), pending: None, seen: 0 });
        let created = Definition::new(Task { token: 2, ..task(1) }, "a".into());
        model.creates = vec![created.clone()];
        let one = object("1", &old(), 0);
        let list = [master(), one.clone(), object("2", &created, 0), object("3", &created, 0)];
        assert_eq!(model.settle(&list, |_| 1).len(), 1);
        assert!(model.creates.is_empty());
    }

    #[test]
    fn totals_stay_within_what_was_acknowledged() {
        let definition = |at_least, starts_at_reset| Definition {
            totals: Totals { at_least, starts_at_reset },
            ..old()
        };
        let fault = |definition: &Definition, total, starts| {
            definition.fault(&object("1", definition, total), starts)
        };
        assert_eq!(fault(&definition(COUNT, 0), COUNT, 1), None);
        assert!(fault(&definition(2 * COUNT, 0), COUNT, 1).is_some(), "less than was kept");
        assert!(fault(&definition(0, 4), 3 * COUNT, 5).is_some(), "the reset is undone");
        assert_eq!(fault(&definition(0, 4), 2 * COUNT, 5), None);
        assert!(fault(&definition(0, 0), 1, 5).is_some(), "half of a checkpoint");
    }

    #[test]
    fn a_key_changes_only_if_it_was_asked_to() {
        let mut model = model(Known { acknowledged: old(), pending: None, seen: 0 });
        let mut list = [master(), object("1", &old(), 0)];
        list[0]["url"] = json!("other");
        assert_eq!(model.settle(&list, |_| 1).len(), 1);
        list[0]["url"] = json!("third");
        model.key_pending = true;
        assert_eq!(model.settle(&list, |_| 1).len(), 0);
        assert_eq!(model.key, "third");
        list[0]["config"] = json!("another");
        list[0]["alias"] = json!("b");
        assert_eq!(model.settle(&list, |_| 1).len(), 2);
        model.alias_pending = Some("c".into());
        list[0]["alias"] = json!("c");
        assert_eq!(model.settle(&list, |_| 1).len(), 0);
    }
}
