//! One request on a Unix socket: routed, admitted, read and answered.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use openctrl_core::command::{Amend, Caller, Command, Outcome};
use openctrl_core::control::RulesRequest;
use openctrl_core::doors::control::{
    BODY_MAX_BYTES, CandidateRequest, CommandPlan, ControlModel, LogLevel, MainCall, ManagedCall,
    Reply, Socket, candidate_rules, command_result, decode_candidate, decode_delete,
    decode_log_level, log_level_result, plan_command, refusal_text, route_main, route_managed,
    validate_result,
};
use openctrl_core::expect::Expect;
use openctrl_core::ids::InstanceId;
use openctrl_core::resource::Fact;
use openctrl_core::rules::RuleSpec;
use tokio::sync::oneshot;

use super::ask::Ask;
use super::hub::ControlHub;
use super::parked::Parked;
use super::peer::Peer;
pub(super) use super::peer::Writers;
use super::{runtime, yaml};
use crate::daemon::clock::Clock;
use crate::daemon::inbox::Mailbox;
use crate::daemon::log;
use crate::daemon::request_body::{BodyError, read_body};
use crate::daemon::threads::Threads;

/// Answers requests on any number of connections at a time.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) hub: Arc<ControlHub>,
    pub(crate) mailbox: Mailbox,
    pub(crate) clock: Clock,
    pub(crate) writers: Writers,
    /// Reads the rules of requests: a megabyte of YAML would hold up all that an async worker does.
    pub(crate) readers: Threads,
}

/// A request with rules, and the rules: `None` for a blank one, or what is wrong with them.
type Candidate = (CandidateRequest, Result<Option<Vec<RuleSpec>>, String>);

/// What a connection is to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Main(Socket),
    Instance(InstanceId),
}

impl Door {
    /// Answers one request of a peer. A request for events that has to wait is handed back, unless
    /// it `has_waited`.
    pub(super) async fn serve(
        &self,
        target: Target,
        peer: Peer,
        request: Request<Incoming>,
        has_waited: bool,
    ) -> Result<Response<Full<Bytes>>, Parked> {
        match target {
            Target::Main(socket) => Ok(response(self.main(socket, peer.may_write, request).await)),
            Target::Instance(id) => self.managed(id, peer, &request, has_waited).await,
        }
    }

    async fn main(&self, socket: Socket, may_write: bool, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let (path, query) = (parts.uri.path(), parts.uri.query());
        let call = match route_main(socket, parts.method.as_str(), path, query) {
            Ok(call) => call,
            Err(reply) => return reply,
        };
        if call.is_write() && !may_write {
            return Reply::error(
                403,
                "changes are for root, the user of openctrl and control_group",
            );
        }
        if let Some(reply) = self.hub.read_all(|model, figures| call.read(model, figures)) {
            return reply;
        }
        let body = match &call {
            MainCall::Runtime | MainCall::Get(_) => Ok(Bytes::new()),
            MainCall::Status
            | MainCall::Controllers
            | MainCall::Describe(..)
            | MainCall::Probe(..)
            | MainCall::Plan
            | MainCall::Validate
            | MainCall::Apply
            | MainCall::Delete
            | MainCall::LogLevel => read(body).await,
        };
        let body = match body {
            Ok(body) => body,
            Err(reply) => return reply,
        };
        self.answer(call, body).await.unwrap_or_else(|reply| reply)
    }

    async fn answer(&self, call: MainCall, body: Bytes) -> Result<Reply, Reply> {
        match call {
            MainCall::Runtime => Ok(ControlModel::runtime(&self.runtime())),
            MainCall::Get(query) => {
                let stats = self.runtime();
                Ok(self.hub.read_all(|model, figures| model.get(&query, figures, Some(&stats))))
            }
            MainCall::Validate => {
                let (_, rules) = self.candidate(body, "ValidateRequest").await?;
                Ok(validate_result(rules.err().as_deref()))
            }
            MainCall::Plan => {
                let (request, rules) = self.candidate(body, "PlanRequest").await?;
                match rules.map_err(|fault| Reply::bad(&fault))? {
                    Some(rules) => self.rules(RulesRequest::Plan(rules, request.replace)).await,
                    None => self.rules(RulesRequest::PlanInForce).await,
                }
            }
            MainCall::Apply => {
                let (request, rules) = self.candidate(body, "ApplyRequest").await?;
                let rules = rules.map_err(|fault| Reply::bad(&fault))?;
                let rules = rules.ok_or_else(|| Reply::bad("candidateYaml is required"))?;
                if rules.is_empty() {
                    return Err(Reply::bad("candidateYaml has no spec.resources"));
                }
                let CandidateRequest { replace, dry_run, .. } = request;
                self.rules(RulesRequest::Apply(rules, replace, dry_run)).await
            }
            MainCall::Delete => self.rules(RulesRequest::Delete(decode_delete(&body)?)).await,
            MainCall::LogLevel => {
                let level = decode_log_level(&body)?;
                log::set_level(match level {
                    LogLevel::Debug => tracing::Level::DEBUG,
                    LogLevel::Info | LogLevel::Default => tracing::Level::INFO,
                    LogLevel::Warning => tracing::Level::WARN,
                    LogLevel::Error => tracing::Level::ERROR,
                });
                Ok(log_level_result(level))
            }
            MainCall::Status
            | MainCall::Controllers
            | MainCall::Describe(..)
            | MainCall::Probe(..) => Err(Reply::error(500, "this read needs no body")),
        }
    }

    /// A request with the rules in it, read on the thread for that.
    async fn candidate(&self, body: Bytes, kind: &'static str) -> Result<Candidate, Reply> {
        let read = move || {
            let request = decode_candidate(&body, kind)?;
            let rules = rules_of(&request);
            Ok((request, rules))
        };
        let read = self.readers.run(read).await;
        read.unwrap_or_else(|error| Err(Reply::error(500, &error.to_string())))
    }

    fn runtime(&self) -> openctrl_core::doors::control::RuntimeStats {
        runtime::collect(self.clock.sample().wall)
    }

    async fn rules(&self, request: RulesRequest) -> Result<Reply, Reply> {
        let (answer, answered) = oneshot::channel();
        self.mailbox.ask(Ask::Rules(request, answer)).await;
        answered.await.map_err(|_| Reply::error(503, "the master is shutting down"))
    }

    async fn managed(
        &self,
        id: InstanceId,
        peer: Peer,
        request: &Request<Incoming>,
        has_waited: bool,
    ) -> Result<Response<Full<Bytes>>, Parked> {
        let uri = request.uri();
        let call = match route_managed(request.method().as_str(), uri.path(), uri.query()) {
            Ok(call) => call,
            Err(reply) => return Ok(response(reply)),
        };
        let answer = match call {
            ManagedCall::Healthz => {
                self.hub.process(id).map(|entry| response(ControlModel::healthz(&entry)))
            }
            ManagedCall::Status => self.hub.status(id).map(json),
            _ if self.hub.process(id).is_none() => None,
            ManagedCall::Events(query) => {
                if !has_waited && !self.hub.has_news(id, &query) {
                    // The body of a request cannot be kept aside; nobody sends one here.
                    if request.body().is_end_stream() {
                        return Err(Parked::new(id, query, request));
                    }
                    self.hub.wait(id, &query).await;
                }
                Some(response(self.hub.read(|model| model.events(id, &query))))
            }
            ManagedCall::Command(command) if !peer.may_write => {
                let message = "commands are for root, the user of openctrl and control_group";
                let result = command_result(&command, false, message);
                Some(response(Reply { status: 403, ..result }))
            }
            ManagedCall::Command(command) => {
                Some(response(self.command(peer.caller, id, command).await))
            }
        };
        Ok(answer.unwrap_or_else(|| response(Reply::text(404, "404 page not found\n"))))
    }

    /// Both events are durable before the answer.
    async fn command(&self, caller: Caller, id: InstanceId, command: String) -> Reply {
        let received = self.note(id, Fact::CommandReceived(command.clone())).await;
        let done = self.act(caller, id, &command).await;
        let fact = match &done {
            Ok(()) => Fact::CommandExecuted(command.clone()),
            Err(_) => Fact::CommandRejected(command.clone()),
        };
        let finished = self.note(id, fact).await;
        let is_kept = received.await.unwrap_or(false) && finished.await.unwrap_or(false);
        match done {
            Ok(()) if !is_kept => command_result(&command, false, "its events cannot be saved"),
            Ok(()) => command_result(&command, true, "accepted"),
            Err(reason) => command_result(&command, false, &reason),
        }
    }

    async fn act(&self, caller: Caller, id: InstanceId, command: &str) -> Result<(), String> {
        let entry = self.hub.process(id).ok_or("the instance was deleted")?;
        match plan_command(command, &entry) {
            CommandPlan::Unknown => Err(format!("unknown command {command:?}")),
            CommandPlan::Nothing => Ok(()),
            CommandPlan::Act(action) => {
                let amend = Box::new(Amend { action: Some(action), ..Amend::default() });
                let command = Command::Amend { id, expect: Expect::Any, amend };
                match self.mailbox.call(caller, command).await {
                    None => Err("the master is shutting down".to_owned()),
                    Some(Outcome::Refused(refusal)) => Err(refusal_text(&refusal)),
                    Some(_) => Ok(()),
                }
            }
        }
    }

    /// Leaves a fact for the machine; it is taken before what is asked of the engine later.
    async fn note(&self, id: InstanceId, fact: Fact) -> oneshot::Receiver<bool> {
        let (answer, answered) = oneshot::channel();
        self.mailbox.ask(Ask::Note(id, fact, answer)).await;
        answered
    }
}

/// The rules of a candidate; `None` for a blank one.
fn rules_of(request: &CandidateRequest) -> Result<Option<Vec<RuleSpec>>, String> {
    let Some(text) = &request.yaml else { return Ok(None) };
    candidate_rules(&yaml::decode(text)?).map(Some)
}

/// Reads a body; its errors in the words of Go, where the existing implementation has one.
async fn read(body: Incoming) -> Result<Bytes, Reply> {
    read_body(body, BODY_MAX_BYTES).await.map_err(|error| {
        Reply::bad(match error {
            BodyError::TooLarge => "http: request body too large",
            BodyError::TooSlow => "the body did not arrive in 30 s",
            BodyError::BrokenOff => "unexpected EOF",
        })
    })
}

fn json(body: Bytes) -> Response<Full<Bytes>> {
    typed(body, "application/json")
}

fn typed(body: Bytes, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn response(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = typed(Bytes::from(reply.body), reply.content_type);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).expect("core answers with statuses of HTTP");
    let headers = response.headers_mut();
    if let Some(location) = reply.location {
        headers.insert(header::LOCATION, HeaderValue::from_static(location));
    }
    response
}
