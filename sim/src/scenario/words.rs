//! A scenario in words.

use std::fmt;

use super::action::Action;
use super::{Scenario, Untold};

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_weight = |wanted: fn(usize) -> bool| -> String {
            let chosen = Action::ALL.iter().zip(self.weights);
            let chosen = chosen.filter(|((_, _, _), weight)| wanted(*weight));
            let words: Vec<&str> = chosen.map(|((_, words, _), _)| *words).collect();
            if words.is_empty() { "nothing".to_string() } else { words.join(", ") }
        };
        writeln!(f, "  often:    {}", of_weight(|weight| weight >= 4))?;
        writeln!(f, "  seldom:   {}", of_weight(|weight| (1..4).contains(&weight)))?;
        writeln!(f, "  never:    {}", of_weight(|weight| weight == 0))?;
        let [obeys, late, ignores] = self.on_term;
        let [points, nothing, floods, garbage] = self.prints;
        writeln!(
            f,
            "  processes: one start in {} fails; on TERM {obeys}:{late}:{ignores} end, end late, ignore it;",
            self.start_failures
        )?;
        writeln!(
            f,
            "            {points}:{nothing}:{floods}:{garbage} print checkpoints, nothing, floods, garbage; {}",
            match self.forks {
                0 => "none starts others".to_string(),
                1 => "all start others".to_string(),
                one_in => format!("one in {one_in} starts others"),
            }
        )?;
        let (events, bytes) = (self.window.max_events, self.window.max_bytes);
        writeln!(
            f,
            "  events:   {} readers of a window of {events} events or {bytes} bytes",
            self.readers
        )?;
        write!(f, "  disk:     {} instances", self.image.instances.len())?;
        for (id, stored) in &self.image.instances {
            let restart = if stored.definition.restarts() { "" } else { ", not to be restarted" };
            write!(f, "; {id} with {} bytes counted{restart}", stored.totals.totals().tcprx)?;
        }
        Ok(())
    }
}

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing is possible"),
            Self::TimePasses(ms) => write!(f, "{ms} ms go by"),
            Self::WallSteps(seconds) => write!(f, "the wall clock steps by {seconds} s"),
            Self::Slept(seconds) => write!(f, "the machine sleeps for {seconds} s"),
            Self::LeftoverEnds(process) => {
                write!(f, "what is left of the group of process {} ends", process.generation.0)
            }
            Self::PrintsAPart(process) => {
                write!(f, "process {} prints less than a line", process.generation.0)
            }
            Self::TotalsWritten => f.write_str("the disk deals with totals, which nobody awaits"),
            Self::DiskStalls(ms) => write!(f, "the disk stalls for {ms} ms"),
            Self::DiskFills(writes) => write!(f, "the disk is full for {writes} writes"),
            Self::BadBody => f.write_str("a request's body is turned down"),
            Self::ClientLeaves(request) => {
                write!(f, "the client of request {} goes away", request.0)
            }
            Self::ReaderLeaves(reader) => write!(f, "reader {reader} goes away"),
        }
    }
}
