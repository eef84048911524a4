//! What a door asks of the engine, and what the engine says of it: no HTTP, no JSON.

mod change;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod command;
mod dial;
mod outcome;
mod refusal;

pub use change::{InstanceAction, MetaPatch, Patch};
pub use command::Call;
pub use dial::{PingOutcome, PingReport};
pub use outcome::Reply;
pub use refusal::Refusal;
