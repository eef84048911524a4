//! What a library user gives to apps: closures, which are called at each start.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openctrl_core::doors::patrol::launch::Logged;

/// The most additional files of one app.
const FILES_MAX: usize = 256;

/// A closure of a library user, which is called at each start with the id of the app.
pub(crate) type Source<T> = Arc<dyn Fn(&str) -> io::Result<T> + Send + Sync>;

/// What a library user gives to apps.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    pub(crate) stdin: Option<Source<Option<OwnedFd>>>,
    pub(crate) stdout: Option<Source<Option<OwnedFd>>>,
    pub(crate) stderr: Option<Source<Option<OwnedFd>>>,
    pub(crate) files: Option<Source<Vec<OwnedFd>>>,
}

/// What the app of one start is given.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) stdin: Option<File>,
    pub(super) stdout: Option<File>,
    pub(super) stderr: Option<File>,
    /// Numbers 3 and up.
    pub(super) files: Vec<OwnedFd>,
}

impl Sources {
    /// Whether no app is given anything.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { stdin, stdout, stderr, files } = self;
        stdin.is_none() && stdout.is_none() && stderr.is_none() && files.is_none()
    }

    /// Asks for everything that this app is given.
    ///
    /// # Errors
    /// The first error of a closure, or a list of files that is too long.
    pub(super) fn ask(&self, id: &str) -> io::Result<Given> {
        let one = |source: &Option<Source<Option<OwnedFd>>>, name| {
            ask(source, id, name).map(|given| given.flatten().map(File::from))
        };
        let stdin = one(&self.stdin, "stdin")?;
        let stdout = one(&self.stdout, "stdout")?;
        let stderr = one(&self.stderr, "stderr")?;
        let files = ask(&self.files, id, "extra_files")?.unwrap_or_default();
        if files.len() > FILES_MAX {
            let problem = format!("extra_files: more than {FILES_MAX} files");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        Ok(Given { stdin, stdout, stderr, files })
    }
}

/// Calls a closure. One that panics fails this start and no other.
fn ask<T>(source: &Option<Source<T>>, id: &str, name: &str) -> io::Result<Option<T>> {
    let Some(source) = source else { return Ok(None) };
    let answer = catch_unwind(AssertUnwindSafe(|| source(id)))
        .unwrap_or_else(|_| Err(io::Error::other("the closure panicked")));
    answer.map(Some).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl Given {
    /// Which outputs are left for log files.
    pub(super) const fn logged(&self) -> Logged {
        Logged { stdout: self.stdout.is_none(), stderr: self.stderr.is_none() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source<T: 'static>(
        give: impl Fn(&str) -> io::Result<T> + Send + Sync + 'static,
    ) -> Option<Source<T>> {
        Some(Arc::new(give))
    }

    #[test]
    fn what_cannot_be_given_fails_the_start_by_name() {
        let fails = |sources: Sources| sources.ask("web").expect_err("it fails").to_string();
        let denied = |id: &str| Err(io::Error::other(format!("denied to {id}")));
        let sources = Sources { stdin: source(denied), ..Sources::default() };
        assert_eq!(fails(sources), "stdin: denied to web");
        let sources = Sources { stdout: source(|_| panic!("as in a bug")), ..Sources::default() };
        assert_eq!(fails(sources), "stdout: the closure panicked");
        let many = |_: &str| {
            let null = || Ok(OwnedFd::from(File::open("/dev/null")?));
            (0..=FILES_MAX).map(|_| null()).collect()
        };
        let sources = Sources { files: source(many), ..Sources::default() };
        assert_eq!(fails(sources), "extra_files: more than 256 files");
    }

    #[test]
    fn an_output_that_is_given_is_no_log() {
        let give = |_: &str| Ok(Some(tempfile::tempfile()?.into()));
        let given = |stdout, stderr| {
            let give = |is_given| if is_given { source(give) } else { None };
            let sources =
                Sources { stdout: give(stdout), stderr: give(stderr), ..Sources::default() };
            let given = sources.ask("web").expect("it can be given");
            given.logged()
        };
        let logged = |stdout, stderr| Logged { stdout, stderr };
        assert_eq!(given(false, false), logged(true, true));
        assert_eq!(given(true, false), logged(false, true));
        assert_eq!(given(true, true), logged(false, false));
    }
}
