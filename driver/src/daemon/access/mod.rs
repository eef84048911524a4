//! Authentication of requests: their origin, and their key or token.
//!
//! Core decides which token is valid and which role an operation requires. Hashing, randomness and
//! storage are here.

mod audit;
mod identity;
mod origin;
mod registry;

pub(crate) use audit::Audit;
pub(crate) use identity::Identity;
pub(crate) use origin::Origin;
pub(crate) use registry::Registry;
