//! `crash-harness [--rounds N] [--seed N] [--kill WHAT]`: kills a master, its keeper or both, again and again and reports whether
//! anything that it had acknowledged was lost, ran twice or was left over.
//!
//! It is its own runtime as well: called with a URL, it is a process of an instance.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use openctrl_tests::crash::{Harness, Victim, child};

const USAGE: &str = "usage: crash-harness [--rounds N] [--seed N] [--kill master|keeper|both]";
const ROUNDS: u64 = 1000;
/// Rounds between two lines of progress.
const PROGRESS: u64 = 50;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let [program, url] = words[..]
        && url.contains("://")
    {
        child::run(Path::new(program), url);
    }
    let mut out = io::stdout().lock();
    let done = match numbers(words.get(1..).unwrap_or_default()) {
        Some((rounds, seed, victim)) => run(rounds, seed, victim, &mut out),
        None => writeln!(out, "{USAGE}").map(|()| false),
    };
    if matches!(done, Ok(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(rounds: u64, seed: u64, victim: Option<Victim>, out: &mut impl Write) -> io::Result<bool> {
    writeln!(out, "seed {seed}")?;
    let program = std::env::current_exe()?;
    let begun = Instant::now();
    let mut harness = match victim {
        None => Harness::new(seed, &program),
        Some(victim) => Harness::surviving(seed, &program, victim),
    };
    let mut told = 0;
    for round in 1..=rounds {
        harness.round();
        let summary = harness.summary();
        for finding in &summary.findings[told..] {
            writeln!(out, "{finding}")?;
        }
        told = summary.findings.len();
        if round % PROGRESS == 0 {
            writeln!(out, "{:.0} s: {summary}", begun.elapsed().as_secs_f64())?;
        }
    }
    let summary = harness.finish();
    for finding in &summary.findings[told..] {
        writeln!(out, "{finding}")?;
    }
    writeln!(out, "{summary}")?;
    Ok(summary.is_clean())
}

/// Rounds, seed, and what is killed while processes survive; without, they do not and the master
/// is. A seed that is not given is made from the time.
fn numbers(mut words: &[&str]) -> Option<(u64, u64, Option<Victim>)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (mut rounds, mut seed, mut victim) = (ROUNDS, u64::from(now.subsec_nanos()), None);
    while let [name, value, rest @ ..] = words {
        match (*name, *value) {
            ("--rounds", value) => rounds = value.parse().ok()?,
            ("--seed", value) => seed = value.parse().ok()?,
            ("--kill", "master") => victim = Some(Victim::Master),
            ("--kill", "keeper") => victim = Some(Victim::Keeper),
            ("--kill", "both") => victim = Some(Victim::Both),
            _ => return None,
        }
        words = rest;
    }
    words.is_empty().then_some((rounds, seed, victim))
}
