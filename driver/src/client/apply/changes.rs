//! The changes that make the instances as a file declares them. Pure.

use std::collections::BTreeMap;

use openctrl_core::instance::AFTER;
use openctrl_core::url::{MASK, mask_url, masked_part};

use super::ledger::Owned;
use crate::client::api::object;
use crate::client::instance::Instance;
use crate::client::launch::settings;
use crate::client::table::{Canvas, Tone, paint};
use crate::client::tags::tags_json;
use crate::client::text::plain;
use crate::manifest::{Entry, PARAMETERS, Program, Restart};

/// One declared instance, as the API has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    name: String,
    /// The URL.
    pub(super) url: String,
    restart: bool,
    tags: Vec<(String, String)>,
    peer: [String; 3],
}

/// The change of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Change,
    Delete,
    Keep,
}

/// One instance of the plan.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Its name.
    pub(super) name: String,
    /// Its id, unless it is created.
    pub(super) id: Option<String>,
    /// The kind of change.
    pub(super) action: Action,
    /// The declared instance, unless it is deleted.
    pub(super) wanted: Option<Wanted>,
    /// The fields that differ.
    pub(super) fields: Vec<Field>,
    /// Whether the URL differs, so that its process is started anew.
    is_new_url: bool,
    /// Whether only the master can tell that: a token does not see the secrets of the URL.
    pub(super) is_masked: bool,
    /// The PATCH that changes tags, peer and policy, and the one that takes it back.
    pub(super) settings: Option<String>,
    pub(super) settings_before: Option<String>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    /// As the file calls it.
    pub(super) name: &'static str,
    before: String,
    after: String,
}

/// All that an apply does.
#[derive(Debug)]
pub(super) struct Plan {
    /// Every instance that is declared, or was.
    pub(super) all: Vec<Change>,
}

impl Wanted {
    /// The content of an entry.
    pub(super) fn new(name: &str, url: String, entry: &Entry) -> Self {
        Self {
            name: name.to_owned(),
            url,
            restart: entry.restart != Restart::Never,
            tags: entry.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            peer: entry.peer.clone(),
        }
    }

    /// Fields that the API does not accept at creation, as a PATCH; may be empty.
    pub(super) fn rest(&self) -> String {
        settings(self.restart, &self.tags, &self.peer)
    }

    /// The current instance.
    fn of(instance: &Instance) -> Self {
        let mut tags: Vec<(String, String)> = instance
            .tags()
            .iter()
            .map(|(name, value)| (name.clone(), value.text().to_owned()))
            .collect();
        tags.sort();
        Self {
            name: instance.alias().to_owned(),
            url: instance.url().to_owned(),
            restart: instance.restart(),
            tags,
            peer: ["sid", "type", "alias"].map(|name| instance.peer(name).to_owned()),
        }
    }

    /// The same with masks as a file would have them in the URL.
    fn escaped(&self) -> Self {
        Self { url: self.url.replace(MASK, "%2A%2A%2A"), ..self.clone() }
    }

    /// Tags, peer and policy as a PATCH that sets all of them.
    fn patch(&self) -> String {
        let [sid, kind, alias] = self.peer.each_ref().map(|text| Some(&**text));
        format!(
            "{{\"restart\":{},\"meta\":{{\"peer\":{},\"tags\":{}}}}}",
            self.restart,
            object(&[("sid", sid), ("type", kind), ("alias", alias)]),
            tags_json(&self.tags)
        )
    }
}

/// Compares the declared with the current instances. An instance is found by its alias.
///
/// # Errors
/// A name that several instances have, or that another owner has.
pub(super) fn plan(
    wanted: &[Wanted],
    instances: &[Instance],
    owners: &BTreeMap<String, Owned>,
    owner: &str,
    prune: bool,
) -> Result<Plan, String> {
    let mut by_alias: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for instance in instances {
        by_alias.entry(instance.alias()).or_default().push(instance);
    }
    let mut all = Vec::new();
    for one in wanted {
        let shown = plain(&one.name);
        match by_alias.get(&*one.name).map(Vec::as_slice) {
            None => all.push(creation(one)),
            Some([instance]) => {
                let other = owners.iter().find(|(other, owned)| {
                    *other != owner && owned.get(&one.name).is_some_and(|id| id == instance.id())
                });
                if let Some((other, _)) = other {
                    let other = plain(other);
                    return Err(format!(
                        "instance {shown:?} is owned by {other}; remove it there, or rename it here"
                    ));
                }
                all.push(comparison(one, instance));
            }
            Some(several) => {
                return Err(format!(
                    "{} instances have the name {shown:?}; delete all but one, or rename them",
                    several.len()
                ));
            }
        }
    }
    if prune {
        let owned = owners.get(owner).into_iter().flatten();
        for (name, id) in owned.filter(|(name, _)| wanted.iter().all(|one| one.name != **name)) {
            let there = by_alias.get(&**name).into_iter().flatten();
            let mut there = there.filter(|one| id.is_empty() || one.id() == id);
            if let (Some(instance), None) = (there.next(), there.next()) {
                all.push(deletion(name, instance));
            }
        }
    }
    Ok(Plan { all })
}

fn creation(wanted: &Wanted) -> Change {
    Change {
        name: wanted.name.clone(),
        id: None,
        action: Action::Create,
        wanted: Some(wanted.clone()),
        fields: fields(None, Some(wanted)),
        is_new_url: true,
        is_masked: false,
        settings: None,
        settings_before: None,
    }
}

fn deletion(name: &str, instance: &Instance) -> Change {
    Change {
        name: name.to_owned(),
        id: Some(instance.id().to_owned()),
        action: Action::Delete,
        wanted: None,
        fields: Vec::new(),
        is_new_url: false,
        is_masked: false,
        settings: None,
        settings_before: None,
    }
}

fn comparison(wanted: &Wanted, instance: &Instance) -> Change {
    let is = Wanted::of(instance);
    let mut seen = wanted.clone();
    let has_masks = masked_part(&is.url).is_some();
    if has_masks {
        seen.url = mask_url(&wanted.url);
    }
    let is_masked = has_masks && seen.url == is.url;
    let mut fields =
        if seen == is { Vec::new() } else { fields(Some(&is.escaped()), Some(&seen.escaped())) };
    if is_masked {
        fields.push(Field::masked());
    }
    let differs = (is.restart, &is.tags, &is.peer) != (wanted.restart, &wanted.tags, &wanted.peer);
    Change {
        name: wanted.name.clone(),
        id: Some(instance.id().to_owned()),
        action: if *wanted == is { Action::Keep } else { Action::Change },
        wanted: Some(wanted.clone()),
        is_new_url: is.url != wanted.url,
        is_masked,
        settings: differs.then(|| wanted.patch()),
        settings_before: differs.then(|| is.patch()),
        fields,
    }
}

/// The fields that differ, as the file calls them. Values of variables are not shown: they may be
/// secret.
fn fields(before: Option<&Wanted>, after: Option<&Wanted>) -> Vec<Field> {
    let shown = |one: Option<&Wanted>| one.map(shown_fields).unwrap_or_default();
    let (before, after) = (shown(before), shown(after));
    let of_entry = ["url", "command", "shell", "cwd", "env", "secrets"];
    let mut fields = Vec::new();
    for name in of_entry.into_iter().chain(PARAMETERS).chain([AFTER, "tags", "peer"]) {
        let of =
            |all: &BTreeMap<&str, (String, String)>| all.get(name).cloned().unwrap_or_default();
        let ((before, before_whole), (after, after_whole)) = (of(&before), of(&after));
        if before_whole != after_whole {
            fields.push(Field { name, before, after });
        }
    }
    fields
}

/// Each field, as shown and as compared.
fn shown_fields(one: &Wanted) -> BTreeMap<&'static str, (String, String)> {
    let mut all = BTreeMap::new();
    let mut add = |name, text: String, whole: String| {
        if !whole.is_empty() {
            all.insert(name, (text, whole));
        }
    };
    let entry = Entry::of_url(&one.url);
    match &entry.program {
        Program::Url(url) => {
            let shown = openctrl_core::url::InstanceUrl::parse(url).map(|url| url.redacted());
            add("url", shown.unwrap_or_default(), url.clone());
        }
        Program::Shell(line) => add("shell", line.clone(), line.clone()),
        Program::Command(words) => add("command", shell_words::join(words), words.join("\0")),
    }
    let cwd = entry.cwd.map(|cwd| cwd.to_string_lossy().into_owned()).unwrap_or_default();
    add("cwd", cwd.clone(), cwd);
    let names: Vec<&str> = entry.env.keys().map(String::as_str).collect();
    add("env", names.join(", "), pairs(entry.env.iter()));
    let secrets: Vec<(String, String)> =
        entry.secrets.iter().map(|(name, at)| (name.clone(), at.to_string())).collect();
    let whole = pairs(secrets.iter().map(|(name, at)| (name, at)));
    add("secrets", whole.clone(), whole);
    let restart = if one.restart { entry.restart } else { Restart::Never };
    for (name, value) in &entry.policy {
        if let Some(name) = PARAMETERS.into_iter().find(|known| known == name) {
            add(name, value.clone(), value.clone());
        }
    }
    let after = entry.after.join(", ");
    add(AFTER, after.clone(), after);
    add("restart", restart.word().to_owned(), restart.word().to_owned());
    let tags = pairs(one.tags.iter().map(|(name, value)| (name, value)));
    add("tags", tags.clone(), tags);
    let peer = one.peer.join(" ").trim().to_owned();
    add("peer", peer.clone(), peer);
    all
}

fn pairs<'a>(all: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    all.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

impl Action {
    /// For programs and in plans.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::Keep => "unchanged",
        }
    }

    /// After it was done.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Change => "changed",
            Self::Delete => "deleted",
            Self::Keep => "unchanged",
        }
    }
}

impl Field {
    /// Secrets that a token does not see.
    fn masked() -> Self {
        let after = "compared by the master".to_owned();
        Self { name: "url", before: "secrets that this token does not see".to_owned(), after }
    }
}

impl Change {
    /// Whether a process is started by it.
    pub(super) fn starts(&self) -> bool {
        match self.action {
            Action::Create => true,
            Action::Change => self.is_new_url,
            Action::Delete | Action::Keep => false,
        }
    }
}

impl Plan {
    /// The changes, without unchanged instances.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.all.iter().filter(|change| change.action != Action::Keep)
    }

    /// Whether anything is done.
    pub(super) fn has_changes(&self) -> bool {
        self.changes().next().is_some()
    }

    /// The instances of the owner after the apply, as far as known in advance. An instance is owned
    /// until it has been deleted.
    pub(super) fn owned(&self) -> Owned {
        let owned = |change: &Change| (change.name.clone(), change.id.clone().unwrap_or_default());
        self.all.iter().map(owned).collect()
    }

    /// `2 to create, 1 to change`.
    pub(super) fn summary(&self) -> String {
        let count = |action| self.all.iter().filter(|change| change.action == action).count();
        let parts = [
            (count(Action::Create), "to create"),
            (count(Action::Change), "to change"),
            (count(Action::Delete), "to delete"),
            (count(Action::Keep), "unchanged"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    /// The plan for reading.
    pub(super) fn text(&self, canvas: Canvas) -> String {
        let mut text = String::new();
        for change in self.changes() {
            let (sign, tone) = match change.action {
                Action::Create => ("+", Tone::Good),
                Action::Delete => ("-", Tone::Bad),
                Action::Change | Action::Keep => ("~", Tone::Plain),
            };
            let restarts = change.action == Action::Change && change.starts();
            let note = match (restarts, change.is_masked) {
                (true, true) => ", restarts if its secrets differ",
                (true, false) => ", restarts",
                (false, _) => "",
            };
            let name = plain(&change.name);
            let heading = format!("{sign} {name}: {}{note}", change.action.word());
            text.push_str(&paint(&heading, tone, canvas));
            text.push('\n');
            for Field { name, before, after } in &change.fields {
                let (before, after) = (plain(before), plain(after));
                let value = match (&*before, &*after, change.action) {
                    (_, after, Action::Create) => after.to_owned(),
                    (before, after, _) if before == after => format!("{after} (values changed)"),
                    ("", after, _) => format!("(none) -> {after}"),
                    (before, "", _) => format!("{before} -> (none)"),
                    (before, after, _) => format!("{before} -> {after}"),
                };
                text.push_str(&format!("    {name}: {value}\n"));
            }
        }
        format!("{text}{}\n", self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::document::{Document, quote};
    use std::path::Path;

    fn wanted(name: &str, program: Program, change: impl FnOnce(&mut Entry)) -> Wanted {
        let mut entry = Entry { program, ..Entry::default() };
        change(&mut entry);
        let url = entry.url(Path::new("/srv")).expect("a good entry");
        Wanted::new(name, url, &entry)
    }

    fn command(name: &str, line: &str) -> Wanted {
        let words = line.split(' ').map(str::to_owned).collect();
        wanted(name, Program::Command(words), |_| {})
    }

    fn instance(id: &str, wanted: &Wanted) -> Instance {
        let mut json = format!(r#"{{"id":"{id}","restart":{},"alias":"#, wanted.restart);
        quote(&mut json, &wanted.name);
        json.push_str(",\"url\":");
        quote(&mut json, &wanted.url);
        json.push_str(&format!(",\"meta\":{{\"tags\":{}}}}}", tags_json(&wanted.tags)));
        Instance::new(Document::parse(json.as_bytes()).expect("JSON"))
    }

    fn owned(names: &[(&str, &str)]) -> Owned {
        names.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
    }

    const PLAIN: Canvas = Canvas { width: None, has_colours: false };

    #[test]
    fn what_a_token_does_not_see_is_left_to_the_master() {
        let declared = |value: &str, line: &str| {
            let program = Program::Command(line.split(' ').map(str::to_owned).collect());
            wanted("api", program, |entry| {
                entry.env.insert("TOKEN".to_owned(), value.to_owned());
            })
        };
        let one = declared("hush", "api");
        let shown = Wanted { url: mask_url(&one.url), ..one.clone() };
        let there = [instance("1", &shown)];
        let planned = |one: &Wanted| {
            plan(std::slice::from_ref(one), &there, &BTreeMap::new(), "f", false).expect("a plan")
        };
        let same = planned(&one);
        assert!(same.all[0].is_masked && same.all[0].starts());
        insta::assert_snapshot!(same.text(PLAIN), @r"
        ~ api: change, restarts if its secrets differ
            url: secrets that this token does not see -> compared by the master
        1 to change
        ");
        let other = planned(&declared("hush", "api -v"));
        assert!(!other.all[0].is_masked);
        insta::assert_snapshot!(other.text(PLAIN), @r"
        ~ api: change, restarts
            command: api -> api -v
        1 to change
        ");
    }

    #[test]
    fn a_plan_says_what_it_does_and_no_value_of_a_variable() {
        let secret = |value: &str| {
            let program = Program::Command(vec!["api".to_owned()]);
            wanted("api", program, |entry| {
                entry.env.insert("TOKEN".to_owned(), value.to_owned());
                entry.tags.insert("site".to_owned(), value.len().to_string());
            })
        };
        let all = [
            command("web", "node server.js"),
            command("same", "sleep 1"),
            secret("hunter2"),
            wanted("demo", Program::Url("demo://a?token=hush".to_owned()), |_| {}),
        ];
        let there = [
            instance("00000001", &command("web", "node old.js")),
            instance("00000002", &command("same", "sleep 1")),
            instance("00000003", &secret("hunter22")),
            instance("00000004", &command("old", "x")),
            instance("00000005", &command("foreign", "x")),
        ];
        let owners = BTreeMap::from([
            (
                "me".to_owned(),
                owned(&[("old", "00000004"), ("gone", "00000009"), ("foreign", "1")]),
            ),
            ("other".to_owned(), owned(&[("foreign", "00000005")])),
        ]);
        let plan = plan(&all, &there, &owners, "me", true).expect("a plan");
        let text = plan.text(PLAIN);
        assert!(!text.contains("hunter") && !text.contains("hush"), "{text}");
        insta::assert_snapshot!(text);
        assert_eq!(plan.owned().len(), 5);
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        let all = [command("web", "x")];
        let twins = [instance("00000001", &all[0]), instance("00000002", &all[0])];
        let none = BTreeMap::new();
        let reason = plan(&all, &twins, &none, "me", false).expect_err("two have the name");
        assert!(reason.starts_with("2 instances have the name \"web\""), "{reason}");
        let owners = BTreeMap::from([("other".to_owned(), owned(&[("web", "00000001")]))]);
        let reason = plan(&all, &twins[..1], &owners, "me", false).expect_err("it is another's");
        assert!(reason.contains("owned by other"), "{reason}");
    }

    #[test]
    fn without_changes_nothing_is_done() {
        let all = [command("web", "x"), command("b", "y")];
        let there = [instance("00000001", &all[0]), instance("00000002", &all[1])];
        let plan = plan(&all, &there, &BTreeMap::new(), "me", true).expect("a plan");
        assert!(!plan.has_changes());
        assert_eq!(plan.text(PLAIN), "2 unchanged\n");
    }
}
