//! The page for operators: its files, embedded in the program, and how they are served.
//!
//! Files are sent without comments, and compressed to clients that take gzip, so that the page loads
//! quickly over a slow line.
//!
//! Owns the paths `/` and `/page/…`, and the headers that isolate the page. Does not own the page
//! itself (`driver/page/`): it is a client of the public API like any other and receives one value,
//! the path of the API. It needs no key, because it contains no data.

mod compact;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use bytes::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::compact::{accepts_gzip, gzip, without_comments};
use super::body::AnswerBody;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The place in the page for the path of its API; replaced when the master starts.
const API_MARK: &str = "{{api}}";

/// Characters of the path of the API that are not escaped. Escaping all others also makes the path
/// safe in an attribute.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

/// Nothing from elsewhere, nothing inline, no frames; text can never become markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// On every answer for the page. `no-cache` asks for the ETag each time, so that the files of two
/// versions of the program never meet.
const HEADERS: [(&str, &str); 4] = [
    ("cache-control", "no-cache"),
    ("cross-origin-resource-policy", "same-origin"),
    ("vary", "accept-encoding"),
    ("x-content-type-options", "nosniff"),
];

/// On answers that a browser may show as a document. For others they have no effect.
const DOCUMENT_HEADERS: [(&str, &str); 4] = [
    ("content-security-policy", POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
];

macro_rules! file {
    ($name:literal, $kind:expr) => {
        (concat!("/page/", $name), $kind, include_str!(concat!("../../../page/", $name)))
    };
}

/// All style sheets in one, as every file that a browser asks for costs it headers.
const STYLE: &str = concat!(
    include_str!("../../../page/style.css"),
    include_str!("../../../page/layout.css"),
    include_str!("../../../page/detail.css"),
    include_str!("../../../page/forced.css"),
);

/// Path, type and content. No path of the API can be one of these: all of its paths have `/v2/` in
/// them, but for `/metrics`.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("../../../page/index.html")),
    file!("icon.svg", SVG),
    ("/page/style.css", CSS, STYLE),
    file!("app.js", SCRIPT),
    file!("ansi.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("bulk.js", SCRIPT),
    file!("chart.js", SCRIPT),
    file!("detail.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("forms.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("keyboard.js", SCRIPT),
    file!("list.js", SCRIPT),
    file!("logview.js", SCRIPT),
    file!("master.js", SCRIPT),
    file!("model.js", SCRIPT),
    file!("order.js", SCRIPT),
    file!("patrol.js", SCRIPT),
    file!("rates.js", SCRIPT),
    file!("resource.js", SCRIPT),
    file!("stream.js", SCRIPT),
    file!("terminal.js", SCRIPT),
];

/// The files of the page, made ready when the first is asked for: most masters run for weeks
/// before that, and need not hold them in memory.
#[derive(Debug)]
pub(crate) struct Page {
    api_base: String,
    files: OnceLock<Vec<File>>,
}

#[derive(Debug)]
struct File {
    kind: &'static str,
    tag: HeaderValue,
    body: Bytes,
    /// As `tag`, of the compressed body: a tag names the bytes that are sent.
    gzip_tag: HeaderValue,
    gzip_body: Bytes,
}

impl Page {
    /// The page for the API at `api_base`, such as `/api/v2`.
    pub(crate) fn new(api_base: &str) -> Self {
        Self { api_base: api_base.to_owned(), files: OnceLock::new() }
    }

    fn files(&self) -> &[File] {
        self.files.get_or_init(|| self.make_ready())
    }

    fn make_ready(&self) -> Vec<File> {
        // Relative to the page, wherever a proxy shows it; the dot keeps it relative.
        let api = format!(".{}", utf8_percent_encode(&self.api_base, &PATH));
        let ready = |(path, kind, text): (&'static str, &'static str, &'static str)| {
            let body = match path {
                "/" => Bytes::from(text.replace(API_MARK, &api)),
                _ if kind == SCRIPT || kind == CSS => Bytes::from(without_comments(text)),
                _ => Bytes::from_static(text.as_bytes()),
            };
            let (tag, gzip_tag) = (entity_tag(&body, ""), entity_tag(&body, "-gzip"));
            File { kind, tag, gzip_tag, gzip_body: gzip(&body), body }
        };
        FILES.iter().copied().map(ready).collect()
    }

    /// Answers a request for a file of the page; `None` if the path is not one of them.
    pub(crate) fn answer(&self, parts: &Parts) -> Option<Response<AnswerBody>> {
        let index = FILES.iter().position(|(path, _, _)| *path == parts.uri.path())?;
        let file = &self.files()[index];
        let is_packed = accepts_gzip(&parts.headers);
        let mut response = match parts.method {
            Method::GET | Method::HEAD if file.is_known_to(parts) => {
                let mut response = Response::new(AnswerBody::Whole(None));
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            Method::GET | Method::HEAD => {
                let body = if is_packed { &file.gzip_body } else { &file.body };
                let mut response = Response::new(AnswerBody::Whole(Some(body.clone())));
                let kind = HeaderValue::from_static(file.kind);
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                if is_packed {
                    let coding = HeaderValue::from_static("gzip");
                    response.headers_mut().insert(header::CONTENT_ENCODING, coding);
                }
                response
            }
            _ => {
                let mut response = Response::new(AnswerBody::Whole(None));
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                let allow = HeaderValue::from_static("GET, HEAD");
                response.headers_mut().insert(header::ALLOW, allow);
                response
            }
        };
        let headers = response.headers_mut();
        let tag = if is_packed { &file.gzip_tag } else { &file.tag };
        headers.insert(header::ETAG, tag.clone());
        let is_document = file.kind == HTML || file.kind == SVG;
        let more = if is_document { &DOCUMENT_HEADERS[..] } else { &[] };
        for &(name, value) in HEADERS.iter().chain(more) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        Some(response)
    }
}

impl File {
    fn is_known_to(&self, parts: &Parts) -> bool {
        let known = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let mut tags = known.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        // A proxy that compresses makes a tag weak; the content is the same.
        tags.any(|tag| {
            let tag = tag.trim_ascii();
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            tag == self.tag.as_bytes() || tag == self.gzip_tag.as_bytes()
        })
    }
}

fn entity_tag(body: &[u8], suffix: &str) -> HeaderValue {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}{suffix}\"", hasher.finish());
    HeaderValue::from_str(&tag).expect("hex digits in quotes are a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(page: &Page, method: Method, path: &str, known: &str) -> Option<Response<AnswerBody>> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(path)
            .header(header::IF_NONE_MATCH, known)
            .body(())
            .expect("a good request");
        page.answer(&request.into_parts().0)
    }

    fn index(api_base: &str) -> String {
        let page = Page::new(api_base);
        String::from_utf8(page.files()[0].body.to_vec()).expect("the page is UTF-8")
    }

    #[test]
    fn no_file_can_be_a_path_of_the_api() {
        for (path, _, _) in FILES {
            assert!(*path == "/" || path.starts_with("/page/"), "{path}");
            assert!(!path.contains("/v2/"), "{path}");
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        for entry in std::fs::read_dir(folder).expect("the folder of the page") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("names are ASCII");
            let path = format!("/page/{name}");
            let served = FILES.iter().any(|(known, _, _)| *known == path);
            let is_in_style = name.ends_with(".css")
                && STYLE.contains(&std::fs::read_to_string(entry.path()).expect("a file"));
            assert!(served || is_in_style || name == "index.html", "{path} is not in FILES");
        }
    }

    #[test]
    fn text_never_becomes_markup() {
        for (path, _, text) in FILES {
            for banned in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]
            {
                assert!(!text.contains(banned), "{path} has {banned}");
            }
            for inline in [" style=\"", " onclick", "<style", "javascript:", "https://", "http://"]
            {
                let named = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!named.contains(inline), "{path} has {inline}");
            }
        }
    }

    #[test]
    fn the_page_knows_where_its_api_is() {
        assert!(index("/api/v2").contains(r#"content="./api/v2""#));
        assert!(index("//x y/v2").contains(r#"content=".//x%20y/v2""#));
        assert!(index("/\"><script>/v2").contains(r#"content="./%22%3E%3Cscript%3E/v2""#));
        assert!(!index("/api/v2").contains(API_MARK));
    }

    #[test]
    fn what_has_not_changed_is_not_sent_again() {
        let page = Page::new("/api/v2");
        let first = ask(&page, Method::GET, "/page/app.js", "").expect("a file");
        assert_eq!(first.status(), 200);
        let tag = first.headers()[header::ETAG].to_str().expect("ASCII").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
            let again = ask(&page, Method::GET, "/page/app.js", &known).expect("a file");
            assert_eq!(again.status(), 304, "{known}");
            assert_eq!(again.headers()[header::ETAG], *tag);
        }
        assert_eq!(ask(&page, Method::GET, "/", &tag).expect("a file").status(), 200);
    }

    #[test]
    fn what_is_compressed_is_the_same_file_with_another_tag() {
        let page = Page::new("/api/v2");
        let plain = ask(&page, Method::GET, "/page/app.js", "").expect("a file");
        let request = hyper::Request::builder().uri("/page/app.js");
        let request = request.header(header::ACCEPT_ENCODING, "gzip, br").body(()).expect("good");
        let packed = page.answer(&request.into_parts().0).expect("a file");
        assert_eq!(packed.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(!plain.headers().contains_key(header::CONTENT_ENCODING));
        assert_ne!(packed.headers()[header::ETAG], plain.headers()[header::ETAG]);
        for answer in [&packed, &plain] {
            assert_eq!(answer.headers()[header::VARY], "accept-encoding");
        }
        let tag = packed.headers()[header::ETAG].to_str().expect("ASCII");
        let again = ask(&page, Method::GET, "/page/app.js", tag).expect("a file");
        assert_eq!(again.status(), 304);
        let file = page.files().iter().find(|file| file.kind == SCRIPT).expect("a script");
        assert!(file.gzip_body.len() < file.body.len() / 2, "{}", file.gzip_body.len());
    }

    #[test]
    fn removing_comments_leaves_every_text_whole() {
        for (path, kind, text) in FILES.iter().filter(|(_, kind, _)| *kind != HTML) {
            for line in text.lines().filter(|_| *kind == SCRIPT) {
                let ticks = line.matches('`').count();
                assert!(ticks.is_multiple_of(2), "{path}: a text spans lines: {line}");
                assert!(!line.ends_with('\\'), "{path}: a text spans lines: {line}");
            }
        }
    }

    #[test]
    fn the_page_is_only_read_and_keeps_to_itself() {
        let page = Page::new("/api/v2");
        assert_eq!(ask(&page, Method::POST, "/", "").expect("a file").status(), 405);
        assert!(ask(&page, Method::GET, "/page/", "").is_none());
        assert!(ask(&page, Method::GET, "/page/nope.js", "").is_none());
        let answer = ask(&page, Method::HEAD, "/", "").expect("a file");
        let policy = answer.headers()["content-security-policy"].to_str().expect("ASCII");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"));
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
    }
}
