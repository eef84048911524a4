//! The OpenCtrl daemon.
pub mod runtime;
pub mod tls;
