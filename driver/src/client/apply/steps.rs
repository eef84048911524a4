//! Carries out the changes of a plan, a few at a time, each instance separately: it is changed
//! completely or not at all.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use openctrl_core::doors::v2::SAME_URL;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::changes::{Action, Change, Plan};
use crate::client::api::{Api, REPLACE, object};
use crate::client::failure::Failure;
use crate::client::instance::Instance;
use crate::client::launch::{New, create, forced};
use crate::client::progress::Progress;

/// Requests under way at a time: enough that many share one sync of the master's disk.
const AT_A_TIME: usize = 32;

/// What came of a change.
pub(super) type Outcome = Result<Done, Failure>;

/// A change that was carried out.
#[derive(Debug)]
pub(super) struct Done {
    /// The instance after it; none after a deletion.
    pub(super) after: Option<Instance>,
    /// Whether the master found that there was nothing to change.
    pub(super) is_same: bool,
}

impl Done {
    const fn changed(after: Option<Instance>) -> Self {
        Self { after, is_same: false }
    }
}

/// Carries out every change; the outcomes are in the order of the plan.
pub(super) async fn carry_out(
    api: &Arc<Api>,
    plan: &Plan,
    patience: Duration,
    force: bool,
) -> Vec<Outcome> {
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let mut tasks = JoinSet::new();
    for (index, change) in plan.changes().enumerate() {
        let (api, gate, change) = (Arc::clone(api), Arc::clone(&gate), change.clone());
        tasks.spawn(async move {
            let _permit = gate.acquire().await;
            (index, one(&api, &change, patience, force).await)
        });
    }
    let mut progress = Progress::new("apply", tasks.len());
    let mut outcomes: Vec<(usize, Outcome)> = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        outcomes.push(joined.expect("no request panics"));
        progress.at(outcomes.len());
    }
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

async fn one(api: &Api, change: &Change, patience: Duration, force: bool) -> Outcome {
    let path = format!("/instances/{}", change.id.as_deref().unwrap_or_default());
    match change.action {
        Action::Create => {
            let wanted = change.wanted.as_ref().expect("what is created is wanted");
            let new = New { name: &change.name, url: &wanted.url, force };
            create(api, new, &wanted.rest()).await.map(|new| Done::changed(Some(new)))
        }
        Action::Delete => api
            .change_slowly(Method::DELETE, &path, None, patience)
            .await
            .map(|_| Done::changed(None)),
        Action::Change | Action::Keep | Action::Leave => amend(api, change, &path, force).await,
    }
}

/// The settings first, as they are refused or taken as a whole; if then the URL is refused, they are
/// put back.
async fn amend(api: &Api, change: &Change, path: &str, force: bool) -> Outcome {
    let wanted = change.wanted.as_ref().expect("what is changed is wanted");
    let mut after = None;
    if let Some(settings) = &change.settings {
        after = Some(Instance::new(api.change(Method::PATCH, path, settings).await?));
    }
    if change.starts() {
        let body = object(&[("url", Some(&wanted.url))]);
        match api.change_slowly(Method::PUT, &forced(path, force), Some(&body), REPLACE).await {
            Ok(document) => after = Some(Instance::new(document)),
            Err(Failure::Refused(reason)) if change.is_masked && reason == SAME_URL => {
                let is_same = after.is_none();
                if is_same {
                    after = Some(Instance::new(api.get(path).await?));
                }
                return Ok(Done { after, is_same });
            }
            Err(failure) => {
                if let Some(before) = &change.settings_before {
                    api.change(Method::PATCH, path, before).await?;
                }
                return Err(failure);
            }
        }
    }
    Ok(Done::changed(after))
}
