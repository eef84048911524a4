//! A bare loop that starts processes: what the system takes for it.

use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Processes that this one started; they are ended with it.
pub struct Children(Vec<(Child, PipeReader)>);

impl Children {
    /// Starts this many, each with one pipe for both outputs; returns how long that took.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(program: &Path, url: &str, count: usize) -> io::Result<(Self, Duration)> {
        let begun = Instant::now();
        let mut children = Self(Vec::with_capacity(count));
        for _ in 0..count {
            children.0.push(start(program, url)?);
        }
        Ok((children, begun.elapsed()))
    }

    /// Ends them all with SIGTERM; returns how long it took until the last was reaped.
    ///
    /// # Errors
    /// What the system says.
    pub fn stop(&mut self) -> io::Result<Duration> {
        let begun = Instant::now();
        for (child, _) in &self.0 {
            let pid = Pid::from_child(child);
            kill_process(pid, Signal::TERM)?;
        }
        for (child, _) in &mut self.0 {
            child.wait()?;
        }
        Ok(begun.elapsed())
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            let _ = child.kill();
        }
        for (child, _) in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// Starts one process as a master does: its own group, no input, one pipe.
///
/// # Errors
/// What the system says.
pub fn start(program: &Path, url: &str) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    let child = Command::new(program)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input)
        .process_group(0)
        .spawn()?;
    Ok((child, output))
}
