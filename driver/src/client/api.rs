//! The API of a master, as far as commands need it: one function for each question.

use std::path::Path;
use std::time::Duration;

use hyper::Method;
use openctrl_core::doors::v2::FORCE_REMEDY;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::document::{Document, quote};
use super::failure::Failure;
use super::http::{Http, Reply};
use super::instance::Instance;
use super::place::Place;
use super::stream::EventStream;
use super::text::plain;

/// A new URL is answered when the new process is alive: a stop takes 5 s, and others may wait.
pub(crate) const REPLACE: Duration = Duration::from_secs(60);

/// Timeout of an answer that only waits for the disk.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The key instance.
pub(crate) const KEY_ID: &str = "********";

/// What needs no escape in a query.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A master that questions can be put to.
pub(crate) struct Api {
    http: Http,
}

impl Api {
    /// A master at a place; nothing is asked yet.
    pub(crate) fn new(place: Place) -> Result<Self, Failure> {
        Ok(Self { http: Http::new(place)? })
    }

    /// For messages: where it is.
    pub(crate) fn shown(&self) -> &str {
        &self.http.place().shown
    }

    /// Whether the address of the master is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.http.place().is_local()
    }

    /// The directory of its log files, if it is on this machine and has one.
    pub(crate) fn logs(&self) -> Option<&Path> {
        self.http.place().logs.as_deref()
    }

    /// For messages: where the key is from.
    pub(crate) fn key_source(&self) -> &str {
        &self.http.place().key_source
    }

    /// The fingerprint of its certificate, once it was asked something.
    pub(crate) fn fingerprint(&self) -> Option<String> {
        self.http.fingerprint()
    }

    /// Every instance but that of the key, by alias and id.
    pub(crate) async fn instances(&self) -> Result<Vec<Instance>, Failure> {
        Ok(in_order(self.get("/instances").await?.into_list()))
    }

    /// The same with some of their fields, `id` and `alias` among them.
    pub(crate) async fn instances_with(
        &self,
        fields: &[&'static str],
    ) -> Result<Vec<Instance>, Failure> {
        let rows = self.rows_if_known("/instances", fields).await?;
        Ok(in_order(rows.ok_or_else(|| self.stranger())?))
    }

    /// Reads something that every master has.
    pub(crate) async fn get(&self, path: &str) -> Result<Document, Failure> {
        self.answer(self.send(Method::GET, path, None, PATIENCE).await?)
    }

    /// Whether the master is well; one that is not answers 503 with the same object.
    pub(crate) async fn health(&self) -> Result<Document, Failure> {
        let reply = self.send(Method::GET, "/health", None, PATIENCE).await?;
        match reply.status {
            503 => Document::parse(&reply.body).ok_or_else(|| self.stranger()),
            _ => self.answer(reply),
        }
    }

    /// Reads something that older masters do not have; none where it is not there.
    pub(crate) async fn get_if_known(&self, path: &str) -> Result<Option<Document>, Failure> {
        let reply = self.send(Method::GET, path, None, PATIENCE).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        self.answer(reply).map(Some)
    }

    /// A list of objects with some of their fields; none where an older master does not have it.
    pub(crate) async fn rows_if_known(
        &self,
        path: &str,
        fields: &[&'static str],
    ) -> Result<Option<Vec<Document>>, Failure> {
        let reply = self.send(Method::GET, path, None, PATIENCE).await?;
        match reply.status {
            404 => Ok(None),
            200 => match Document::parse_rows(&reply.body, fields) {
                Some(rows) => Ok(Some(rows)),
                None => Err(self.stranger()),
            },
            _ => Err(self.refusal(&reply)),
        }
    }

    /// Asks for a change.
    pub(crate) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Document, Failure> {
        self.answer(self.send(method, path, Some(body), PATIENCE).await?)
    }

    /// Requests a change that waits for the exit of a process.
    pub(crate) async fn change_slowly(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        patience: Duration,
    ) -> Result<Document, Failure> {
        self.answer(self.send(method, path, body, patience).await?)
    }

    /// Requests a change that older masters do not know; none where it is not there.
    pub(crate) async fn change_if_known(
        &self,
        method: Method,
        path: &str,
        body: &str,
        patience: Duration,
    ) -> Result<Option<Document>, Failure> {
        let reply = self.send(method, path, Some(body), patience).await?;
        if matches!(reply.status, 404 | 405) {
            return Ok(None);
        }
        self.answer(reply).map(Some)
    }

    /// Opens the event stream, after an event if one is named.
    pub(crate) async fn events(&self, after: Option<&str>) -> Result<EventStream, Failure> {
        let headers: Vec<(&str, &str)> =
            after.map(|id| ("last-event-id", id)).into_iter().collect();
        let response = self.http.open("/events", &headers).await?;
        let status = response.status().as_u16();
        if status != 200 {
            let body = self.http.read(response).await?;
            return Err(self.refusal(&Reply { status, body }));
        }
        Ok(EventStream::new(response.into_body()))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        self.http.send(method, path, body, patience).await
    }

    fn answer(&self, reply: Reply) -> Result<Document, Failure> {
        match reply.status {
            204 => Ok(Document::Null),
            200..=299 => Document::parse(&reply.body).ok_or_else(|| self.stranger()),
            _ => Err(self.refusal(&reply)),
        }
    }

    fn refusal(&self, reply: &Reply) -> Failure {
        let error = Document::parse(&reply.body).unwrap_or(Document::Null);
        let said = plain(error.at("error").text());
        let said = said.replace(FORCE_REMEDY, "use --force to accept it anyway");
        let shown = self.shown();
        match reply.status {
            401 => Failure::Key(format!(
                "the master at {shown} does not take the key from {}: was it changed?",
                self.key_source()
            )),
            404 if said.contains("path") || said.is_empty() => self.stranger(),
            404 => Failure::Missing(said),
            status if said.is_empty() => {
                Failure::Refused(format!("the master at {shown} answers {status}"))
            }
            _ => Failure::Refused(said),
        }
    }

    fn stranger(&self) -> Failure {
        Failure::Unreachable(format!(
            "the server at {} is not the API of a master; the address is in the line 'Master.run: \
             started' of its log",
            self.shown()
        ))
    }
}

/// Instances by alias and id, without that of the key.
fn in_order(list: Vec<Document>) -> Vec<Instance> {
    let mut instances: Vec<Instance> =
        list.into_iter().map(Instance::new).filter(|one| one.id() != KEY_ID).collect();
    instances.sort_by_cached_key(|one| {
        let (has_no_alias, alias, id) = one.order();
        (has_no_alias, alias.to_owned(), id.to_owned())
    });
    instances
}

/// A text, escaped for a query.
pub(crate) fn escape(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

/// A JSON array of strings.
pub(crate) fn array<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut json = String::from("[");
    for text in texts {
        if json.len() > 1 {
            json.push(',');
        }
        quote(&mut json, text);
    }
    json + "]"
}

/// A JSON object of strings that are there.
pub(crate) fn object(fields: &[(&str, Option<&str>)]) -> String {
    let mut json = String::from("{");
    for (name, value) in fields {
        let Some(value) = value else { continue };
        if json.len() > 1 {
            json.push(',');
        }
        quote(&mut json, name);
        json.push(':');
        quote(&mut json, value);
    }
    json + "}"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_and_queries_are_escaped() {
        let body = object(&[("url", Some("a\"b\u{1b}")), ("alias", None), ("c", Some(""))]);
        assert_eq!(body, r#"{"url":"a\"b\u001b","c":""}"#);
        assert_eq!(object(&[]), "{}");
        assert_eq!(array(["a", "\""].into_iter()), r#"["a","\""]"#);
        assert_eq!(escape("[::1]:80&a b"), "%5B::1%5D:80%26a%20b");
    }
}
