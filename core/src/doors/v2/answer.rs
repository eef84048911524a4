//! Answers: what the engine says of a call, and what that is in HTTP (Contract §3).

use alloc::string::ToString;

use bytes::Bytes;
use serde::Serialize;

use crate::command::{Refusal, Reply};

/// The headers that every answer carries.
pub const CORS_HEADERS: [(&str, &str); 3] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-methods", "GET, PATCH, POST, PUT, DELETE, OPTIONS"),
    (
        "access-control-allow-headers",
        "Content-Type, Authorization, X-API-Key, Cache-Control, Last-Event-ID",
    ),
];

/// How long a browser may keep the answer to a preflight, in seconds. The answer never changes; two
/// hours is the most that Chromium takes.
pub const PREFLIGHT_MAX_AGE_S: &str = "7200";

/// An HTTP answer: status, JSON body, and the methods to name in `Allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body, if the answer has one.
    pub body: Option<Bytes>,
    /// The value of `Allow`, on 405.
    pub allow: Option<&'static str>,
}

impl Answer {
    /// An answer with a body.
    pub const fn json(status: u16, body: Bytes) -> Self {
        Self { status, body: Some(body), allow: None }
    }

    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, body: None, allow: None }
    }

    /// The answer that carries a reply of the engine. `info` renders the info object.
    pub fn from_reply(reply: Reply, info: impl FnOnce() -> Bytes) -> Self {
        match reply {
            Reply::Instance(json) => Self::json(200, json),
            Reply::Created(json) => Self::json(201, json),
            Reply::Deleted => Self::empty(204),
            Reply::AliasSet => Self::json(200, info()),
            Reply::Pinged(report) => Self::json(200, report.json()),
            Reply::Refused(refusal) => Self::from(refusal),
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let body = Body { error: &refusal.to_string() };
        let json = serde_json::to_vec(&body).expect("a string always encodes");
        let allow = match refusal {
            Refusal::Method(allow) => Some(allow),
            Refusal::Bad(_)
            | Refusal::NoKey
            | Refusal::KeyInstance
            | Refusal::NoPath
            | Refusal::NoInstance
            | Refusal::SameUrl
            | Refusal::TooLarge(_)
            | Refusal::TooSlow
            | Refusal::NotDurable(_)
            | Refusal::Busy
            | Refusal::Full(_)
            | Refusal::ShuttingDown => None,
        };
        Self { status: refusal.status(), body: Some(Bytes::from(json)), allow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_json_with_the_right_status() {
        let answer = Answer::from(Refusal::Bad("say \"what\"".to_string()));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body.expect("a body"), r#"{"error":"say \"what\""}"#);
        assert_eq!(Answer::from(Refusal::Method("GET")).allow, Some("GET"));
        assert_eq!(Answer::from_reply(Reply::Deleted, Bytes::new), Answer::empty(204));
        assert_eq!(Answer::from_reply(Reply::AliasSet, || Bytes::from("i")).body.unwrap(), "i");
    }
}
