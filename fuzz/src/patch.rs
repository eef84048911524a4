//! Bodies of PATCH, built together with what they ought to come to.

use std::collections::BTreeMap;

use openctrl_core::command::{Amend, AmendMeta, InstanceAction};
use openctrl_core::doors::v2::decode_patch;
use openctrl_core::instance::{Peer, TEXT_MAX_BYTES};
use serde_json::Value;

use crate::choices::Choices;

/// The choices build an object of known and unknown fields, each of a right or a wrong type; some
/// come twice, some in another letter case. It is accepted as built, or refused if it has to be.
pub(crate) fn patch(choices: &mut Choices<'_>) {
    let mut built = Built::default();
    let body = built.object(choices, Built::field);
    let decoded = decode_patch(body.as_bytes());
    assert_eq!(decoded.clone().ok(), built.patch(), "{body} is taken for {decoded:?}");
}

/// What a body ought to come to.
#[derive(Default)]
struct Built {
    /// A field that is known has a wrong type: the body is refused, whatever follows.
    is_wrong: bool,
    alias: Option<String>,
    action: Option<String>,
    restart: Option<bool>,
    meta: Option<AmendMeta>,
}

impl Built {
    /// The text of an object of up to three fields, each as text and value.
    fn object(
        &mut self,
        choices: &mut Choices<'_>,
        mut field: impl FnMut(&mut Self, &mut Choices<'_>) -> (String, String),
    ) -> String {
        let fields: Vec<String> = (0..choices.below(4))
            .map(|_| {
                let (name, value) = field(self, choices);
                let name = if choices.one_in(4) { name.to_uppercase() } else { name };
                format!("{}:{value}", Value::from(name))
            })
            .collect();
        format!("{{{}}}", fields.join(","))
    }

    fn field(&mut self, choices: &mut Choices<'_>) -> (String, String) {
        let name = *choices.pick(&["meta", "alias", "action", "restart", "x"]);
        let value = self.any(choices);
        let text = match name {
            "alias" => {
                self.alias = self.text(&value);
                value.to_string()
            }
            "action" => {
                let word = *choices.pick(&["start", "stop", "restart", "reset", "", "stopp"]);
                let value = if choices.one_in(4) { value } else { word.into() };
                self.action = self.text(&value);
                value.to_string()
            }
            "restart" => {
                self.is_wrong |= !(value.is_boolean() || value.is_null());
                self.restart = value.as_bool();
                value.to_string()
            }
            "meta" if choices.one_in(4) => {
                self.is_wrong |= !(value.is_object() || value.is_null());
                self.meta = value.is_object().then(AmendMeta::default);
                value.to_string()
            }
            "meta" => {
                let mut meta = AmendMeta::default();
                let text = self.object(choices, |built, choices| built.of_meta(&mut meta, choices));
                self.meta = Some(meta);
                text
            }
            _ => value.to_string(),
        };
        (name.to_string(), text)
    }

    fn of_meta(&mut self, meta: &mut AmendMeta, choices: &mut Choices<'_>) -> (String, String) {
        match choices.below(3) {
            0 => {
                let mut peer = Peer::default();
                let text = self.object(choices, |built, choices| built.of_peer(&mut peer, choices));
                meta.peer = Some(peer);
                ("peer".to_string(), text)
            }
            1 => {
                let mut tags = BTreeMap::new();
                let fields: Vec<String> = (0..choices.below(4))
                    .map(|_| {
                        let (key, value) = (string(choices), self.any(choices));
                        tags.insert(key.clone(), self.text(&value).unwrap_or_default());
                        format!("{}:{value}", Value::from(key))
                    })
                    .collect();
                meta.tags = Some(tags);
                ("tags".to_string(), format!("{{{}}}", fields.join(",")))
            }
            _ => {
                let name = *choices.pick(&["peer", "tags", "y"]);
                let value = *choices.pick(&["null", "[]", "1"]);
                self.is_wrong |= name != "y" && value != "null";
                match name {
                    "peer" => meta.peer = None,
                    "tags" => meta.tags = None,
                    _ => {}
                }
                (name.to_string(), value.to_string())
            }
        }
    }

    fn of_peer(&mut self, peer: &mut Peer, choices: &mut Choices<'_>) -> (String, String) {
        let (name, value) = (*choices.pick(&["sid", "type", "alias", "z"]), self.any(choices));
        match name {
            "sid" => peer.sid = self.text(&value).unwrap_or_default(),
            "type" => peer.kind = self.text(&value).unwrap_or_default(),
            "alias" => peer.alias = self.text(&value).unwrap_or_default(),
            _ => {}
        }
        (name.to_string(), value.to_string())
    }

    /// A string or null; anything else is wrong.
    fn text(&mut self, value: &Value) -> Option<String> {
        self.is_wrong |= !(value.is_string() || value.is_null());
        value.as_str().map(str::to_string)
    }

    /// Mostly a string.
    fn any(&self, choices: &mut Choices<'_>) -> Value {
        match choices.below(16) {
            0 => Value::Null,
            1 | 2 => Value::Bool(choices.one_in(2)),
            3 => Value::from(choices.word()),
            4 => Value::Array(vec![Value::Null]),
            5 => Value::Object(serde_json::Map::new()),
            _ => Value::from(string(choices)),
        }
    }

    /// What is accepted, if it is.
    fn patch(self) -> Option<Amend> {
        let fits = |text: &String| text.len() <= TEXT_MAX_BYTES;
        let peer = self.meta.iter().filter_map(|meta| meta.peer.as_ref());
        let tags = self.meta.iter().filter_map(|meta| meta.tags.as_ref()).flatten();
        let mut texts = self.alias.iter().collect::<Vec<_>>();
        texts.extend(peer.flat_map(|peer| [&peer.sid, &peer.kind, &peer.alias]));
        texts.extend(tags.flat_map(|(key, tag)| [key, tag]));
        let action = match self.action.as_deref() {
            None | Some("") => Some(None),
            Some("start") => Some(Some(InstanceAction::Start)),
            Some("stop") => Some(Some(InstanceAction::Stop)),
            Some("restart") => Some(Some(InstanceAction::Restart)),
            Some("reset") => Some(Some(InstanceAction::Reset)),
            Some(_) => None,
        };
        if self.is_wrong || !texts.into_iter().all(fits) {
            return None;
        }
        let (alias, restart, meta) = (self.alias, self.restart, self.meta);
        let alias = alias.filter(|alias| !alias.is_empty());
        Some(Amend { alias, action: action?, restart, meta, policy: None })
    }
}

/// Something short, or of about as many bytes as are kept.
fn string(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 => String::new(),
        1 => ["k", "K", "\u{e9}\"\\\n"][choices.below(3)].to_string(),
        2 => "\u{e9}".repeat(TEXT_MAX_BYTES / 2) + &"x".repeat(choices.below(2)),
        _ => "y".repeat(TEXT_MAX_BYTES - 1 + choices.below(3)),
    }
}
