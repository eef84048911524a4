//! Instances: what they are defined as, what they do, and how they are shown.

mod action;
mod checks;
mod decide;
mod definition;
mod desired;
mod edit;
mod exec_url;
mod health;
#[expect(clippy::module_inception, reason = "the file is named after its main type")]
mod instance;
mod launch;
mod lifecycle;
mod liveness;
mod marks;
mod meters;
mod policy;
mod presence;
mod process_table;
mod queue;
mod rare;
mod readiness;
mod reason;
mod run;
mod runs;
mod schedule;
mod section;
mod snapshot;
mod state;
mod status_page;
mod step;
mod table;
mod versions;
mod view;
mod watch;
mod watching;

pub use action::{Action, Actions};
pub use checks::{
    AFTER, AFTER_MAX, CHECK_PARAMETERS, CheckKind, Checks, Live, Ready, Stderr, Target, circle,
};
pub use decide::{Decision, Situation, Why, decide, why_to_end};
pub use definition::{Definition, Label, Meta, OBJECT_MAX_BYTES, Origin, Peer, TEXT_MAX_BYTES};
pub use desired::{Cas, Desired, Goal, Once};
pub use edit::{
    CWD_MAX_BYTES, ENV_MAX_BYTES, LEASE_MS, LIMIT, PolicyEdit, PolicyField, RESTART_WINDOW_MS,
    TIME_MS, WAIT_MS, is_account, is_directory, is_variable, parse_umask,
};
pub use exec_url::{EXEC_PARAMETERS, exec_policy};
pub use health::{Health, HealthEvent, Status};
pub use instance::Instance;
pub use launch::{Exec, Launch, Output, Setup, Verb, Verbs};
pub use lifecycle::Lifecycle;
pub use liveness::{BeatVia, Liveness};
pub use marks::Marks;
pub use meters::Meters;
pub use policy::{
    BackoffPolicy, Boot, HISTORY_MAX, Policy, RESTARTS_MAX, Restart, RestartLimit, StopPolicy,
    StopStep, StopStepsError,
};
pub use presence::{
    Beat, BeatStep, Hold, OpenRun, PastRun, Presence, RunShown, VerbKind, WaitingAnswer,
};
pub use process_table::{Process, ProcessEvent};
pub use queue::{Operation, OperationKind, Queue};
pub use rare::{Rare, Usual};
pub use readiness::Readiness;
pub use reason::{QUOTE_MAX_BYTES, Quote, Reason};
pub use run::{Run, RunOrigin, RunRecord};
pub use runs::{End, LastExit, NextRun, ProcessFacts, Runs};
pub use schedule::{Schedule, Zone};
pub use section::{Section, Toggle, Values, ValuesEdit, first_cas};
pub(crate) use snapshot::Snapshot;
pub use state::State;
pub use status_page::StatusPage;
pub use step::{InstanceEvent, Step, step};
pub use table::Table;
pub use versions::Versions;
pub use view::InstanceView;
pub use watch::{WATCH, WATCH_IGNORE, Watch};
pub use watching::Watching;
