//! Why a request is turned down: a status and a sentence for whoever sent it.

use alloc::string::String;
use core::fmt;

/// A request that is turned down (Contract §3). Shown as the `error` of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400: what is wrong with the request.
    Bad(String),
    /// 401: no key, or not the one in force.
    NoKey,
    /// 403: not for the key instance.
    KeyInstance,
    /// 404: no such path.
    NoPath,
    /// 404: no such instance.
    NoInstance,
    /// 405: the methods that the path has.
    Method(&'static str),
    /// 409: the URL is the one the instance has.
    SameUrl,
    /// 413: the body is larger than the limit in bytes.
    TooLarge(usize),
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 503: the change could not be made durable, and why.
    NotDurable(String),
    /// 503: too many requests wait for one instance to stop.
    Busy,
    /// 503: the limit on instances is reached.
    Full(usize),
    /// 503: the master is on its way out.
    ShuttingDown,
}

impl Refusal {
    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Bad(_) => 400,
            Self::NoKey => 401,
            Self::KeyInstance => 403,
            Self::NoPath | Self::NoInstance => 404,
            Self::Method(_) => 405,
            Self::TooSlow => 408,
            Self::SameUrl => 409,
            Self::TooLarge(_) => 413,
            Self::NotDurable(_) | Self::Busy | Self::Full(_) | Self::ShuttingDown => 503,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bad(reason) => f.write_str(reason),
            Self::NoKey => f.write_str("missing or wrong API key; send it as X-API-Key"),
            Self::KeyInstance => {
                f.write_str("the key instance can be neither replaced nor deleted")
            }
            Self::NoPath => f.write_str("no such path"),
            Self::NoInstance => f.write_str("no such instance"),
            Self::Method(allow) => write!(f, "method not allowed here; use {allow}"),
            Self::TooSlow => f.write_str("the body did not arrive in time"),
            Self::SameUrl => f.write_str("the instance has this url already"),
            Self::TooLarge(limit) => write!(f, "the body is larger than {limit} bytes"),
            Self::NotDurable(reason) => write!(f, "not changed: cannot save the state: {reason}"),
            Self::Busy => {
                f.write_str("too many requests wait for this instance to stop; try again later")
            }
            Self::Full(limit) => write!(f, "the limit of {limit} instances is reached"),
            Self::ShuttingDown => f.write_str("the master is shutting down"),
        }
    }
}

impl core::error::Error for Refusal {}
