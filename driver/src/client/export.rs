//! `openctrl export`: instances as a file for `apply`.

use std::collections::BTreeMap;

use openctrl_core::url::masked_part;

use super::api::Api;
use super::failure::Failure;
use super::instance::Instance;
use super::outlet::{Outlet, note};
use super::select::resolve;
use super::text::plain;
use crate::grammar::{Export, Which};
use crate::manifest::{Entry, Manifest, Program, Restart, check_name, escape, write};

/// Prints instances as a file.
pub(crate) async fn export(api: &Api, out: &Outlet, question: &Export) -> Result<(), Failure> {
    let (names, tag) = (question.names.clone(), question.tag.clone());
    let all = names.is_empty() && tag.is_empty();
    let instances = resolve(api, &Which { names, tag, all }).await?;
    if let Some(hidden) = instances.iter().find(|instance| masked_part(instance.url()).is_some()) {
        return Err(Failure::Refused(format!(
            "{}: a token does not see the secrets of its URL; export it with the API key",
            plain(&hidden.name())
        )));
    }
    let (manifest, notes) = manifest(&instances);
    for text in notes {
        note(&text);
    }
    out.print(&write(&manifest))
}

fn manifest(instances: &[Instance]) -> (Manifest, Vec<String>) {
    let mut all = BTreeMap::new();
    let mut notes = Vec::new();
    for instance in instances {
        let alias = instance.alias();
        let is_free = |name: &str| check_name(name).is_ok() && !all.contains_key(name);
        let name = if is_free(alias) {
            alias.to_owned()
        } else {
            let name = format!("instance-{}", instance.id());
            notes.push(format!(
                "{} is called {name} in the file: its alias is empty, taken, or not a name; apply \
                 finds instances by their alias",
                plain(&instance.name())
            ));
            name
        };
        all.insert(name, entry(instance));
    }
    (Manifest { name: None, instances: all }, notes)
}

/// The entry of an instance, its texts escaped: none of them is a variable.
fn entry(instance: &Instance) -> Entry {
    let mut entry = Entry::of_url(instance.url());
    entry.program = match entry.program {
        Program::Url(url) => Program::Url(escape(&url)),
        Program::Shell(line) => Program::Shell(escape(&line)),
        Program::Command(words) => {
            Program::Command(words.iter().map(|word| escape(word)).collect())
        }
    };
    entry.cwd = entry.cwd.map(|cwd| escape(&cwd.to_string_lossy()).into());
    entry.env.values_mut().for_each(|value| *value = escape(value));
    if !instance.restart() {
        entry.restart = Restart::Never;
    }
    let tags = instance.tags().iter();
    entry.tags = tags.map(|(name, value)| (name.to_string(), escape(value.text()))).collect();
    entry.peer = ["sid", "type", "alias"].map(|name| instance.peer(name).to_owned());
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::document::Document;

    #[test]
    fn instances_become_a_file() {
        let one = |json: &str| Instance::new(Document::parse(json.as_bytes()).expect("JSON"));
        let instances = [
            one(r#"{"id":"00000001","alias":"web","restart":true,"meta":{"tags":{"a b":"${x}"}},
                "url":"exec:sh?arg=a+b&env=K%3DV&secret=T%3Dfile:/run/t&cwd=/srv"}"#),
            one(r#"{"id":"00000002","alias":"web","restart":false,"url":"demo://a"}"#),
            one(r#"{"id":"00000003","alias":"sh","restart":true,
                "url":"exec:///bin/sh?arg=-c&arg=echo+$%7BHOME%7D",
                "meta":{"peer":{"sid":"","type":"","alias":"hub"},"tags":{}}}"#),
        ];
        let (manifest, notes) = manifest(&instances);
        insta::assert_snapshot!(format!("{}\n{}", write(&manifest), notes.join("\n")));
    }
}
