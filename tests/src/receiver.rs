//! A receiver of webhooks on 127.0.0.1.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::wait::eventually;

/// A receiver that keeps what it is sent.
pub struct Receiver {
    address: String,
    kept: Arc<Mutex<Vec<Posted>>>,
    plan: Arc<Mutex<Plan>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The first line.
    pub line: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer for each request; the last one holds for all later requests.
struct Plan {
    answers: Vec<&'static str>,
    next: usize,
}

impl Receiver {
    /// One whose answers have these status lines, such as `204 No Content`; an empty one is no
    /// answer. The last one holds for all later requests.
    pub fn answering(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let kept = Arc::new(Mutex::new(Vec::new()));
        let plan = Arc::new(Mutex::new(Plan { answers: answers.to_vec(), next: 0 }));
        let (all, plans) = (Arc::clone(&kept), Arc::clone(&plan));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (all, plans) = (Arc::clone(&all), Arc::clone(&plans));
                thread::spawn(move || {
                    // A client that goes away is no matter.
                    let _ = serve(stream, &all, &plans);
                });
            }
        });
        Self { address, kept, plan }
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All requests so far.
    pub fn all(&self) -> Vec<Posted> {
        self.kept.lock().expect("no holder panics").clone()
    }

    /// Waits for the request with this number, counted from 0.
    pub fn wait(&self, number: usize) -> Posted {
        eventually(&format!("request {number} to the receiver"), || self.all().get(number).cloned())
    }

    /// Waits for a request that `is` it.
    pub fn wait_for(&self, what: &str, is: impl Fn(&Posted) -> bool) -> Posted {
        eventually(what, || self.all().into_iter().find(|posted| is(posted)))
    }

    /// Answers all requests like this from now on.
    pub fn answer(&self, status: &'static str) {
        *self.plan.lock().expect("no holder panics") = Plan { answers: vec![status], next: 0 };
    }
}

impl Posted {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

fn serve(stream: TcpStream, all: &Mutex<Vec<Posted>>, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    all.lock().expect("no holder panics").push(Posted {
        line: line.trim_end().to_owned(),
        headers,
        body,
    });
    let answer = {
        let mut plan = plan.lock().expect("no holder panics");
        let last = plan.answers.len() - 1;
        let answer = plan.answers[plan.next.min(last)];
        plan.next += 1;
        answer
    };
    if answer.is_empty() {
        // Until the client hangs up.
        let _ = reader.read(&mut [0]);
        return Ok(());
    }
    write!(reader.into_inner(), "HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n")
}
