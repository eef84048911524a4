//! One instance as a file declares it and as the master has it, in one form. Pure.

use openctrl_core::url::{MASK, mask_url, masked_part};

use crate::client::api::object;
use crate::client::instance::Instance;
use crate::client::launch::settings;
use crate::client::tags::tags_json;
use crate::manifest::{Entry, Restart};
use crate::runtime::Exec;

/// One declared instance, as the API has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The alias.
    pub(super) name: String,
    /// The URL.
    pub(super) url: String,
    /// The URL without `cwd`, if the file has none and `url` has that of the file.
    pub(super) without_cwd: Option<String>,
    /// Whether its process is restarted at all.
    pub(super) restart: bool,
    /// The tags, by name.
    pub(super) tags: Vec<(String, String)>,
    /// Id, kind and name of the peer.
    pub(super) peer: [String; 3],
}

impl Wanted {
    /// The content of an entry.
    pub(super) fn new(name: &str, url: String, entry: &Entry) -> Self {
        Self {
            name: name.to_owned(),
            url,
            without_cwd: None,
            restart: entry.restart != Restart::Never,
            tags: entry.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            peer: entry.peer.clone(),
        }
    }

    /// The same with `url`, whose `cwd` the file does not name: an instance without one keeps none.
    pub(super) fn with_default_cwd(self, url: String) -> Self {
        Self { without_cwd: Some(self.url), url, ..self }
    }

    /// The current instance.
    pub(super) fn of(instance: &Instance) -> Self {
        let mut tags: Vec<(String, String)> = instance
            .tags()
            .iter()
            .map(|(name, value)| (name.to_string(), value.text().to_owned()))
            .collect();
        tags.sort();
        Self {
            name: instance.alias().to_owned(),
            url: instance.url().to_owned(),
            without_cwd: None,
            restart: instance.restart(),
            tags,
            peer: ["sid", "type", "alias"].map(|name| instance.peer(name).to_owned()),
        }
    }

    /// What this declares for an instance that there is.
    pub(super) fn for_current(&self, current: &Self) -> Self {
        let has_no_cwd = || Exec::of_text(&current.url).is_some_and(|exec| exec.cwd.is_none());
        let without_cwd = self.without_cwd.as_ref().filter(|_| self.url != current.url);
        let url = without_cwd.filter(|_| has_no_cwd()).unwrap_or(&self.url).clone();
        Self { url, without_cwd: None, ..self.clone() }
    }

    /// The same as a reader sees it to whom the secrets of `current` are masked.
    pub(super) fn seen_beside(&self, current: &Self) -> Self {
        let has_masks = masked_part(&current.url).is_some();
        let url = if has_masks { mask_url(&self.url) } else { self.url.clone() };
        Self { url, ..self.clone() }
    }

    /// Whether secrets of the URL are masked.
    pub(super) fn has_masks(&self) -> bool {
        masked_part(&self.url).is_some()
    }

    /// The same with masks as a file would have them in the URL.
    pub(super) fn escaped(&self) -> Self {
        Self { url: self.url.replace(MASK, "%2A%2A%2A"), ..self.clone() }
    }

    /// Fields that the API does not accept at creation, as a PATCH; may be empty.
    pub(super) fn rest(&self) -> String {
        settings(self.restart, &self.tags, &self.peer)
    }

    /// Tags, peer and policy as a PATCH that sets all of them.
    pub(super) fn patch(&self) -> String {
        let [sid, kind, alias] = self.peer.each_ref().map(|text| Some(&**text));
        format!(
            "{{\"restart\":{},\"meta\":{{\"peer\":{},\"tags\":{}}}}}",
            self.restart,
            object(&[("sid", sid), ("type", kind), ("alias", alias)]),
            tags_json(&self.tags)
        )
    }
}
