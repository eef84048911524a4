//! Those who send requests: what they ask for, and the dials they wait for.

use std::collections::BTreeSet;

use openctrl_core::api::{Call, decode_create, decode_patch};
use openctrl_core::ids::{InstanceId, RequestId};
use openctrl_core::master::ApiKey;
use openctrl_core::url::InstanceUrl;

use crate::choice::Choices;

/// More instances than this do not make a run more interesting.
const INSTANCES_MAX: usize = 8;

const URLS: [&str; 6] =
    ["demo:a", "demo:b", "demo:c", "MANAGED://Edge", "managed://Edge", "x://u:p@h/p?k=v#f"];
const ALIASES: [&str; 5] = ["", "edge", "\"quoted\\", "é", "another alias"];

/// All clients together.
#[derive(Debug, Default)]
pub struct Clients {
    requests: u64,
    dials: BTreeSet<RequestId>,
}

impl Clients {
    /// The name of the next request.
    pub fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    /// Starts a dial for a request.
    pub fn dial(&mut self, request: RequestId) {
        self.dials.insert(request);
    }

    /// The requests whose dials are under way.
    pub fn dials(&self) -> Vec<RequestId> {
        self.dials.iter().copied().collect()
    }

    /// The dial for a request ended.
    pub fn dialled(&mut self, request: RequestId) {
        self.dials.remove(&request);
    }

    /// The master is gone, and the dials with it.
    pub fn hung_up(&mut self) {
        self.dials.clear();
    }

    /// A call about the `known` instances, or a new one.
    pub fn call(&self, choices: &mut Choices, known: &[InstanceId]) -> Call {
        let about_known = if known.is_empty() { 0 } else { 1 };
        let creates = if known.len() < INSTANCES_MAX { 6 } else { 0 };
        let weights = [creates, 24 * about_known, 6 * about_known, 4 * about_known, 2, 1, 8];
        match choices.weighted(&weights).expect("some weights are not 0") {
            0 => create(choices),
            1 => patch(choices, known),
            2 => Call::Replace(target(choices, known), url(choices)),
            3 => Call::Delete(target(choices, known)),
            4 => Call::SetAlias(Some(choices.pick(&ALIASES).to_string())),
            5 => {
                Call::RotateKey(ApiKey::from_random((u128::from(self.requests) + 2).to_be_bytes()))
            }
            _ => Call::Ping("h:80".to_string()),
        }
    }
}

fn create(choices: &mut Choices) -> Call {
    let body = format!(r#"{{"url":"{}","alias":"n{}"}}"#, choices.pick(&URLS), choices.below(3));
    let (url, alias) = decode_create(body.as_bytes()).expect("the simulation's URLs are valid");
    Call::Create { url, alias }
}

/// Mostly an instance that is there.
fn target(choices: &mut Choices, known: &[InstanceId]) -> InstanceId {
    let id = *choices.pick(known);
    if choices.one_in(24) { InstanceId(id.0 ^ 1) } else { id }
}

fn url(choices: &mut Choices) -> InstanceUrl {
    let text: &str = choices.pick::<&str>(&URLS);
    InstanceUrl::parse(text).expect("the simulation's URLs are valid")
}

/// A PATCH in the form it has on the wire.
fn patch(choices: &mut Choices, known: &[InstanceId]) -> Call {
    let mut fields = Vec::new();
    if !choices.one_in(4) {
        let action = choices.pick(&["start", "stop", "restart", "reset"]);
        fields.push(format!(r#""action":"{action}""#));
    }
    if choices.one_in(3) {
        let alias = choices.pick(&ALIASES).replace('\\', "\\\\").replace('"', "\\\"");
        fields.push(format!(r#""alias":"{alias}""#));
    }
    if choices.one_in(3) {
        fields.push(format!(r#""restart":{}"#, choices.one_in(2)));
    }
    if choices.one_in(8) {
        let tag = choices.below(3);
        fields.push(format!(r#""meta":{{"peer":{{"sid":"{tag}"}},"tags":{{"t":"{tag}"}}}}"#));
    }
    let body = format!("{{{}}}", fields.join(","));
    let patch = decode_patch(body.as_bytes()).expect("the simulation's bodies are valid");
    Call::Patch(target(choices, known), patch)
}
