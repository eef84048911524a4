//! Instances: what they are defined as, what they do, and how they are shown.

mod definition;
mod facts;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod instance;
mod state;
mod table;
mod view;

pub use definition::{Definition, Meta, OBJECT_MAX_BYTES, Peer, TEXT_MAX_BYTES};
pub use facts::{End, LastExit, ProcessFacts};
pub use instance::{Instance, Metrics, Operation, OperationKind};
pub use state::{Action, State, StateEvent, Status, StatusPage, Step};
pub use table::Table;
pub use view::{InstanceView, render_key_instance};
