//! `/tokens`: bodies and answers. A token itself is in one answer only, that to its maker.

use alloc::format;
use alloc::string::{String, ToString};

use bytes::Bytes;
use serde::Serialize;
use serde::de::MapAccess;

use super::status::Rejection;
use crate::access::{Role, TOKENS_MAX, Token, TokenFault, TokenName, TokenSecret};
use crate::doors::json::{Fields, decode, value};
use crate::time::Wall;

/// The longest life that a token can be given, in seconds: a hundred years.
const LIFE_MAX_S: u64 = 100 * 366 * 86_400;

/// What `POST /tokens` asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What to call it.
    pub name: TokenName,
    /// What its holder may do.
    pub role: Role,
    /// After how many seconds it expires; `None` is never.
    pub expires_in_s: Option<u64>,
}

/// `POST /tokens`.
///
/// # Errors
/// 400 for anything but an object with a good `name` and `role`.
pub fn decode_token(body: &[u8]) -> Result<NewToken, Rejection> {
    let body: Body = decode(body)?;
    let bad = |reason: &str| Rejection::Bad(reason.to_string());
    let name = body.name.unwrap_or_default();
    let name = TokenName::parse(&name).ok_or_else(|| {
        bad("name has to be 1 to 64 letters, digits, '.', '_' and '-', with a letter, digit or '_' first")
    })?;
    let role = body.role.unwrap_or_default();
    let role = Role::parse(&role).ok_or_else(|| bad("role has to be read, operate or admin"))?;
    let expires_in_s = body.expires_in;
    if expires_in_s.is_some_and(|life| life == 0 || life > LIFE_MAX_S) {
        return Err(Rejection::Bad(format!(
            "expires_in is a number of seconds from 1 to {LIFE_MAX_S}"
        )));
    }
    Ok(NewToken { name, role, expires_in_s })
}

/// The JSON of tokens, without their texts.
pub fn render_tokens(tokens: &[Token], now: Wall) -> Bytes {
    let shown = tokens.iter().map(|token| Shown::new(token, now, None));
    encode(&shown.collect::<alloc::vec::Vec<_>>())
}

/// The JSON of a new token, with its text.
pub fn render_new_token(token: &Token, secret: &TokenSecret) -> Bytes {
    encode(&Shown::new(token, token.created, Some(secret)))
}

fn encode(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("strings and booleans always encode"))
}

#[derive(Default)]
struct Body {
    name: Option<String>,
    role: Option<String>,
    expires_in: Option<u64>,
}

impl Fields for Body {
    fn take<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
        if name.eq_ignore_ascii_case("name") {
            self.name = value("name", map)?;
        } else if name.eq_ignore_ascii_case("role") {
            self.role = value("role", map)?;
        } else if name.eq_ignore_ascii_case("expires_in") {
            self.expires_in = value("expires_in", map)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// A token in an answer. What it does not have is left out: clients that are generated take no
/// null for a time.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    role: &'static str,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    expired: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl<'a> Shown<'a> {
    fn new(token: &'a Token, now: Wall, secret: Option<&'a TokenSecret>) -> Self {
        Self {
            name: token.name.as_str(),
            role: token.role.as_str(),
            created: token.created.to_string(),
            expires: token.expires.map(|time| time.to_string()),
            expired: token.is_expired(now),
            last_used: token.last_used.map(|time| time.to_string()),
            token: secret.map(TokenSecret::reveal),
        }
    }
}

impl From<TokenFault> for Rejection {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Taken => Self::TokenTaken,
            TokenFault::Full => Self::TokensFull(TOKENS_MAX),
            TokenFault::Unknown => Self::NoToken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::TokenDigest;

    #[test]
    fn a_body_is_decoded() {
        let wanted = decode_token(br#"{"name":"ci","role":"operate","expires_in":60,"x":1}"#);
        let name = TokenName::parse("ci").expect("a name");
        let new = NewToken { name, role: Role::Operate, expires_in_s: Some(60) };
        assert_eq!(wanted, Ok(new));
        for bad in [
            r#"{"role":"read"}"#,
            r#"{"name":"a b","role":"read"}"#,
            r#"{"name":"a"}"#,
            r#"{"name":"a","role":"root"}"#,
            r#"{"name":"a","role":"read","expires_in":0}"#,
            r#"{"name":"a","role":"read","expires_in":-1}"#,
            r#"{"name":"a","role":"read","expires_in":"30d"}"#,
            "",
        ] {
            assert_eq!(decode_token(bad.as_bytes()).map_err(|bad| bad.status()), Err(400), "{bad}");
        }
    }

    #[test]
    fn a_token_is_shown_once() {
        let secret = TokenSecret::from_random([0xa5; 32]);
        let name = TokenName::parse("ci").expect("a name");
        let (digest, created) = (TokenDigest([1; 32]), Wall::from_micros(0));
        let expires = Some(Wall::from_micros(1_000_000));
        let token = Token { name, role: Role::Read, digest, created, expires, last_used: None };
        let new = render_new_token(&token, &secret);
        assert!(new.ends_with(format!("\"token\":\"{}\"}}", secret.reveal()).as_bytes()));
        let list = render_tokens(&[token], Wall::from_micros(1_000_000));
        assert_eq!(
            list,
            r#"[{"name":"ci","role":"read","created":"1970-01-01T00:00:00.000000Z","expires":"1970-01-01T00:00:01.000000Z","expired":true}]"#
        );
    }
}
