//! The tokens of the master, and their storage.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openctrl_core::access::{Token, TokenDigest, TokenName, TokenSecret, Tokens};
use openctrl_core::doors::v2::{NewToken, Rejection, render_new_token, render_tokens};
use openctrl_core::time::Wall;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::certificate::sha256;
use crate::daemon::clock::Clock;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;

/// How often expiry is checked again, because the wall clock may have been set.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// All tokens. Shared by requests; locked for look-ups only, never while the disk is written.
#[derive(Debug)]
pub(crate) struct Registry {
    tokens: Mutex<Tokens>,
    hub: Arc<Hub>,
    mailbox: Mailbox,
    clock: Clock,
    /// Something that expires was added.
    added: Notify,
}

impl Registry {
    /// The tokens that were stored.
    pub(crate) fn new(
        stored: impl IntoIterator<Item = Token>,
        hub: Arc<Hub>,
        mailbox: Mailbox,
        clock: Clock,
    ) -> Arc<Self> {
        let tokens = Mutex::new(Tokens::new(stored));
        Arc::new(Self { tokens, hub, mailbox, clock, added: Notify::new() })
    }

    /// The token whose text is `presented`, if it is valid.
    pub(crate) fn admit(&self, presented: &[u8]) -> Option<Token> {
        let digest = TokenDigest(sha256(presented));
        let (token, save) = self.lock().admit(digest, self.now())?;
        save.into_iter().for_each(|change| self.mailbox.note_tokens(change));
        Some(token)
    }

    /// Whether a token that was valid still is.
    pub(crate) fn is_in_force(&self, token: &Token) -> bool {
        self.lock().is_in_force(token.digest, self.now())
    }

    /// Creates a token. Only the answer has its text.
    ///
    /// # Errors
    /// If the name is taken, the limit is reached, or it cannot be made durable.
    pub(crate) async fn create(&self, new: NewToken) -> Result<Bytes, Rejection> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has randomness: it did at the start");
        let secret = TokenSecret::from_random(bytes);
        let created = self.now();
        let life = |seconds: u64| {
            Wall::from_micros(created.as_micros().saturating_add(seconds.saturating_mul(1_000_000)))
        };
        let token = Token {
            name: new.name,
            role: new.role,
            digest: TokenDigest(sha256(secret.reveal().as_bytes())),
            created,
            expires: new.expires_in_s.map(life),
            last_used: None,
        };
        let change = self.lock().create(token.clone())?;
        let saved = self.mailbox.save_tokens(change.clone()).await;
        self.lock().settle(change, saved.is_ok());
        self.added.notify_one();
        saved.map_err(Rejection::NotDurable)?;
        Ok(render_new_token(&token, &secret))
    }

    /// Revokes a token and ends its streams.
    ///
    /// # Errors
    /// If there is no such token, or the revocation cannot be made durable.
    pub(crate) async fn revoke(&self, name: &TokenName) -> Result<(), Rejection> {
        let (token, change) = self.lock().revoke(name)?;
        match self.mailbox.save_tokens(change.clone()).await {
            Ok(()) => {
                self.lock().settle(change, true);
                self.hub.close_token(token.digest);
                Ok(())
            }
            Err(reason) => {
                self.lock().restore(token);
                Err(Rejection::NotDurable(reason))
            }
        }
    }

    /// The JSON of all tokens, without their texts.
    pub(crate) fn list(&self) -> Bytes {
        let tokens = self.lock().list();
        render_tokens(&tokens, self.now())
    }

    /// Ends the streams of tokens when they expire, as long as the master runs.
    pub(crate) async fn watch_expiry(self: Arc<Self>) {
        loop {
            let (now, tokens) = (self.now(), self.lock().list());
            let expired = tokens.iter().filter(|token| token.is_expired(now));
            expired.for_each(|token| self.hub.close_token(token.digest));
            let coming = tokens.iter().filter_map(|token| token.expires);
            let next = coming.filter(|expires| *expires > now).min();
            let wait = next.map_or(LOOK_EVERY, |next| {
                Duration::from_micros(next.as_micros() - now.as_micros())
            });
            let _ = timeout(wait.min(LOOK_EVERY), self.added.notified()).await;
        }
    }

    fn now(&self) -> Wall {
        self.clock.sample().wall
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
