//! `openctrl-sim run --seed N` does one run and shows what led to a failure;
//! `openctrl-sim sweep --seeds A..B` does many and sums up.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use openctrl_sim::coverage::Coverage;
use openctrl_sim::invariants::Digest;
use openctrl_sim::run::{Failure, Report, reproduce, run_seed};

const USAGE: &str = "usage: openctrl-sim run --seed N | sweep --seeds A..B";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = io::stdout().lock();
    let done = match arguments[..] {
        ["run", "--seed", seed] => match seed.parse() {
            Ok(seed) => sweep(seed, seed + 1, &mut out),
            Err(_) => writeln!(out, "{seed} is no seed; {USAGE}").map(|()| false),
        },
        ["sweep", "--seeds", seeds] => match range(seeds) {
            Some((first, end)) => sweep(first, end, &mut out),
            None => writeln!(out, "{seeds} is no range of seeds; {USAGE}").map(|()| false),
        },
        _ => writeln!(out, "{USAGE}").map(|()| false),
    };
    if matches!(done, Ok(true)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn range(text: &str) -> Option<(u64, u64)> {
    let (first, end) = text.split_once("..")?;
    Some((first.parse().ok()?, end.parse().ok()?))
}

/// Runs all seeds; stops at the first failure and says how to see it again.
fn sweep(first: u64, end: u64, out: &mut impl Write) -> io::Result<bool> {
    let begun = Instant::now();
    let mut sum = Report::default();
    for seed in first..end {
        match run_seed(seed) {
            Ok(report) => add(&mut sum, &report),
            Err(failure) => {
                fail(seed, &failure, out)?;
                return Ok(false);
            }
        }
    }
    let Report { inputs, effects, restarts, simulated_ms, digest: Digest(digest), coverage } = sum;
    let seconds = begun.elapsed().as_secs_f64();
    let rate = (2 * inputs) as f64 / seconds;
    let hours = simulated_ms as f64 / 3_600_000.0;
    writeln!(out, "seeds {first}..{end}, each run twice: all invariants hold")?;
    writeln!(out, "{inputs} inputs, {effects} effects, {restarts} deaths of the master")?;
    writeln!(out, "{hours:.1} h simulated in one pass")?;
    writeln!(out, "{rate:.0} inputs/s over {seconds:.1} s; digest {digest:016x}")?;
    writeln!(out, "{coverage}")?;
    Ok(true)
}

fn fail(seed: u64, failure: &Failure, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{failure}")?;
    writeln!(out, "{}", reproduce(seed))
}

fn add(sum: &mut Report, report: &Report) {
    sum.inputs += report.inputs;
    sum.effects += report.effects;
    sum.restarts += report.restarts;
    sum.simulated_ms += report.simulated_ms;
    sum.digest.add(&format!("{:016x}", report.digest.0));
    Coverage::merge(&mut sum.coverage, &report.coverage);
}
