//! The OpenCtrl daemon.
pub mod runtime;
