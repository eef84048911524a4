//! The wire format of the control API on Unix sockets (control contract): requests and answers.
//!
//! Owns: paths, queries, bodies, envelopes, status codes. Does not own: sockets and their modes,
//! authorization, YAML, waiting.

mod answer;
mod body;
mod candidate;
mod controllers;
mod daemon;
mod model;
mod query;
mod route;
mod runtime;
mod view;
mod wire;

pub use answer::Reply;
pub use body::{
    BODY_MAX_BYTES, CandidateRequest, DeleteRequest, LogLevel, decode_candidate, decode_delete,
    decode_log_level,
};
pub use candidate::{
    apply_result, candidate_rules, delete_result, deletion, log_level_result, plan_result,
    replacing, validate_result,
};
pub use controllers::{Controllers, Run, RunError};
pub use daemon::{
    CommandPlan, EventsQuery, WAIT_MAX_MS, command_result, event_line, plan_command, refusal_text,
};
pub use model::{ControlModel, Figures, Observed, ProcessEntry, RuleEntry};
pub use route::{MainCall, ManagedCall, Socket, route_main, route_managed};
pub use runtime::RuntimeStats;
pub use view::GetQuery;
pub use wire::conditions_text;

/// Group and version on the main sockets.
pub const CONTROL_API_VERSION: &str = "control.routerd.net/v1alpha1";

/// Group and version on the managed sockets.
pub const DAEMON_API_VERSION: &str = "daemon.routerd.net/v1alpha1";

#[cfg(test)]
mod tests;
