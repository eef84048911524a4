//! Access control: roles, and the tokens that carry them in addition to the API key.
//!
//! Owns the rights of a role, the tokens, and whether a token is valid. The operations define the
//! role that they require: [`Command::role`](crate::command::Command::role)
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
