//! PATCH as a validated whole (Contract §5): refused whole, or applied whole.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use serde::de::MapAccess;

use super::body::check_length;
use super::status::Rejection;
use crate::command::{Amend, AmendMeta, InstanceAction};
use crate::doors::json::{Fields, Object, decode, value};
use crate::instance::Peer;

/// Reads and checks the body of `PATCH /instances/{id}`.
///
/// # Errors
/// 400 for malformed JSON, a wrong type, an unknown action, or a text of more than 256 bytes.
pub fn decode_patch(body: &[u8]) -> Result<Amend, Rejection> {
    let body: PatchBody = decode(body)?;
    let alias = body.alias.filter(|alias| !alias.is_empty());
    if let Some(alias) = &alias {
        check_length("alias", alias)?;
    }
    Ok(Amend {
        alias,
        action: body.action.as_deref().map_or(Ok(None), action_of)?,
        restart: body.restart,
        meta: body.meta.map(meta).transpose()?,
        policy: None,
    })
}

/// `PATCH` of the key instance: whether it asks for a new key. Nothing else has an effect there.
///
/// # Errors
/// 400 for malformed JSON.
pub fn decode_key_patch(body: &[u8]) -> Result<bool, Rejection> {
    let body: PatchBody = decode(body)?;
    Ok(body.action.as_deref() == Some("restart"))
}

pub(super) fn action_of(word: &str) -> Result<Option<InstanceAction>, Rejection> {
    match word {
        "" => Ok(None),
        "start" => Ok(Some(InstanceAction::Start)),
        "stop" => Ok(Some(InstanceAction::Stop)),
        "restart" => Ok(Some(InstanceAction::Restart)),
        "reset" => Ok(Some(InstanceAction::Reset)),
        other => {
            let shown = &other[..other.floor_char_boundary(40)];
            Err(Rejection::Bad(format!(
                "unknown action {shown:?}; the actions are start, stop, restart and reset"
            )))
        }
    }
}

fn meta(body: MetaBody) -> Result<AmendMeta, Rejection> {
    if let Some(peer) = &body.peer {
        check_length("meta.peer.sid", &peer.sid)?;
        check_length("meta.peer.type", &peer.kind)?;
        check_length("meta.peer.alias", &peer.alias)?;
    }
    for (key, tag) in body.tags.iter().flatten() {
        let shown = &key[..key.floor_char_boundary(40)];
        check_length(&format!("the key of tag {shown:?}"), key)?;
        check_length(&format!("the value of tag {shown:?}"), tag)?;
    }
    Ok(AmendMeta { peer: body.peer, tags: body.tags })
}

/// The body of a PATCH as it came, its types checked and nothing else.
#[derive(Default)]
pub(super) struct PatchBody {
    pub(super) alias: Option<String>,
    pub(super) action: Option<String>,
    pub(super) restart: Option<bool>,
    pub(super) meta: Option<MetaBody>,
}

#[derive(Default)]
pub(super) struct MetaBody {
    peer: Option<Peer>,
    tags: Option<BTreeMap<String, String>>,
}

impl Fields for PatchBody {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name.to_ascii_lowercase().as_str() {
            "alias" => self.alias = value("alias", map)?,
            "action" => self.action = value("action", map)?,
            "restart" => self.restart = value("restart", map)?,
            "meta" => {
                let meta: Option<Object<MetaBody>> = value("meta", map)?;
                self.meta = meta.map(|object| object.0);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fields for MetaBody {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        match name.to_ascii_lowercase().as_str() {
            "peer" => {
                let peer: Option<Object<Peer>> = value("peer", map)?;
                self.peer = peer.map(|object| object.0);
            }
            "tags" => {
                // A null value is an empty text, as in every other field.
                let tags: Option<BTreeMap<String, Option<String>>> = value("tags", map)?;
                self.tags = tags.map(|tags| {
                    tags.into_iter().map(|(key, tag)| (key, tag.unwrap_or_default())).collect()
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Fields for Peer {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        let field = match name.to_ascii_lowercase().as_str() {
            "sid" => &mut self.sid,
            "type" => &mut self.kind,
            "alias" => &mut self.alias,
            _ => return Ok(false),
        };
        let text: Option<String> = value(name, map)?;
        *field = text.unwrap_or_default();
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::InstanceId;
    use crate::instance::Definition;
    use crate::url::InstanceUrl;
    use alloc::string::ToString;

    fn definition() -> Definition {
        let url = InstanceUrl::parse("a:b").expect("a good URL");
        let mut definition = Definition::new(InstanceId(1), url, "name".to_string());
        definition.meta.peer.sid = "s".to_string();
        definition.meta.tags.insert("k".to_string(), "v".to_string());
        definition
    }

    #[test]
    fn what_says_nothing_changes_nothing() {
        let same = r#"{"alias":"name","restart":true}"#;
        let nulls = r#"{"alias":null,"action":null,"restart":null,"meta":null,"x":1}"#;
        for body in ["{}", r#"{"alias":""}"#, r#"{"action":""}"#, same, nulls] {
            let patch = decode_patch(body.as_bytes()).expect(body);
            assert!(patch.apply(&definition()).is_none(), "{body}");
            assert_eq!(patch.action, None, "{body}");
        }
    }

    #[test]
    fn peer_is_replaced_whole_and_tags_too() {
        let patch = decode_patch(br#"{"meta":{"peer":{"alias":"p"}}}"#).expect("a good body");
        let changed = patch.apply(&definition()).expect("a change");
        assert_eq!(changed.meta.peer, Peer { alias: "p".to_string(), ..Peer::default() });
        assert_eq!(changed.meta.tags, definition().meta.tags);

        let patch = decode_patch(br#"{"meta":{"tags":{}}}"#).expect("a good body");
        let changed = patch.apply(&definition()).expect("a change");
        assert_eq!(changed.meta.peer, definition().meta.peer);
        assert!(changed.meta.tags.is_empty());

        let patch = decode_patch(br#"{"meta":{}}"#).expect("a good body");
        assert!(patch.apply(&definition()).is_some(), "any meta object counts as a change");
    }

    #[test]
    fn limits_hold_for_every_text() {
        let (fits, long) = ("x".repeat(256), "x".repeat(257));
        for shape in [
            r#"{"alias":"@"}"#,
            r#"{"meta":{"peer":{"sid":"@"}}}"#,
            r#"{"meta":{"peer":{"type":"@"}}}"#,
            r#"{"meta":{"peer":{"alias":"@"}}}"#,
            r#"{"meta":{"tags":{"@":""}}}"#,
            r#"{"meta":{"tags":{"k":"@"}}}"#,
        ] {
            assert!(decode_patch(shape.replace('@', &fits).as_bytes()).is_ok(), "{shape}");
            let refusal = decode_patch(shape.replace('@', &long).as_bytes()).expect_err(shape);
            assert!(refusal.to_string().contains("257 bytes"), "{refusal}");
        }
    }

    #[test]
    fn wrong_types_and_unknown_actions_are_refused() {
        for bad in [
            r#"{"alias":1}"#,
            r#"{"restart":"yes"}"#,
            r#"{"restart":1}"#,
            r#"{"action":{}}"#,
            r#"{"meta":[]}"#,
            r#"{"meta":{"peer":"x"}}"#,
            r#"{"meta":{"tags":{"k":1}}}"#,
            r#"{"meta":{"tags":[]}}"#,
            r#"{"action":"START"}"#,
        ] {
            assert_eq!(decode_patch(bad.as_bytes()).expect_err(bad).status(), 400);
        }
        let refusal = decode_patch(br#"{"action":"jump"}"#).expect_err("unknown");
        insta::assert_snapshot!(refusal, @r#"unknown action "jump"; the actions are start, stop, restart and reset"#);
    }

    #[test]
    fn only_restart_asks_for_a_new_key() {
        assert_eq!(decode_key_patch(b"{\"action\":\"restart\"}"), Ok(true));
        for other in
            ["{}", "{\"action\":\"reset\"}", "{\"action\":\"nonsense\"}", "{\"alias\":\"x\"}"]
        {
            assert_eq!(decode_key_patch(other.as_bytes()), Ok(false));
        }
        assert_eq!(decode_key_patch(b"{").expect_err("no JSON").status(), 400);
    }
}
