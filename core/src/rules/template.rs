//! Substitutions in the attributes of emitted events: `${event.type}`, `${attributes.<key>}` and
//! others. Placeholders that cannot be resolved stay unchanged (control contract B 4, D 11).

use alloc::string::{String, ToString};

use crate::event::StoredEvent;

/// The longest value that a substitution makes, in bytes; the rest is cut off.
pub(super) const VALUE_MAX_BYTES: usize = 4_096;

/// The possible values of a placeholder.
pub(super) struct Context<'a> {
    pub(super) event: &'a StoredEvent,
    pub(super) correlation: &'a str,
    pub(super) count: u64,
}

/// `template` with its placeholders resolved.
pub(super) fn expand(template: &str, context: &Context<'_>) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find("${") {
        let (before, tail) = rest.split_at(start);
        out.push_str(before);
        let Some(end) = tail.find('}') else {
            rest = tail;
            break;
        };
        let placeholder = &tail[..=end];
        match context.resolve(&placeholder[2..end]) {
            Some(value) => out.push_str(&value),
            None => out.push_str(placeholder),
        }
        rest = &tail[end + 1..];
        if out.len() > VALUE_MAX_BYTES {
            break;
        }
    }
    out.push_str(rest);
    cut(out)
}

/// `text` cut to [`VALUE_MAX_BYTES`], between characters.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > VALUE_MAX_BYTES {
        let end = (0..=VALUE_MAX_BYTES).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
    text
}

impl Context<'_> {
    fn resolve(&self, name: &str) -> Option<String> {
        let resource = self.event.resource.as_ref();
        match name {
            "event.type" => Some(self.event.topic.to_string()),
            "correlation" => Some(self.correlation.to_string()),
            "count" => Some(self.count.to_string()),
            "resource.name" => Some(resource?.name.to_string()),
            "resource.kind" => Some(resource?.kind.to_string()),
            "resource.apiVersion" => Some(resource?.api_version.to_string()),
            other => self.event.attributes.get(other.strip_prefix("attributes.")?).cloned(),
        }
    }
}
