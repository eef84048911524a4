//! Answers about what the master knows beside the state of its instances: what they printed,
//! and what became of their processes.

use std::sync::Arc;

use hyper::http::request::Parts;
use openctrl_core::api::{Answer, Observation, Refusal};
use openctrl_core::history::LogQuery;
use openctrl_core::url::MetricsOptions;

use super::service::{HttpResponse, Service, whole};
use crate::logs::Logs;
use crate::usage::Processes;

/// Where these answers come from.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) logs: Arc<Logs>,
    pub(crate) processes: Arc<Processes>,
    pub(crate) metrics: MetricsOptions,
}

impl Service {
    pub(super) async fn observe(
        &self,
        what: Observation,
        parts: &Parts,
    ) -> Result<HttpResponse, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(match what {
            Observation::Logs(id) => {
                let page = self.observed.logs.page(id, LogQuery::decode(query)?).await?;
                whole(Answer::json(200, page))
            }
            Observation::Process(id) => {
                let process = self.observed.processes.one(id).await.ok_or(Refusal::NoInstance)?;
                whole(Answer::json(200, process))
            }
            Observation::Processes => whole(Answer::json(200, self.observed.processes.all().await)),
            Observation::Description | Observation::Metrics => return Err(Refusal::NoPath),
        })
    }
}
