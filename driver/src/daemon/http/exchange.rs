//! The parts of a request and an answer that do not depend on the endpoint: methods, headers, bodies.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use openctrl_core::doors::v2::{
    Answer, BODY_MAX_BYTES, CORS_HEADERS, Method, PREFLIGHT_MAX_AGE_S, Rejection, decode_if_match,
};
use openctrl_core::expect::Expect;
use tokio::time::timeout;

use super::body::AnswerBody;

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What of a body beyond the limit is read and thrown away, so that a client that sends all of it
/// before it listens still hears why it was turned down.
const OVERSIZE_READ_MAX_BYTES: usize = 256 * 1024 * 1024;

pub(super) type HttpResponse = Response<AnswerBody>;

pub(super) fn method(method: &hyper::Method) -> Method {
    match *method {
        hyper::Method::GET => Method::Get,
        hyper::Method::HEAD => Method::Head,
        hyper::Method::POST => Method::Post,
        hyper::Method::PATCH => Method::Patch,
        hyper::Method::PUT => Method::Put,
        hyper::Method::DELETE => Method::Delete,
        hyper::Method::OPTIONS => Method::Options,
        _ => Method::Other,
    }
}

pub(super) fn if_match(parts: &Parts) -> Result<Expect, Rejection> {
    let headers = parts.headers.get_all(header::IF_MATCH);
    decode_if_match(headers.iter().map(HeaderValue::as_bytes))
}

pub(super) fn with_cors(mut response: HttpResponse) -> HttpResponse {
    for (name, value) in CORS_HEADERS {
        let name = header::HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn preflight(parts: &Parts) -> HttpResponse {
    let mut response = whole(Answer::empty(204));
    let max_age = HeaderValue::from_static(PREFLIGHT_MAX_AGE_S);
    response.headers_mut().insert(header::ACCESS_CONTROL_MAX_AGE, max_age);
    if parts.headers.contains_key("access-control-request-private-network") {
        let allow = HeaderValue::from_static("true");
        response.headers_mut().insert("access-control-allow-private-network", allow);
    }
    response
}

pub(super) fn whole(answer: Answer) -> HttpResponse {
    let has_body = answer.body.is_some();
    let mut response = Response::new(AnswerBody::Whole(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("core answers with statuses of HTTP");
    let headers = response.headers_mut();
    if has_body {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    if let Some(etag) = answer.etag {
        let etag = HeaderValue::try_from(etag).expect("a tag is a quoted number");
        headers.insert(header::ETAG, etag);
    }
    if let Some(allow) = answer.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    response
}

pub(super) fn rejected(rejection: Rejection) -> HttpResponse {
    let closes = matches!(rejection, Rejection::BodyTooLarge(_) | Rejection::TooSlow);
    let mut response = whole(Answer::from(rejection));
    if closes {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Reads a body within the limits of size and time.
pub(super) async fn read(body: Incoming) -> Result<Bytes, Rejection> {
    timeout(BODY_TIME, collect(body)).await.map_err(|_| Rejection::TooSlow)?
}

async fn collect(mut body: Incoming) -> Result<Bytes, Rejection> {
    let mut collected = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let broken = |_| Rejection::Bad("the body broke off".to_owned());
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        length += data.len();
        if length <= BODY_MAX_BYTES {
            collected.extend_from_slice(&data);
        } else if length > OVERSIZE_READ_MAX_BYTES {
            break;
        }
    }
    if length > BODY_MAX_BYTES {
        return Err(Rejection::BodyTooLarge(BODY_MAX_BYTES));
    }
    Ok(collected.freeze())
}
