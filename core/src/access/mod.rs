//! Who may do what: roles, and the tokens that carry them beside the API key.
//!
//! Owns what a role includes, which tokens there are, and whether one admits. Which role an
//! operation takes is said where the operations are: [`Command::role`](crate::command::Command::role)
//! and [`Endpoint::role`](crate::doors::v2::Endpoint::role). Randomness, hashing and the clock are
//! the driver's.

mod guard;
mod role;
mod token;
mod tokens;

pub use guard::{FREE_GUESSES, Guard, Verdict};
pub use role::Role;
pub use token::{
    NAME_MAX_BYTES, TOKEN_PREFIX, Token, TokenChange, TokenDigest, TokenName, TokenSecret,
};
pub use tokens::{TOKENS_MAX, TokenFault, Tokens, USE_SAVED_EVERY_MS};
