//! Finds the call of a request, or the error (control contract B 1.2, 1.3, 2, C 5, D 1, 2).

use alloc::string::String;

use super::answer::Reply;
use super::daemon::EventsQuery;
use super::model::{ControlModel, Figures};
use super::query::{Query, decode_path};
use super::view::{GetQuery, parse_describe, parse_probe};

/// The two main sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socket {
    /// All calls.
    Control,
    /// Reads, validate and plan.
    Status,
}

/// A call on a main socket.
#[derive(Clone, Debug)]
pub enum MainCall {
    /// `GET /status`.
    Status,
    /// `GET /controllers`.
    Controllers,
    /// `GET /runtime`.
    Runtime,
    /// `GET /get`.
    Get(GetQuery),
    /// `GET /describe`: target, events of it.
    Describe(String, usize),
    /// `GET /probe`: subject, target.
    Probe(String, String),
    /// `POST /plan`.
    Plan,
    /// `POST /validate`.
    Validate,
    /// `POST /apply`.
    Apply,
    /// `POST /delete`.
    Delete,
    /// `POST /log-level`.
    LogLevel,
}

/// A call on the managed socket of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagedCall {
    /// `/v1/healthz`.
    Healthz,
    /// `/v1/status`.
    Status,
    /// `/v1/events`.
    Events(EventsQuery),
    /// `POST /v1/commands/…`, decoded.
    Command(String),
}

const PREFIX: &str = "/api/control.routerd.net/v1alpha1";

/// Functions of the main sockets of a router that a supervisor does not have.
const ROUTER_READS: [&str; 6] = [
    "/connections",
    "/dns-queries",
    "/traffic-flows",
    "/dns-queries/aggregate",
    "/traffic-flows/aggregate",
    "/firewall-logs",
];

impl MainCall {
    /// Whether it changes something: the peer needs the right to.
    pub const fn is_write(&self) -> bool {
        matches!(self, Self::Apply | Self::Delete | Self::LogLevel)
    }

    /// Answers a read that only needs the model.
    pub fn read(&self, model: &ControlModel, figures: Figures<'_>) -> Option<Reply> {
        match self {
            Self::Status => Some(model.status()),
            Self::Controllers => Some(model.controllers_reply()),
            Self::Get(query) if !query.needs_runtime() => Some(model.get(query, figures, None)),
            Self::Describe(target, events) => Some(model.describe(target, *events, figures)),
            Self::Probe(subject, target) => Some(model.probe(subject, target)),
            Self::Get(_)
            | Self::Runtime
            | Self::Plan
            | Self::Validate
            | Self::Apply
            | Self::Delete
            | Self::LogLevel => None,
        }
    }
}

/// The call of a request on a main socket. Method and path must fit exactly.
///
/// # Errors
/// The answer: 404 for what there is not, 501 for what this socket has not, 400 for a bad query.
pub fn route_main(
    socket: Socket,
    method: &str,
    path: &str,
    query: Option<&str>,
) -> Result<MainCall, Reply> {
    let path = decode_path(path);
    let Some(rest) = path.strip_prefix(PREFIX) else { return Err(not_found()) };
    let query = Query::parse(query);
    let writable = |call: MainCall, name: &str| match socket {
        Socket::Control => Ok(call),
        Socket::Status => Err(Reply::not_configured(name)),
    };
    match (method, rest) {
        ("GET", "/status") => Ok(MainCall::Status),
        ("GET", "/controllers") => Ok(MainCall::Controllers),
        ("GET", "/runtime") => Ok(MainCall::Runtime),
        ("GET", "/get") => GetQuery::parse(&query).map(MainCall::Get),
        ("GET", "/describe") => {
            parse_describe(&query).map(|(target, events)| MainCall::Describe(target, events))
        }
        ("GET", "/probe") => {
            parse_probe(&query).map(|(subject, target)| MainCall::Probe(subject, target))
        }
        ("POST", "/plan") => Ok(MainCall::Plan),
        ("POST", "/validate") => Ok(MainCall::Validate),
        ("POST", "/apply") => writable(MainCall::Apply, "apply"),
        ("POST", "/delete") => writable(MainCall::Delete, "delete"),
        ("POST", "/log-level") => writable(MainCall::LogLevel, "log level"),
        ("GET", other) if ROUTER_READS.contains(&other) => Err(Reply::not_configured(&other[1..])),
        ("POST", "/dhcp-lease-event") => Err(Reply::not_configured("dhcp lease event")),
        ("POST", "/dhcpv6-event") => Err(Reply::not_configured("dhcpv6 event")),
        ("POST", other) if is_claim(other) => Err(Reply::not_configured("sam enrollment")),
        ("GET", other) if is_topology(other) => Err(Reply::not_configured("sam enrollment")),
        _ => Err(not_found()),
    }
}

fn not_found() -> Reply {
    Reply::error(404, "not found")
}

/// `/sam-enrollment-claims` or `/sam-enrollment-claims/{name}/revoke`.
fn is_claim(path: &str) -> bool {
    let Some(rest) = path.strip_prefix("/sam-enrollment-claims") else { return false };
    let name = rest.strip_prefix('/').and_then(|rest| rest.strip_suffix("/revoke"));
    rest.is_empty() || name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// `/sam-enrollment-topologies/{name}`.
fn is_topology(path: &str) -> bool {
    let name = path.strip_prefix("/sam-enrollment-topologies/");
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

/// The call of a request on a managed socket. Only commands look at the method.
///
/// # Errors
/// The answer: 404 for what there is not, 405 for a command that is no POST.
pub fn route_managed(method: &str, path: &str, query: Option<&str>) -> Result<ManagedCall, Reply> {
    let path = decode_path(path);
    match &*path {
        "/v1/healthz" => Ok(ManagedCall::Healthz),
        "/v1/status" => Ok(ManagedCall::Status),
        "/v1/events" => Ok(ManagedCall::Events(EventsQuery::parse(&Query::parse(query)))),
        "/v1/commands" => {
            let mut reply = Reply::text(307, "");
            reply.location = Some("/v1/commands/");
            Err(reply)
        }
        other => match other.strip_prefix("/v1/commands/") {
            Some(command) if method == "POST" => Ok(ManagedCall::Command(command.into())),
            Some(_) => Err(Reply::text(405, "method not allowed\n")),
            None => Err(Reply::text(404, "404 page not found\n")),
        },
    }
}
