//! `POST /actions`: one action on all instances that a selection has, and the results.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;
use serde::de::{Error, MapAccess};

use super::answer::Answer;
use super::patch::action_of;
use super::status::Rejection;
use crate::command::{Acted, InstanceAction, Refusal};
use crate::doors::json::{Fields, decode, value};
use crate::ids::InstanceId;
use crate::instance::{InstanceView, Status};

/// An action, and on which instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What to do.
    pub action: InstanceAction,
    /// The named instances; `None` for all.
    named: Option<Named>,
    /// Only those that have all of these tags, each as `KEY` or `KEY=VALUE`.
    tags: Vec<String>,
    /// Only those in one of these statuses; `None` for any.
    statuses: Option<Vec<Status>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Named {
    ids: BTreeSet<String>,
    aliases: BTreeSet<String>,
}

/// The instances that a selection has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// What to do.
    pub action: InstanceAction,
    /// The alias of each.
    aliases: BTreeMap<InstanceId, String>,
    /// The ids and aliases that no instance has.
    unknown: Named,
}

/// Reads and checks the body of `POST /actions`. Other than elsewhere an unknown field is refused:
/// one that was to narrow the selection would widen it.
///
/// # Errors
/// 400 for malformed JSON, a wrong type, an unknown field, action or status, or no selection.
pub fn decode_actions(body: &[u8]) -> Result<Selection, Rejection> {
    let body: ActionsBody = decode(body)?;
    let action = action_of(body.action.as_deref().unwrap_or_default())?;
    let action = action.ok_or_else(|| bad("action is missing"))?;
    let ActionsBody { ids, aliases, tags, status, all, .. } = body;
    let is_named = ids.is_some() || aliases.is_some();
    if all && is_named {
        return Err(bad("all selects every instance; leave out ids and aliases, or all"));
    }
    if !all && !is_named && tags.is_none() && status.is_none() {
        return Err(bad("select instances by ids, aliases, tags or status, or send \"all\":true"));
    }
    let set = |texts: Option<Vec<String>>| texts.into_iter().flatten().collect();
    let named = is_named.then(|| Named { ids: set(ids), aliases: set(aliases) });
    let statuses = status.map(|words| words.iter().map(|word| status_of(word)).collect());
    let statuses = statuses.transpose()?;
    Ok(Selection { action, named, tags: tags.unwrap_or_default(), statuses })
}

impl Selection {
    /// The instances of these that are selected.
    pub fn choose(&self, instances: &[InstanceView]) -> Selected {
        let mut unknown = self.named.clone().unwrap_or_default();
        let mut aliases = BTreeMap::new();
        for view in instances {
            let (id, alias) = (view.definition.id, &view.definition.alias);
            let is_named = self.named.is_none() || {
                // One that is named and does not pass the filter is not unknown.
                let (by_id, by_alias) = (unknown.ids.remove(&id.to_string()), !alias.is_empty());
                let names = self.named.as_ref().map(|named| &named.aliases);
                let by_alias = by_alias && names.is_some_and(|names| names.contains(alias));
                if by_alias {
                    unknown.aliases.remove(alias);
                }
                by_id || by_alias
            };
            if is_named && self.admits(view) {
                aliases.insert(id, alias.clone());
            }
        }
        Selected { action: self.action, aliases, unknown }
    }

    fn admits(&self, view: &InstanceView) -> bool {
        let held = &view.definition.meta.tags;
        let has = |tag: &String| match tag.split_once('=') {
            Some((key, value)) => held.get(key).is_some_and(|it| it == value),
            None => held.contains_key(tag),
        };
        let is_in = self.statuses.as_ref().is_none_or(|all| all.contains(&view.status));
        is_in && self.tags.iter().all(has)
    }
}

impl Selected {
    /// Their ids.
    pub fn ids(&self) -> BTreeSet<InstanceId> {
        self.aliases.keys().copied().collect()
    }

    /// What is noted of it in the audit log.
    pub fn detail(&self) -> String {
        let count = self.aliases.len();
        let many = if count == 1 { "instance" } else { "instances" };
        format!("{} of {count} {many}", self.action.as_str())
    }

    /// The answer with what came of it.
    pub fn answer(&self, acted: &[Acted]) -> Answer {
        let refused = |error: String| ("refused", None, Some(error));
        let known = acted.iter().map(|Acted { id, result }| {
            let (outcome, status, error) = match result {
                Ok(status) => ("done", Some(status.as_str()), None),
                Err(refusal) => refused(Rejection::from(refusal.clone()).to_string()),
            };
            let alias = self.aliases.get(id).map(String::as_str).unwrap_or_default();
            ResultBody { id: Some(id.to_string()), alias, outcome, status, error }
        });
        let unknown_ids = self.unknown.ids.iter().map(|id| {
            let (outcome, status, error) =
                refused(Rejection::from(Refusal::NoInstance).to_string());
            ResultBody { id: Some(id.clone()), alias: "", outcome, status, error }
        });
        let unknown_aliases = self.unknown.aliases.iter().map(|alias| {
            let (outcome, status, error) = refused("no instance has this alias".to_string());
            ResultBody { id: None, alias, outcome, status, error }
        });
        let results: Vec<_> = known.chain(unknown_ids).chain(unknown_aliases).collect();
        let done = results.iter().filter(|one| one.error.is_none()).count();
        let refused = results.len() - done;
        let body = ActionsAnswer { action: self.action.as_str(), done, refused, results };
        let json = serde_json::to_vec(&body).expect("strings and numbers always encode");
        Answer::json(200, Bytes::from(json))
    }
}

#[derive(Serialize)]
struct ActionsAnswer<'a> {
    action: &'static str,
    done: usize,
    refused: usize,
    results: Vec<ResultBody<'a>>,
}

#[derive(Serialize)]
struct ResultBody<'a> {
    id: Option<String>,
    alias: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Default)]
struct ActionsBody {
    action: Option<String>,
    ids: Option<Vec<String>>,
    aliases: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    status: Option<Vec<String>>,
    all: bool,
}

impl Fields for ActionsBody {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name.to_ascii_lowercase().as_str() {
            "action" => self.action = value("action", map)?,
            "ids" => self.ids = value("ids", map)?,
            "aliases" => self.aliases = value("aliases", map)?,
            "tags" => self.tags = value("tags", map)?,
            "status" => self.status = value("status", map)?,
            "all" => self.all = value::<Option<bool>, A>("all", map)?.unwrap_or_default(),
            _ => {
                let shown = &name[..name.floor_char_boundary(40)];
                let known = "the fields are action, ids, aliases, tags, status and all";
                return Err(A::Error::custom(format_args!("unknown field {shown:?}; {known}")));
            }
        }
        Ok(true)
    }
}

fn status_of(word: &str) -> Result<Status, Rejection> {
    let known = Status::ALL.into_iter().find(|status| status.as_str() == word);
    known.ok_or_else(|| {
        let shown = &word[..word.floor_char_boundary(40)];
        bad(&format!("unknown status {shown:?}; a status is stopped, running or error"))
    })
}

fn bad(reason: &str) -> Rejection {
    Rejection::Bad(reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::Definition;
    use crate::url::InstanceUrl;
    use alloc::sync::Arc;

    fn view(id: u32, alias: &str, tag: Option<&str>, status: Status) -> InstanceView {
        let url = InstanceUrl::parse("demo:a").expect("a URL");
        let mut definition = Definition::new(InstanceId(id), url, alias.to_string());
        definition.meta.tags.extend(tag.map(|tag| ("site".to_string(), tag.to_string())));
        InstanceView { status, ..InstanceView::new(Arc::new(definition)) }
    }

    fn chosen(body: &str) -> (Vec<u32>, Selected) {
        let instances = [
            view(1, "db", Some("x"), Status::Running),
            view(2, "web", Some("y"), Status::Stopped),
            view(3, "web", None, Status::Error),
            view(4, "", None, Status::Running),
        ];
        let selection = decode_actions(body.as_bytes()).expect(body);
        let selected = selection.choose(&instances);
        (selected.ids().into_iter().map(|id| id.0).collect(), selected)
    }

    #[test]
    fn names_add_up_and_filters_narrow() {
        let ids = |rest: &str| chosen(&format!(r#"{{"action":"stop",{rest}}}"#)).0;
        assert_eq!(ids(r#""all":true"#), [1, 2, 3, 4]);
        assert_eq!(ids(r#""ids":["00000004"],"aliases":["web"]"#), [2, 3, 4]);
        assert_eq!(ids(r#""aliases":["web",""],"status":["error","running"]"#), [3]);
        assert_eq!(ids(r#""tags":["site"]"#), [1, 2]);
        assert_eq!(ids(r#""tags":["site=y"],"all":false"#), [2]);
        assert_eq!(ids(r#""all":true,"status":[]"#), [0; 0]);
        assert_eq!(ids(r#""ids":[]"#), [0; 0]);
    }

    #[test]
    fn each_instance_and_each_unknown_name_has_a_result() {
        let body = r#"{"action":"restart","ids":["00000001","x"],"aliases":["db","no"]}"#;
        let (ids, selected) = chosen(body);
        assert_eq!((ids, selected.detail()), ([1].into(), "restart of 1 instance".to_string()));
        let acted = [Acted { id: InstanceId(1), result: Ok(Status::Running) }];
        let json = selected.answer(&acted).body.expect("a body");
        insta::assert_snapshot!(core::str::from_utf8(&json).expect("text"), @r#"{"action":"restart","done":1,"refused":2,"results":[{"id":"00000001","alias":"db","outcome":"done","status":"running"},{"id":"x","alias":"","outcome":"refused","error":"no such instance"},{"id":null,"alias":"no","outcome":"refused","error":"no instance has this alias"}]}"#);
        let refused = [Acted { id: InstanceId(1), result: Err(Refusal::ShuttingDown) }];
        let json = selected.answer(&refused).body.expect("a body");
        assert!(core::str::from_utf8(&json).is_ok_and(|it| it.contains("is shutting down")));
    }

    #[test]
    fn what_selects_nothing_or_is_misspelt_is_refused() {
        let refused = |body: &str| {
            let rejection = decode_actions(body.as_bytes()).expect_err(body);
            assert_eq!(rejection.status(), 400);
            rejection.to_string()
        };
        insta::assert_snapshot!(refused(r#"{"action":"stop"}"#), @r#"select instances by ids, aliases, tags or status, or send "all":true"#);
        insta::assert_snapshot!(refused(r#"{"all":true}"#), @"action is missing");
        insta::assert_snapshot!(refused(r#"{"all":true,"action":"kill"}"#), @r#"unknown action "kill"; the actions are start, stop, restart and reset"#);
        insta::assert_snapshot!(refused(r#"{"action":"stop","all":true,"tag":{}}"#), @r#"the body is invalid: unknown field "tag"; the fields are action, ids, aliases, tags, status and all at line 1 column 33"#);
        insta::assert_snapshot!(refused(r#"{"action":"stop","status":["up"]}"#), @r#"unknown status "up"; a status is stopped, running or error"#);
        insta::assert_snapshot!(refused(r#"{"action":"stop","all":true,"ids":[]}"#), @"all selects every instance; leave out ids and aliases, or all");
        for bad in [r#"{"action":"stop","ids":"a"}"#, r#"{"action":"stop","tags":{"a":"b"}}"#, "[]"]
        {
            refused(bad);
        }
    }
}
