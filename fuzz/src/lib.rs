//! Fuzz targets: functions that take any bytes and panic if something does not hold of them.
//!
//! The tests replay the committed corpus (`corpus/<target>/`), which needs nothing but Rust. To
//! look for new inputs, with `cargo install cargo-fuzz` and a C++ compiler:
//!
//! ```text
//! cargo fuzz run <target> --features libfuzzer --sanitizer none
//! ```
//!
//! With `--sanitizer none` the stable toolchain does: coverage needs stable flags only, and there
//! is no unsafe code for a sanitizer to watch. New inputs land in the corpus; keep those that
//! failed once and few others, as small as `cargo fuzz tmin` makes them.

mod engine;
mod frame;
mod gob;
mod journal;
mod output;
mod recover;
mod request;
mod state;
mod trace;
mod url;

pub use engine::engine;
pub use frame::frame;
pub use gob::gob;
pub use journal::journal;
pub use output::{checkpoint, line};
pub use recover::recover;
pub use request::request;
pub use state::state;
pub use trace::trace;
pub use url::{instance_url, master_url};

/// A target: any bytes will do.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus and of its binary.
pub const TARGETS: [(&str, Target); 12] = [
    ("line", line),
    ("checkpoint", checkpoint),
    ("instance_url", instance_url),
    ("master_url", master_url),
    ("request", request),
    ("state", state),
    ("journal", journal),
    ("recover", recover),
    ("gob", gob),
    ("frame", frame),
    ("trace", trace),
    ("engine", engine),
];
