//! The requests of doors to the engine, and their results: no HTTP, no JSON.

mod acted;
mod caller;
mod change;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod command;
mod desire;
mod dial;
mod outcome;
mod refusal;

pub use acted::Acted;
pub use caller::{Caller, Door, Trust};
pub use change::{Amend, AmendMeta, InstanceAction};
pub use command::Command;
pub use desire::{Desire, DesireDone};
pub use dial::{DialOutcome, DialReport};
pub use outcome::Outcome;
pub use refusal::Refusal;
