//! Instances: what they are defined as, what they do, and how they are shown.

mod definition;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod instance;
mod process_table;
mod queue;
mod runs;
mod table;
mod view;

pub use definition::{Definition, Meta, OBJECT_MAX_BYTES, Peer, TEXT_MAX_BYTES};
pub use instance::Instance;
pub use process_table::{Action, State, StateEvent, StatusPage, Step};
pub use queue::{Operation, OperationKind};
pub use runs::{End, LastExit, ProcessFacts};
pub use table::Table;
pub use view::{InstanceView, Status};
