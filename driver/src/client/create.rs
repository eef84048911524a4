//! `openctrl create`: an instance of a URL.

use std::sync::Arc;

use super::act::wait_for_start;
use super::api::Api;
use super::failure::Failure;
use super::launch::{New, create as create_whole, created_note, settings};
use super::outlet::{Outlet, if_interrupted};
use super::tags::{check_alias, check_tags, note_runtime, note_twin};
use super::text::plain;
use crate::grammar::Create;
use crate::runtime::serves;

/// Creates an instance and prints its id.
pub(crate) async fn create(api: &Arc<Api>, out: &Outlet, question: &Create) -> Result<(), Failure> {
    check_tags(&question.tag)?;
    check_url(&question.url)?;
    if let Some(alias) = &question.alias {
        check_alias(alias)?;
    }
    let is_foreign = question.url.split_once(':').is_some_and(|(scheme, _)| !serves(scheme));
    let instances = match question.alias.is_some() || is_foreign {
        true => api.instances().await?,
        false => Vec::new(),
    };
    if let Some(alias) = &question.alias {
        note_twin(&instances, alias, &[]);
    }
    // Opened before it is created, so that its start is not missed.
    let stream = match question.waiting.wait {
        true => Some(api.events(None).await?),
        false => None,
    };
    let alias = question.alias.as_deref().unwrap_or_default();
    let rest = settings(!question.no_restart, &question.tag, &Default::default());
    let new = New { name: alias, url: &question.url, force: question.force };
    let mut instance = create_whole(api, new, &rest).await?;
    if_interrupted(&created_note(&instance));
    note_runtime(&instances, &question.url);
    if let Some(stream) = stream {
        let created = std::slice::from_ref(&instance);
        let mut started = wait_for_start(api, stream, created, &question.waiting).await?;
        instance = started.swap_remove(0);
    }
    if out.is_for_programs() {
        return out.document(instance.document());
    }
    out.print(&format!("{}\n", plain(instance.id())))
}

/// A command instead of a URL is a common mistake.
fn check_url(url: &str) -> Result<(), Failure> {
    match url.split_once(':') {
        Some((scheme, _)) if !scheme.contains(char::is_whitespace) => Ok(()),
        _ if url.trim().is_empty() => Ok(()),
        _ => Err(Failure::Usage(format!(
            "{:?} is not a URL; use: openctrl run -- {}",
            plain(url),
            plain(url.trim())
        ))),
    }
}
