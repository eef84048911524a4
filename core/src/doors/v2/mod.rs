//! The REST API as pure functions: a request's parts in, a command or a rejection out (Contract §3-5, §9).
//!
//! The order is that of a request: [`route()`] the path, [`admit`] key and method, decode the body
//! for a [`Command`](crate::command::Command), and turn its [`Outcome`](crate::command::Outcome)
//! into an [`Answer`].
//! Sockets, limits in time and reading bodies are the driver's.

mod actions;
mod answer;
mod audit;
mod body;
mod credential;
mod description;
mod frame;
mod health;
mod info;
mod object;
mod patch;
mod ping;
mod policy;
mod precondition;
mod process;
mod rights;
mod route;
mod secrets;
mod status;
mod ticket;
mod token;

pub use actions::{Selected, Selection, decode_actions};
pub use answer::{Answer, CORS_HEADERS, PREFLIGHT_MAX_AGE_S};
pub use audit::{AuditEntry, audit_limit, is_audited};
pub use body::{BODY_MAX_BYTES, decode_alias, decode_create, decode_force, decode_replace};
pub use credential::Credential;
pub use description::{Dialect, describe};
pub use frame::{
    FRAME_MAX_BYTES, LogFrames, RETRY_FRAME, UNFINISHED_MAX_BYTES, event_frame, gap_frame,
    unfinished_frame, write_event,
};
pub use health::Health;
pub use info::{Info, SystemSample};
pub use object::{InstanceObject, MaskedPart, Templates, render_key_instance};
pub use patch::{decode_key_patch, decode_patch};
pub use ping::ping_target;
pub use policy::{decode_policy, decode_policy_patch, policy_answer, policy_outcome};
pub use precondition::decode_if_match;
pub use process::{ProcessReport, Usage, render_processes};
pub use route::{Endpoint, Method, Observation, Route, Target, admit, route, token_name};
pub use secrets::Secrets;
pub use status::{FORCE_REMEDY, Rejection, SAME_URL};
pub use ticket::{StreamQuery, TICKET_LIFETIME_MS, TICKETS_MAX, Tickets};
pub use token::{NewToken, decode_token, render_new_token, render_tokens};
