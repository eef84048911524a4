//! Answers: a status, a type and a body.

use alloc::string::{String, ToString};

use serde::Serialize;

use super::CONTROL_API_VERSION;
use crate::go::{to_json, to_json_indented};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The whole body.
    pub body: String,
    /// Where to go instead.
    pub location: Option<&'static str>,
}

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

#[derive(Serialize)]
struct ErrorEnvelope<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'a str,
    kind: &'a str,
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
}

impl Reply {
    /// JSON as the main sockets write it, indented.
    pub fn main(value: &impl Serialize) -> Self {
        Self { status: 200, content_type: JSON, body: to_json_indented(value), location: None }
    }

    /// The error envelope of the main sockets.
    pub fn error(status: u16, message: &str) -> Self {
        let error = ErrorEnvelope {
            api_version: CONTROL_API_VERSION,
            kind: "Error",
            error: ErrorBody { message },
        };
        Self { status, ..Self::main(&error) }
    }

    /// An invalid request: 400.
    pub fn bad(message: &str) -> Self {
        Self::error(400, message)
    }

    /// A function of routers that a supervisor does not have: 501.
    pub fn not_configured(what: &str) -> Self {
        Self::error(501, &alloc::format!("{what} handler is not configured"))
    }

    /// JSON as the managed sockets write it, on one line.
    pub fn managed(status: u16, value: &impl Serialize) -> Self {
        Self { status, content_type: JSON, body: to_json(value), location: None }
    }

    /// Plain text.
    pub fn text(status: u16, body: &str) -> Self {
        Self { status, content_type: TEXT, body: body.to_string(), location: None }
    }
}
