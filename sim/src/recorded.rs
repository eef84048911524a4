//! Handles a trace of the real master: replays or shrinks it, and shows it.

use std::io;

use openctrl_sim::shrink::Limits;
use openctrl_sim::trace::{NOT_JUDGED, Outcome, Small, make_small, replay};

use crate::console::Console;
use crate::file;

/// A trace under the eyes of the invariants, with its timeline. Says whether all holds.
pub(crate) fn of_trace(segment: &[u8], path: &str, console: &mut Console) -> io::Result<bool> {
    match replay(segment) {
        Ok(outcome) => tell(&outcome, console),
        Err(what) => unreadable(path, &what, console),
    }
}

/// Makes a trace small. Says whether something does not hold of it at all.
pub(crate) fn shrink(segment: &[u8], path: &str, console: &mut Console) -> io::Result<bool> {
    let found = match replay(segment) {
        Ok(Outcome { violation: Some(found), .. }) => found,
        Ok(Outcome { digests, .. }) => {
            console.say(&format!("{path}: all invariants hold, so there is nothing to shrink"))?;
            return console.say(&digests).map(|()| false);
        }
        Err(what) => return unreadable(path, &what, console),
    };
    console.say(&found.to_string())?;
    let progress = |tries, steps| {
        // A line of progress that cannot be shown is no reason to stop.
        let _ = console.progress(|| format!("shrinking: {tries} runs, {steps} steps"));
    };
    match make_small(segment, &found, Limits::default(), progress) {
        Ok(small) => keep(&small, path, console),
        Err(what) => console.say(&what).map(|()| false),
    }
}

fn keep(small: &Small, path: &str, console: &mut Console) -> io::Result<bool> {
    let Small { segment, steps, steps_before, tries } = small;
    console.say(&format!("shrunk from {steps_before} to {steps} steps in {tries} runs"))?;
    let path = format!("{}.shrunk.trace", path.strip_suffix(".trace").unwrap_or(path));
    if let Err(what) = file::write(&path, segment) {
        return console.say(&what).map(|()| false);
    }
    console.say(&format!("{} bytes of trace written to {path}", segment.len()))?;
    console.say(&format!("REPRODUCE: cargo run --release -p openctrl-sim -- replay {path}\n"))?;
    match replay(segment) {
        Ok(outcome) => tell(&outcome, console).map(|_| true),
        Err(what) => unreadable(&path, &what, console),
    }
}

fn tell(outcome: &Outcome, console: &mut Console) -> io::Result<bool> {
    let Outcome { told, impossible, violation, digests, timeline } = outcome;
    timeline.iter().try_for_each(|line| console.say(line))?;
    let odd = match impossible {
        0 => String::new(),
        count => format!("; {count} of them no driver should have given"),
    };
    console.say(&format!("{told} inputs told{odd}; {digests}"))?;
    console.say(NOT_JUDGED)?;
    match violation {
        Some(violation) => console.say(&violation.to_string()).map(|()| false),
        None => console.say("all invariants hold").map(|()| true),
    }
}

fn unreadable(path: &str, what: &str, console: &mut Console) -> io::Result<bool> {
    console.say(&format!("{path}: {what}")).map(|()| false)
}
