//! What readers give: entries and a report.

use std::collections::BTreeMap;

use crate::manifest::{Entry, check_name};

/// The content of a file as entries, with notes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imported {
    /// The name of the whole, if it has one.
    pub(super) name: Option<String>,
    /// The instances by name.
    pub(super) instances: BTreeMap<String, Entry>,
    /// The report, one line each.
    pub(super) notes: Vec<String>,
}

impl Imported {
    /// Adds a line to the report.
    pub(super) fn note(&mut self, place: &str, text: impl AsRef<str>) {
        self.notes.push(format!("{place}: {}", text.as_ref()));
    }

    /// Adds an entry under a name that files may have.
    pub(super) fn add(&mut self, name: &str, entry: Entry) -> Result<(), String> {
        check_name(name)?;
        if self.instances.insert(name.to_owned(), entry).is_some() {
            return Err(format!("{name:?} is there twice; rename one of them"));
        }
        Ok(())
    }
}

/// A line of words as a shell splits it.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    shell_words::split(line).map_err(|_| "a quote is not closed".to_owned())
}
