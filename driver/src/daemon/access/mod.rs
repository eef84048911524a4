//! Who sends requests: where from, and by which key or token they are let in.
//!
//! Which token admits and which role an operation takes is core's decision; hashing, randomness and
//! the way to the store are here.

mod audit;
mod identity;
mod origin;
mod registry;

pub(crate) use audit::Audit;
pub(crate) use identity::Identity;
pub(crate) use origin::Origin;
pub(crate) use registry::Registry;
