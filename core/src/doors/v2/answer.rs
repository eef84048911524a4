//! Answers: the result of a command, as HTTP (Contract §3).

use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;

use super::object::{render_key_instance, render_view};
use super::ping::render_dial;
use super::precondition::etag;
use super::secrets::Secrets;
use super::status::Rejection;
use crate::command::Outcome;
use crate::ids::Revision;
use crate::instance::InstanceView;

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

/// An HTTP answer: status, JSON body, and some headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body, if the answer has one.
    pub body: Option<Bytes>,
    /// The value of `Allow`, on 405.
    pub allow: Option<&'static str>,
    /// The value of `ETag`, on an instance.
    pub etag: Option<String>,
}

impl Answer {
    /// An answer with a body.
    pub const fn json(status: u16, body: Bytes) -> Self {
        Self { status, body: Some(body), allow: None, etag: None }
    }

    /// An answer without a body.
    pub const fn empty(status: u16) -> Self {
        Self { status, body: None, allow: None, etag: None }
    }

    /// The answer with the result of a command. `info` renders the info object.
    pub fn from_outcome(outcome: Outcome, secrets: Secrets, info: impl FnOnce() -> Bytes) -> Self {
        match outcome {
            Outcome::Done { before: _, after: view } | Outcome::Replaced(view) => {
                Self::view(200, &view, secrets)
            }
            Outcome::Created(view) => Self::view(201, &view, secrets),
            Outcome::Stale(view) => {
                let etag = Some(etag(view.definition.revision));
                Self { etag, ..Self::from(Rejection::Stale) }
            }
            Outcome::Removed => Self::empty(204),
            // `Selected::answer` has the names, too.
            Outcome::Acted(_) => Self::empty(204),
            // The other door asked for it.
            Outcome::Desired(_) => Self::empty(204),
            Outcome::AliasSet => Self::json(200, info()),
            Outcome::KeyRotated(master) => Self::json(200, render_key_instance(&master, secrets)),
            Outcome::Dialed(report) => Self::json(200, render_dial(&report)),
            Outcome::Refused(refusal) => Self::from(Rejection::from(refusal)),
        }
    }

    /// The JSON of an instance of this revision.
    pub fn instance(status: u16, json: Bytes, revision: Revision) -> Self {
        Self { etag: Some(etag(revision)), ..Self::json(status, json) }
    }

    fn view(status: u16, view: &InstanceView, secrets: Secrets) -> Self {
        let revision = view.definition.revision;
        Self::instance(status, render_view(view, secrets), revision)
    }
}

impl From<Rejection> for Answer {
    fn from(rejection: Rejection) -> Self {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let body = Body { error: &rejection.to_string() };
        let json = serde_json::to_vec(&body).expect("a string always encodes");
        let allow = if let Rejection::Method(allow) = rejection { Some(allow) } else { None };
        Self { status: rejection.status(), body: Some(Bytes::from(json)), allow, etag: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_json_with_the_right_status() {
        let answer = Answer::from(Rejection::Bad("say \"what\"".to_string()));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body.expect("a body"), r#"{"error":"say \"what\""}"#);
        assert_eq!(Answer::from(Rejection::Method("GET")).allow, Some("GET"));
        assert_eq!(
            Answer::from_outcome(Outcome::Removed, Secrets::Shown, Bytes::new),
            Answer::empty(204)
        );
        let answer = Answer::from_outcome(Outcome::AliasSet, Secrets::Shown, || Bytes::from("i"));
        assert_eq!(answer.body.expect("a body"), "i");
    }
}
