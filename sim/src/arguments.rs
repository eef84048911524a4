//! The command line.

use std::ops::Range;
use std::time::Duration;

use crate::sweep::Plan;

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    /// One run.
    Run { runs: Runs, save_to: Option<String> },
    /// Many.
    Sweep(Plan),
    /// The run of a file, as it is, or a trace.
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

const USAGE: &str = "usage:
  openctrl-sim run --seed N | --commit HASH | --choices FILE   one run [--save FILE: keep its choices]
  openctrl-sim sweep --seeds A..B    many runs, up to the first failure
      [--time 60s]      end after so long
      [--commit HASH]   one more seed, derived from the hash
      [--twice]         each run twice, which have to be the same
      [--digest]        print the digest of all runs alone, to compare builds
      [--cover]         fail if anything was never visited (so do 300 seeds and more)
  openctrl-sim replay FILE           the run of a file, with its timeline if it fails, or a trace
  openctrl-sim shrink FILE           makes a file that fails small, choices or a trace";

/// Reads the arguments.
///
/// # Errors
/// What is wrong, and what to do.
pub(crate) fn parse(arguments: &[String]) -> Result<Command, String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (command, rest) = arguments.split_first().ok_or_else(|| format!("no command\n{USAGE}"))?;
    match (*command, rest) {
        ("run", rest) => parse_run(rest),
        ("sweep", rest) => parse_sweep(rest),
        ("replay", [path]) => Ok(Command::Replay(path.to_string())),
        ("shrink", [path]) => Ok(Command::Shrink(path.to_string())),
        ("replay" | "shrink", _) => Err(format!("{command} takes one file\n{USAGE}")),
        ("--help" | "-h" | "help", _) => Err(USAGE.to_string()),
        _ => Err(format!("there is no command {command:?}\n{USAGE}")),
    }
}

fn parse_run(arguments: &[&str]) -> Result<Command, String> {
    let (mut runs, mut save_to) = (Vec::new(), None);
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match *name {
            "--seed" => runs.push(Runs::Seed(number(name, value(name, &mut rest)?)?)),
            "--commit" => runs.push(Runs::Seed(seed_of(value(name, &mut rest)?)?)),
            "--choices" => runs.push(Runs::Choices(value(name, &mut rest)?.to_string())),
            "--save" => save_to = Some(value(name, &mut rest)?.to_string()),
            other => return Err(unknown("run", other)),
        }
    }
    match (runs.pop(), runs.is_empty()) {
        (Some(runs), true) => Ok(Command::Run { runs, save_to }),
        _ => Err(format!("run takes one of --seed N, --commit HASH, --choices FILE\n{USAGE}")),
    }
}

fn parse_sweep(arguments: &[&str]) -> Result<Command, String> {
    let mut plan = Plan::default();
    let mut rest = arguments.iter();
    while let Some(name) = rest.next() {
        match *name {
            "--seeds" => plan.seeds = seeds(value(name, &mut rest)?)?,
            "--time" => plan.time = Some(duration(value(name, &mut rest)?)?),
            "--commit" => plan.extra = Some(seed_of(value(name, &mut rest)?)?),
            "--twice" => plan.twice = true,
            "--digest" => plan.digest_only = true,
            "--cover" => plan.cover = true,
            other => return Err(unknown("sweep", other)),
        }
    }
    if plan.seeds.is_empty() && plan.extra.is_none() {
        return Err(format!("sweep needs --seeds A..B, with A below B\n{USAGE}"));
    }
    Ok(Command::Sweep(plan))
}

/// The seed that a commit stands for: the first 16 hex digits of its hash, as a number.
fn seed_of(hash: &str) -> Result<u64, String> {
    let digits = hash.get(..hash.len().min(16)).filter(|digits| digits.len() >= 7);
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(|| {
        format!("--commit {hash:?} is no hash of a commit: give at least 7 hex digits")
    })
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let range = text.split_once("..").and_then(|(first, end)| {
        let (first, end) = (first.parse().ok()?, end.parse().ok()?);
        (first < end).then_some(first..end)
    });
    range.ok_or_else(|| format!("--seeds {text:?} is no range: give A..B, with A below B"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => 0,
    };
    let seconds = digits.parse::<u64>().ok().filter(|_| seconds > 0).map(|count| count * seconds);
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("--time {text:?} is no time: give for example 60s, 5m or 1h"))
}

fn number(name: &str, text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{name} {text:?} is no number: give one of 0 to 2^64-1"))
}

fn value<'a>(name: &str, rest: &mut std::slice::Iter<'_, &'a str>) -> Result<&'a str, String> {
    rest.next().copied().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))
}

fn unknown(command: &str, option: &str) -> String {
    format!("{command} has no option {option:?}\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
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
    }

    #[test]
    fn bad_lines_are_refused_with_what_is_wrong() {
        for (line, named) in [
            ("", "no command"),
            ("walk", "\"walk\""),
            ("run", "one of --seed"),
            ("run --seed 1 --seed 2", "one of --seed"),
            ("run --seed x", "--seed \"x\""),
            ("run --seed", "--seed needs a value"),
            ("run --commit xyz", "--commit \"xyz\""),
            ("sweep", "--seeds A..B"),
            ("sweep --seeds 9..3", "--seeds \"9..3\""),
            ("sweep --seeds 0..3 --time soon", "--time \"soon\""),
            ("sweep --fast", "\"--fast\""),
            ("shrink", "one file"),
        ] {
            let refused = parsed(line).expect_err(line);
            assert!(refused.contains(named), "{line}: {refused}");
        }
    }
}
