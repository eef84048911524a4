//! Answers with data of the master besides the state of its instances: logs, facts about processes,
//! metrics, and the description of the API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use openctrl_core::command::Refusal;
use openctrl_core::doors::v2::{Answer, Dialect, Health, Observation, Rejection, describe};
use openctrl_core::history::LogQuery;
use openctrl_core::ids::InstanceId;
use openctrl_core::url::MetricsOptions;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::exchange::{HttpResponse, whole};
use crate::daemon::clock::Clock;
use crate::daemon::control::ControlHub;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;
use crate::daemon::logs::Logs;
use crate::daemon::metrics::{METRICS_TYPE, Sources, render};
use crate::daemon::threads::Threads;
use crate::daemon::usage::Processes;
use crate::daemon::webhook::Board;
use crate::version::VERSION;

/// How long the loop may take to answer before the master counts as not ready: far longer than any
/// batch of work, and shorter than probes wait.
const LOOP_PATIENCE: Duration = Duration::from_secs(2);

/// Stored events of an instance that are shown beside its phase, the newest.
const EVENTS_SHOWN: usize = 50;

/// An OpenAPI document, rendered when it is first asked for.
pub(crate) type Description = LazyLock<Bytes, Box<dyn FnOnce() -> Bytes + Send>>;

/// The document of the API at `api_base`.
pub(crate) fn description(api_base: String, dialect: Dialect) -> Description {
    LazyLock::new(Box::new(move || describe(&api_base, VERSION, dialect)))
}

/// Where these answers come from.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) logs: Arc<Logs>,
    pub(crate) processes: Arc<Processes>,
    /// Whether the state cannot be saved.
    pub(crate) disk_fails: Arc<AtomicBool>,
    pub(crate) hub: Arc<Hub>,
    /// None without `control=`.
    pub(crate) control: Option<Arc<ControlHub>>,
    pub(crate) mailbox: Mailbox,
    pub(crate) clock: Clock,
    pub(crate) metrics: MetricsOptions,
    pub(crate) webhooks: Arc<Board>,
    /// One page of metrics is written at a time: with open metrics anybody may ask.
    pub(crate) metrics_turn: Arc<Semaphore>,
    /// Where that is done.
    pub(crate) metrics_threads: Threads,
    /// The OpenAPI document.
    pub(crate) description: Description,
    /// The same in OpenAPI 3.0.
    pub(crate) description_3_0: Description,
}

impl Observed {
    pub(super) async fn answer(
        &self,
        what: Observation,
        parts: &Parts,
    ) -> Result<HttpResponse, Rejection> {
        let Self { logs, processes, .. } = self;
        let query = parts.uri.query().unwrap_or_default();
        let json = match what {
            Observation::Logs(id) => logs.page(id, LogQuery::decode(query)?).await?,
            Observation::Process(id) => processes.one(id).await.ok_or(Refusal::NoInstance)?,
            Observation::Processes => processes.all().await,
            Observation::Control(id) => self.resource(id)?,
            Observation::Health => return Ok(whole(self.health().await.answer())),
            Observation::Metrics => return self.metrics().await,
            Observation::Description => match Dialect::decode(query)? {
                Dialect::V3_1 => self.description.clone(),
                Dialect::V3_0 => self.description_3_0.clone(),
            },
        };
        Ok(whole(Answer::json(200, json)))
    }

    /// An instance as the control API shows it; 404 where there is none.
    fn resource(&self, id: InstanceId) -> Result<Bytes, Rejection> {
        let control = self.control.as_ref().ok_or(Rejection::NoPath)?;
        let json = control.resource(id, EVENTS_SHOWN).ok_or(Refusal::NoInstance)?;
        Ok(json.into())
    }

    async fn health(&self) -> Health {
        let is_alive = timeout(LOOP_PATIENCE, self.mailbox.ping()).await.unwrap_or(false);
        Health {
            is_alive,
            is_draining: self.hub.is_draining(),
            is_disk_good: !self.disk_fails.load(Ordering::Relaxed),
            webhooks_fail: self.webhooks.fails(),
        }
    }

    async fn metrics(&self) -> Result<HttpResponse, Rejection> {
        let turn = Arc::clone(&self.metrics_turn);
        let turn = turn.acquire_owned().await.map_err(|_| Refusal::ShuttingDown)?;
        let (logs, processes) = (Arc::clone(&self.logs), Arc::clone(&self.processes));
        let (hub, mailbox) = (Arc::clone(&self.hub), self.mailbox.clone());
        let webhooks = Arc::clone(&self.webhooks);
        let (uptime, per_instance) = (self.clock.uptime(), self.metrics.per_instance);
        if per_instance {
            processes.refresh().await;
        }
        let write = move || {
            // Held until it is written, also for a client that has hung up.
            let _turn = turn;
            render(&Sources {
                version: VERSION,
                uptime,
                hub: &hub,
                mailbox: &mailbox,
                logs: &logs,
                processes: &processes,
                webhooks: &webhooks,
                per_instance,
            })
        };
        let written = self.metrics_threads.run(write).await;
        let text = written.map_err(|error| Rejection::NoThread(error.to_string()))?;
        let mut response = whole(Answer::json(200, Bytes::from(text)));
        let kind = HeaderValue::from_static(METRICS_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}
