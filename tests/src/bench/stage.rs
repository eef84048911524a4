//! What a scenario is given: how large it is to be, where it may say what it does, and the
//! programs that it needs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::figure::Figure;
use super::options::Extent;
use crate::binary;

/// Figures, or why there are none.
pub type Measured = io::Result<Vec<Figure>>;

/// The surroundings of one scenario.
pub struct Stage {
    extent: Extent,
    folder: TempDir,
    child: OnceLock<PathBuf>,
}

impl Stage {
    /// Surroundings for a quick or for a full run.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(extent: Extent) -> io::Result<Self> {
        Ok(Self { extent, folder: TempDir::new()?, child: OnceLock::new() })
    }

    /// The size of the full run, or that of the quick one.
    pub const fn size(&self, full: usize, quick: usize) -> usize {
        if self.extent.quick { quick } else { full }
    }

    /// How long a read lasts.
    pub fn read_time(&self) -> Duration {
        let usual = Duration::from_millis(self.size(3_000, 400) as u64);
        self.extent.seconds.map_or(usual, |seconds| Duration::from_secs(seconds.into()))
    }

    /// Says what is being done.
    pub fn step(&self, what: &str) {
        let _ = writeln!(io::stderr(), "        {what}");
    }

    /// A file for the scenario's own use, on the disk that the master's state is on.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program of the instances. Linked statically where that can be: it starts in half the
    /// time, and what it costs is not the master's.
    pub fn child(&self) -> &PathBuf {
        self.child.get_or_init(|| {
            let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/bench-child.rs");
            let program = self.file("bench-child");
            let output = Command::new("rustc")
                .args(["--edition=2024", "-O", "-Cpanic=abort", "-Ctarget-feature=+crt-static"])
                .args([source, "-o"])
                .arg(&program)
                .output();
            match output {
                Ok(output) if output.status.success() => program,
                Ok(_) | Err(_) => binary::beside_us("bench-child"),
            }
        })
    }
}

/// Raises this process's limit on open files as far as it may be; returns it.
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
    let current = getrlimit(Resource::Nofile).current;
    current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}
