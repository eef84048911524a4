//! The published client: the API base, the key, and one call per operation.

use std::io;

use serde_json::{Value, json};

use crate::http::{Connection, Endpoint, Request, Response};
use crate::json::instance_fault;
use crate::script::Script;
use crate::sse::Sse;

/// A client of one master.
#[derive(Clone, Debug)]
pub struct Api {
    endpoint: Endpoint,
    base: String,
    key: Option<String>,
}

/// A request being put together.
#[must_use]
pub struct Call {
    endpoint: Endpoint,
    request: Request,
}

impl Api {
    /// A client of `endpoint` whose paths start with `base` (such as `/api/v2`).
    pub fn new(endpoint: Endpoint, base: &str, key: &str) -> Self {
        Self { endpoint, base: base.to_owned(), key: Some(key.to_owned()) }
    }

    /// The same client with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// The same client without a key.
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// Where the master listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The path all operations start with.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request for `path` below the base.
    pub fn request(&self, method: &str, path: &str) -> Call {
        self.request_at(method, &format!("{}{path}", self.base))
    }

    /// A request for any target.
    pub fn request_at(&self, method: &str, target: &str) -> Call {
        let key = self.key.iter().map(|key| ("X-API-Key".to_owned(), key.clone()));
        let request = Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: key.collect(),
            body: None,
        };
        Call { endpoint: self.endpoint.clone(), request }
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path).send()
    }

    /// `POST` with a JSON body.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.request("POST", path).json(body).send()
    }

    /// `PATCH` of one instance.
    pub fn patch(&self, id: &str, body: &Value) -> Response {
        self.request("PATCH", &format!("/instances/{id}")).json(body).send()
    }

    /// `PATCH` with an action and nothing else, which must be accepted.
    pub fn act(&self, id: &str, action: &str) -> Value {
        self.patch(id, &json!({ "action": action })).expect(200).json()
    }

    /// `PUT` of one instance's URL.
    pub fn put(&self, id: &str, url: &str) -> Response {
        self.request("PUT", &format!("/instances/{id}")).json(&json!({ "url": url })).send()
    }

    /// `DELETE` of one instance.
    pub fn delete(&self, id: &str) -> Response {
        self.request("DELETE", &format!("/instances/{id}")).send()
    }

    /// Creates an instance, which must be accepted, and checks the snapshot.
    pub fn create(&self, url: &str) -> Value {
        let created = self.post("/instances", &json!({ "url": url })).expect(201).json();
        assert_eq!(instance_fault(&created), None);
        created
    }

    /// Creates an instance that runs `script`; returns its id.
    pub fn run(&self, script: &Script) -> String {
        id_of(&self.create(&script.url()))
    }

    /// As [`Api::run`], with automatic restarts switched off before the script can go far.
    pub fn run_once(&self, script: &Script) -> String {
        let id = self.run(script);
        self.patch(&id, &json!({ "restart": false })).expect(200);
        id
    }

    /// All instances, the key instance included.
    pub fn list(&self) -> Vec<Value> {
        let list = self.get("/instances").expect(200).json();
        let list = list.as_array().expect("the list is an array").clone();
        for instance in &list {
            assert_eq!(instance_fault(instance), None);
        }
        list
    }

    /// One instance, which must be there.
    pub fn instance(&self, id: &str) -> Value {
        let instance = self.get(&format!("/instances/{id}")).expect(200).json();
        assert_eq!(instance_fault(&instance), None);
        instance
    }

    /// The status of an instance.
    pub fn status(&self, id: &str) -> String {
        self.instance(id)["status"].as_str().expect("a status is a string").to_owned()
    }

    /// The facts about the processes of an instance.
    pub fn process(&self, id: &str) -> Value {
        self.get(&format!("/instances/{id}/process")).expect(200).json()
    }

    /// Opens the event stream.
    pub fn events(&self) -> Sse {
        Sse::open(self, &[])
    }
}

impl Call {
    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a JSON body and its type.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// Sets any body, without a type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.request.body = Some(body.into());
        self
    }

    /// What would be sent.
    pub fn into_request(self) -> Request {
        self.request
    }

    /// Sends it on a connection of its own; there must be an answer.
    pub fn send(self) -> Response {
        let what = format!("{} {}", self.request.method, self.request.target);
        self.try_send().unwrap_or_else(|error| panic!("no answer to {what:.200}: {error}"))
    }

    /// As [`Call::send`] where no answer is an answer too.
    pub fn try_send(self) -> io::Result<Response> {
        let request = self.header("Connection", "close");
        Connection::open(&request.endpoint)?.send(&request.request)
    }
}

/// The id of an instance object.
pub fn id_of(instance: &Value) -> String {
    instance["id"].as_str().expect("an instance has an id").to_owned()
}
