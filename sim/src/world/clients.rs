//! Clients: their requests, what they wait for, and their dials.

use std::collections::{BTreeSet, VecDeque};

use openctrl_core::command::{Caller, Command, InstanceAction};
use openctrl_core::doors::v2::{
    Secrets, decode_actions, decode_alias, decode_create, decode_key_patch, decode_patch,
    decode_replace, ping_target,
};
use openctrl_core::expect::Expect;
use openctrl_core::ids::{InstanceId, RequestId};
use openctrl_core::master::ApiKey;

use crate::choice::Choices;

/// More instances than this do not make a run more interesting.
const INSTANCES_MAX: usize = 8;

/// How many requests are remembered, to be sent again.
const SENT_MAX: usize = 4;

const URLS: [&str; 13] = [
    "exec:d?schedule=*%20*%20*%20*%20*&after=n2",
    "demo:a",
    "demo:b",
    "demo:c",
    "MANAGED://Edge",
    "managed://Edge",
    "x://u:p@h/p?k=v#f",
    "exec:a?after=n0&ready=tcp:h:80&lease=30s",
    "exec:b?after=n1&after=n2&ready=line:o",
    "exec:c?ready=after:3s&live=tcp:h:1&live_interval=2s&live_threshold=1",
    "exec:d?after=n2&error=o&live=http://h/&live_interval=1s&live_threshold=2",
    "exec:e?ready=notify&watch=/srv&stderr=joined&lease=10s",
    "exec:f?watch=/srv&watch=/etc/f&watch_ignore=*.log",
];
const ALIASES: [&str; 5] = ["", "edge", "\\\"quoted\\\\", "é", "another alias"];

/// A pending request: its id, its sender, and its command.
pub(super) type Sent = (RequestId, Caller, Command);

/// All clients together.
#[derive(Debug, Default)]
pub struct Clients {
    requests: u64,
    /// How many keys were drawn.
    keys: u128,
    dials: BTreeSet<RequestId>,
    /// The last requests, newest last.
    sent: VecDeque<Sent>,
}

impl Clients {
    /// Sends a command under a name of its own.
    pub fn send(&mut self, caller: Caller, command: Command) -> Sent {
        self.requests += 1;
        if self.sent.len() == SENT_MAX {
            self.sent.pop_front();
        }
        let request = RequestId(self.requests);
        self.sent.push_back((request, caller, command.clone()));
        (request, caller, command)
    }

    /// The last requests, oldest first: a client that waits for one can disconnect and repeat it,
    /// whether it was answered or not.
    pub fn sent(&self) -> impl ExactSizeIterator<Item = &Sent> {
        self.sent.iter()
    }

    /// Starts a dial for a request.
    pub fn dial(&mut self, request: RequestId) {
        self.dials.insert(request);
    }

    /// The requests whose dials are under way.
    pub fn dials(&self) -> impl ExactSizeIterator<Item = RequestId> {
        self.dials.iter().copied()
    }

    /// The dial for a request has finished.
    pub fn dialled(&mut self, request: RequestId) {
        self.dials.remove(&request);
    }

    /// The master has exited, and the dials with it.
    pub fn hung_up(&mut self) {
        self.dials.clear();
    }

    /// A command about the `known` instances, or a new one. Bodies go through the decoders of the
    /// API; `None` if they turn one down.
    pub fn command(&mut self, choices: &mut Choices, known: &[InstanceId]) -> Option<Command> {
        let about_known = if known.is_empty() { 0 } else { 1 };
        let creates = if known.len() < INSTANCES_MAX { 6 } else { 0 };
        let acts = 3 * about_known;
        let weights =
            [24 * about_known, creates, 6 * about_known, 4 * about_known, 2, 1, 8, 1, acts];
        match choices.weighted(&weights).expect("some weights are not 0") {
            0 => patch(choices, known),
            1 => create(choices),
            2 => replace(choices, known),
            3 => Some(Command::Remove { id: target(choices, known), expect: Expect::Any }),
            4 => alias(choices),
            5 => self.rotate(choices),
            6 => Some(Command::Dial(ping_target("target=h:80").expect("a good target"))),
            7 => bad(choices),
            _ => Some(act(choices, known)),
        }
    }

    /// A key that was never drawn before, as the driver draws one for each request.
    pub fn new_key(&mut self) -> ApiKey {
        self.keys += 1;
        ApiKey::from_random((self.keys + 1).to_be_bytes())
    }

    fn rotate(&mut self, choices: &mut Choices) -> Option<Command> {
        let body: &[u8] = choices.pick::<&[u8]>(&[br#"{"action":"restart"}"#, b"{}"]);
        let asks = decode_key_patch(body).expect("the simulation's bodies are good");
        asks.then(|| Command::RotateKey(self.new_key()))
    }
}

fn create(choices: &mut Choices) -> Option<Command> {
    let (url, name) = (choices.pick(&URLS), choices.below(3));
    let body = match choices.below(8) {
        7 => format!(r#"{{"x":[{{"url":1}}],"URL":"{url}","Alias":"n{name}","alias":null}}"#),
        _ => format!(r#"{{"url":"{url}","alias":"n{name}"}}"#),
    };
    let (url, alias) =
        decode_create(body.as_bytes(), Secrets::Shown).expect("the simulation's URLs are valid");
    Some(Command::Create { url, alias })
}

fn replace(choices: &mut Choices, known: &[InstanceId]) -> Option<Command> {
    let id = target(choices, known);
    let body = format!(r#"{{"url":"{}"}}"#, choices.pick(&URLS));
    let url =
        decode_replace(body.as_bytes(), Secrets::Shown).expect("the simulation's URLs are valid");
    Some(Command::Replace { id, expect: Expect::Any, url })
}

fn alias(choices: &mut Choices) -> Option<Command> {
    let body = match choices.below(6) {
        5 => r#"{"alias":null}"#.to_string(),
        alias => format!(r#"{{"alias":"{}"}}"#, ALIASES[alias]),
    };
    Some(Command::SetAlias(
        decode_alias(body.as_bytes()).expect("the simulation's bodies are good"),
    ))
}

/// Mostly an instance that is there.
fn target(choices: &mut Choices, known: &[InstanceId]) -> InstanceId {
    let id = *choices.pick(known);
    if choices.one_in(24) { InstanceId(id.0 ^ 1) } else { id }
}

/// An action on some of the known instances; on one alone if it is a reset, whose time the oracle
/// notes by the answer.
fn act(choices: &mut Choices, known: &[InstanceId]) -> Command {
    let word = *choices.pick(&["start", "stop", "restart", "reset"]);
    let body = format!(r#"{{"action":"{word}","all":true}}"#);
    let action = decode_actions(body.as_bytes()).expect("the simulation's bodies are good").action;
    let count = if action == InstanceAction::Reset { 1 } else { 1 + choices.below(known.len()) };
    let ids = (0..count).map(|_| target(choices, known)).collect();
    Command::Act { ids, action }
}

/// A PATCH in the form it has on the wire.
fn patch(choices: &mut Choices, known: &[InstanceId]) -> Option<Command> {
    let id = target(choices, known);
    let mut fields = Vec::new();
    if !choices.one_in(4) {
        let action = choices.pick(&["start", "stop", "restart", "reset"]);
        fields.push(format!(r#""action":"{action}""#));
    }
    if choices.one_in(3) {
        fields.push(format!(r#""alias":"{}""#, choices.pick(&ALIASES)));
    }
    if choices.one_in(3) {
        fields.push(format!(r#""restart":{}"#, choices.one_in(2)));
    }
    if choices.one_in(8) {
        let tag = choices.below(3);
        fields.push(format!(r#""meta":{{"peer":{{"sid":"{tag}"}},"tags":{{"t":"{tag}"}}}}"#));
    }
    let body = format!("{{{}}}", fields.join(","));
    let amend = decode_patch(body.as_bytes()).expect("the simulation's bodies are valid");
    Some(Command::Amend { id, expect: Expect::Any, amend: amend.into() })
}

/// Bodies that must be turned down before the engine hears of them.
fn bad(choices: &mut Choices) -> Option<Command> {
    let body: &[u8] = choices.pick::<&[u8]>(&[
        b"",
        b"null",
        br#"{"url":"master://x","action":"walk","alias":5}"#,
        b"{\"url\":\"demo:a\",\"action\":\"stop\",\"alias\":\"\xff\"}",
    ]);
    let is_refused = decode_create(body, Secrets::Shown).is_err()
        && decode_replace(body, Secrets::Shown).is_err()
        && decode_patch(body).is_err()
        && decode_alias(body).is_err();
    assert!(is_refused, "{body:?} is taken for a good body");
    None
}
