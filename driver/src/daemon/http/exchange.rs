//! The parts of a request and an answer that do not depend on the endpoint: methods, headers, bodies.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use openctrl_core::doors::v2::{
    Answer, BODY_MAX_BYTES, CORS_HEADERS, Method, PREFLIGHT_MAX_AGE_S, Rejection, decode_if_match,
};
use openctrl_core::expect::Expect;
use openctrl_core::url::Cors;

use super::body::AnswerBody;
use crate::daemon::request_body::{BodyError, read_body};

pub(super) type HttpResponse = Response<AnswerBody>;

/// The headers of [`CORS_HEADERS`], parsed once: every answer has them.
static SITE_HEADERS: LazyLock<[(HeaderName, HeaderValue); CORS_HEADERS.len()]> =
    LazyLock::new(|| {
        CORS_HEADERS
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
    });

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

/// Adds the CORS headers for sites that may use the API.
pub(super) fn allow_sites(parts: &Parts, cors: &Cors, response: &mut HttpResponse) {
    let origin = parts.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let headers = response.headers_mut();
    if matches!(cors, Cors::Origins(_)) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let Some(allowed) = cors.allowed(origin) else {
        headers.remove("access-control-allow-private-network");
        headers.remove(header::ACCESS_CONTROL_MAX_AGE);
        return;
    };
    for (name, value) in &*SITE_HEADERS {
        headers.insert(name, value.clone());
    }
    if *cors != Cors::Any
        && let Ok(allowed) = HeaderValue::from_str(allowed)
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
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
    read_body(body, BODY_MAX_BYTES).await.map_err(|error| match error {
        BodyError::TooLarge => Rejection::BodyTooLarge(BODY_MAX_BYTES),
        BodyError::TooSlow => Rejection::TooSlow,
        BodyError::BrokenOff => Rejection::Bad("the body broke off".to_owned()),
    })
}
