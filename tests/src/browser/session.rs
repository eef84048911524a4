//! One WebDriver session: commands as JSON over HTTP, and nothing about what is looked at.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Value, json};

use crate::eventually;
use crate::http::{Connection, Endpoint, Request};

/// The name under which WebDriver hands elements out.
pub(super) const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A session; `close` ends the browser.
pub(super) struct Session {
    endpoint: Endpoint,
    base: String,
}

impl Session {
    /// Opens a browser with an empty profile. It trusts any certificate.
    pub(super) fn open(port: u16) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let endpoint = Endpoint { address, tls: false };
        let arguments = [
            "--headless=new",
            // The page under test is our own, and containers forbid what the sandbox needs.
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--hide-scrollbars",
            "--lang=en-US",
            "--disable-background-networking",
            "--disable-component-update",
        ];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "acceptInsecureCerts": true,
            "timeouts": { "script": 30_000 },
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let mut session = Self { endpoint, base: String::new() };
        // A machine under load may need a second attempt.
        let opened =
            eventually("a browser session", || session.try_post("/session", &capabilities).ok());
        session.base =
            format!("/session/{}", opened["sessionId"].as_str().expect("a session has an id"));
        session
    }

    /// A command that has to work.
    pub(super) fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body).unwrap_or_else(|error| panic!("{path}: {error:.2000}"))
    }

    /// A command; an error is what WebDriver says.
    pub(super) fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.send("POST", path, Some(body))
    }

    /// A question.
    pub(super) fn try_get(&self, path: &str) -> Result<Value, String> {
        self.send("GET", path, None)
    }

    /// The first element that a selector names.
    pub(super) fn find(&self, css: &str) -> Result<String, String> {
        let found = self.try_post("/element", &json!({ "using": "css selector", "value": css }))?;
        found[ELEMENT].as_str().map(str::to_owned).ok_or_else(|| format!("no element: {found}"))
    }

    /// Ends the browser.
    pub(super) fn close(&self) {
        let _ = self.send("DELETE", "", None);
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let target = format!("{}{path}", self.base);
        let headers = vec![
            ("Content-Type".to_owned(), "application/json".to_owned()),
            ("Connection".to_owned(), "close".to_owned()),
        ];
        let body = body.map(|body| body.to_string().into_bytes());
        let request = Request { method: method.to_owned(), target, headers, body };
        let answer = Connection::open(&self.endpoint)
            .and_then(|mut connection| connection.send(&request))
            .map_err(|error| error.to_string())?;
        let mut answered: Value =
            serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        if answer.status == 200 { Ok(answered["value"].take()) } else { Err(answered.to_string()) }
    }
}
