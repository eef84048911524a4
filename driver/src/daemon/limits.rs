//! The limits of this process. Every instance takes a descriptor or two and every connection one,
//! so the soft limit is raised to the hard one; processes get the original limit back.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limit on open files before it was raised; not set if it is unchanged.
static BEFORE: OnceLock<Rlimit> = OnceLock::new();

/// Raises the limit on open files as far as it may be.
pub(crate) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit { current: limit.maximum.or(Some(1 << 20)), ..limit };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) if raised != limit => _ = BEFORE.set(limit),
            Ok(()) => {}
            Err(error) => tracing::warn!("cannot raise the limit on open files: {error}"),
        }
    }
}

/// Takes back that the limit was raised, for a program that is executed in the place of this one.
pub(crate) fn lower_descriptor_limit() {
    if let Some(limit) = BEFORE.get() {
        let _ = setrlimit(Resource::Nofile, *limit);
    }
}

/// The limit that a child has to be given back, soft and hard, `None` if it inherits the right one:
/// programs that size tables by it, or still use `select`, would suffer from a larger one.
pub(crate) fn descriptor_limit_to_restore() -> Option<(Option<u64>, Option<u64>)> {
    BEFORE.get().map(|limit| (limit.current, limit.maximum))
}
