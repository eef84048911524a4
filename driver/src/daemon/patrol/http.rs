//! The HTTP addresses of the Patrol door.

use std::path::Path;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use openctrl_core::doors::patrol::access::{ApiError, Group};
use openctrl_core::doors::patrol::launch::log_root;
use openctrl_core::doors::patrol::listing::{LogError, LogQuery, folder, place};
use openctrl_core::doors::patrol::page::{Form, FormError, Row, RowLogs, render};
use openctrl_core::doors::patrol::path::clean;
use openctrl_core::doors::patrol::request::{BODY_MAX_BYTES, Request};
use openctrl_core::doors::patrol::response::{Clock, refusal};

use super::door::{Door, Problem};
use super::log_files::{Place, look_up, tail};
use crate::daemon::http::AnswerBody;
use crate::daemon::request_body::{BodyError, read_body};

type HttpResponse = Response<AnswerBody>;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The largest log file that is served as a whole; of a larger one, its end.
const LOG_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Nothing from elsewhere, nothing inline, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// On every reply.
const HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];

/// What everything below these is.
const ROOTS: [&str; 5] = ["/status", "/api", "/logs", "/stdout", "/stderr"];

const SECRET_HEADER: &str = "x-patrol-secret";

impl Door {
    /// Answers a request for one of Patrol's addresses.
    ///
    /// # Errors
    /// Hands back a request for another one, which only a server that is more than this door has.
    pub(crate) async fn serve(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<HttpResponse, Box<hyper::Request<Incoming>>> {
        let path = request.uri().path();
        let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        let is_page = path == "/patrol/"
            || (path == "/" && (self.is_alone || *request.method() == Method::POST));
        let is_own = self.is_alone
            || is_page
            || ROOTS.iter().any(|root| path == *root || below(root))
            || asset(path).is_some();
        if !is_own {
            return Err(Box::new(request));
        }
        let (parts, body) = request.into_parts();
        let mut response = self.answer_at(&parts, body, is_page).await;
        for (name, value) in HEADERS {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    async fn answer_at(&self, parts: &Parts, body: Incoming, is_page: bool) -> HttpResponse {
        let path = parts.uri.path();
        let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
        if let Some(moved) = moved(parts) {
            moved
        } else if below("/status") {
            reply(StatusCode::OK, JSON, self.status())
        } else if below("/api") {
            self.api(parts, body).await
        } else if below("/logs") {
            self.logs(parts).await
        } else if below("/stdout") || below("/stderr") {
            self.log(parts).await
        } else if is_page {
            self.page(parts, body).await
        } else {
            asset(path).unwrap_or_else(|| text(StatusCode::NOT_FOUND, "404 page not found"))
        }
    }

    async fn api(&self, parts: &Parts, body: Incoming) -> HttpResponse {
        let request = match parts.method {
            Method::GET => Request::from_query(parts.uri.query().unwrap_or_default()),
            Method::POST => match read_body(body, BODY_MAX_BYTES).await {
                Ok(body) => match Request::from_json(&body) {
                    Ok(request) => request,
                    Err(_) => return api_error(ApiError::Request),
                },
                Err(BodyError::TooLarge) => return too_large(),
                Err(BodyError::TooSlow | BodyError::BrokenOff) => return api_error(ApiError::Body),
            },
            _ => return api_error(ApiError::Method),
        };
        let changes = request.ping
            || request.toggle != 0
            || request.values_replace
            || !request.values.is_empty();
        if changes && is_from_elsewhere(parts) {
            return forbidden();
        }
        match self.reply(request.with_secret(header_text(parts, SECRET_HEADER))).await {
            Ok(text) => reply(StatusCode::OK, JSON, Bytes::from(text)),
            Err(problem) => problem_reply(&problem),
        }
    }

    async fn page(&self, parts: &Parts, body: Incoming) -> HttpResponse {
        let mut error = None;
        if parts.method == Method::POST {
            if is_from_elsewhere(parts) {
                return forbidden();
            }
            error = match read_body(body, BODY_MAX_BYTES).await {
                Ok(body) => match self.submit(&body).await {
                    Ok(()) => return found(),
                    Err(Pressed::Form(error)) => Some(error),
                    Err(Pressed::Problem(problem)) => return problem_reply(&problem),
                },
                Err(BodyError::TooLarge) => return too_large(),
                Err(BodyError::TooSlow | BodyError::BrokenOff) => Some(FormError::BadPost),
            };
        }
        reply(StatusCode::OK, HTML, Bytes::from(self.render_page(error)))
    }

    async fn submit(&self, body: &[u8]) -> Result<(), Pressed> {
        let form = Form::parse(body).map_err(Pressed::Form)?;
        let (instance, toggle) = {
            let board = self.lock();
            let find = |group: Group, id: &str| {
                let (entry, shown) = board.find(group, id)?;
                Some((shown.map(|shown| shown.instance), entry.secret.as_ref()))
            };
            form.admit(find).map_err(Pressed::Form)?
        };
        let Some(instance) = instance else { return Ok(()) };
        self.press(instance, toggle).await.map_err(Pressed::Problem)
    }

    fn render_page(&self, error: Option<FormError>) -> String {
        let now = self.now();
        let board = self.lock();
        let layout = Self::layout(&board.config);
        let zone = |at| self.zone(at);
        let clock = Clock { layout: &layout, zone: &zone };
        // The ends of the logs are read first: rows borrow them.
        let tails: Vec<String> = board
            .group(Group::App)
            .iter()
            .map(|(id, entry)| {
                let log = board.find(Group::App, id).and_then(|(_, shown)| shown?.log.as_ref());
                let log = log.filter(|_| entry.secret.is_none());
                let log = log.and_then(|log| log.stdout.as_ref());
                log.map(|log| tail(Path::new(log))).unwrap_or_default()
            })
            .collect();
        let apps = board.views(Group::App, now).zip(&tails).map(|((id, view), tail)| {
            let found = board.find(Group::App, id);
            let logged = found.and_then(|(_, shown)| Some(shown?.log.as_ref()?.logged()));
            let app = found.and_then(|(entry, _)| entry.app.as_ref());
            let is_merged = app.is_some_and(|app| app.std_merge);
            Row { id, view, logs: Some(RowLogs { logged, is_merged, tail }) }
        });
        let services =
            board.views(Group::Service, now).map(|(id, view)| Row { id, view, logs: None });
        render(self.server(board.is_draining()), now, error, apps, services, clock)
    }

    /// The log folder of an app, or a file in it.
    async fn logs(&self, parts: &Parts) -> HttpResponse {
        match self.find_log(parts) {
            Ok(Logged::Folder(place, query, entries)) => {
                let entries = entries.iter().map(|(name, is_folder)| (name.as_str(), *is_folder));
                reply(StatusCode::OK, HTML, Bytes::from(folder(&place, &query, entries)))
            }
            Ok(Logged::File(path)) => file(&path).await,
            Err(error) => log_error(error),
        }
    }

    fn find_log(&self, parts: &Parts) -> Result<Logged, LogError> {
        let query = LogQuery::parse(parts.uri.query().unwrap_or_default());
        let root = {
            let board = self.lock();
            query.admit(header_text(parts, SECRET_HEADER), |id| {
                let (entry, _) = board.find(Group::App, id)?;
                let root = entry.app.as_ref().map(log_root)?;
                Some((root, entry.secret.as_ref()))
            })?
        };
        let place = place(parts.uri.path().strip_prefix("/logs").unwrap_or_default())?;
        match look_up(Path::new(&root), &place) {
            Some(Place::Folder(entries)) => Ok(Logged::Folder(place, query, entries)),
            Some(Place::File(path)) => Ok(Logged::File(path)),
            None => Err(LogError::NotFound),
        }
    }

    /// The log of the last start of an app.
    async fn log(&self, parts: &Parts) -> HttpResponse {
        let query = LogQuery::parse(parts.uri.query().unwrap_or_default());
        let found = {
            let board = self.lock();
            query.admit(header_text(parts, SECRET_HEADER), |id| {
                let (entry, shown) = board.find(Group::App, id)?;
                let log = shown.and_then(|shown| shown.log.as_ref()).and_then(|log| {
                    let is_stdout = parts.uri.path().starts_with("/stdout");
                    if is_stdout { log.stdout.clone() } else { log.stderr.clone() }
                });
                Some((log, entry.secret.as_ref()))
            })
        };
        let found = found.and_then(|log| query.check_last().map(|()| log));
        match found {
            Ok(Some(log)) => file(Path::new(&log)).await,
            Ok(None) => log_error(LogError::NoLog),
            Err(error) => log_error(error),
        }
    }
}

/// What an address below `/logs/` leads to.
enum Logged {
    Folder(String, LogQuery, Vec<(String, bool)>),
    File(std::path::PathBuf),
}

/// Why a button did nothing.
enum Pressed {
    Form(FormError),
    Problem(Problem),
}

/// An address without its `/` at the end, or one that is not clean, leads to the one that is.
fn moved(parts: &Parts) -> Option<HttpResponse> {
    let path = parts.uri.path();
    let is_root = ROOTS.contains(&path);
    let to = if is_root {
        format!("{path}/")
    } else {
        let slash = if path.ends_with('/') && path != "/" { "/" } else { "" };
        let cleaned = clean(path);
        let cleaned = if cleaned == "/" { cleaned } else { cleaned + slash };
        (cleaned != path).then_some(cleaned)?
    };
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::from_str(&format!("{to}{query}")).ok()?;
    let mut response = text(StatusCode::MOVED_PERMANENTLY, "Moved Permanently");
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// Whether a browser says that another site asks: then nothing is changed.
fn is_from_elsewhere(parts: &Parts) -> bool {
    if let Some(site) = header_text(parts, "sec-fetch-site") {
        return !matches!(site, "same-origin" | "none");
    }
    let Some(origin) = header_text(parts, "origin") else { return false };
    let host = header_text(parts, "host").unwrap_or_default();
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    authority.is_empty() || !authority.eq_ignore_ascii_case(host)
}

fn header_text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name).and_then(|value| value.to_str().ok())
}

async fn file(path: &Path) -> HttpResponse {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_end(&path)).await;
    match read {
        Ok(Ok(bytes)) => reply(StatusCode::OK, TEXT, Bytes::from(bytes)),
        Ok(Err(_)) | Err(_) => log_error(LogError::NotFound),
    }
}

fn read_end(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_MAX_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn asset(path: &str) -> Option<HttpResponse> {
    let (kind, body) = match path {
        "/patrol.css" => ("text/css; charset=utf-8", include_str!("assets/page.css")),
        "/patrol.js" => ("text/javascript; charset=utf-8", include_str!("assets/page.js")),
        _ => return None,
    };
    Some(reply(StatusCode::OK, kind, Bytes::from_static(body.as_bytes())))
}

fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> HttpResponse {
    let mut response = Response::new(AnswerBody::Whole(Some(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn text(status: StatusCode, line: &str) -> HttpResponse {
    reply(status, TEXT, Bytes::from(format!("{line}\n")))
}

fn found() -> HttpResponse {
    let mut response = text(StatusCode::FOUND, "Found");
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/"));
    response
}

fn forbidden() -> HttpResponse {
    text(StatusCode::FORBIDDEN, "the request comes from another site and would change something")
}

fn too_large() -> HttpResponse {
    let mut response = text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1048576 bytes");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn api_error(error: ApiError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).expect("a status of HTTP");
    reply(status, JSON, Bytes::from(refusal(error)))
}

fn problem_reply(problem: &Problem) -> HttpResponse {
    match problem {
        Problem::Api(error) => api_error(*error),
        Problem::Unavailable(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

fn log_error(error: LogError) -> HttpResponse {
    let status = StatusCode::from_u16(error.status()).expect("a status of HTTP");
    reply(status, HTML, Bytes::from(format!("{error}\n")))
}
