//! The two kinds of URL: that of an instance and that of the master itself.
//!
//! Instance URLs belong to the runtime and are kept byte for byte, so a parser that normalises
//! does not fit. The rules here are those of the contract, which follow Go's `net/url`.

pub mod instance;
pub mod master;
mod options;
mod parts;

pub use instance::{InstanceUrl, InstanceUrlError};
pub use master::{MasterUrl, MasterUrlError, Tls, TraceConfig};
pub use options::{LogOptions, MetricsOptions};
pub use parts::UrlFault;
