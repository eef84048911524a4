//! An instance as the master shows it.

use std::borrow::Cow;

use openctrl_core::instance::Checks;
use openctrl_core::url::InstanceUrl;

use super::document::Document;

/// One instance object; missing fields are empty.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    document: Document,
}

impl Instance {
    /// An object that the master sent.
    pub(crate) const fn new(document: Document) -> Self {
        Self { document }
    }

    /// The object itself.
    pub(crate) const fn document(&self) -> &Document {
        &self.document
    }

    /// The object with that of its process in the field `process`; null if there is none.
    pub(crate) fn with_process(&self, process: Option<&Document>) -> Document {
        let mut fields = self.document.fields().to_vec();
        let process = process.cloned().unwrap_or(Document::Null);
        fields.push(("process".into(), process));
        Document::Object(fields)
    }

    /// The object itself.
    pub(crate) fn into_document(self) -> Document {
        self.document
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        self.text("id")
    }

    /// Its alias; may be empty.
    pub(crate) fn alias(&self) -> &str {
        self.text("alias")
    }

    /// `running`, `stopped` or `error`.
    pub(crate) fn status(&self) -> &str {
        self.text("status")
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        self.text("url")
    }

    /// Whether it has a rule for when it is ready; else it is as soon as it runs.
    pub(crate) fn has_ready_rule(&self) -> bool {
        let url = InstanceUrl::parse(self.url());
        let checks = url.ok().and_then(|url| Checks::parse(&url).ok());
        checks.is_some_and(|checks| checks.ready.is_some())
    }

    /// Whether it is restarted automatically.
    pub(crate) fn restart(&self) -> bool {
        self.document.at("restart") == &Document::Bool(true)
    }

    /// A text of the object.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.document.at(name).text()
    }

    /// A number of the object.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.document.at(name).whole().unwrap_or(0)
    }

    /// Bytes received, over all protocols.
    pub(crate) fn rx(&self) -> u64 {
        self.number("tcprx").saturating_add(self.number("udprx"))
    }

    /// Bytes sent, over all protocols.
    pub(crate) fn tx(&self) -> u64 {
        self.number("tcptx").saturating_add(self.number("udptx"))
    }

    /// Live sessions, over all protocols.
    pub(crate) fn sessions(&self) -> u64 {
        self.number("tcps").saturating_add(self.number("udps"))
    }

    /// Its tags.
    pub(crate) fn tags(&self) -> &[(Cow<'static, str>, Document)] {
        self.document.at("meta").at("tags").fields()
    }

    /// A field of its peer.
    pub(crate) fn peer(&self, name: &str) -> &str {
        self.document.at("meta").at("peer").at(name).text()
    }

    /// Whether it has all of these tags, each `K` or `K=V`.
    pub(crate) fn has_tags(&self, wanted: &[String]) -> bool {
        wanted.iter().all(|tag| {
            let (key, value) = tag.split_once('=').map_or((&**tag, None), |(k, v)| (k, Some(v)));
            let mut tags = self.tags().iter();
            tags.any(|(name, held)| name == key && value.is_none_or(|value| held.text() == value))
        })
    }

    /// Names come before ids alone.
    pub(crate) fn order(&self) -> (bool, &str, &str) {
        (self.alias().is_empty(), self.alias(), self.id())
    }

    /// As it is called in messages: the alias and the id, or the id.
    pub(crate) fn name(&self) -> String {
        match self.alias() {
            "" => self.id().to_owned(),
            alias => format!("{alias} ({})", self.id()),
        }
    }
}
