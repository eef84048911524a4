//! Finds the instances that the arguments name.

use super::api::Api;
use super::failure::Failure;
use super::instance::Instance;
use super::text::plain;
use crate::grammar::Which;

/// How many candidates are named.
const CANDIDATES_MAX: usize = 5;

/// The selected instances, each once, sorted by alias and id.
pub(crate) async fn resolve(api: &Api, which: &Which) -> Result<Vec<Instance>, Failure> {
    choose(&api.instances().await?, which)
}

/// The one selected instance.
pub(crate) async fn resolve_one(api: &Api, name: &str) -> Result<Instance, Failure> {
    pick(&api.instances().await?, name).cloned()
}

/// The selected ones of these, in their order.
pub(crate) fn choose(instances: &[Instance], which: &Which) -> Result<Vec<Instance>, Failure> {
    if which.all {
        return Ok(instances.to_vec());
    }
    let mut ids = Vec::new();
    for name in &which.names {
        ids.push(pick(instances, name)?.id());
    }
    if !which.tag.is_empty() {
        let tagged = instances.iter().filter(|one| one.has_tags(&which.tag));
        let before = ids.len();
        ids.extend(tagged.map(Instance::id));
        if ids.len() == before {
            let tags = which.tag.join(" and ");
            return Err(Failure::Missing(format!(
                "no instance has the tag {}; see 'openctrl list -o wide'",
                plain(&tags)
            )));
        }
    }
    Ok(instances.iter().filter(|one| ids.contains(&one.id())).cloned().collect())
}

/// The instance of this name. An id counts before an alias, an alias before the beginning of an id.
pub(crate) fn pick<'a>(instances: &'a [Instance], name: &str) -> Result<&'a Instance, Failure> {
    if let Some(exact) = instances.iter().find(|one| one.id() == name) {
        return Ok(exact);
    }
    let shown = plain(name);
    if name.is_empty() {
        return Err(Failure::Missing("an empty name means no instance".to_owned()));
    }
    let by_alias: Vec<&Instance> = instances.iter().filter(|one| one.alias() == name).collect();
    let by_id = || instances.iter().filter(|one| one.id().starts_with(name)).collect();
    let (found, what): (Vec<&Instance>, _) = if by_alias.is_empty() {
        (by_id(), "ids that begin with")
    } else {
        (by_alias, "the alias")
    };
    match found[..] {
        [one] => Ok(one),
        [] => Err(Failure::Missing(format!(
            "no instance has the id or alias {shown:?}; see 'openctrl list'"
        ))),
        [..] => {
            let mut names: Vec<String> = found
                .iter()
                .take(CANDIDATES_MAX)
                .map(|one| plain(&one.name()).into_owned())
                .collect();
            if found.len() > CANDIDATES_MAX {
                names.push(format!("{} more", found.len() - CANDIDATES_MAX));
            }
            Err(Failure::Missing(format!(
                "{} instances have {what} {shown:?}: {}; use the id",
                found.len(),
                names.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::document::Document;

    fn instances() -> Vec<Instance> {
        let one = |id: &str, alias: &str, tags: &str| {
            let json = format!(r#"{{"id":"{id}","alias":"{alias}","meta":{{"tags":{tags}}}}}"#);
            Instance::new(Document::parse(json.as_bytes()).expect("JSON"))
        };
        vec![
            one("aa000001", "ab", r#"{"site":"x","n":""}"#),
            one("aa000002", "edge", r#"{"site":"y"}"#),
            one("ab000003", "edge", "{}"),
            one("ab000004", "", "{}"),
        ]
    }

    fn picked(name: &str) -> String {
        match pick(&instances(), name) {
            Ok(one) => one.id().to_owned(),
            Err(failure) => failure.to_string(),
        }
    }

    fn which(names: &[&str], tag: &[&str]) -> Which {
        let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Which { names: own(names), tag: own(tag), all: false }
    }

    #[test]
    fn ids_come_before_aliases_and_these_before_beginnings() {
        assert_eq!(picked("aa000002"), "aa000002");
        assert_eq!(picked("ab"), "aa000001");
        assert_eq!(picked("ab000004"), "ab000004");
        assert_eq!(
            picked("ab00"),
            "2 instances have ids that begin with \"ab00\": \
            edge (ab000003), ab000004; use the id"
        );
        assert_eq!(
            picked("edge"),
            "2 instances have the alias \"edge\": edge (aa000002), \
            edge (ab000003); use the id"
        );
        assert_eq!(picked("zz"), "no instance has the id or alias \"zz\"; see 'openctrl list'");
        assert_eq!(picked(""), "an empty name means no instance");
        assert!(!picked("\x1b[2J").contains('\x1b'));
    }

    #[test]
    fn names_and_tags_add_up() {
        let ids = |which: &Which| -> Vec<String> {
            let chosen = choose(&instances(), which).expect("there are some");
            chosen.iter().map(|one| one.id().to_owned()).collect()
        };
        assert_eq!(ids(&which(&["ab000004", "ab", "ab"], &[])), ["aa000001", "ab000004"]);
        assert_eq!(ids(&which(&["ab"], &["site=y"])), ["aa000001", "aa000002"]);
        assert_eq!(ids(&which(&[], &["site", "n="])), ["aa000001"]);
        assert!(choose(&instances(), &which(&[], &["site=z"])).is_err());
    }
}
