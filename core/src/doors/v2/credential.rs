//! What a request presents to be let in: an API key or a token.

use crate::access::TokenSecret;

/// What a request presents. `X-API-Key` wins over `Authorization`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// Something that can only be a token, in either header.
    Token(&'a [u8]),
    /// Anything else in `X-API-Key`.
    Key(&'a [u8]),
    /// Anything else after `Authorization: Bearer`. The API key is accepted there by `/metrics`
    /// alone, because scrapers cannot always send a header of their own (Contract §3).
    Bearer(&'a [u8]),
}

impl<'a> Credential<'a> {
    /// Reads the two headers.
    pub fn of(api_key: Option<&'a [u8]>, authorization: Option<&'a [u8]>) -> Option<Self> {
        let (text, other): (_, fn(&'a [u8]) -> Self) = match api_key {
            Some(key) => (key, Self::Key),
            None => (bearer(authorization?)?, Self::Bearer),
        };
        Some(if TokenSecret::is_shaped(text) { Self::Token(text) } else { other(text) })
    }
}

fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    const SCHEME: usize = "Bearer ".len();
    let (scheme, token) = authorization.split_at_checked(SCHEME)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_told_by_its_header_and_form() {
        let secret = TokenSecret::from_random([7; 32]);
        let token = secret.reveal().as_bytes();
        let bearer = [b"bEARER  ", token].concat();
        assert!(Credential::of(None, Some(&bearer)) == Some(Credential::Token(token)));
        assert!(Credential::of(Some(token), None) == Some(Credential::Token(token)));
        assert!(Credential::of(Some(b"k"), Some(&bearer)) == Some(Credential::Key(b"k")));
        assert!(Credential::of(None, Some(b"Bearer k ")) == Some(Credential::Bearer(b"k")));
        for other in [&b"Basic k"[..], b"Bearer", b"Bearerk"] {
            assert!(Credential::of(None, Some(other)).is_none());
        }
        assert!(Credential::of(None, None).is_none());
    }
}
