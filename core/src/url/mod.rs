//! The two kinds of URL: that of an instance and that of the master itself.
//!
//! Instance URLs belong to the runtime and are kept byte for byte, so a parser that normalises
//! does not fit. The rules here are those of the contract, which follow Go's `net/url`.

mod control;
mod cors;
mod error;
pub mod instance;
mod mask;
mod master;
mod options;
mod parts;
mod trace;
mod webhooks;

pub use control::ControlOptions;
pub use cors::Cors;
pub use error::MasterUrlError;
pub use instance::{InstanceUrl, InstanceUrlError};
pub use mask::{MASK, mask_url, masked_part};
pub use master::{MasterUrl, Tls};
pub use options::{LogOptions, MetricsOptions, Survival};
pub use parts::UrlFault;
pub use trace::TraceConfig;
pub use webhooks::{WebhookOptions, WebhookUrl};
