//! Which endpoint a request is for, and whether it may go there (Contract §3).

use alloc::borrow::Cow;
use alloc::string::String;

use percent_encoding::percent_decode_str;

use super::status::Rejection;
use crate::access::TokenName;
use crate::command::Refusal;
use crate::ids::{InstanceId, KEY_INSTANCE_ID};

/// A request method that the API distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD: the head of what GET answers.
    Head,
    /// POST
    Post,
    /// PATCH
    Patch,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
    /// Any other: no path has it.
    Other,
}

/// A known path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/info`
    Info,
    /// `/instances`
    Instances,
    /// `/instances/{id}`
    Instance(Target),
    /// `/actions`
    Actions,
    /// `/events`
    Events,
    /// `/events/ticket`
    Ticket,
    /// `/tcping`
    TcpPing,
    /// `/health`
    Health,
    /// `/instances/{id}/logs`
    Logs(Target),
    /// `/instances/{id}/process`
    Process(Target),
    /// `/instances/{id}/policy`
    Policy(Target),
    /// `/instances/{id}/control`
    Control(Target),
    /// `/processes`
    Processes,
    /// `/openapi.json`
    Description,
    /// `/metrics`, at the root and below the API base.
    Metrics,
    /// `/audit`
    Audit,
    /// `/tokens`
    Tokens,
    /// `/tokens/{name}`
    Token,
}

/// The resource that the last part of an instance path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing: the id is empty.
    Nothing,
    /// The key instance.
    Key,
    /// Something with the form of an instance id.
    Instance(InstanceId),
    /// Something that can be no instance's id.
    Unknown,
}

/// The request of an admitted client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `GET /info`
    ReadInfo,
    /// `POST /info`
    SetAlias,
    /// `GET /instances`
    List,
    /// `POST /instances`
    Create,
    /// `POST /actions`
    Act,
    /// `GET /instances/********`
    ReadKey,
    /// `PATCH /instances/********`
    PatchKey,
    /// `GET /instances/{id}`
    Read(InstanceId),
    /// `PATCH /instances/{id}`
    Patch(InstanceId),
    /// `PUT /instances/{id}`
    Replace(InstanceId),
    /// `DELETE /instances/{id}`
    Delete(InstanceId),
    /// `GET /instances/{id}/policy`
    ReadPolicy(InstanceId),
    /// `PATCH /instances/{id}/policy`
    PatchPolicy(InstanceId),
    /// `PUT /instances/{id}/policy`
    ReplacePolicy(InstanceId),
    /// `GET /events`
    Events,
    /// `POST /events/ticket`
    IssueTicket,
    /// `GET /tcping`
    TcpPing,
    /// `GET /audit`
    ReadAudit,
    /// `GET /tokens`
    ListTokens,
    /// `POST /tokens`
    CreateToken,
    /// `DELETE /tokens/{name}`
    RevokeToken,
    /// Data of the master besides the state of its instances.
    Observe(Observation),
}

/// Data that can only be read. Some of it may be public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// `GET /instances/{id}/logs`
    Logs(InstanceId),
    /// `GET /instances/{id}/process`
    Process(InstanceId),
    /// `GET /instances/{id}/control`
    Control(InstanceId),
    /// `GET /processes`
    Processes,
    /// `GET /health`
    Health,
    /// `GET /openapi.json`
    Description,
    /// `GET /metrics`
    Metrics,
}

impl Route {
    /// The path with placeholders for its variable parts, without the API base, to count requests
    /// by route.
    pub const fn template(self) -> &'static str {
        match self {
            Self::Info => "/info",
            Self::Instances => "/instances",
            Self::Instance(_) => "/instances/{id}",
            Self::Actions => "/actions",
            Self::Events => "/events",
            Self::Ticket => "/events/ticket",
            Self::TcpPing => "/tcping",
            Self::Health => "/health",
            Self::Logs(_) => "/instances/{id}/logs",
            Self::Process(_) => "/instances/{id}/process",
            Self::Policy(_) => "/instances/{id}/policy",
            Self::Control(_) => "/instances/{id}/control",
            Self::Processes => "/processes",
            Self::Description => "/openapi.json",
            Self::Metrics => METRICS_PATH,
            Self::Audit => "/audit",
            Self::Tokens => "/tokens",
            Self::Token => "/tokens/{name}",
        }
    }

    /// Whether it needs the key. `open_metrics` is the operator's choice.
    pub const fn needs_key(self, open_metrics: bool) -> bool {
        match self {
            Self::Description | Self::Health => false,
            Self::Metrics => !open_metrics,
            Self::Info
            | Self::Instances
            | Self::Instance(_)
            | Self::Actions
            | Self::Events
            | Self::Ticket
            | Self::TcpPing
            | Self::Logs(_)
            | Self::Process(_)
            | Self::Policy(_)
            | Self::Control(_)
            | Self::Processes
            | Self::Audit
            | Self::Tokens
            | Self::Token => true,
        }
    }
}

/// The path of the metrics, whatever the prefix: scrapers look there by default.
const METRICS_PATH: &str = "/metrics";

/// Finds the route of a request path below `api_base` (`/api/v2`); `None` is 404.
pub fn route(api_base: &str, path: &str) -> Option<Route> {
    let decoded = decoded(path);
    if decoded == METRICS_PATH {
        return Some(Route::Metrics);
    }
    let below = decoded.strip_prefix(api_base)?;
    match below {
        "/info" => Some(Route::Info),
        "/instances" => Some(Route::Instances),
        "/actions" => Some(Route::Actions),
        "/events" => Some(Route::Events),
        "/events/ticket" => Some(Route::Ticket),
        "/health" => Some(Route::Health),
        "/tcping" => Some(Route::TcpPing),
        "/processes" => Some(Route::Processes),
        "/openapi.json" => Some(Route::Description),
        METRICS_PATH => Some(Route::Metrics),
        "/audit" => Some(Route::Audit),
        "/tokens" => Some(Route::Tokens),
        other if other.starts_with(TOKENS_PATH) => Some(Route::Token),
        other => other.strip_prefix("/instances/").map(instance_route),
    }
}

/// Nearly every path has nothing to decode.
fn decoded(path: &str) -> Cow<'_, str> {
    if path.contains('%') {
        percent_decode_str(path).decode_utf8_lossy()
    } else {
        Cow::Borrowed(path)
    }
}

const TOKENS_PATH: &str = "/tokens/";

/// The token that a path of [`Route::Token`] names.
///
/// # Errors
/// 404 for what can be the name of none.
pub fn token_name(api_base: &str, path: &str) -> Result<TokenName, Rejection> {
    let decoded = decoded(path);
    let below = decoded.strip_prefix(api_base);
    let name = below.and_then(|below| below.strip_prefix(TOKENS_PATH));
    name.and_then(TokenName::parse).ok_or(Rejection::NoToken)
}

/// The route of the path after `/instances/`.
fn instance_route(rest: &str) -> Route {
    match rest.split_once('/') {
        Some((id, "logs")) => Route::Logs(target(id)),
        Some((id, "process")) => Route::Process(target(id)),
        Some((id, "policy")) => Route::Policy(target(id)),
        Some((id, "control")) => Route::Control(target(id)),
        Some(_) | None => Route::Instance(target(rest)),
    }
}

fn target(id: &str) -> Target {
    match id {
        "" => Target::Nothing,
        KEY_INSTANCE_ID => Target::Key,
        other => InstanceId::parse(other).map_or(Target::Unknown, Target::Instance),
    }
}

/// Decides whether a request is admitted. Checks the key first, then whether the instance exists,
/// then the method. HEAD is admitted wherever GET is, except for the stream, which does not end.
///
/// # Errors
/// The refusal to answer with: 401, 400 for an empty id, 404, 403 or 405.
pub fn admit(
    route: Route,
    method: Method,
    has_key: bool,
    exists: impl FnOnce(InstanceId) -> bool,
) -> Result<Endpoint, Rejection> {
    if !has_key {
        return Err(Rejection::NoKey);
    }
    let method = match (method, route) {
        (Method::Head, Route::Events) => Method::Other,
        (Method::Head, _) => Method::Get,
        (other, _) => other,
    };
    match (route, method) {
        (Route::Info, Method::Get) => Ok(Endpoint::ReadInfo),
        (Route::Info, Method::Post) => Ok(Endpoint::SetAlias),
        (Route::Info, _) => Err(Rejection::Method("GET, HEAD, POST, OPTIONS")),
        (Route::Instances, Method::Get) => Ok(Endpoint::List),
        (Route::Instances, Method::Post) => Ok(Endpoint::Create),
        (Route::Instances, _) => Err(Rejection::Method("GET, HEAD, POST, OPTIONS")),
        (Route::Actions, Method::Post) => Ok(Endpoint::Act),
        (Route::Actions, _) => Err(Rejection::Method("POST, OPTIONS")),
        (Route::Events, Method::Get) => Ok(Endpoint::Events),
        (Route::Events, _) => Err(Rejection::Method("GET, OPTIONS")),
        (Route::Ticket, Method::Post) => Ok(Endpoint::IssueTicket),
        (Route::Ticket, _) => Err(Rejection::Method("POST, OPTIONS")),
        (Route::TcpPing, Method::Get) => Ok(Endpoint::TcpPing),
        (Route::Processes, Method::Get) => Ok(Endpoint::Observe(Observation::Processes)),
        (Route::Health, Method::Get) => Ok(Endpoint::Observe(Observation::Health)),
        (Route::Description, Method::Get) => Ok(Endpoint::Observe(Observation::Description)),
        (Route::Metrics, Method::Get) => Ok(Endpoint::Observe(Observation::Metrics)),
        (
            Route::TcpPing | Route::Processes | Route::Health | Route::Description | Route::Metrics,
            _,
        ) => Err(Rejection::Method(READ_ONLY)),
        (Route::Instance(target), method) => admit_instance(target, method, exists),
        (Route::Logs(target), method) => admit_part(target, method, exists, Observation::Logs),
        (Route::Process(target), method) => {
            admit_part(target, method, exists, Observation::Process)
        }
        (Route::Control(target), method) => {
            admit_part(target, method, exists, Observation::Control)
        }
        (Route::Policy(target), method) => admit_policy(target, method, exists),
        (Route::Audit, Method::Get) => Ok(Endpoint::ReadAudit),
        (Route::Audit, _) => Err(Rejection::Method(READ_ONLY)),
        (Route::Tokens, Method::Get) => Ok(Endpoint::ListTokens),
        (Route::Tokens, Method::Post) => Ok(Endpoint::CreateToken),
        (Route::Tokens, _) => Err(Rejection::Method("GET, HEAD, POST, OPTIONS")),
        (Route::Token, Method::Delete) => Ok(Endpoint::RevokeToken),
        (Route::Token, _) => Err(Rejection::Method("DELETE, OPTIONS")),
    }
}

const READ_ONLY: &str = "GET, HEAD, OPTIONS";

/// Part of an instance that can only be read. The key instance has none: it is no process.
fn admit_part(
    target: Target,
    method: Method,
    exists: impl FnOnce(InstanceId) -> bool,
    part: impl FnOnce(InstanceId) -> Observation,
) -> Result<Endpoint, Rejection> {
    match known(target, exists)? {
        None => Err(Refusal::NoInstance.into()),
        Some(_) if method != Method::Get => Err(Rejection::Method(READ_ONLY)),
        Some(id) => Ok(Endpoint::Observe(part(id))),
    }
}

/// The key instance has no policy: it is no process.
fn admit_policy(
    target: Target,
    method: Method,
    exists: impl FnOnce(InstanceId) -> bool,
) -> Result<Endpoint, Rejection> {
    match (method, known(target, exists)?) {
        (Method::Get, Some(id)) => Ok(Endpoint::ReadPolicy(id)),
        (Method::Patch, Some(id)) => Ok(Endpoint::PatchPolicy(id)),
        (Method::Put, Some(id)) => Ok(Endpoint::ReplacePolicy(id)),
        (Method::Get | Method::Patch | Method::Put, None) => Err(Rejection::KeyPolicy),
        (Method::Head | Method::Post | Method::Delete | Method::Options | Method::Other, _) => {
            Err(Rejection::Method("GET, HEAD, PATCH, PUT, OPTIONS"))
        }
    }
}

fn admit_instance(
    target: Target,
    method: Method,
    exists: impl FnOnce(InstanceId) -> bool,
) -> Result<Endpoint, Rejection> {
    match (method, known(target, exists)?) {
        (Method::Get, Some(id)) => Ok(Endpoint::Read(id)),
        (Method::Patch, Some(id)) => Ok(Endpoint::Patch(id)),
        (Method::Put, Some(id)) => Ok(Endpoint::Replace(id)),
        (Method::Delete, Some(id)) => Ok(Endpoint::Delete(id)),
        (Method::Get, None) => Ok(Endpoint::ReadKey),
        (Method::Patch, None) => Ok(Endpoint::PatchKey),
        (Method::Put | Method::Delete, None) => Err(Rejection::KeyInstance),
        (Method::Head | Method::Post | Method::Options | Method::Other, _) => {
            Err(Rejection::Method("GET, HEAD, PATCH, PUT, DELETE, OPTIONS"))
        }
    }
}

/// The requested instance, which exists; `None` is the key instance.
fn known(
    target: Target,
    exists: impl FnOnce(InstanceId) -> bool,
) -> Result<Option<InstanceId>, Rejection> {
    match target {
        Target::Nothing => {
            let reason = "the instance id is empty; the path is /instances/{id}";
            Err(Rejection::Bad(String::from(reason)))
        }
        Target::Unknown => Err(Refusal::NoInstance.into()),
        Target::Instance(id) if !exists(id) => Err(Refusal::NoInstance.into()),
        Target::Instance(id) => Ok(Some(id)),
        Target::Key => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const ID: InstanceId = InstanceId(0xd34d_b33f);

    #[test]
    fn paths_lead_where_the_contract_says() {
        let cases = [
            ("/api/v2/info", Some(Route::Info)),
            ("/api/v2/instances", Some(Route::Instances)),
            ("/api/v2/events", Some(Route::Events)),
            ("/api/v2/tcping", Some(Route::TcpPing)),
            ("/api/v2/instances/", Some(Route::Instance(Target::Nothing))),
            ("/api/v2/instances/d34db33f", Some(Route::Instance(Target::Instance(ID)))),
            ("/api/v2/instances/%64%334db33f", Some(Route::Instance(Target::Instance(ID)))),
            ("/api/v2/instances/********", Some(Route::Instance(Target::Key))),
            ("/api/v2/instances/%2A%2a******", Some(Route::Instance(Target::Key))),
            ("/api/v2/instances/d34db33f/x", Some(Route::Instance(Target::Unknown))),
            ("/api/v2/instances/D34DB33F", Some(Route::Instance(Target::Unknown))),
            ("/api/v2/instances/d34db33f/logs", Some(Route::Logs(Target::Instance(ID)))),
            ("/api/v2/instances/d34db33f/process", Some(Route::Process(Target::Instance(ID)))),
            ("/api/v2/instances//logs", Some(Route::Logs(Target::Nothing))),
            ("/api/v2/instances/********/process", Some(Route::Process(Target::Key))),
            ("/api/v2/instances/d34db33f/logs/", Some(Route::Instance(Target::Unknown))),
            ("/api/v2/instances/d34db33f/control", Some(Route::Control(Target::Instance(ID)))),
            ("/api/v2/processes", Some(Route::Processes)),
            ("/api/v2/openapi.json", Some(Route::Description)),
            ("/metrics", Some(Route::Metrics)),
            ("/%6Detrics", Some(Route::Metrics)),
            ("/api/v2/metrics", Some(Route::Metrics)),
            ("/metrics/", None),
            ("/api/v2/info/", None),
            ("/api/v2", None),
            ("/api/v2/", None),
            ("/api/v3/info", None),
            ("/info", None),
            ("*", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(route("/api/v2", path), expected, "{path}");
        }
    }

    #[test]
    fn the_key_comes_before_everything_and_the_id_before_the_method() {
        let known = |id| id == ID;
        let instance = Route::Instance(Target::Instance(ID));
        let stranger = Route::Instance(Target::Instance(InstanceId(1)));
        let empty = Route::Instance(Target::Nothing);
        for route in [Route::Info, Route::Events, instance, stranger, empty] {
            assert_eq!(admit(route, Method::Other, false, known), Err(Rejection::NoKey));
        }
        assert_eq!(admit(stranger, Method::Other, true, known), Err(Refusal::NoInstance.into()));
        assert_eq!(admit(instance, Method::Put, true, known), Ok(Endpoint::Replace(ID)));
        let statuses = [
            (empty, Method::Get, 400),
            (instance, Method::Post, 405),
            (Route::Info, Method::Delete, 405),
            (Route::Events, Method::Post, 405),
            (Route::Instance(Target::Key), Method::Put, 403),
            (Route::Instance(Target::Key), Method::Delete, 403),
            (Route::Instance(Target::Key), Method::Post, 405),
            (Route::Instance(Target::Unknown), Method::Post, 404),
            (Route::Logs(Target::Nothing), Method::Get, 400),
            (Route::Logs(Target::Key), Method::Get, 404),
            (Route::Logs(Target::Unknown), Method::Post, 404),
            (Route::Logs(Target::Instance(ID)), Method::Post, 405),
            (Route::Process(Target::Instance(InstanceId(1))), Method::Get, 404),
            (Route::Process(Target::Instance(ID)), Method::Delete, 405),
            (Route::Policy(Target::Nothing), Method::Get, 400),
            (Route::Policy(Target::Key), Method::Get, 403),
            (Route::Policy(Target::Key), Method::Put, 403),
            (Route::Policy(Target::Key), Method::Delete, 405),
            (Route::Policy(Target::Unknown), Method::Patch, 404),
            (Route::Policy(Target::Instance(InstanceId(1))), Method::Put, 404),
            (Route::Policy(Target::Instance(ID)), Method::Delete, 405),
            (Route::Processes, Method::Post, 405),
            (Route::Description, Method::Post, 405),
            (Route::Metrics, Method::Post, 405),
            (Route::Events, Method::Head, 405),
            (Route::Ticket, Method::Get, 405),
            (Route::Health, Method::Post, 405),
        ];
        for (route, method, status) in statuses {
            let refusal = admit(route, method, true, known).expect_err(&format!("{route:?}"));
            assert_eq!(refusal.status(), status, "{route:?} {method:?}");
        }
    }

    #[test]
    fn a_prefix_of_metrics_is_a_prefix_like_any_other() {
        assert_eq!(route("/metrics/v2", "/metrics/v2/info"), Some(Route::Info));
        assert_eq!(route("/metrics/v2", "/metrics"), Some(Route::Metrics));
    }

    #[test]
    fn head_goes_where_get_goes() {
        for below in ["/info", "/instances", "/tcping", "/processes", "/openapi.json", "/health"] {
            let route = route("/api/v2", &format!("/api/v2{below}")).expect(below);
            let get = admit(route, Method::Get, true, |_| true);
            assert_eq!(admit(route, Method::Head, true, |_| true), get, "{below}");
        }
        let one = Route::Instance(Target::Instance(ID));
        assert_eq!(admit(one, Method::Head, true, |_| true), Ok(Endpoint::Read(ID)));
        assert_eq!(admit(one, Method::Head, false, |_| true), Err(Rejection::NoKey));
    }

    #[test]
    fn only_what_is_open_needs_no_key() {
        assert!(Route::Metrics.needs_key(false) && !Route::Metrics.needs_key(true));
        assert!(!Route::Description.needs_key(false) && Route::Processes.needs_key(true));
    }

    #[test]
    fn a_token_is_named_by_its_path() {
        assert_eq!(route("/api/v2", "/api/v2/tokens/ci"), Some(Route::Token));
        assert_eq!(route("/api/v2", "/api/v2/tokens"), Some(Route::Tokens));
        let name = token_name("/api/v2", "/api/v2/tokens/c%69").expect("a name");
        assert_eq!(name.as_str(), "ci");
        for path in ["/api/v2/tokens/", "/api/v2/tokens/a/b", "/api/v2/tokens/a%20"] {
            assert_eq!(token_name("/api/v2", path), Err(Rejection::NoToken), "{path}");
        }
    }
}
