//! The environment that children are started with, as the master sent it.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use openctrl_core::keeper::Start;
use rustix::process::{Pid, fchdir};

use crate::outputs::Outputs;
use crate::promises;

/// The environment of all children.
pub(super) struct Launcher {
    /// `/dev/null`, for standard input.
    input: File,
    environment: Vec<CString>,
    /// The program of the master, for exec steps.
    program: Option<OwnedFd>,
}

impl Launcher {
    pub(super) fn new() -> io::Result<Self> {
        let (environment, program) = (Vec::new(), None);
        Ok(Self { input: File::open("/dev/null")?, environment, program })
    }

    /// Starts with the working directory and the program of a new master.
    pub(super) fn serve_master(&mut self, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        if let Some(directory) = descriptors.next() {
            let _ = fchdir(directory);
        }
        self.program = descriptors.next();
    }

    pub(super) fn set_environment(&mut self, is_first: bool, variables: Vec<Vec<u8>>) {
        if is_first {
            self.environment.clear();
        }
        // A variable cannot contain a zero byte.
        self.environment.extend(variables.into_iter().filter_map(|text| CString::new(text).ok()));
    }

    /// Starts a child that prints to `outputs`.
    pub(super) fn launch(
        &self,
        start: &Start,
        outputs: Outputs<BorrowedFd<'_>>,
        report: Option<BorrowedFd<'_>>,
    ) -> io::Result<Pid> {
        let Outputs { stdout, stderr } = outputs;
        let mut descriptors = vec![self.input.as_fd(), stdout, stderr.unwrap_or(stdout)];
        descriptors.extend(report);
        let text = |text: &Vec<u8>| Ok(CString::new(text.as_slice())?);
        let texts = |texts: &[Vec<u8>]| texts.iter().map(text).collect::<io::Result<Vec<_>>>();
        let path = match (&self.program, start.path.is_empty()) {
            (Some(program), true) => {
                CString::new(format!("/proc/self/fd/{}", program.as_raw_fd()))?
            }
            _ => text(&start.path)?,
        };
        let given = texts(&start.env)?;
        let kept = if start.clear_env { &[][..] } else { &self.environment };
        let is_replaced =
            |variable: &&CString| given.iter().any(|given| name(given) == name(variable));
        let environment: Vec<CString> =
            kept.iter().filter(|kept| !is_replaced(kept)).chain(&given).cloned().collect();
        promises::start(&promises::Program {
            path: &path,
            arguments: &texts(&start.arguments)?,
            environment: &environment,
            descriptors: &descriptors,
            directory: None,
        })
    }
}

fn name(variable: &CStr) -> &[u8] {
    let bytes = variable.to_bytes();
    bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes)
}
