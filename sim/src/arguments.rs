//! The command line, as a clap grammar.

use std::ops::Range;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::sweep::Plan;

/// The command.
#[derive(Debug)]
pub(crate) enum Command {
    /// One run.
    Run { runs: Runs, save_to: Option<String> },
    /// Many.
    Sweep(Plan),
    /// The run of a file, unchanged, or a trace.
    Replay(String),
    /// The run of a file, or a trace, made small.
    Shrink(String),
}

/// Where the choices of a run come from.
#[derive(Debug)]
pub(crate) enum Runs {
    Seed(u64),
    Choices(String),
}

/// Why nothing is run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Help was asked for.
    Help(String),
    /// A word is wrong: which, and what to write.
    Wrong(String),
}

/// Runs the core in a simulated world.
#[derive(Debug, Parser)]
#[command(name = "openctrl-sim", disable_version_flag = true, term_width = 100)]
struct Line {
    #[command(subcommand)]
    command: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Run one seed or one file
    Run(Run),
    /// Run many seeds, up to the first failure
    Sweep(Sweep),
    /// Run a file of choices, with its timeline if it fails, or a trace
    Replay { file: String },
    /// Make a file that fails small: choices or a trace
    Shrink { file: String },
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    source: Source,
    /// Keep the choices of the run in FILE
    #[arg(long, value_name = "FILE")]
    save: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// The seed that a commit stands for
    #[arg(long, value_name = "HASH", value_parser = seed_of)]
    commit: Option<u64>,
    /// A file of choices
    #[arg(long, value_name = "FILE")]
    choices: Option<String>,
}

#[derive(Debug, Args)]
struct Sweep {
    /// The seeds, from A to B-1
    #[arg(long, value_name = "A..B", value_parser = seeds, required_unless_present = "commit")]
    seeds: Option<Range<u64>>,
    /// End after so long: 60s, 5m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// One more seed, derived from the hash
    #[arg(long, value_name = "HASH", value_parser = seed_of)]
    commit: Option<u64>,
    /// Run each seed twice and compare
    #[arg(long)]
    twice: bool,
    /// Print only the digest of all runs, to compare builds
    #[arg(long)]
    digest: bool,
    /// Fail if anything was never visited, as 300 seeds and more do
    #[arg(long)]
    cover: bool,
}

/// Reads the arguments.
///
/// # Errors
/// Help, or the error and the remedy.
pub(crate) fn parse(arguments: &[String]) -> Result<Command, Answer> {
    let words = std::iter::once("openctrl-sim").chain(arguments.iter().map(String::as_str));
    let line = Line::try_parse_from(words).map_err(|error| {
        let text = error.render().to_string().trim_end().to_owned();
        if error.kind() == ErrorKind::DisplayHelp {
            Answer::Help(text)
        } else {
            Answer::Wrong(text)
        }
    })?;
    Ok(match line.command {
        Word::Run(Run { source, save }) => Command::Run { runs: source.runs(), save_to: save },
        Word::Sweep(sweep) => Command::Sweep(sweep.plan()),
        Word::Replay { file } => Command::Replay(file),
        Word::Shrink { file } => Command::Shrink(file),
    })
}

impl Source {
    fn runs(self) -> Runs {
        match (self.choices, self.seed.or(self.commit)) {
            (Some(file), _) => Runs::Choices(file),
            (None, seed) => Runs::Seed(seed.expect("the grammar requires one of the three")),
        }
    }
}

impl Sweep {
    fn plan(self) -> Plan {
        Plan {
            seeds: self.seeds.unwrap_or_default(),
            extra: self.commit,
            time: self.time,
            twice: self.twice,
            digest_only: self.digest,
            cover: self.cover,
        }
    }
}

/// The seed that derives from a commit: the first 16 hex digits of its hash, as a number.
fn seed_of(hash: &str) -> Result<u64, String> {
    let digits = hash.get(..hash.len().min(16)).filter(|digits| digits.len() >= 7);
    digits
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| "give at least 7 hex digits of the hash of a commit".to_owned())
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(first, end)| {
        let (first, end) = (first.parse().ok()?, end.parse().ok()?);
        (first < end).then_some(first..end)
    });
    range.ok_or_else(|| "give a range A..B, with A below B".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let unit_seconds = match unit {
        "s" | "" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        _ => None,
    };
    let seconds = digits.parse::<u64>().ok().zip(unit_seconds);
    let seconds = seconds.and_then(|(count, unit)| count.checked_mul(unit));
    seconds.map(Duration::from_secs).ok_or_else(|| "give for example 60s, 5m or 1h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, Answer> {
        parse(&line.split_whitespace().map(String::from).collect::<Vec<_>>())
    }

    #[test]
    fn good_lines_are_understood() {
        let Ok(Command::Run { runs: Runs::Seed(7), save_to }) =
            parsed("run --seed 7 --save choices")
        else {
            panic!("not a run");
        };
        assert_eq!(save_to.as_deref(), Some("choices"));
        let line = "sweep --seeds 3..9 --time 2m --commit 00000000000000ff12 --twice --digest";
        let Ok(Command::Sweep(plan)) = parsed(line) else { panic!("not a sweep") };
        assert_eq!((plan.seeds, plan.extra), (3..9, Some(255)));
        assert_eq!(plan.time, Some(Duration::from_secs(120)));
        assert!(plan.twice && plan.digest_only && !plan.cover);
        assert!(matches!(parsed("shrink file"), Ok(Command::Shrink(_))));
        assert!(
            matches!(parsed("help sweep"), Err(Answer::Help(text)) if text.contains("--cover"))
        );
    }

    #[test]
    fn bad_lines_are_refused_with_what_is_wrong() {
        for (line, named) in [
            ("", "Usage"),
            ("walk", "'walk'"),
            ("swep --seeds 0..3", "'sweep'"),
            ("run", "<--seed <N>|--commit <HASH>|--choices <FILE>>"),
            ("run --seed 1 --seed 2", "--seed"),
            ("run --seed 1 --choices f", "--choices"),
            ("run --seed x", "'x'"),
            ("run --seed", "--seed"),
            ("run --commit xyz", "'xyz'"),
            ("sweep", "--seeds"),
            ("sweep --seeds 9..3", "with A below B"),
            ("sweep --seeds 0..3 --time soon", "60s, 5m or 1h"),
            ("sweep --seeds 0..3 --time 99999999999999999999h", "60s, 5m or 1h"),
            ("sweep --fast", "'--fast'"),
            ("shrink", "<FILE>"),
        ] {
            let Err(Answer::Wrong(refused)) = parsed(line) else { panic!("{line} is accepted") };
            assert!(refused.contains(named), "{line}: {refused}");
        }
    }
}
