//! All tokens: which are valid, and how a change becomes durable.
//!
//! A token is valid once it is durable, and invalid before its revocation is durable. Whatever the
//! disk does, no token is valid that the API did not report as created.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Role, Token, TokenChange, TokenDigest, TokenName};
use crate::time::Wall;

/// The largest number of tokens.
pub const TOKENS_MAX: usize = 256;

/// How often the time of the last use of a token is saved, in milliseconds: a token that is used a
/// thousand times a second costs one small record a minute.
pub const USE_SAVED_EVERY_MS: u64 = 60_000;

/// Why a change of the tokens is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// The name is taken.
    Taken,
    /// The largest number of tokens is reached.
    Full,
    /// There is no such token.
    Unknown,
}

/// The tokens of a master.
#[derive(Debug, Default)]
pub struct Tokens {
    tokens: BTreeMap<TokenName, Kept>,
    /// Names whose tokens are on their way to the disk.
    creating: BTreeSet<TokenName>,
    /// Names whose removal is on its way to the disk.
    revoking: BTreeSet<TokenName>,
}

#[derive(Debug)]
struct Kept {
    token: Token,
    /// When its last use was saved.
    saved: Option<Wall>,
}

impl Tokens {
    /// The tokens that were stored.
    pub fn new(stored: impl IntoIterator<Item = Token>) -> Self {
        let kept = stored.into_iter().map(|token| {
            let saved = token.last_used;
            (token.name.clone(), Kept { token, saved })
        });
        Self { tokens: kept.collect(), ..Self::default() }
    }

    /// The token with this digest if it is valid now, and the record of its use if one is due.
    pub fn admit(
        &mut self,
        digest: TokenDigest,
        now: Wall,
    ) -> Option<(Token, Option<TokenChange>)> {
        let kept = self.tokens.values_mut().find(|kept| kept.token.digest == digest)?;
        if kept.token.is_expired(now) {
            return None;
        }
        kept.token.last_used = kept.token.last_used.max(Some(now));
        let is_due = kept.saved.is_none_or(|saved| {
            now.as_micros() >= saved.as_micros().saturating_add(USE_SAVED_EVERY_MS * 1_000)
        });
        let save = is_due.then(|| {
            kept.saved = Some(now);
            TokenChange::Put(kept.token.clone())
        });
        Some((kept.token.clone(), save))
    }

    /// Whether the token with this digest is still valid. This does not count as a use.
    pub fn is_in_force(&self, digest: TokenDigest, now: Wall) -> bool {
        let mut all = self.tokens.values();
        all.any(|kept| kept.token.digest == digest && !kept.token.is_expired(now))
    }

    /// Begins to create a token: returns the change to make durable. The name of an expired token
    /// can be used again.
    ///
    /// # Errors
    /// When the name is taken, or there is no room.
    pub fn create(&mut self, token: Token) -> Result<TokenChange, TokenFault> {
        let name = &token.name;
        let held = self.tokens.get(name);
        let is_held = held.is_some_and(|kept| !kept.token.is_expired(token.created));
        if is_held || self.creating.contains(name) || self.revoking.contains(name) {
            return Err(TokenFault::Taken);
        }
        if held.is_none() && self.tokens.len() + self.creating.len() >= TOKENS_MAX {
            return Err(TokenFault::Full);
        }
        self.creating.insert(name.clone());
        Ok(TokenChange::Put(token))
    }

    /// Completes [`Self::create`] or [`Self::revoke`]: the change is durable, or it has failed.
    pub fn settle(&mut self, change: TokenChange, is_durable: bool) {
        match change {
            TokenChange::Put(token) => {
                self.creating.remove(&token.name);
                if is_durable {
                    let saved = token.last_used;
                    self.tokens.insert(token.name.clone(), Kept { token, saved });
                }
            }
            TokenChange::Remove(name) => drop(self.revoking.remove(&name)),
        }
    }

    /// Begins to revoke a token, which is invalid from now on: returns it and the change to make
    /// durable. If that fails, [`Self::restore`] restores the token.
    ///
    /// # Errors
    /// When there is no such token.
    pub fn revoke(&mut self, name: &TokenName) -> Result<(Token, TokenChange), TokenFault> {
        let kept = self.tokens.remove(name).ok_or(TokenFault::Unknown)?;
        self.revoking.insert(name.clone());
        Ok((kept.token, TokenChange::Remove(name.clone())))
    }

    /// Restores a token whose revocation could not be made durable: it would be valid again after the
    /// next start.
    pub fn restore(&mut self, token: Token) {
        self.revoking.remove(&token.name);
        let saved = token.last_used;
        self.tokens.insert(token.name.clone(), Kept { token, saved });
    }

    /// All of them, by name; also those that have expired.
    pub fn list(&self) -> Vec<Token> {
        self.tokens.values().map(|kept| kept.token.clone()).collect()
    }

    /// The valid tokens with the rights of `role`; for tests and figures.
    pub fn count(&self, role: Role, now: Wall) -> usize {
        let all = self.tokens.values().map(|kept| &kept.token);
        all.filter(|token| token.role.includes(role) && !token.is_expired(now)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn at(seconds: u64) -> Wall {
        Wall::from_micros(seconds * 1_000_000)
    }

    fn token(name: &str, fill: u8, expires: Option<Wall>) -> Token {
        let name = TokenName::parse(name).expect("a name");
        let digest = TokenDigest([fill; 32]);
        Token { name, role: Role::Read, digest, created: at(10), expires, last_used: None }
    }

    fn add(tokens: &mut Tokens, token: Token) {
        let change = tokens.create(token).expect("there is room");
        tokens.settle(change, true);
    }

    #[test]
    fn a_token_admits_from_durable_to_revoked() {
        let mut tokens = Tokens::default();
        let digest = TokenDigest([1; 32]);
        let change = tokens.create(token("ci", 1, None)).expect("there is room");
        assert!(tokens.admit(digest, at(11)).is_none());
        assert_eq!(tokens.create(token("ci", 2, None)), Err(TokenFault::Taken));
        tokens.settle(change, true);
        assert!(tokens.admit(digest, at(11)).is_some());
        assert!(tokens.admit(TokenDigest([2; 32]), at(11)).is_none());
        let name = TokenName::parse("ci").expect("a name");
        let (token, change) = tokens.revoke(&name).expect("it is there");
        assert!(!tokens.is_in_force(digest, at(11)));
        tokens.restore(token);
        assert!(tokens.is_in_force(digest, at(11)));
        drop(tokens.revoke(&name).expect("it is there"));
        tokens.settle(change, true);
        assert_eq!(tokens.revoke(&name).map(drop), Err(TokenFault::Unknown));
    }

    #[test]
    fn what_is_not_durable_does_not_admit() {
        let mut tokens = Tokens::default();
        let change = tokens.create(token("ci", 1, None)).expect("there is room");
        tokens.settle(change, false);
        assert!(tokens.admit(TokenDigest([1; 32]), at(11)).is_none());
        add(&mut tokens, token("ci", 2, None));
        assert!(tokens.is_in_force(TokenDigest([2; 32]), at(11)));
    }

    #[test]
    fn an_expired_token_gives_its_name_away() {
        let mut tokens = Tokens::default();
        add(&mut tokens, token("ci", 1, Some(at(20))));
        assert!(tokens.admit(TokenDigest([1; 32]), at(19)).is_some());
        assert!(tokens.admit(TokenDigest([1; 32]), at(20)).is_none());
        let later = Token { created: at(20), ..token("ci", 2, None) };
        add(&mut tokens, later);
        assert_eq!(tokens.list().len(), 1);
        assert_eq!(tokens.count(Role::Read, at(21)), 1);
        assert_eq!(tokens.count(Role::Operate, at(21)), 0);
    }

    #[test]
    fn a_use_is_saved_once_a_minute() {
        let mut tokens = Tokens::default();
        add(&mut tokens, token("ci", 1, None));
        let digest = TokenDigest([1; 32]);
        let mut saved = |seconds| tokens.admit(digest, at(seconds)).expect("it admits").1.is_some();
        assert_eq!([20, 21, 79, 80, 81].map(&mut saved), [true, false, false, true, false]);
        assert_eq!(tokens.list()[0].last_used, Some(at(81)));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut tokens = Tokens::default();
        for number in 0..TOKENS_MAX {
            add(&mut tokens, token(&format!("t{number}"), 1, None));
        }
        assert_eq!(tokens.create(token("more", 1, None)), Err(TokenFault::Full));
    }
}
