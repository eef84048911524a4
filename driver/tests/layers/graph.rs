//! Which file stands on which: paths followed through re-exports to the file that defines them.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Kind, Mention, Source};

/// The files of a crate, by their names below its `src`, without `.rs`.
#[derive(Debug, Default)]
pub(crate) struct Crate(BTreeMap<String, Source>);

/// An arrow: the first file refers to something in the second.
pub(crate) type Arrow = (String, String);

/// How many re-exports are followed, one behind the other.
const EXPORTS_MAX: usize = 8;

impl Crate {
    /// Adds a file; those that hold tests stand above everything and are left out.
    pub(crate) fn add(&mut self, name: &str, text: &str) {
        let mut parts = name.split('/');
        let is_test =
            parts.any(|part| part == "tests" || part == "stories" || part.ends_with("_tests"));
        if !is_test {
            self.0.insert(name.to_owned(), Source::read(text));
        }
    }

    /// The names of all files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Every arrow between two files.
    pub(crate) fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (name, source) in &self.0 {
            for mention in &source.mentions {
                if self.is_facade(name, source, mention) {
                    continue;
                }
                let target = self.target(name, &mention.path, EXPORTS_MAX);
                arrows.extend(target.filter(|target| target != name).map(|to| (name.clone(), to)));
            }
        }
        arrows
    }

    /// Sets of files of which each leads to every other.
    pub(crate) fn circles(&self) -> Vec<BTreeSet<String>> {
        let arrows = self.arrows();
        let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for name in self.0.keys() {
            let mut seen = BTreeSet::new();
            let mut next = vec![name.as_str()];
            while let Some(from) = next.pop() {
                let start = (from.to_owned(), String::new());
                let targets = arrows.range(start..).take_while(|(source, _)| source == from);
                next.extend(targets.map(|(_, to)| to.as_str()).filter(|to| seen.insert(*to)));
            }
            reach.insert(name, seen);
        }
        let mut circles = BTreeSet::new();
        for (name, reached) in &reach {
            let back = reached.iter().filter(|other| reach[**other].contains(name));
            let circle: BTreeSet<String> = back.map(|other| (*other).to_owned()).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// Whether a line only hands on, under the name of a module, what is below it.
    fn is_facade(&self, name: &str, source: &Source, mention: &Mention) -> bool {
        let target = self.target(name, &mention.path, EXPORTS_MAX);
        let below = folder(name);
        mention.kind == Kind::Export
            && target
                .is_some_and(|target| below.is_empty() || target.starts_with(&format!("{below}/")))
            && mention.name.as_ref().is_none_or(|introduced| !source.words.contains(introduced))
    }

    /// The file that a path in `from` leads to.
    fn target(&self, from: &str, path: &[String], exports_left: usize) -> Option<String> {
        let here = folder(from);
        let (mut at, rest) = match path.split_first()? {
            (first, rest) if first == "crate" => (String::new(), rest),
            (first, rest) if first == "self" => (here, rest),
            (first, _) if first == "super" => {
                let ups = path.iter().take_while(|segment| *segment == "super").count();
                let up = (0..ups).fold(here, |at, _| parent(&at));
                (up, &path[ups..])
            }
            (first, _) if self.0.get(from)?.modules.contains(first) => (here, path),
            _ => return None,
        };
        for (index, segment) in rest.iter().enumerate() {
            let below = join(&at, segment);
            if self.file_of(&below).is_some() {
                at = below;
                continue;
            }
            let file = self.file_of(&at)?;
            let Some(import) = self.imported(&file, segment) else { return Some(file) };
            let path: Vec<String> = import.path.iter().chain(&rest[index + 1..]).cloned().collect();
            return self.target(&file, &path, exports_left.checked_sub(1)?);
        }
        self.file_of(&at)
    }

    /// The line by which a file has a name from elsewhere.
    fn imported(&self, file: &str, name: &str) -> Option<&Mention> {
        let mut mentions = self.0[file].mentions.iter();
        mentions.find(|mention| mention.name.as_deref() == Some(name))
    }

    fn file_of(&self, module: &str) -> Option<String> {
        let names = match module {
            "" => ["lib".to_owned(), "main".to_owned()],
            _ => [module.to_owned(), format!("{module}/mod")],
        };
        names.into_iter().find(|name| self.0.contains_key(name))
    }
}

/// The module that a file is.
fn folder(name: &str) -> String {
    match name {
        "lib" | "main" => String::new(),
        _ => name.strip_suffix("/mod").unwrap_or(name).to_owned(),
    }
}

fn parent(module: &str) -> String {
    module.rsplit_once('/').map_or(String::new(), |(above, _)| above.to_owned())
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") }
}
