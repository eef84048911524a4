//! The REST API as pure functions: a request's parts in, a call or a refusal out (Contract §3-5, §9).
//!
//! The order is that of a request: [`route()`] the path, [`admit`] key and method, decode the body
//! into a [`Call`] for the engine, and turn the engine's [`Reply`] into an [`Answer`].
//! Sockets, limits in time and reading bodies are the driver's.

mod answer;
mod body;
mod call;
mod description;
mod info;
mod patch;
mod ping;
mod process;
mod refusal;
mod route;

pub use answer::{Answer, CORS_HEADERS, Reply};
pub use body::{BODY_MAX_BYTES, decode_alias, decode_create, decode_key_patch, decode_replace};
pub use call::Call;
pub use description::describe;
pub use info::{Info, SystemSample};
pub use patch::{InstanceAction, MetaPatch, Patch, decode_patch};
pub use ping::{PingOutcome, PingReport, ping_target};
pub use process::{ProcessReport, Usage, render_processes};
pub use refusal::Refusal;
pub use route::{Endpoint, Method, Observation, Route, Target, admit, route};
