//! The descriptors that an app starts with: those that a library user gives, log files for the
//! outputs that are not given, and nothing else.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use openctrl_core::doors::patrol::launch::Logged;
use openctrl_core::instance::Label;

use super::door::Door;
use super::log_files::{Outputs, open};
use super::sources::Given;

/// The descriptors of one start. Dropping it closes them here.
#[derive(Debug)]
pub(crate) struct Descriptors {
    stdin: Option<File>,
    stdout: Option<File>,
    stderr: Option<File>,
    /// Numbers 3 and up.
    files: Vec<OwnedFd>,
    /// Whether each output is a log file.
    logged: Logged,
    null: File,
}

impl Descriptors {
    /// No input, and outputs that are discarded.
    pub(crate) fn discarding() -> io::Result<Self> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let logged = Logged { stdout: false, stderr: false };
        Ok(Self { stdin: None, stdout: None, stderr: None, files: Vec::new(), logged, null })
    }

    /// All of them, in the order of their numbers in the app.
    pub(crate) fn list(&self) -> Vec<BorrowedFd<'_>> {
        let standard = [&self.stdin, &self.stdout, &self.stderr];
        let standard = standard.map(|file| file.as_ref().unwrap_or(&self.null).as_fd());
        standard.into_iter().chain(self.files.iter().map(AsFd::as_fd)).collect()
    }

    /// A log file that only this run of the app writes to, by which it can be recognized. If there
    /// is none, the null device, by which nothing is.
    pub(crate) fn log(&self) -> &File {
        let stdout = self.stdout.as_ref().filter(|_| self.logged.stdout);
        let stderr = self.stderr.as_ref().filter(|_| self.logged.stderr);
        stdout.or(stderr).unwrap_or(&self.null)
    }
}

impl Door {
    /// The descriptors of a start that is about to be tried. Log files are below `root`; one for
    /// both outputs if `merge` says so and the library user gives neither.
    ///
    /// # Errors
    /// What the library user cannot give, or the log file that cannot be opened.
    pub(crate) fn descriptors(
        &self,
        label: &Label,
        root: &str,
        merge: bool,
    ) -> io::Result<Descriptors> {
        let id = label.0.split_once('/').map_or("", |(_, id)| id);
        let given = self.sources.ask(id)?;
        let logged = given.logged();
        let Outputs { stdout, stderr } = open(&self.log_files(label, root, merge, logged))?;
        let Given { stdin, stdout: given_stdout, stderr: given_stderr, files } = given;
        Ok(Descriptors {
            stdin,
            stdout: given_stdout.or(stdout),
            stderr: given_stderr.or(stderr),
            files,
            logged,
            ..Descriptors::discarding()?
        })
    }
}
