//! The process's own limits. Every instance takes two descriptors and every connection one, so
//! the soft limit is raised to the hard one; children get back what the master was started with.

use std::sync::OnceLock;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

static AT_START: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit on open files as far as it may be.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    AT_START.get_or_init(|| limit);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit { current: limit.maximum.or(Some(1 << 20)), ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!("cannot raise the limit on open files: {error}");
        }
    }
}

/// Gives a child the limit that the master had: programs that size tables by it, or still use
/// `select`, would suffer from a larger one.
#[cfg(target_os = "linux")]
pub(crate) fn restore_descriptor_limit(child: Pid) {
    if let Some(limit) = AT_START.get() {
        // It may have ended already.
        let _ = rustix::process::prlimit(Some(child), Resource::Nofile, *limit);
    }
}

/// Nothing but Linux can change the limits of another process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn restore_descriptor_limit(_child: Pid) {}
