//! The Patrol door: the configuration, requests, replies and pages of a Patrol server.
//!
//! Everything here is a pure function from bytes and values to values and bytes. The engine
//! supervises; the driver reads files, sockets and clocks. docs/operators/PATROL.md is for operators.

pub mod access;
pub mod config;
pub mod definitions;
pub mod json;
pub mod label;
pub mod launch;
pub mod layout;
pub mod listing;
pub mod page;
pub mod path;
pub mod request;
pub mod response;
pub mod secret;
pub mod values;
pub mod verbs;
