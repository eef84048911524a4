//! Instances: what they are defined as, what they do, and how they are shown.

mod definition;
mod desired;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod instance;
mod launch;
mod liveness;
mod policy;
mod process_table;
mod runs;
mod table;
mod view;

pub use definition::{Definition, Label, Meta, OBJECT_MAX_BYTES, Origin, Peer, TEXT_MAX_BYTES};
pub use desired::{Cas, Desired, Goal, Once};
pub use instance::{Instance, Operation, OperationKind};
pub use launch::{Exec, Launch, Output, Setup, Verb, Verbs};
pub use liveness::{BeatVia, Liveness};
pub use policy::{
    BackoffPolicy, Boot, HISTORY_MAX, Policy, Restart, RestartLimit, StopPolicy, StopStep,
    StopStepsError,
};
pub use process_table::{Action, State, StateEvent, Status, StatusPage, Step};
pub use runs::{End, LastExit, ProcessFacts};
pub use table::Table;
pub use view::{InstanceView, render_key_instance};
