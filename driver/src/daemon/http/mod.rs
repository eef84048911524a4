//! The HTTP server: connections, limits, and the path of a request through `core::doors::v2`.
//!
//! `core` interprets requests; nothing here depends on an instance.

mod body;
mod connection;
mod exchange;
mod observe;
mod page;
mod server;
mod service;
mod stall;

pub(crate) use body::AnswerBody;
pub(crate) use observe::{Observed, description};
pub(crate) use page::Page;
pub(crate) use server::{Server, ServerConfig, bind};
pub(crate) use service::{About, Service};
pub(crate) use stall::Stalling;
