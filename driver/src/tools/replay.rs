//! `openctrl replay`: feeds recorded inputs to the same core again, and prints what happens.

mod timeline;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use openctrl_core::control::Control;
use openctrl_core::ids::BootId;
use openctrl_core::trace::{EndReason, Ending, Replay, TraceError};

use self::timeline::Timeline;
use crate::daemon::segments;
use crate::grammar::Replay as Options;

/// What became of a replay, as an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// All went as it was recorded.
    Equal,
    /// Something did not.
    Different,
    /// A file cannot be read.
    Unreadable,
}

/// Replays a segment, or all that are in a directory.
pub(crate) fn run(options: &Options) -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let outcome = files(&options.path).and_then(|files| {
        if files.is_empty() {
            let reason = "there is no trace in this directory";
            complain(&options.path, &reason);
            return Ok(Outcome::Unreadable);
        }
        let (mut worst, mut before) = (Outcome::Equal, None);
        for file in files {
            worst = worst.max(replay(&file, options, &mut before, &mut out)?);
        }
        out.flush()?;
        Ok(worst)
    });
    match outcome {
        Ok(Outcome::Equal) => ExitCode::SUCCESS,
        Ok(Outcome::Different) => ExitCode::from(1),
        Ok(Outcome::Unreadable) => ExitCode::from(2),
        // The reader closed the pipe, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&options.path, &error);
            ExitCode::from(2)
        }
    }
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if path.is_dir() { segments(path) } else { Ok(vec![path.to_owned()]) }
}

/// Where the segment before this one left its engine.
struct Left {
    boot: BootId,
    sequence: u32,
    fingerprint: u64,
    /// Of the machine of the control API, if both segments have it.
    control: Option<u64>,
}

fn replay(
    file: &Path,
    options: &Options,
    before: &mut Option<Left>,
    out: &mut impl Write,
) -> io::Result<Outcome> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            complain(file, &error);
            return Ok(Outcome::Unreadable);
        }
    };
    let mut replay = match Replay::new(&bytes) {
        Ok(replay) => replay,
        // It was started when the master was killed: nothing was recorded yet.
        Err(error @ TraceError::NoHeader) if options.path.is_dir() => {
            complain(file, &error);
            return Ok(Outcome::Equal);
        }
        Err(error) => {
            complain(file, &error);
            return Ok(Outcome::Unreadable);
        }
    };
    let mut timeline = Timeline::new(options, out);
    timeline.begin(file, replay.header())?;
    let (boot, sequence) = (replay.header().boot, replay.header().sequence);
    let follows = |left: &Left| left.boot == boot && left.sequence + 1 == sequence;
    let goes_on = before.take().filter(follows).is_none_or(|left| {
        let control = replay.control().map(Control::fingerprint).zip(left.control);
        left.fingerprint == replay.engine().fingerprint()
            && control.is_none_or(|(here, left)| here == left)
    });
    if !replay.is_comparable() {
        timeline.note(&format!(
            "format version {}: what follows an input is what this program does; it is not compared \
             with the recording",
            replay.version()
        ))?;
    }
    if !goes_on {
        timeline.note("the segment before this one ends in another state")?;
    }
    while let Some((number, now, _)) = replay.peek() {
        if options.until.as_ref().is_some_and(|until| until.is_before(now)) {
            break;
        }
        // A segment can end with an input at which the engine panics: that is its purpose.
        match catch_unwind(AssertUnwindSafe(|| replay.step())) {
            Ok(Some(step)) => timeline.step(&replay, &step)?,
            Ok(None) => break,
            Err(_) => {
                timeline.panicked(number, now)?;
                return Ok(Outcome::Different);
            }
        }
    }
    timeline.end(&replay)?;
    let is_continued =
        matches!(replay.ending(), Some(Ending::Marked(end)) if end.why == EndReason::Continued);
    if is_continued && replay.is_comparable() {
        let (fingerprint, control) = (replay.engine().fingerprint(), replay.control());
        let control = control.filter(|_| !replay.is_blind()).map(Control::fingerprint);
        *before = Some(Left { boot, sequence, fingerprint, control });
    }
    let is_damaged = matches!(replay.ending(), Some(Ending::Damaged(..)));
    Ok(if is_damaged {
        Outcome::Unreadable
    } else if replay.summary().difference.is_some() || !goes_on {
        Outcome::Different
    } else {
        Outcome::Equal
    })
}

fn complain(path: &Path, reason: &dyn std::fmt::Display) {
    // If standard error fails, only the exit status reports the error.
    let _ = writeln!(io::stderr(), "openctrl: {}: {reason}", path.display());
}
