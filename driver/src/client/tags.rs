//! What `create`, `run` and `set` share: aliases and tags on the command line, and reasons of the
//! master in its words.

use openctrl_core::ids::InstanceId;

use super::document::quote;
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::note;
use super::text::plain;
use crate::runtime::serves;

/// A tag that is given twice is a mistake; the last one does not win.
pub(crate) fn check_tags(tags: &[(String, String)]) -> Result<(), Failure> {
    for (index, (name, _)) in tags.iter().enumerate() {
        if tags[..index].iter().any(|(earlier, _)| earlier == name) {
            let name = plain(name);
            return Err(Failure::Usage(format!("--tag {name}: the tag is given twice")));
        }
    }
    Ok(())
}

/// The master's reason, at the word of the command line that it is about.
pub(crate) fn at_word(failure: Failure) -> Failure {
    let Failure::Refused(reason) = &failure else { return failure };
    let about = [
        ("alias", "--alias"),
        ("url", "URL"),
        ("the key of tag", "--tag"),
        ("the value of tag", "--tag"),
        ("meta.peer.sid", "--peer-sid"),
        ("meta.peer.type", "--peer-type"),
        ("meta.peer.alias", "--peer-alias"),
    ];
    match about.iter().find(|(beginning, _)| reason.starts_with(beginning)) {
        Some((_, word)) => failure.of(word),
        None => failure,
    }
}

/// Says that other instances have this alias too: commands that name it do not know which one to
/// take.
pub(crate) fn note_twin(instances: &[Instance], alias: &str, changed: &[Instance]) {
    let is_twin = |one: &Instance| {
        one.alias() == alias && !changed.iter().any(|changed| changed.id() == one.id())
    };
    if instances.iter().any(is_twin) {
        let alias = plain(alias);
        note(&format!("another instance has the alias {alias:?}; commands take its id"));
    }
}

/// Says that the runtime of this program knows nothing of the scheme of a URL. Another runtime may:
/// if an instance with the same scheme runs, it does.
pub(crate) fn note_runtime(instances: &[Instance], url: &str) {
    let scheme_of = |url: &str| url.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let scheme = scheme_of(url);
    let is_proven = |one: &Instance| one.status() == "running" && scheme_of(one.url()) == scheme;
    if serves(&scheme) || instances.iter().any(is_proven) {
        return;
    }
    let scheme = plain(&scheme);
    note(&format!(
        "the built-in runtime knows no URL with the scheme {scheme:?}; the master must have been \
         started with bin=RUNTIME for it, or the instance fails"
    ));
}

/// Tags as a JSON object.
pub(crate) fn tags_json(tags: &[(String, String)]) -> String {
    let mut json = String::from("{");
    for (index, (name, value)) in tags.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        quote(&mut json, name);
        json.push(':');
        quote(&mut json, value);
    }
    json + "}"
}

/// An alias that looks like an id would hide the instance with that id.
pub(crate) fn check_alias(alias: &str) -> Result<(), Failure> {
    if InstanceId::is_like(alias) {
        return Err(Failure::Usage(format!(
            "--alias: {alias:?} looks like an id; choose a name that is not 8 hex digits"
        )));
    }
    Ok(())
}
