//! Request bodies (Contract §3): JSON objects whose unknown fields are passed over.
//!
//! Field names are matched without regard to case and the last of several wins, as the Go
//! master's decoder does. `null` for an optional field means "absent".

use alloc::format;
use alloc::string::{String, ToString};

use serde::de::MapAccess;

use super::secrets::Secrets;
use super::status::Rejection;
use crate::doors::json::{Fields, decode, value};
use crate::instance::{Checks, TEXT_MAX_BYTES, exec_policy};
use crate::url::InstanceUrl;

/// The largest body that is read (Contract §3).
pub const BODY_MAX_BYTES: usize = 1024 * 1024;

/// `POST /instances`: the URL and the alias.
///
/// # Errors
/// 400 for anything but an object with a good `url`, and for a masked one from who sees masks.
pub fn decode_create(body: &[u8], secrets: Secrets) -> Result<(InstanceUrl, String), Rejection> {
    let body: CreateBody = decode(body)?;
    Ok((instance_url(body.url, secrets)?, body.alias.unwrap_or_default()))
}

/// `PUT /instances/{id}`: the URL.
///
/// # Errors
/// As [`decode_create`].
pub fn decode_replace(body: &[u8], secrets: Secrets) -> Result<InstanceUrl, Rejection> {
    let body: CreateBody = decode(body)?;
    instance_url(body.url, secrets)
}

/// `force` of the query of `POST /instances` and `PUT /instances/{id}`: whether a command is taken
/// that cannot be started.
///
/// # Errors
/// 400 for any value but `true` and `false`.
pub fn decode_force(query: &str) -> Result<bool, Rejection> {
    let mut force = false;
    for (_, value) in form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "force") {
        force = match &*value {
            "true" => true,
            "false" => false,
            _ => return Err(Rejection::Bad("force must be true or false".to_string())),
        };
    }
    Ok(force)
}

/// `POST /info`: the alias, if there is one; `""` clears it.
///
/// # Errors
/// 400 for malformed JSON or an alias of more than 256 bytes.
pub fn decode_alias(body: &[u8]) -> Result<Option<String>, Rejection> {
    let body: AliasBody = decode(body)?;
    if let Some(alias) = &body.alias {
        check_length("alias", alias)?;
    }
    Ok(body.alias)
}

/// Holds a text to the limit of Contract §4.
pub(super) fn check_length(name: &str, text: &str) -> Result<(), Rejection> {
    if text.len() <= TEXT_MAX_BYTES {
        return Ok(());
    }
    let length = text.len();
    Err(Rejection::Bad(format!("{name} is {length} bytes long; at most {TEXT_MAX_BYTES} are kept")))
}

#[derive(Default)]
struct CreateBody {
    url: Option<String>,
    alias: Option<String>,
}

impl Fields for CreateBody {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if name.eq_ignore_ascii_case("url") {
            self.url = value("url", map)?;
        } else if name.eq_ignore_ascii_case("alias") {
            self.alias = value("alias", map)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

#[derive(Default)]
struct AliasBody {
    alias: Option<String>,
}

impl Fields for AliasBody {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if !name.eq_ignore_ascii_case("alias") {
            return Ok(false);
        }
        self.alias = value("alias", map)?;
        Ok(true)
    }
}

fn instance_url(url: Option<String>, secrets: Secrets) -> Result<InstanceUrl, Rejection> {
    let url = url.ok_or_else(|| Rejection::Bad("url is missing".to_string()))?;
    let url = InstanceUrl::parse(&url).map_err(|error| Rejection::Bad(error.to_string()))?;
    // The engine takes policy and checks of an `exec:` URL from it again.
    exec_policy(&url).map_err(Rejection::Bad)?;
    Checks::parse(&url).map_err(Rejection::Bad)?;
    secrets.check_url(&url)?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt;

    fn refused(result: Result<impl fmt::Debug, Rejection>) -> String {
        let refusal = result.expect_err("a refusal");
        assert_eq!(refusal.status(), 400);
        refusal.to_string()
    }

    #[test]
    fn bad_bodies_are_refused_with_the_name_of_what_is_wrong() {
        insta::assert_snapshot!(refused(decode_create(b"", Secrets::Shown)), @"the body is empty; send a JSON object");
        insta::assert_snapshot!(refused(decode_create(b"{}", Secrets::Shown)), @"url is missing");
        insta::assert_snapshot!(refused(decode_create(b"{\"url\":null}", Secrets::Shown)), @"url is missing");
        insta::assert_snapshot!(refused(decode_create(b"{\"url\":5}", Secrets::Shown)), @"the body is invalid: url: invalid type: integer `5`, expected a string at line 1 column 8");
        insta::assert_snapshot!(refused(decode_create(b"[]", Secrets::Shown)), @"the body is invalid: invalid type: sequence, expected a JSON object at line 1 column 0");
        insta::assert_snapshot!(refused(decode_create(b"null", Secrets::Shown)), @"the body is invalid: invalid type: null, expected a JSON object at line 1 column 4");
        insta::assert_snapshot!(refused(decode_create(b"{\"url\":\"a:b\"", Secrets::Shown)), @"the body is invalid: EOF while parsing an object at line 1 column 12");
        for bad in
            ["{\"url\":\"a:b\"}x", "{\"url\":\"a:b\",\"alias\":[]}", "{\"url\":\"master://x\"}"]
        {
            refused(decode_create(bad.as_bytes(), Secrets::Shown));
        }
        let long = format!("{{\"alias\":\"{}\"}}", "x".repeat(257));
        insta::assert_snapshot!(refused(decode_alias(long.as_bytes())), @"alias is 257 bytes long; at most 256 are kept");
    }

    #[test]
    fn unknown_fields_letter_case_and_repetition_do_not_matter() {
        let body = br#"{"x":[{"url":1}],"URL":"a:b","url":"c:d","Alias":"n","alias":null}"#;
        let (url, alias) = decode_create(body, Secrets::Shown).expect("a good body");
        assert_eq!((url.as_str(), alias.as_str()), ("c:d", ""));
        let long = format!("{{\"url\":\"a:b\",\"alias\":\"{}\"}}", "x".repeat(300));
        assert_eq!(
            decode_create(long.as_bytes(), Secrets::Shown).expect("a good body").1.len(),
            300
        );
    }

    #[test]
    fn a_mask_is_refused_from_who_sees_masks() {
        let body = br#"{"url":"exec:x?env=A=b&env=TOKEN=***"}"#;
        insta::assert_snapshot!(refused(decode_create(body, Secrets::Masked)), @"env=TOKEN in url is the mask ***, not a value; send the real value, which a token cannot read");
        let body = br#"{"url":"demo://***@h"}"#;
        insta::assert_snapshot!(refused(decode_replace(body, Secrets::Masked)), @"user-info in url is the mask ***, not a value; send the real value, which a token cannot read");
        assert!(decode_replace(body, Secrets::Shown).is_ok(), "a text like any other");
        assert!(decode_create(br#"{"url":"demo://h?x=***"}"#, Secrets::Masked).is_ok());
    }

    #[test]
    fn force_is_true_or_false() {
        let all = ["", "x=1", "force=false", "force=true", "force=true&force=false"];
        let expected = [false, false, false, true, false].map(Ok);
        assert_eq!(all.map(decode_force), expected);
        insta::assert_snapshot!(refused(decode_force("force=1")), @"force must be true or false");
    }

    #[test]
    fn an_alias_may_be_cleared_or_left_alone() {
        assert_eq!(decode_alias(b"{\"alias\":\"\"}"), Ok(Some(String::new())));
        assert_eq!(decode_alias(b"{\"alias\":null}"), Ok(None));
        assert_eq!(decode_alias(b"{}"), Ok(None));
    }
}
