//! The changes that make the instances as a file declares them. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::fields::{Field, fields};
use super::ledger::{Hold, Owned};
use super::wanted::Wanted;
use crate::client::instance::Instance;
use crate::client::table::{Canvas, Tone, paint};
use crate::client::text::plain;

/// The change of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Change,
    Delete,
    Keep,
    /// The file declared it earlier, and does not any more.
    Leave,
}

/// Who owns an instance before the apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// This file.
    Own,
    /// No file, as far as this user knows.
    None,
    /// Another file that no longer declares it.
    Left(String),
    /// Another file. It stays so.
    Other(String),
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
    /// The owner so far.
    pub(super) holder: Holder,
    /// The declared instance, unless it is deleted.
    pub(super) wanted: Option<Wanted>,
    /// The fields that differ.
    pub(super) fields: Vec<Field>,
    /// Why its command cannot be started as seen from here; the master decides.
    pub(super) warning: Option<String>,
    /// Whether the URL differs, so that its process is started anew.
    is_new_url: bool,
    /// Whether only the master can tell that: a token does not see the secrets of the URL.
    pub(super) is_masked: bool,
    /// The PATCH that changes tags, peer and policy, and the one that takes it back.
    pub(super) settings: Option<String>,
    pub(super) settings_before: Option<String>,
}

/// All that an apply does.
#[derive(Debug)]
pub(super) struct Plan {
    /// Every instance that is declared, or was.
    pub(super) all: Vec<Change>,
}

/// Compares the declared with the current instances. An instance is found by its alias.
///
/// # Errors
/// A name that several instances have, or a change of an instance that another file owns.
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
        match by_alias.get(&*one.name).map(Vec::as_slice) {
            None => all.push(Change::creation(one)),
            Some([instance]) => {
                let holder = holder(owners, owner, instance);
                let change = Change::comparison(one, instance, holder);
                change.check_owner()?;
                all.push(change);
            }
            Some(several) => {
                return Err(format!(
                    "{} instances have the name {:?}; delete all but one, or rename them",
                    several.len(),
                    plain(&one.name)
                ));
            }
        }
    }
    let declared: BTreeSet<&str> = wanted.iter().map(|one| &*one.name).collect();
    let owned = owners.get(owner).into_iter().flatten();
    for (name, hold) in owned.filter(|(name, _)| !declared.contains(&***name)) {
        let there = by_alias.get(&**name).into_iter().flatten();
        let mut there = there.filter(|one| hold.id().is_empty() || one.id() == hold.id());
        if let (Some(instance), None) = (there.next(), there.next()) {
            let action = if prune { Action::Delete } else { Action::Leave };
            all.push(Change::of_undeclared(name, instance, action));
        }
    }
    Ok(Plan { all })
}

fn holder(owners: &BTreeMap<String, Owned>, owner: &str, instance: &Instance) -> Holder {
    let hold_of = |owned: &Owned| {
        owned.get(instance.alias()).filter(|hold| hold.id() == instance.id()).cloned()
    };
    if owners.get(owner).is_some_and(|owned| hold_of(owned).is_some()) {
        return Holder::Own;
    }
    match owners.iter().find_map(|(other, owned)| Some((other, hold_of(owned)?))) {
        Some((other, Hold::Left { .. })) => Holder::Left(other.clone()),
        Some((other, Hold::Declared(_))) => Holder::Other(other.clone()),
        None => Holder::None,
    }
}

impl Change {
    fn creation(wanted: &Wanted) -> Self {
        Self {
            name: wanted.name.clone(),
            id: None,
            action: Action::Create,
            holder: Holder::Own,
            wanted: Some(wanted.clone()),
            fields: fields(None, wanted),
            warning: None,
            is_new_url: true,
            is_masked: false,
            settings: None,
            settings_before: None,
        }
    }

    fn of_undeclared(name: &str, instance: &Instance, action: Action) -> Self {
        Self {
            name: name.to_owned(),
            id: Some(instance.id().to_owned()),
            action,
            holder: Holder::Own,
            wanted: None,
            fields: Vec::new(),
            warning: None,
            is_new_url: false,
            is_masked: false,
            settings: None,
            settings_before: None,
        }
    }

    fn comparison(wanted: &Wanted, instance: &Instance, holder: Holder) -> Self {
        let is = Wanted::of(instance);
        let wanted = wanted.for_current(&is);
        let seen = wanted.seen_beside(&is);
        let is_masked = is.has_masks() && seen.url == is.url;
        let mut fields =
            if seen == is { Vec::new() } else { fields(Some(&is.escaped()), &seen.escaped()) };
        if is_masked {
            fields.push(Field::masked());
        }
        let differs =
            (is.restart, &is.tags, &is.peer) != (wanted.restart, &wanted.tags, &wanted.peer);
        Self {
            name: wanted.name.clone(),
            id: Some(instance.id().to_owned()),
            action: if wanted == is { Action::Keep } else { Action::Change },
            holder,
            is_new_url: is.url != wanted.url,
            is_masked,
            settings: differs.then(|| wanted.patch()),
            settings_before: differs.then(|| is.patch()),
            wanted: Some(wanted),
            fields,
            warning: None,
        }
    }

    /// Another file's instance can be declared here only as it is.
    fn check_owner(&self) -> Result<(), String> {
        match &self.holder {
            Holder::Other(other) if self.action != Action::Keep => Err(format!(
                "instance {:?} is owned by {other}, and this file would change it; change it there, or \
                 set name = {other:?} in this file",
                plain(&self.name),
                other = plain(other),
            )),
            Holder::Own | Holder::None | Holder::Left(_) | Holder::Other(_) => Ok(()),
        }
    }

    /// Whether a process is started by it.
    pub(super) fn starts(&self) -> bool {
        match self.action {
            Action::Create => true,
            Action::Change => self.is_new_url,
            Action::Delete | Action::Keep | Action::Leave => false,
        }
    }

    /// How the file owns the instance after the apply. One is owned until it has been deleted.
    fn hold(&self) -> Option<Hold> {
        let id = self.id.clone().unwrap_or_default();
        match (self.action, &self.holder) {
            (_, Holder::Other(_)) => None,
            (Action::Delete | Action::Leave, _) => Some(Hold::Left { left: id }),
            (Action::Create | Action::Change | Action::Keep, _) => Some(Hold::Declared(id)),
        }
    }

    /// What to know about the ownership; may be empty.
    pub(super) fn note(&self) -> String {
        match &self.holder {
            Holder::Own => String::new(),
            Holder::None => "not owned by a file; apply takes it over".to_owned(),
            Holder::Left(other) => {
                format!("no longer declared by {}; apply takes it over", plain(other))
            }
            Holder::Other(other) => format!("owned by {}", plain(other)),
        }
    }
}

impl Action {
    /// For programs and in plans.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Delete => "delete",
            Self::Keep => "unchanged",
            Self::Leave => "kept",
        }
    }

    /// After it was done.
    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Create => "created",
            Self::Change => "changed",
            Self::Delete => "deleted",
            Self::Keep => "unchanged",
            Self::Leave => "kept",
        }
    }
}

impl Plan {
    /// The changes, without instances that stay as they are.
    pub(super) fn changes(&self) -> impl Iterator<Item = &Change> {
        self.all.iter().filter(|change| !matches!(change.action, Action::Keep | Action::Leave))
    }

    /// Whether anything is done.
    pub(super) fn has_changes(&self) -> bool {
        self.changes().next().is_some()
    }

    /// Adds warnings about the URLs that would be started: `check` says why one cannot be.
    pub(super) fn warn(&mut self, check: impl Fn(&str) -> Result<(), String>) {
        for change in self.all.iter_mut().filter(|change| change.starts()) {
            let url = change.wanted.as_ref().map(|wanted| check(&wanted.url));
            change.warning = url.and_then(Result::err);
        }
    }

    /// The instances of the owner after the apply, as far as known in advance.
    pub(super) fn owned(&self) -> Owned {
        let owned = |change: &Change| Some((change.name.clone(), change.hold()?));
        self.all.iter().filter_map(owned).collect()
    }

    /// `2 to create, 1 to change`.
    pub(super) fn summary(&self) -> String {
        let count = |action| self.all.iter().filter(|change| change.action == action).count();
        let parts = [
            (count(Action::Create), "to create"),
            (count(Action::Change), "to change"),
            (count(Action::Delete), "to delete"),
            (count(Action::Keep), "unchanged"),
            (count(Action::Leave), "kept"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
    }

    /// The plan for reading.
    pub(super) fn text(&self, canvas: Canvas) -> String {
        let mut text = String::new();
        for change in &self.all {
            let (sign, tone) = match change.action {
                Action::Create => ("+", Tone::Good),
                Action::Delete => ("-", Tone::Bad),
                Action::Change => ("~", Tone::Plain),
                Action::Keep => continue,
                Action::Leave => {
                    let name = plain(&change.name);
                    text.push_str(&format!(
                        "{name}: no longer declared, kept (--prune deletes it)\n"
                    ));
                    continue;
                }
            };
            text.push_str(&paint(&heading(change, sign), tone, canvas));
            text.push('\n');
            for field in &change.fields {
                text.push_str(&line(field, change.action));
            }
            if let Some(warning) = &change.warning {
                text.push_str(&format!(
                    "    warning: {}; apply fails if the master finds the same (--force skips the \
                     check)\n",
                    plain(warning)
                ));
            }
        }
        format!("{text}{}\n", self.summary())
    }
}

fn heading(change: &Change, sign: &str) -> String {
    let restarts = change.action == Action::Change && change.starts();
    let restarts = match (restarts, change.is_masked) {
        (true, true) => ", restarts if its secrets differ",
        (true, false) => ", restarts",
        (false, _) => "",
    };
    let note = match &*change.note() {
        "" => String::new(),
        note => format!(" ({note})"),
    };
    format!("{sign} {}: {}{restarts}{note}", plain(&change.name), change.action.word())
}

fn line(field: &Field, action: Action) -> String {
    let (before, after) = (plain(&field.before), plain(&field.after));
    let value = match (&*before, &*after, action) {
        (_, after, Action::Create) => after.to_owned(),
        (before, after, _) if before == after => format!("{after} (values changed)"),
        ("", after, _) => format!("(none) -> {after}"),
        (before, "", _) => format!("{before} -> (none)"),
        (before, after, _) => format!("{before} -> {after}"),
    };
    format!("    {}: {value}\n", field.name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use openctrl_core::url::mask_url;

    use super::*;
    use crate::client::document::{Document, quote};
    use crate::client::tags::tags_json;
    use crate::manifest::{Entry, Program};

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
        let hold = |id: &str| Hold::Declared(id.to_owned());
        names.iter().map(|(name, id)| ((*name).to_owned(), hold(id))).collect()
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
        let owners = BTreeMap::from([("f".to_owned(), owned(&[("api", "1")]))]);
        let planned = |one: &Wanted| {
            plan(std::slice::from_ref(one), &there, &owners, "f", false).expect("a plan")
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
        let mine = [
            ("web", "00000001"),
            ("same", "00000002"),
            ("api", "00000003"),
            ("old", "00000004"),
            ("gone", "00000009"),
            ("foreign", "1"),
        ];
        let owners = BTreeMap::from([
            ("me".to_owned(), owned(&mine)),
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
        let changed = [command("web", "y")];
        let reason = plan(&changed, &twins[..1], &owners, "me", false).expect_err("another's");
        assert_eq!(
            reason,
            "instance \"web\" is owned by other, and this file would change it; change it there, or \
             set name = \"other\" in this file"
        );
        let same = plan(&all, &twins[..1], &owners, "me", false).expect("it stays as it is");
        assert!(!same.has_changes() && same.owned().is_empty());
    }

    #[test]
    fn an_instance_of_no_file_or_of_one_that_left_it_is_taken_over() {
        let all = [command("web", "y"), command("api", "y")];
        let there = [
            instance("00000001", &command("web", "x")),
            instance("00000002", &command("api", "x")),
        ];
        let left = Hold::Left { left: "00000002".to_owned() };
        let owners =
            BTreeMap::from([("other".to_owned(), Owned::from([("api".to_owned(), left)]))]);
        let plan = plan(&all, &there, &owners, "me", false).expect("a plan");
        insta::assert_snapshot!(plan.text(PLAIN), @r"
        ~ web: change, restarts (not owned by a file; apply takes it over)
            command: x -> y
        ~ api: change, restarts (no longer declared by other; apply takes it over)
            command: x -> y
        2 to change
        ");
        assert_eq!(plan.owned(), owned(&[("web", "00000001"), ("api", "00000002")]));
    }

    #[test]
    fn the_folder_of_the_file_is_a_default_and_changes_no_instance() {
        let with_cwd = |name: &str, line: &str| {
            let words = line.split(' ').map(str::to_owned).collect();
            wanted(name, Program::Command(words), |entry| entry.cwd = Some("/srv".into()))
        };
        let declared =
            |line: &str| command("web", line).with_default_cwd(with_cwd("web", line).url);
        let owners = BTreeMap::from([("me".to_owned(), owned(&[("web", "1")]))]);
        let planned = |there: &Wanted, line: &str| {
            let plan = plan(&[declared(line)], &[instance("1", there)], &owners, "me", false);
            plan.expect("a plan").text(PLAIN)
        };
        assert_eq!(planned(&with_cwd("web", "x"), "x"), "1 unchanged\n");
        assert_eq!(planned(&command("web", "x"), "x"), "1 unchanged\n");
        let changed = planned(&command("web", "x"), "y");
        assert!(!changed.contains("cwd"), "{changed}");
        let demo = wanted("web", Program::Url("demo://a".to_owned()), |_| {});
        assert!(planned(&demo, "x").contains("cwd: (none) -> /srv"));
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
