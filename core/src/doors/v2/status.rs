//! Refusals of the REST API: the HTTP status and the message of each reason (Contract §3).

use alloc::string::String;
use core::fmt;

use crate::access::Role;
use crate::command::Refusal;
use crate::doors::json::BadBody;
use crate::history::BadQuery;

/// The error of a PUT of the URL that the instance has. A client without the key cannot compare them.
pub const SAME_URL: &str = "the instance has this url already";

/// The remedy for a URL whose command cannot be started.
pub const FORCE_REMEDY: &str = "send force=true in the query to accept it anyway";

/// A request that is refused: by this door, or by the engine. Shown as the `error` of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// 400: the error in the request.
    Bad(String),
    /// 401: no key, or a wrong one.
    NoKey,
    /// 403: the role of the token is not enough.
    TakesRole {
        /// The role that it takes.
        needed: Role,
        /// The role that the token has.
        role: Role,
    },
    /// 404: no such token.
    NoToken,
    /// 409: a token has that name already.
    TokenTaken,
    /// 503: there are as many tokens as are kept.
    TokensFull(usize),
    /// 503: a change of the tokens could not be made durable, and why.
    NotDurable(String),
    /// 403: not for the key instance.
    KeyInstance,
    /// 403: the key instance has no policy.
    KeyPolicy,
    /// 404: no such path.
    NoPath,
    /// 405: the methods that the path has.
    Method(&'static str),
    /// 412: the instance is of another revision than `If-Match` names.
    Stale,
    /// 413: the body is larger than the limit in bytes.
    BodyTooLarge(usize),
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 503: there is no thread to put the answer together on, and why.
    NoThread(String),
    /// The engine refused the command.
    Refused(Refusal),
}

impl Rejection {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Bad(_) | Self::Refused(Refusal::TooLarge { .. }) => 400,
            Self::NoKey | Self::Refused(Refusal::NotAdmitted) => 401,
            Self::KeyInstance
            | Self::KeyPolicy
            | Self::TakesRole { .. }
            | Self::Refused(Refusal::TakesRole(_)) => 403,
            Self::NoPath | Self::NoToken | Self::Refused(Refusal::NoInstance) => 404,
            Self::Method(_) => 405,
            Self::TooSlow => 408,
            Self::TokenTaken
            | Self::Refused(Refusal::SameUrl | Refusal::Configured | Refusal::Circle { .. }) => 409,
            Self::Stale => 412,
            Self::BodyTooLarge(_) => 413,
            Self::NoThread(_)
            | Self::TokensFull(_)
            | Self::NotDurable(_)
            | Self::Refused(
                Refusal::NotDurable { .. }
                | Refusal::Busy
                | Refusal::Crowded
                | Refusal::CannotEnd
                | Refusal::Full { .. }
                | Refusal::ShuttingDown,
            ) => 503,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(reason) => f.write_str(reason),
            Self::NoKey => f.write_str(NO_KEY),
            Self::KeyInstance => {
                f.write_str("the key instance can be neither replaced nor deleted")
            }
            Self::KeyPolicy => {
                f.write_str("the key instance has no policy, because it runs no process")
            }
            Self::TakesRole { needed, role } => write!(
                f,
                "this takes the role {}; the token has the role {}",
                needed.as_str(),
                role.as_str()
            ),
            Self::NoToken => f.write_str("no such token"),
            Self::TokenTaken => {
                f.write_str("a token has this name; revoke it or choose another name")
            }
            Self::TokensFull(limit) => {
                write!(f, "the limit of {limit} tokens is reached; revoke one that is not used")
            }
            Self::NotDurable(reason) => write!(f, "not changed: cannot save the state: {reason}"),
            Self::NoPath => f.write_str("no such path"),
            Self::Method(allow) => write!(f, "method not allowed here; use {allow}"),
            Self::Stale => f.write_str(
                "the instance was changed since its ETag was read; read it again, then repeat this",
            ),
            Self::NoThread(reason) => f.write_str(reason),
            Self::TooSlow => f.write_str("the body did not arrive in time"),
            Self::BodyTooLarge(limit) => write!(f, "the body is larger than {limit} bytes"),
            Self::Refused(refusal) => describe(refusal, f),
        }
    }
}

const NO_KEY: &str = "missing or wrong API key; send it as X-API-Key";

fn describe(refusal: &Refusal, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match refusal {
        Refusal::NotAdmitted => f.write_str(NO_KEY),
        Refusal::TakesRole(role) => {
            write!(f, "this takes a token with the role {}, or the API key", role.as_str())
        }
        Refusal::NoInstance => f.write_str("no such instance"),
        Refusal::SameUrl => f.write_str(SAME_URL),
        Refusal::Configured => f.write_str(
            "the instance stands in a configuration file; change it there and send the master HUP",
        ),
        Refusal::TooLarge { bytes, limit } => write!(
            f,
            "the instance would be {bytes} bytes of JSON; at most {limit} are kept: shorten url, alias or meta"
        ),
        Refusal::Circle { path } => {
            write!(f, "after makes a circle: {path}; remove one of these")
        }
        Refusal::NotDurable { reason } => {
            write!(f, "not changed: cannot save the state: {reason}")
        }
        Refusal::Crowded => f.write_str(
            "too many actions on many instances are under way; try again once one is done",
        ),
        Refusal::Busy => {
            f.write_str("too many requests wait for this instance to stop; try again later")
        }
        Refusal::CannotEnd => f.write_str(
            "the process of this instance cannot be killed; the log of the instance has more, try \
             again once the process has ended",
        ),
        Refusal::Full { limit } => write!(f, "the limit of {limit} instances is reached"),
        Refusal::ShuttingDown => f.write_str("the master is shutting down"),
    }
}

impl core::error::Error for Rejection {}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<BadBody> for Rejection {
    fn from(BadBody(reason): BadBody) -> Self {
        Self::Bad(reason)
    }
}

impl From<BadQuery> for Rejection {
    fn from(BadQuery(reason): BadQuery) -> Self {
        Self::Bad(reason)
    }
}
