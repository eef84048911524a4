//! `openctrl set` and `openctrl url`.

use clap::ValueEnum;
use hyper::Method;

use super::api::{Api, PATIENCE, REPLACE, object};
use super::document::{Document, quote};
use super::failure::Failure;
use super::instance::Instance;
use super::launch::forced;
use super::outlet::{Outlet, note};
use super::select::{choose, pick};
use super::tags::{at_word, check_alias, check_tags, note_runtime, note_twin, tags_json};
use super::text::plain;
use crate::grammar::{NewUrl, Set, SetRestart, Which};

/// Changes the definition of instances.
pub(crate) async fn set(api: &Api, out: &Outlet, question: &Set) -> Result<(), Failure> {
    check(question)?;
    let which = Which { names: question.names.clone(), tag: Vec::new(), all: false };
    let all = api.instances().await?;
    let instances = choose(&all, &which)?;
    if let Some(alias) = &question.alias {
        note_twin(&all, alias, &instances);
    }
    let (mut changed, mut failed) = (Vec::new(), 0);
    for instance in &instances {
        let name = instance.name();
        let name = plain(&name);
        match change(api, question, instance).await {
            Ok(after) => changed.push((name.into_owned(), after)),
            Err(failure) if instances.len() == 1 => return Err(at_word(failure)),
            Err(failure @ (Failure::Unreachable(_) | Failure::Key(_))) => return Err(failure),
            Err(failure) => {
                note(&format!("{name}: {failure}"));
                failed += 1;
            }
        }
    }
    if out.is_for_programs() {
        out.documents(changed.into_iter().map(|(_, after)| after).collect())?;
    } else {
        let line = |(name, _): &(String, _)| format!("{name}: changed\n");
        out.print(&changed.iter().map(line).collect::<String>())?;
    }
    if failed > 0 { Err(Failure::Partial) } else { Ok(()) }
}

/// Changes one instance; the object after it.
async fn change(api: &Api, question: &Set, instance: &Instance) -> Result<Document, Failure> {
    let path = format!("/instances/{}", instance.id());
    if let Some(restart) = question.restart {
        set_restart(api, &path, restart).await?;
    }
    api.change(Method::PATCH, &path, &body(question, instance)).await
}

/// Sets the restart policy of the instance at this path. Older masters know it as on or off only,
/// which the PATCH of the instance sets.
async fn set_restart(api: &Api, path: &str, restart: SetRestart) -> Result<(), Failure> {
    // The words of the command line are those of the API.
    let word = restart.to_possible_value().expect("no value is hidden");
    let (path, body) = (format!("{path}/policy"), object(&[("restart", Some(word.get_name()))]));
    let known = api.change_if_known(Method::PATCH, &path, &body, PATIENCE).await?;
    if known.is_none() && restart == SetRestart::Always {
        return Err(Failure::Refused("this master does not know --restart always".to_owned()));
    }
    Ok(())
}

/// Gives an instance another URL.
pub(crate) async fn url(api: &Api, out: &Outlet, question: &NewUrl) -> Result<(), Failure> {
    let all = api.instances().await?;
    let instance = pick(&all, &question.name)?;
    let path = forced(&format!("/instances/{}", instance.id()), question.force);
    let body = object(&[("url", Some(&question.url))]);
    let after = api.change_slowly(Method::PUT, &path, Some(&body), REPLACE).await;
    let after = Instance::new(after.map_err(at_word)?);
    note_runtime(&all, &question.url);
    if out.is_for_programs() {
        return out.document(after.document());
    }
    out.print(&format!("{}: {}\n", plain(&after.name()), plain(after.status())))
}

fn check(question: &Set) -> Result<(), Failure> {
    check_tags(&question.tag)?;
    if let Some(alias) = &question.alias {
        check_alias(alias)?;
    }
    if question.alias.as_deref() == Some("") {
        let reason = "--alias: the API cannot take an alias away from an instance, only change it";
        return Err(Failure::Usage(reason.to_owned()));
    }
    let names_nothing = question.alias.is_none()
        && question.restart.is_none()
        && !changes_tags(question)
        && !changes_peer(question);
    if names_nothing {
        let reason = "nothing to set: give --alias, --restart, --tag, --untag or --peer-alias";
        return Err(Failure::Usage(reason.to_owned()));
    }
    Ok(())
}

const fn changes_tags(question: &Set) -> bool {
    !question.tag.is_empty() || !question.untag.is_empty() || question.clear_tags
}

const fn changes_peer(question: &Set) -> bool {
    question.peer_sid.is_some() || question.peer_type.is_some() || question.peer_alias.is_some()
}

/// The PATCH. It replaces tags and the peer as a whole, so unchanged values are included.
fn body(question: &Set, instance: &Instance) -> String {
    let mut fields = Vec::new();
    if let Some(alias) = &question.alias {
        let mut json = String::from("\"alias\":");
        quote(&mut json, alias);
        fields.push(json);
    }
    if let Some(restart) = question.restart {
        fields.push(format!("\"restart\":{}", restart != SetRestart::Never));
    }
    let mut meta = Vec::new();
    if changes_peer(question) {
        let of = |asked: &Option<String>, name| {
            asked.clone().unwrap_or_else(|| instance.peer(name).to_owned())
        };
        let sid = of(&question.peer_sid, "sid");
        let kind = of(&question.peer_type, "type");
        let alias = of(&question.peer_alias, "alias");
        let peer = [("sid", Some(&*sid)), ("type", Some(&*kind)), ("alias", Some(&*alias))];
        meta.push(format!("\"peer\":{}", object(&peer)));
    }
    if changes_tags(question) {
        meta.push(format!("\"tags\":{}", tags_json(&tags_after(question, instance))));
    }
    if !meta.is_empty() {
        fields.push(format!("\"meta\":{{{}}}", meta.join(",")));
    }
    format!("{{{}}}", fields.join(","))
}

fn tags_after(question: &Set, instance: &Instance) -> Vec<(String, String)> {
    let mut tags: Vec<(String, String)> = Vec::new();
    if !question.clear_tags {
        let old = instance.tags().iter();
        tags.extend(old.map(|(name, value)| (name.to_string(), value.text().to_owned())));
    }
    tags.retain(|(name, _)| !question.untag.contains(name));
    for (name, value) in &question.tag {
        tags.retain(|(known, _)| known != name);
        tags.push((name.clone(), value.clone()));
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{Command, Line};
    use clap::Parser;

    fn asked(words: &str) -> Set {
        let words = ["openctrl", "set", "x"].into_iter().chain(words.split_whitespace());
        let command = Line::try_parse_from(words).expect("a good line").command;
        let Command::Set(set) = command else { panic!("not a set: {command:?}") };
        set
    }

    fn body_of(words: &str) -> String {
        let json =
            br#"{"id":"00000001","alias":"a","meta":{"peer":{"sid":"1","type":"t","alias":"p"},
            "tags":{"keep":"1","drop":"2"}}}"#;
        body(&asked(words), &Instance::new(Document::parse(json).expect("JSON")))
    }

    #[test]
    fn what_is_not_named_stays() {
        insta::assert_snapshot!(body_of("--alias b --restart off"), @r#"{"alias":"b","restart":false}"#);
        insta::assert_snapshot!(
            body_of("--tag new=3 --untag drop"),
            @r#"{"meta":{"tags":{"keep":"1","new":"3"}}}"#
        );
        insta::assert_snapshot!(body_of("--clear-tags"), @r#"{"meta":{"tags":{}}}"#);
        insta::assert_snapshot!(
            body_of("--peer-sid 9"),
            @r#"{"meta":{"peer":{"sid":"9","type":"t","alias":"p"}}}"#
        );
    }

    #[test]
    fn nothing_to_set_and_doubled_tags_are_refused() {
        assert!(check(&asked("")).is_err());
        assert!(check(&asked("--tag a=1 --tag a=2")).is_err());
        assert!(check(&asked("--tag a=1 --tag b=2")).is_ok());
    }
}
