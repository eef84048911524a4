//! Checks whether a request is allowed: the errors of the API and their order.

use core::fmt;

use super::config::KeepAlive;
use super::request::Request;
use super::secret::Secret;
use crate::instance::{Toggle, ValuesEdit};

/// The kind of a group of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Programs that the server starts.
    App,
    /// Services of the system.
    Service,
}

/// The transport of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// HTTP.
    Http,
    /// UDP.
    Udp,
    /// A call of the library; takes pings for either.
    Library,
}

/// The subject of a request, as far as errors depend on it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// How the server detects whether the app runs; `None` for a service.
    pub keep_alive: Option<KeepAlive>,
    /// The secret that a request needs to change anything.
    pub secret: Option<&'a Secret>,
}

/// The permissions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// All that it asks for.
    Full,
    /// Read: the target has a secret and the request has none.
    ReadOnly,
}

/// Why a request is refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// Neither GET nor POST.
    Method,
    /// The body could not be read.
    Body,
    /// The body is not a request.
    Request,
    /// A ping to a service.
    ServicePing,
    /// No such app.
    UnknownApp,
    /// No such service.
    UnknownService,
    /// No such group.
    UnknownGroup,
    /// Not the secret of the target.
    Secret,
    /// A ping to an app that is watched in another way.
    PingNotSupported,
    /// A ping over UDP to an app that pings over HTTP, or the reverse.
    PingEndpoint,
    /// A process id for an app that is watched in another way.
    PidNotSupported,
    /// A process id without a ping.
    PidRequiresPing,
}

impl ApiError {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        if matches!(self, Self::Method) { 405 } else { 400 }
    }

    /// The text in the reply.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "Invalid Method",
            Self::Body => "Invalid Body",
            Self::Request => "Invalid Request",
            Self::ServicePing => "Services don't support Ping",
            Self::UnknownApp => "Unknown App",
            Self::UnknownService => "Unknown Service",
            Self::UnknownGroup => "Unknown Group",
            Self::Secret => "Secret Invalid",
            Self::PingNotSupported => "Ping Not Supported",
            Self::PingEndpoint => "Invalid Ping Endpoint",
            Self::PidNotSupported => "PID Not Supported",
            Self::PidRequiresPing => "PID Requires Ping",
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for ApiError {}

impl Group {
    /// The group that a request names: `app`, `apps`, `service` or `services` in any case.
    pub const fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("app") || text.eq_ignore_ascii_case("apps") {
            Some(Self::App)
        } else if text.eq_ignore_ascii_case("service") || text.eq_ignore_ascii_case("services") {
            Some(Self::Service)
        } else {
            None
        }
    }

    /// Its name in replies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Service => "service",
        }
    }

    /// The error for an id that it does not have.
    pub const fn unknown(self) -> ApiError {
        match self {
            Self::App => ApiError::UnknownApp,
            Self::Service => ApiError::UnknownService,
        }
    }
}

/// Finds the target of a request with `find`, which is given the id in lower case, and checks the
/// request against it.
///
/// # Errors
/// The first error, in the order of the contract.
pub fn admit<'a, T>(
    request: &Request,
    via: Via,
    find: impl FnOnce(Group, &str) -> Option<(T, Target<'a>)>,
) -> Result<(T, Access), ApiError> {
    let group = Group::parse(&request.group);
    if request.ping && group == Some(Group::Service) {
        return Err(ApiError::ServicePing);
    }
    let group = group.ok_or(ApiError::UnknownGroup)?;
    let (found, target) = find(group, &request.id.to_ascii_lowercase()).ok_or(group.unknown())?;
    Ok((found, check(request, via, target)?))
}

/// Checks a request against its target.
///
/// # Errors
/// The first error, in the order of the contract.
pub fn check(request: &Request, via: Via, target: Target<'_>) -> Result<Access, ApiError> {
    match (target.secret, &request.secret) {
        (Some(_), None) => return Ok(Access::ReadOnly),
        (Some(secret), Some(presented)) if !secret.admits(presented.reveal()) => {
            return Err(ApiError::Secret);
        }
        (Some(_) | None, _) => {}
    }
    let Some(keep_alive) = target.keep_alive else { return Ok(Access::Full) };
    if request.ping {
        match (keep_alive, via) {
            (KeepAlive::Patrol | KeepAlive::PidFile, _) => return Err(ApiError::PingNotSupported),
            (KeepAlive::Http, Via::Udp) | (KeepAlive::Udp, Via::Http) => {
                return Err(ApiError::PingEndpoint);
            }
            (KeepAlive::Http, Via::Http | Via::Library)
            | (KeepAlive::Udp, Via::Udp | Via::Library) => {}
        }
    }
    if request.pid > 0 && !keep_alive.pings() {
        return Err(ApiError::PidNotSupported);
    }
    if request.pid > 0 && !request.ping {
        return Err(ApiError::PidRequiresPing);
    }
    Ok(Access::Full)
}

/// The change of key-values that a request asks for.
pub fn values_edit(request: &Request) -> ValuesEdit {
    let values = request.values.to_texts();
    if request.values_replace { ValuesEdit::Replace(values) } else { ValuesEdit::Merge(values) }
}

/// The toggle with this number; any other number asks for nothing.
pub const fn toggle(number: u8) -> Option<Toggle> {
    match number {
        1 => Some(Toggle::Enable),
        2 => Some(Toggle::Disable),
        3 => Some(Toggle::Restart),
        4 => Some(Toggle::RunOnceEnable),
        5 => Some(Toggle::RunOnceDisable),
        6 => Some(Toggle::EnableRunOnceEnable),
        7 => Some(Toggle::EnableRunOnceDisable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn request(body: &str) -> Request {
        Request::from_json(body.as_bytes()).expect(body)
    }

    /// Apps `one` to `four` by keep-alive, `kept` as `four` with a secret, a service `ssh`.
    fn admitted(body: &str, via: Via) -> Result<Access, &'static str> {
        let secret = Secret::new("s".to_string());
        let app = |keep_alive| Some(((), Target { keep_alive: Some(keep_alive), secret: None }));
        let found = admit(&request(body), via, |group, id| match (group, id) {
            (Group::App, "one") => app(KeepAlive::Patrol),
            (Group::App, "two") => app(KeepAlive::PidFile),
            (Group::App, "three") => app(KeepAlive::Http),
            (Group::App, "four") => app(KeepAlive::Udp),
            (Group::App, "kept") => {
                Some(((), Target { keep_alive: Some(KeepAlive::Udp), secret: secret.as_ref() }))
            }
            (Group::Service, "ssh") => Some(((), Target { keep_alive: None, secret: None })),
            _ => None,
        });
        found.map(|((), access)| access).map_err(ApiError::as_str)
    }

    #[test]
    fn the_matrix_of_errors() {
        let full = Ok(Access::Full);
        let cases = [
            (r#"{}"#, Err("Unknown Group")),
            (r#"{"group":"x","ping":true}"#, Err("Unknown Group")),
            (r#"{"group":"app"}"#, Err("Unknown App")),
            (r#"{"group":"APPS","id":"ONE"}"#, full),
            (r#"{"group":"Service","id":"ssh"}"#, full),
            (r#"{"group":"services","id":"x"}"#, Err("Unknown Service")),
            (r#"{"group":"service","id":"x","ping":true}"#, Err("Services don't support Ping")),
            (r#"{"group":"SERVICE","id":"ssh","ping":true}"#, Err("Services don't support Ping")),
            (r#"{"group":"service","id":"ssh","pid":7}"#, full),
            (r#"{"group":"app","id":"one","ping":true,"pid":7}"#, Err("Ping Not Supported")),
            (r#"{"group":"app","id":"two","ping":true}"#, Err("Ping Not Supported")),
            (r#"{"group":"app","id":"one","pid":7}"#, Err("PID Not Supported")),
            (r#"{"group":"app","id":"two","pid":7}"#, Err("PID Not Supported")),
            (r#"{"group":"app","id":"three","pid":7}"#, Err("PID Requires Ping")),
            (r#"{"group":"app","id":"three","ping":true,"pid":7}"#, full),
            (r#"{"group":"app","id":"four","ping":true}"#, Err("Invalid Ping Endpoint")),
            (r#"{"group":"app","id":"kept"}"#, Ok(Access::ReadOnly)),
            (r#"{"group":"app","id":"kept","secret":""}"#, Ok(Access::ReadOnly)),
            (r#"{"group":"app","id":"kept","ping":true}"#, Ok(Access::ReadOnly)),
            (r#"{"group":"app","id":"kept","secret":"x","pid":7}"#, Err("Secret Invalid")),
            (r#"{"group":"app","id":"kept","secret":"s","pid":7}"#, Err("PID Requires Ping")),
            (r#"{"group":"app","id":"one","secret":"any"}"#, full),
        ];
        for (body, expected) in cases {
            assert_eq!(admitted(body, Via::Http), expected, "{body}");
        }
    }

    #[test]
    fn pings_come_over_the_way_of_the_app() {
        let ping = |id: &str, via| {
            admitted(&alloc::format!(r#"{{"group":"app","id":"{id}","ping":true}}"#), via)
        };
        let wrong = Err("Invalid Ping Endpoint");
        for (via, three, four) in [
            (Via::Http, Ok(Access::Full), wrong),
            (Via::Udp, wrong, Ok(Access::Full)),
            (Via::Library, Ok(Access::Full), Ok(Access::Full)),
        ] {
            assert_eq!((ping("three", via), ping("four", via)), (three, four), "{via:?}");
        }
    }

    #[test]
    fn only_a_wrong_method_is_no_bad_request() {
        assert_eq!(ApiError::Method.status(), 405);
        assert_eq!(ApiError::PidRequiresPing.status(), 400);
    }

    #[test]
    fn a_request_says_what_to_change() {
        let asked = |body: &str| {
            let request = request(body);
            let values = match values_edit(&request) {
                ValuesEdit::Merge(values) => alloc::format!("merge {}", values.len()),
                ValuesEdit::Replace(values) => alloc::format!("replace {}", values.len()),
            };
            (values, toggle(request.toggle))
        };
        assert_eq!(asked(r#"{"toggle":3}"#), ("merge 0".to_string(), Some(Toggle::Restart)));
        assert_eq!(
            asked(r#"{"keyvalue-replace":true,"toggle":8}"#),
            ("replace 0".to_string(), None)
        );
        assert_eq!(asked(r#"{"keyvalue":{"a":1}}"#), ("merge 1".to_string(), None));
    }

    proptest! {
        /// Without the secret no request is fully admitted.
        #[test]
        fn a_secret_guards_every_change(ping in any::<bool>(), pid in any::<u32>(), toggle in any::<u8>(),
            secret in proptest::option::of("[a-z]{0,3}"))
        {
            let kept = Secret::new("key".to_string());
            let secret = secret.and_then(Secret::new);
            let admits = secret.as_ref().is_some_and(|text| text.reveal() == "key");
            let request = Request { ping, pid, toggle, secret, ..Request::default() };
            let target = Target { keep_alive: Some(KeepAlive::Http), secret: kept.as_ref() };
            let access = check(&request, Via::Http, target);
            prop_assert!(admits || access != Ok(Access::Full));
        }
    }
}
