//! Fuzz targets: functions that take any bytes and panic if something does not hold of them.
//!
//! The tests replay the committed corpus (`corpus/<target>/`), which needs nothing but Rust. To
//! look for new inputs, with a C++ compiler and the stable toolchain:
//!
//! ```text
//! .ci/fuzz 600 recover     # ten minutes of one target; without a name, of each in turn
//! .ci/fuzz --merge         # takes into the corpus what reached code that the corpus does not
//! ```
//!
//! An input that failed goes into the corpus under a name that says what it showed. `cargo fuzz`
//! works as well, with `--features libfuzzer --sanitizer none`.

mod choices;
mod control;
mod cursors;
mod engine;
mod frame;
mod gob;
mod handover;
mod journal;
mod keeper;
mod output;
mod patch;
mod patrol;
mod recover;
mod request;
mod state;
mod trace;
mod url;

pub use control::{control_body, control_query, rules, topic};
pub use cursors::cursors;
pub use engine::engine;
pub use frame::frame;
pub use gob::gob;
pub use handover::handover;
pub use journal::journal;
pub use keeper::keeper;
pub use output::{checkpoint, line};
pub use patrol::{patrol_config, patrol_datagram, patrol_request};
pub use recover::recover;
pub use request::request;
pub use state::state;
pub use trace::trace;
pub use url::{instance_url, master_url};

/// A target: any bytes will do.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus and of its binary.
pub const TARGETS: [(&str, Target); 22] = [
    ("line", line),
    ("checkpoint", checkpoint),
    ("instance_url", instance_url),
    ("master_url", master_url),
    ("request", request),
    ("state", state),
    ("journal", journal),
    ("keeper", keeper),
    ("handover", handover),
    ("recover", recover),
    ("gob", gob),
    ("frame", frame),
    ("cursors", cursors),
    ("trace", trace),
    ("engine", engine),
    ("topic", topic),
    ("control_query", control_query),
    ("control_body", control_body),
    ("rules", rules),
    ("patrol_config", patrol_config),
    ("patrol_request", patrol_request),
    ("patrol_datagram", patrol_datagram),
];
