//! The OpenCtrl daemon.
pub mod runtime;
pub mod sysinfo;
pub mod tls;
