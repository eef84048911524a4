//! One request: routed, admitted, read, decoded and answered (Contract §3).

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use openctrl_core::command::{Caller, Command, Outcome, Refusal};
use openctrl_core::doors::v2::{
    Answer, Endpoint, Info, Method, Rejection, Route, StreamQuery, Tickets, admit, decode_alias,
    decode_create, decode_key_patch, decode_patch, decode_policy, decode_policy_patch,
    decode_replace, ping_target, policy_answer, policy_outcome, route,
};
use openctrl_core::event::EventName;
use openctrl_core::ids::KeyEpoch;
use openctrl_core::master::ApiKey;

use super::body::{AnswerBody, EventBody};
use super::exchange::{
    HttpResponse, if_match, method, preflight, read, rejected, whole, with_cors,
};
use super::observe::Observed;
use super::page::Page;
use crate::counters::COUNTERS;
use crate::daemon::clock::Clock;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;
use crate::daemon::patrol::Door;
use crate::daemon::sysinfo::{Sampler, cpu_count, go_arch, go_os};

/// `no-transform` keeps proxies from compressing the stream, which would hold events back.
const STREAM_CACHING: &str = "no-cache, no-transform";

/// The constant values of `/info`.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) version: &'static str,
    pub(crate) name: String,
    pub(crate) tls: &'static str,
    pub(crate) crt: String,
    pub(crate) key: String,
}

/// Answers requests, on any number of connections at a time.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) api_base: String,
    /// None with `page=off`.
    pub(crate) page: Option<Page>,
    /// The Patrol door, if it is served.
    pub(crate) door: Option<Arc<Door>>,
    pub(crate) about: About,
    pub(crate) hub: Arc<Hub>,
    pub(crate) mailbox: Mailbox,
    pub(crate) sampler: Sampler,
    pub(crate) clock: Clock,
    pub(crate) observed: Observed,
    pub(crate) tickets: Mutex<Tickets>,
    /// How long an event stream may be silent.
    pub(crate) heartbeat: Duration,
}

impl Service {
    /// Answers one request. Every answer of the API carries the CORS headers.
    pub(crate) async fn serve(
        &self,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, Infallible> {
        let begun = Instant::now();
        // Both have addresses below `/api/`; those of the v2 API are fewer.
        let is_own = route(&self.api_base, request.uri().path()).is_some();
        let mut request = request;
        if let Some(door) = self.door.as_ref().filter(|door| door.is_alone || !is_own) {
            match door.serve(request).await {
                Ok(response) => return Ok(response),
                Err(not_its_own) => request = *not_its_own,
            }
        }
        let (parts, body) = request.into_parts();
        // Probes of proxies ask for it, whether or not the page is served there.
        if parts.method == hyper::Method::OPTIONS && matches!(parts.uri.path(), "/" | "*") {
            return Ok(with_cors(preflight(&parts)));
        }
        if let Some(response) = self.page.as_ref().and_then(|page| page.answer(&parts)) {
            return Ok(response);
        }
        let response = with_cors(self.respond(&parts, body).await.unwrap_or_else(rejected));
        let route = route(&self.api_base, parts.uri.path()).map_or("other", Route::template);
        COUNTERS.answered(route, response.status().as_u16(), begun.elapsed());
        Ok(response)
    }

    async fn respond(&self, parts: &Parts, body: Incoming) -> Result<HttpResponse, Rejection> {
        let route = route(&self.api_base, parts.uri.path()).ok_or(Rejection::NoPath)?;
        let method = method(&parts.method);
        if method == Method::Options {
            return Ok(preflight(parts));
        }
        let value = |name| parts.headers.get(name).map(HeaderValue::as_bytes);
        let presented = route.presented_key(value("x-api-key"), value("authorization"));
        let epoch = self.hub.admits(presented).or_else(|| self.redeem(route, method, parts));
        let admitted = epoch.is_some() || !route.needs_key(self.observed.metrics.open);
        let endpoint = admit(route, method, admitted, |id| self.hub.has(id))?;
        let epoch = epoch.ok_or(Rejection::NoKey);
        let answer = match endpoint {
            Endpoint::Events => return self.events(parts, epoch?),
            Endpoint::IssueTicket => {
                let ticket = self.tickets().issue(random(), epoch?, self.clock.sample().mono);
                Answer::json(201, ticket)
            }
            Endpoint::ReadInfo => Answer::json(200, self.info()),
            Endpoint::List => Answer::json(200, self.hub.list(epoch?)?),
            Endpoint::ReadKey => Answer::json(200, self.hub.key_instance(epoch?)?),
            Endpoint::Read(id) => {
                let (json, revision) = self.hub.instance(id).ok_or(Refusal::NoInstance)?;
                Answer::instance(200, json, revision)
            }
            Endpoint::TcpPing => {
                let target = ping_target(parts.uri.query().unwrap_or_default())?;
                self.call(epoch?, Command::Dial(target)).await?
            }
            Endpoint::SetAlias => {
                self.call(epoch?, Command::SetAlias(decode_alias(&read(body).await?)?)).await?
            }
            Endpoint::Create => {
                let (url, alias) = decode_create(&read(body).await?)?;
                self.call(epoch?, Command::Create { url, alias }).await?
            }
            Endpoint::Patch(id) => {
                let expect = if_match(parts)?;
                let amend = decode_patch(&read(body).await?)?.into();
                self.call(epoch?, Command::Amend { id, expect, amend }).await?
            }
            Endpoint::ReadPolicy(id) => {
                policy_answer(&*self.hub.definition(id).ok_or(Refusal::NoInstance)?)
            }
            Endpoint::PatchPolicy(id) => {
                let expect = if_match(parts)?;
                let amend = decode_policy_patch(&read(body).await?)?.into();
                policy_outcome(self.ask(epoch?, Command::Amend { id, expect, amend }).await?)
            }
            Endpoint::ReplacePolicy(id) => {
                let expect = if_match(parts)?;
                let amend = decode_policy(&read(body).await?)?.into();
                policy_outcome(self.ask(epoch?, Command::Amend { id, expect, amend }).await?)
            }
            Endpoint::Replace(id) => {
                let expect = if_match(parts)?;
                let url = decode_replace(&read(body).await?)?;
                self.call(epoch?, Command::Replace { id, expect, url }).await?
            }
            Endpoint::Delete(id) => {
                let expect = if_match(parts)?;
                self.call(epoch?, Command::Remove { id, expect }).await?
            }
            Endpoint::Observe(what) => return self.observed.answer(what, parts).await,
            Endpoint::PatchKey => {
                if decode_key_patch(&read(body).await?)? {
                    self.call(epoch?, Command::RotateKey(fresh_key())).await?
                } else {
                    Answer::json(200, self.hub.key_instance(epoch?)?)
                }
            }
        };
        Ok(whole(answer))
    }

    fn events(&self, parts: &Parts, epoch: KeyEpoch) -> Result<HttpResponse, Rejection> {
        let header = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let last_seen = header.map(str::to_owned).or_else(|| stream_query(parts).last_event_id);
        let last_seen = last_seen.as_deref().and_then(EventName::parse);
        let subscriber = self.hub.subscribe(epoch, last_seen)?;
        let mut response =
            Response::new(AnswerBody::Events(EventBody::new(subscriber, self.heartbeat)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(STREAM_CACHING));
        // Tells nginx and its like not to collect events before they pass them on.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(response)
    }

    /// The epoch of the key that a ticket was issued for, where the request has one.
    fn redeem(&self, route: Route, method: Method, parts: &Parts) -> Option<KeyEpoch> {
        if (route, method) != (Route::Events, Method::Get) {
            return None;
        }
        let ticket = stream_query(parts).ticket?;
        self.tickets().redeem(ticket.as_bytes(), self.clock.sample().mono)
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the command to the engine. The body may have taken long to arrive: the engine checks
    /// that the key of `epoch`, which was valid when the request started, still is.
    async fn call(&self, epoch: KeyEpoch, command: Command) -> Result<Answer, Rejection> {
        let outcome = self.ask(epoch, command).await?;
        Ok(Answer::from_outcome(outcome, || self.info()))
    }

    async fn ask(&self, epoch: KeyEpoch, command: Command) -> Result<Outcome, Rejection> {
        let outcome = self.mailbox.call(Caller::v2(epoch), command).await;
        Ok(outcome.ok_or(Refusal::ShuttingDown)?)
    }

    fn info(&self) -> Bytes {
        let face = self.hub.face();
        let About { version, name, tls, crt, key } = &self.about;
        Info {
            mid: &face.identity.mid,
            alias: &face.identity.alias,
            os: go_os(),
            arch: go_arch(),
            noc: cpu_count(),
            system: self.sampler.latest(),
            ver: version,
            name,
            uptime: self.clock.uptime_s(),
            log: "default",
            tls,
            crt,
            key,
        }
        .json()
    }
}

fn stream_query(parts: &Parts) -> StreamQuery {
    StreamQuery::decode(parts.uri.query().unwrap_or_default())
}

fn fresh_key() -> ApiKey {
    ApiKey::from_random(random())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness: it did at the start");
    bytes
}
