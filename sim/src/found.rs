//! Handles a run that fails: reports it, shrinks it, saves it and shows it.

use std::fmt;
use std::io;

use openctrl_sim::choice::Choices;
use openctrl_sim::invariants::Violation;
use openctrl_sim::run::{Failure, reproduce, run, violation};
use openctrl_sim::shrink::{Limits, shrink_choices};

use crate::console::Console;
use crate::{describe, file};

/// Where a failing run came from.
#[derive(Debug)]
pub(crate) enum Origin {
    Seed(u64),
    File(String),
}

impl Origin {
    /// Where its shrunk choices go.
    fn shrunk_path(&self) -> String {
        match self {
            Self::Seed(seed) => format!("openctrl-sim-{seed}.choices"),
            Self::File(path) => format!("{path}.shrunk"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seed(seed) => f.write_str(&reproduce(*seed)),
            Self::File(path) => {
                write!(f, "REPRODUCE: cargo run --release -p openctrl-sim -- run --choices {path}")
            }
        }
    }
}

/// Tells of a failure, and makes it small.
pub(crate) fn tell(failure: &Failure, origin: &Origin, console: &mut Console) -> io::Result<()> {
    console.say(&failure.violation.to_string())?;
    console.say(&origin.to_string())?;
    make_small(&failure.choices, &failure.violation, &origin.shrunk_path(), console)
}

/// Makes the choices of a file small. Says whether they fail at all.
pub(crate) fn of_choices(bytes: Vec<u8>, path: &str, console: &mut Console) -> io::Result<bool> {
    match violation(Choices::from_bytes(&bytes[..])) {
        None => {
            console.say(&format!("{path}: all invariants hold, so there is nothing to shrink"))?;
            Ok(false)
        }
        Some(found) => {
            let origin = Origin::File(path.to_string());
            make_small(&bytes, &found, &origin.shrunk_path(), console).map(|()| true)
        }
    }
}

/// Writes choices to a file, and reports that.
pub(crate) fn save(path: &str, choices: &[u8], console: &mut Console) -> io::Result<()> {
    match file::write(path, choices) {
        Ok(()) => console.say(&format!("{} bytes of choices written to {path}", choices.len())),
        Err(what) => console.say(&what),
    }
}

fn make_small(
    bytes: &[u8],
    found: &Violation,
    path: &str,
    console: &mut Console,
) -> io::Result<()> {
    let before = steps(bytes);
    let small = shrunk(bytes, found.invariant, console);
    console.say(&format!("shrunk from {before} to {} steps", steps(&small)))?;
    save(path, &small, console)?;
    console.say(&format!(
        "REPRODUCE: cargo run --release -p openctrl-sim -- run --choices {path}\n"
    ))?;
    let mut choices = Choices::from_bytes(&small[..]);
    console.say(&describe(&choices))?;
    match run(&mut choices) {
        Err(failure) => console.say(&failure.to_string()),
        Ok(_) => console.say("the shrunk run holds now: it depends on more than its choices"),
    }
}

/// The smallest choices found that break the same invariant.
fn shrunk(bytes: &[u8], invariant: &str, console: &mut Console) -> Vec<u8> {
    let mut tries = 0;
    shrink_choices(bytes, Limits::default(), |bytes| {
        tries += 1;
        // A line of progress that cannot be shown is no reason to stop.
        let _ = console.progress(|| format!("shrinking: {tries} runs, {} steps", steps(bytes)));
        let found = violation(Choices::from_bytes(bytes));
        found.is_some_and(|found| found.invariant == invariant)
    })
}

fn steps(bytes: &[u8]) -> usize {
    Choices::from_bytes(bytes).chunks().1.count()
}
