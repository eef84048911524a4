//! The harness of the black-box suite: it starts the real `openctrl` binary in a temporary
//! directory, speaks HTTP and Server-Sent Events to it, and drives scripted children.
//!
//! It knows the contract (`/api/v2`) and nothing of how the binary is built: any program that
//! speaks the contract can be tested by naming it in `OPENCTRL_BIN`.
//!
//! Rules every test follows: wait for an event or for a condition, never for a length of time;
//! a loaded machine may be late, so upper bounds are generous and lower bounds exact.

pub mod api;
pub mod bench;
pub mod binary;
pub mod body;
pub mod browser;
pub mod control;
pub mod crash;
pub mod group;
pub mod http;
pub mod json;
pub mod keeper;
pub mod master;
pub mod output;
pub mod patrol;
pub mod process;
pub mod receiver;
pub mod reducer;
pub mod rfc3339;
pub mod script;
pub mod shell;
pub mod signpost;
pub mod sse;
pub mod state;
pub mod tls;
pub mod wait;

use std::time::Duration;

pub use api::Api;
pub use http::Response;
pub use master::Master;
pub use script::Script;
pub use shell::Shell;
pub use signpost::{Cue, Mark};
pub use sse::{Event, Sse};
pub use state::State;
pub use wait::{eventually, until};

/// How long a wait may take before a test fails. Far above anything a healthy master needs:
/// it only bounds how long a failure takes to show.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The id of the key instance.
pub const KEY_ID: &str = "********";
