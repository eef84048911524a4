//! One client that changes instances of its own at random until the master no longer answers, and
//! records the answers that it receives.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::child::{Kind, Task, starts};
use super::dice::Dice;
use super::model::{Definition, Known, Pending, Totals};
use crate::http::{Connection, Endpoint, Request, Response};
use crate::{KEY_ID, PATIENCE};

/// Instances that a client keeps at least and at most.
const FEW: usize = 2;
const MANY: usize = 4;

/// What all clients have in common.
pub struct Shared<'a> {
    /// Where the master listens.
    pub endpoint: Endpoint,
    /// The path of its API.
    pub base: &'a str,
    /// The key: one of them changes it.
    pub key: &'a RwLock<String>,
    /// Where the processes leave their traces.
    pub folder: &'a Path,
    /// Whether the master keeps running: a client leaves on request, and stops no instance, for
    /// no start of a master would start it again.
    pub master_lives: bool,
    /// Set when it is time to leave.
    pub is_over: &'a AtomicBool,
}

/// What a client needs to know.
pub struct Job<'a> {
    /// What the others know as well.
    pub shared: &'a Shared<'a>,
    /// Where the client's choices come from.
    pub dice: Dice,
    /// The first of the tokens that it may give.
    pub first_token: u32,
    /// Whether it changes the key and the alias of the master.
    pub is_owner: bool,
    /// Its instances.
    pub instances: Vec<(String, Known)>,
}

/// The answers that it received, and the requests without one.
#[derive(Debug, Default)]
pub struct Account {
    /// Its instances, deleted ones left out.
    pub instances: Vec<(String, Known)>,
    /// Creates without an answer.
    pub creates: Vec<Definition>,
    /// The alias of the master that was acknowledged last.
    pub alias: Option<String>,
    /// One that was not.
    pub alias_pending: Option<String>,
    /// Whether a change of the key was not answered.
    pub key_pending: bool,
    /// How many changes were acknowledged.
    pub changes: u64,
    /// How many were not answered.
    pub unanswered: u64,
    /// Answers that were not what they should be.
    pub faults: Vec<String>,
}

/// Works until the master refuses or does not answer.
pub fn work(job: Job<'_>) -> Account {
    let account = Account { instances: job.instances, ..Account::default() };
    let Ok(connection) = Connection::open(&job.shared.endpoint) else { return account };
    let mut client = Client {
        connection,
        shared: job.shared,
        dice: job.dice,
        next_token: job.first_token,
        change: 0,
        account,
    };
    while !job.shared.is_over.load(Ordering::Relaxed) && client.step(job.is_owner).is_some() {}
    client.account
}

/// The result of a request; `None` in its place means no answer.
enum Answer {
    Accepted(Value),
    /// The master is on its way out, and has changed nothing.
    Refused,
}

struct Client<'a> {
    connection: Connection,
    shared: &'a Shared<'a>,
    dice: Dice,
    next_token: u32,
    change: u32,
    account: Account,
}

impl Client<'_> {
    /// Does one thing; `None` when it is time to leave.
    fn step(&mut self, is_owner: bool) -> Option<()> {
        let count = self.account.instances.len();
        if is_owner && self.dice.one_in(12) {
            return if self.dice.one_in(3) { self.rotate() } else { self.name_master() };
        }
        if count < FEW {
            return self.create();
        }
        let index = usize::try_from(self.dice.below(count as u64)).expect("below a length");
        match self.dice.below(100) {
            0..12 if count < MANY => self.create(),
            0..12 => self.delete(index),
            12..60 => self.patch(index),
            60..72 => self.reset(index),
            72..82 => self.act(index),
            82..94 => self.put(index),
            _ => self.delete(index),
        }
    }

    fn create(&mut self) -> Option<()> {
        let task = Task { token: self.next_token, version: 0, kind: self.kind() };
        self.next_token += 1;
        let wanted = Definition::new(task, self.text("created"));
        let body = json!({"url": task.url(), "alias": wanted.alias});
        match self.send("POST", "/instances", Some(&body), 201) {
            Some(Answer::Accepted(found)) => {
                let id = found["id"].as_str().unwrap_or("").to_owned();
                self.check(&wanted, &found);
                let known = Known { acknowledged: wanted, pending: None, seen: 0 };
                self.account.instances.push((id, known));
                Some(())
            }
            Some(Answer::Refused) => None,
            None => {
                self.account.creates.push(wanted);
                None
            }
        }
    }

    fn patch(&mut self, index: usize) -> Option<()> {
        let text = self.text("patched");
        let mut wanted = self.current(index);
        wanted.alias = text.clone();
        let mut body = json!({"alias": text});
        if self.dice.one_in(2) {
            let meta = json!({
                "peer": {"sid": text, "type": "t", "alias": text},
                "tags": {"change": text, "also": text},
            });
            wanted.meta = meta.clone();
            body["meta"] = meta;
        }
        if self.dice.one_in(4) {
            wanted.restart = !wanted.restart;
            body["restart"] = json!(wanted.restart);
        }
        self.change(index, "PATCH", &body, wanted)
    }

    /// Sets the totals to zero, and now and then the alias with them.
    fn reset(&mut self, index: usize) -> Option<()> {
        let mut wanted = self.current(index);
        let starts_at_reset = starts(self.shared.folder, wanted.task.token);
        wanted.totals = Totals { at_least: 0, starts_at_reset };
        let mut body = json!({"action": "reset"});
        if self.dice.one_in(2) {
            wanted.alias = self.text("reset");
            body["alias"] = json!(wanted.alias);
        }
        self.change(index, "PATCH", &body, wanted)
    }

    fn put(&mut self, index: usize) -> Option<()> {
        let mut wanted = self.current(index);
        let version = wanted.task.version + 1;
        wanted.task = Task { version, kind: self.kind(), ..wanted.task };
        let body = json!({"url": wanted.task.url()});
        self.change(index, "PUT", &body, wanted)
    }

    fn delete(&mut self, index: usize) -> Option<()> {
        let path = self.path_of(index);
        match self.send("DELETE", &path, None, 204) {
            Some(Answer::Accepted(_)) => {
                self.account.instances.swap_remove(index);
                Some(())
            }
            Some(Answer::Refused) => None,
            None => {
                self.account.instances[index].1.pending = Some(Pending::Delete);
                None
            }
        }
    }

    /// What leaves nothing on the disk.
    fn act(&mut self, index: usize) -> Option<()> {
        let actions: &[_] = match self.shared.master_lives {
            true => &["start", "restart"],
            false => &["start", "stop", "restart"],
        };
        let action = self.dice.pick(actions);
        let path = self.path_of(index);
        let answer = self.send("PATCH", &path, Some(&json!({"action": action})), 200)?;
        // It was no change.
        self.account.changes -= u64::from(matches!(answer, Answer::Accepted(_)));
        match answer {
            Answer::Accepted(_) => Some(()),
            Answer::Refused => None,
        }
    }

    fn name_master(&mut self) -> Option<()> {
        let alias = self.text("master");
        match self.send("POST", "/info", Some(&json!({"alias": alias})), 200) {
            Some(Answer::Accepted(_)) => self.account.alias = Some(alias),
            Some(Answer::Refused) => return None,
            None => {
                self.account.alias_pending = Some(alias);
                return None;
            }
        }
        Some(())
    }

    fn rotate(&mut self) -> Option<()> {
        let path = format!("/instances/{KEY_ID}");
        match self.send("PATCH", &path, Some(&json!({"action": "restart"})), 200) {
            Some(Answer::Accepted(found)) => {
                let key = found["url"].as_str().unwrap_or("").to_owned();
                *self.shared.key.write().unwrap_or_else(PoisonError::into_inner) = key;
                Some(())
            }
            Some(Answer::Refused) => None,
            None => {
                self.account.key_pending = true;
                None
            }
        }
    }

    /// Changes an instance that stays, by PATCH or PUT.
    fn change(
        &mut self,
        index: usize,
        method: &str,
        body: &Value,
        wanted: Definition,
    ) -> Option<()> {
        let path = self.path_of(index);
        match self.send(method, &path, Some(body), 200) {
            Some(Answer::Accepted(found)) => {
                self.check(&wanted, &found);
                if body["action"] == "reset" && found["tcprx"] != 0 {
                    self.account.faults.push(format!("{path} was reset: {found}"));
                }
                let known = &mut self.account.instances[index].1;
                known.acknowledged = wanted;
                // Seen now, it is kept by whatever is acknowledged next.
                known.seen = found["tcprx"].as_u64().unwrap_or(0);
                Some(())
            }
            Some(Answer::Refused) => None,
            None => {
                self.account.instances[index].1.pending = Some(Pending::Change(wanted));
                None
            }
        }
    }

    /// What the instance is, with the totals that the next change is going to keep.
    fn current(&self, index: usize) -> Definition {
        let known = &self.account.instances[index].1;
        let mut definition = known.acknowledged.clone();
        definition.totals.at_least = definition.totals.at_least.max(known.seen);
        definition
    }

    fn check(&mut self, wanted: &Definition, found: &Value) {
        let starts = starts(self.shared.folder, wanted.task.token);
        if let Some(fault) = wanted.fault(found, starts) {
            self.account.faults.push(format!("an answer: {fault}; it is {found}"));
        }
    }

    fn kind(&mut self) -> Kind {
        // Each of these costs the next round 5 s.
        if self.dice.one_in(1500) {
            return self.dice.pick(&[Kind::Deaf, Kind::DeafOrphan]);
        }
        match self.dice.below(100) {
            0..30 => Kind::Steady,
            30..58 => Kind::Counter,
            58..66 => Kind::Slow,
            66..78 => Kind::Family,
            78..86 => Kind::Quick,
            86..93 => Kind::Crash,
            _ => Kind::Orphan,
        }
    }

    /// A text that no other change has.
    fn text(&mut self, what: &str) -> String {
        self.change += 1;
        format!("{what} {}-{}", self.next_token, self.change)
    }

    fn path_of(&self, index: usize) -> String {
        format!("/instances/{}", self.account.instances[index].0)
    }

    /// Sends a request again for as long as its key is about to be replaced.
    fn send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        accepted: u16,
    ) -> Option<Answer> {
        let begun = Instant::now();
        loop {
            let Ok(response) = self.try_send(method, path, body) else {
                self.account.unanswered += 1;
                return None;
            };
            match response.status {
                401 if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(1)),
                503 => return Some(Answer::Refused),
                status if status == accepted => {
                    self.account.changes += 1;
                    let found = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
                    return Some(Answer::Accepted(found));
                }
                status => {
                    let text = String::from_utf8_lossy(&response.body).into_owned();
                    self.account.faults.push(format!("{method} {path}: {status}: {text}"));
                    return Some(Answer::Refused);
                }
            }
        }
    }

    fn try_send(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Response> {
        let key = self.shared.key.read().unwrap_or_else(PoisonError::into_inner).clone();
        self.connection.send(&Request {
            method: method.to_owned(),
            target: format!("{}{path}", self.shared.base),
            headers: vec![("X-API-Key".to_owned(), key)],
            body: body.map(|body| body.to_string().into_bytes()),
        })
    }
}
