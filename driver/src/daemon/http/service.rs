//! One request: routed, admitted, read, decoded and answered (Contract §3).

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response};
use openctrl_core::access::Guard;
use openctrl_core::command::{Amend, Command, InstanceAction, Outcome, Refusal};
use openctrl_core::doors::v2::{
    Answer, AuditEntry, Credential, Endpoint, FORCE_REMEDY, Info, Method, Rejection, Route,
    StreamQuery, Tickets, admit, audit_limit, decode_actions, decode_alias, decode_create,
    decode_force, decode_key_patch, decode_patch, decode_policy, decode_policy_patch,
    decode_replace, decode_token, is_audited, ping_target, policy_answer, policy_outcome, route,
    token_name,
};
use openctrl_core::event::EventName;
use openctrl_core::instance::{Checks, Setup};
use openctrl_core::master::ApiKey;
use openctrl_core::url::{Cors, InstanceUrl};
use tokio::time::{sleep, timeout};

use super::body::{AnswerBody, EventBody};
use super::exchange::{
    HttpResponse, allow_sites, if_match, method, preflight, read, rejected, whole,
};
use super::observe::Observed;
use super::page::Page;
use crate::counters::COUNTERS;
use crate::daemon::access::{Audit, Identity, Origin, Registry};
use crate::daemon::clock::Clock;
use crate::daemon::file_watch::check_watch;
use crate::daemon::hub::{Hub, Reader};
use crate::daemon::inbox::Mailbox;
use crate::daemon::patrol::Door;
use crate::daemon::sysinfo::{Sampler, cpu_count, go_arch, go_os};
use crate::daemon::zones::has_zone;
use crate::runtime::check_command;

/// `no-transform` keeps proxies from compressing the stream, which would hold events back.
const STREAM_CACHING: &str = "no-cache, no-transform";

/// How long the check of a command may take.
const COMMAND_CHECK: Duration = Duration::from_secs(5);

/// Browsers that were here over TLS do not come without it for half a year.
const HSTS: &str = "max-age=15552000";

/// What is noted of a request on its way, for the audit log.
#[derive(Debug, Default)]
struct Trail {
    /// Who was let in; empty for nobody.
    who: Cow<'static, str>,
    /// What was let in.
    endpoint: Option<Endpoint>,
    detail: String,
    /// Whether it presented a key or a token that does not admit.
    is_wrong: bool,
}

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
    /// Whether it runs `exec:` URLs itself.
    pub(crate) runs_commands: bool,
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
    pub(crate) tickets: Mutex<Tickets<Identity>>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) audit: Audit,
    /// Who presented wrong keys.
    pub(crate) guard: Mutex<Guard>,
    /// Which web sites may use the API.
    pub(crate) cors: Cors,
    /// How long an event stream may be silent.
    pub(crate) heartbeat: Duration,
}

impl Service {
    /// Answers one request. Every answer of the API carries the CORS headers.
    pub(crate) async fn serve(
        &self,
        request: Request<Incoming>,
        origin: Origin,
    ) -> Result<HttpResponse, Infallible> {
        let begun = Instant::now();
        let route = route(&self.api_base, request.uri().path());
        let mut request = request;
        // Both have addresses below `/api/`; those of the v2 API are fewer.
        if let Some(door) = self.door.as_ref().filter(|door| door.is_alone || route.is_none()) {
            // On the heap: the future of each request is moved, with room for this.
            match Box::pin(door.serve(request)).await {
                Ok(response) => return Ok(response),
                Err(not_its_own) => request = *not_its_own,
            }
        }
        let (parts, body) = request.into_parts();
        // Probes of proxies ask for it, whether or not the page is served there.
        if parts.method == hyper::Method::OPTIONS && matches!(parts.uri.path(), "/" | "*") {
            return Ok(self.finished(&parts, preflight(&parts), None));
        }
        let page = self.page.as_ref().filter(|_| route.is_none());
        if let Some(mut response) = page.and_then(|page| page.answer(&parts)) {
            self.insist_on_tls(&mut response);
            return Ok(response);
        }
        let mut trail = Trail::default();
        let answered = self.respond(route, &parts, body, origin, &mut trail).await;
        let response = answered.unwrap_or_else(rejected);
        self.account(&parts, origin, trail, response.status().as_u16()).await;
        let response = self.finished(&parts, response, route);
        let template = route.map_or("other", Route::template);
        COUNTERS.answered(template, response.status().as_u16(), begun.elapsed());
        Ok(response)
    }

    /// Adds the headers that do not depend on the answer.
    fn finished(
        &self,
        parts: &Parts,
        mut response: HttpResponse,
        route: Option<Route>,
    ) -> HttpResponse {
        if route != Some(Route::Metrics) {
            allow_sites(parts, &self.cors, &mut response);
        }
        if !matches!(route, Some(Route::Description | Route::Health | Route::Metrics)) {
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
        }
        self.insist_on_tls(&mut response);
        response
    }

    fn insist_on_tls(&self, response: &mut HttpResponse) {
        if self.about.tls != "0" {
            let name = header::STRICT_TRANSPORT_SECURITY;
            response.headers_mut().insert(name, HeaderValue::from_static(HSTS));
        }
    }

    /// Writes to the audit log what belongs there, and holds the answer to a wrong key back.
    async fn account(&self, parts: &Parts, origin: Origin, trail: Trail, status: u16) {
        let mut is_audited = is_audited(trail.endpoint, status);
        let is_wrong = trail.is_wrong && status == 401;
        if !is_audited && !is_wrong {
            return;
        }
        let now = self.clock.sample();
        let Trail { who, mut detail, .. } = trail;
        let mut delay_ms = 0;
        if let (true, Origin::Tcp(address)) = (is_wrong, origin) {
            let verdict = self.guard().wrong_key(address.ip(), now.mono);
            delay_ms = verdict.delay_ms;
            if let Some(count) = verdict.report {
                tracing::warn!(
                    "Master.http: wrong API key or token from {origin}; \
                     {count} since the last such line"
                );
                detail = format!("{count} wrong keys since the last such entry");
                is_audited = true;
            }
        }
        if is_audited {
            let who = if who.is_empty() { "-" } else { &*who };
            let (from, method) = (origin.to_string(), parts.method.as_str());
            let (time, path, detail) = (now.wall, parts.uri.path(), &*detail);
            let entry = AuditEntry { time, who, from: &from, method, path, detail, status };
            self.audit.write(entry.line()).await;
        }
        if delay_ms > 0 {
            sleep(Duration::from_millis(delay_ms)).await;
        }
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(
        &self,
        route: Option<Route>,
        parts: &Parts,
        body: Incoming,
        origin: Origin,
        trail: &mut Trail,
    ) -> Result<HttpResponse, Rejection> {
        let route = route.ok_or(Rejection::NoPath)?;
        let method = method(&parts.method);
        if method == Method::Options {
            return Ok(preflight(parts));
        }
        let (identity, has_credential) = self.identify(route, method, parts, origin);
        trail.is_wrong = has_credential && identity.is_none();
        trail.who = identity.as_ref().map(Identity::name).unwrap_or_default();
        let admitted = identity.is_some() || !route.needs_key(self.observed.metrics.open);
        let endpoint = admit(route, method, admitted, |id| self.hub.has(id))?;
        if let Endpoint::Observe(what) = endpoint {
            return self.observed.answer(what, parts).await;
        }
        let identity = identity.ok_or(Rejection::NoKey)?;
        identity.check(endpoint)?;
        trail.endpoint = Some(endpoint);
        if let Some(answer) = self.look(endpoint, identity.reader()) {
            return Ok(whole(answer?));
        }
        // On the heap, so that requests that only look are not moved with room for it.
        Box::pin(self.carry_out(endpoint, &identity, parts, body, &mut trail.detail)).await
    }

    /// Answers the most frequent requests, which wait for nothing; `None` for others.
    fn look(&self, endpoint: Endpoint, reader: Reader) -> Option<Result<Answer, Rejection>> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "all others wait for something")]
        Some(match endpoint {
            Endpoint::ReadInfo => Ok(Answer::json(200, self.info())),
            Endpoint::List => self.hub.list(reader).map(|list| Answer::json(200, list)),
            Endpoint::ReadKey => self.hub.key_instance(reader).map(|key| Answer::json(200, key)),
            Endpoint::Read(id) => {
                let found = self.hub.instance(reader, id).ok_or(Refusal::NoInstance.into());
                found.map(|(json, revision)| Answer::instance(200, json, revision))
            }
            _ => return None,
        })
    }

    /// Does what a request asks that was let in.
    async fn carry_out(
        &self,
        endpoint: Endpoint,
        identity: &Identity,
        parts: &Parts,
        body: Incoming,
        detail: &mut String,
    ) -> Result<HttpResponse, Rejection> {
        let reader = identity.reader();
        let secrets = reader.secrets();
        let answer = match endpoint {
            Endpoint::Events => return self.events(parts, identity),
            Endpoint::Observe(what) => return self.observed.answer(what, parts).await,
            Endpoint::IssueTicket => {
                let now = self.clock.sample().mono;
                Answer::json(201, self.tickets().issue(random(), identity.clone(), now))
            }
            Endpoint::ReadInfo | Endpoint::List | Endpoint::ReadKey | Endpoint::Read(_) => {
                unreachable!("`look` answers it")
            }
            Endpoint::TcpPing => {
                let target = ping_target(parts.uri.query().unwrap_or_default())?;
                self.call(identity, Command::Dial(target)).await?
            }
            Endpoint::SetAlias => {
                self.call(identity, Command::SetAlias(decode_alias(&read(body).await?)?)).await?
            }
            Endpoint::Create => {
                let (url, alias) = decode_create(&read(body).await?, secrets)?;
                self.check_command(parts, &url, Setup::default()).await?;
                let outcome = self.ask(identity, Command::Create { url, alias }).await?;
                if let Outcome::Created(view) = &outcome {
                    *detail = view.definition.id.to_string();
                }
                Answer::from_outcome(outcome, secrets, Bytes::new)
            }
            Endpoint::Act => {
                let selection = decode_actions(&read(body).await?)?;
                let selected = selection.choose(&self.hub.instances());
                *detail = selected.detail();
                let (ids, action) = (selected.ids(), selected.action);
                let outcome = self.ask(identity, Command::Act { ids, action }).await?;
                if let Outcome::Acted(acted) = &outcome {
                    selected.answer(acted)
                } else {
                    Answer::from_outcome(outcome, secrets, Bytes::new)
                }
            }
            Endpoint::Patch(id) => {
                let expect = if_match(parts)?;
                let amend: Box<Amend> = decode_patch(&read(body).await?)?.into();
                *detail = amend.action.map_or("", InstanceAction::as_str).to_owned();
                self.call(identity, Command::Amend { id, expect, amend }).await?
            }
            Endpoint::ReadPolicy(id) => {
                policy_answer(&*self.hub.definition(id).ok_or(Refusal::NoInstance)?, secrets)
            }
            Endpoint::PatchPolicy(id) => {
                let expect = if_match(parts)?;
                let amend = decode_policy_patch(&read(body).await?, secrets)?.into();
                let outcome = self.ask(identity, Command::Amend { id, expect, amend }).await?;
                policy_outcome(outcome, secrets)
            }
            Endpoint::ReplacePolicy(id) => {
                let expect = if_match(parts)?;
                let amend = decode_policy(&read(body).await?, secrets)?.into();
                let outcome = self.ask(identity, Command::Amend { id, expect, amend }).await?;
                policy_outcome(outcome, secrets)
            }
            Endpoint::Replace(id) => {
                let expect = if_match(parts)?;
                let url = decode_replace(&read(body).await?, secrets)?;
                let definition = self.hub.definition(id).ok_or(Refusal::NoInstance)?;
                self.check_command(parts, &url, Setup::clone(&definition.setup)).await?;
                self.call(identity, Command::Replace { id, expect, url }).await?
            }
            Endpoint::Delete(id) => {
                let expect = if_match(parts)?;
                self.call(identity, Command::Remove { id, expect }).await?
            }
            Endpoint::PatchKey => {
                if decode_key_patch(&read(body).await?)? {
                    "new key".clone_into(detail);
                    let outcome = self.ask(identity, Command::RotateKey(fresh_key())).await?;
                    Answer::from_outcome(outcome, secrets, Bytes::new)
                } else {
                    Answer::json(200, self.hub.key_instance(reader)?)
                }
            }
            Endpoint::ReadAudit => {
                let limit = audit_limit(parts.uri.query().unwrap_or_default())?;
                let entries = self.audit.read(limit).await;
                let unreadable = |error| format!("cannot read the audit log: {error}");
                Answer::json(200, entries.map_err(|error| Rejection::NoThread(unreadable(error)))?)
            }
            Endpoint::ListTokens => Answer::json(200, self.registry.list()),
            Endpoint::CreateToken => {
                let new = decode_token(&read(body).await?)?;
                *detail = format!("{} {}", new.name, new.role.as_str());
                self.recheck(identity)?;
                Answer::json(201, Box::pin(self.registry.create(new)).await?)
            }
            Endpoint::RevokeToken => {
                let name = token_name(&self.api_base, parts.uri.path())?;
                Box::pin(self.registry.revoke(&name)).await?;
                Answer::empty(204)
            }
        };
        Ok(whole(answer))
    }

    /// By what a request is let in, `None` where it presents nothing that admits; and whether it
    /// presents a key or a token.
    fn identify(
        &self,
        route: Route,
        method: Method,
        parts: &Parts,
        origin: Origin,
    ) -> (Option<Identity>, bool) {
        let value = |name| parts.headers.get(name).map(HeaderValue::as_bytes);
        let key = |text| self.hub.admits(Some(text)).map(Identity::Key);
        let credential = Credential::of(value("x-api-key"), value("authorization"));
        let identity = match credential {
            Some(Credential::Token(text)) => self.registry.admit(text).map(Identity::Token),
            Some(Credential::Key(text)) => key(text).or_else(|| self.redeem(route, method, parts)),
            Some(Credential::Bearer(text)) if route == Route::Metrics => key(text),
            Some(Credential::Bearer(_)) => None,
            None => {
                let peer = origin.trust().map(Identity::Peer);
                peer.or_else(|| self.redeem(route, method, parts))
            }
        };
        (identity, credential.is_some())
    }

    /// Refuses a command that cannot be started, unless the request insists. A file system that does
    /// not answer in time decides nothing.
    async fn check_command(
        &self,
        parts: &Parts,
        url: &InstanceUrl,
        setup: Setup,
    ) -> Result<(), Rejection> {
        if decode_force(parts.uri.query().unwrap_or_default())? || !self.runs_commands {
            return Ok(());
        }
        let Checks { schedule, watch, .. } = Checks::parse(url).unwrap_or_default();
        let zone = schedule.map(|schedule| schedule.zone);
        let url = url.as_str().to_owned();
        let check = tokio::task::spawn_blocking(move || {
            if let Some(zone) = zone.filter(|zone| !has_zone(zone)) {
                return Err(format!("schedule_tz: this machine has no time zone {zone:?}"));
            }
            check_watch(&watch)?;
            check_command(&url, &setup)
        });
        match timeout(COMMAND_CHECK, check).await {
            Ok(Ok(Err(reason))) => {
                Err(Rejection::Bad(format!("{reason}; correct it, or {FORCE_REMEDY}")))
            }
            Ok(Ok(Ok(())) | Err(_)) | Err(_) => Ok(()),
        }
    }

    /// A body may have taken long to arrive: a token may be revoked meanwhile. That a key is still
    /// in force, the engine checks.
    fn recheck(&self, identity: &Identity) -> Result<(), Rejection> {
        match identity {
            Identity::Token(token) if !self.registry.is_in_force(token) => Err(Rejection::NoKey),
            Identity::Token(_) | Identity::Key(_) | Identity::Peer(_) => Ok(()),
        }
    }

    fn events(&self, parts: &Parts, identity: &Identity) -> Result<HttpResponse, Rejection> {
        let header = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok());
        let last_seen = header.map(str::to_owned).or_else(|| stream_query(parts).last_event_id);
        let last_seen = last_seen.as_deref().and_then(EventName::parse);
        let subscriber = self.hub.subscribe(identity.reader(), last_seen)?;
        // A token that is revoked from here on finds the stream and ends it.
        self.recheck(identity)?;
        let mut response =
            Response::new(AnswerBody::Events(EventBody::new(subscriber, self.heartbeat)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(STREAM_CACHING));
        // Tells nginx and its like not to collect events before they pass them on.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(response)
    }

    /// Who took the ticket out that the request has, if there is one.
    fn redeem(&self, route: Route, method: Method, parts: &Parts) -> Option<Identity> {
        if (route, method) != (Route::Events, Method::Get) {
            return None;
        }
        let ticket = stream_query(parts).ticket?;
        self.tickets().redeem(ticket.as_bytes(), self.clock.sample().mono)
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets<Identity>> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the engine, which checks that the key, which was in force when the request began, still
    /// is.
    async fn call(&self, identity: &Identity, command: Command) -> Result<Answer, Rejection> {
        let outcome = self.ask(identity, command).await?;
        Ok(Answer::from_outcome(outcome, identity.reader().secrets(), || self.info()))
    }

    async fn ask(&self, identity: &Identity, command: Command) -> Result<Outcome, Rejection> {
        self.recheck(identity)?;
        let outcome = self.mailbox.call(identity.caller(), command).await;
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
