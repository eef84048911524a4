//! The HTTP front door: connections, limits, and the way of a request through `core::api`.
//!
//! What a request means is core's; nothing here looks at an instance.

mod body;
mod connection;
mod exchange;
mod observe;
mod page;
mod server;
mod service;
mod stall;

pub(crate) use body::AnswerBody;
pub(crate) use observe::Observed;
pub(crate) use page::Page;
pub(crate) use server::{Server, ServerConfig, bind};
pub(crate) use service::{About, Service};
