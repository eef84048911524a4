//! Runs scenarios one after the other, each in a process of its own and for so long at most.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::figure::Figure;
use super::options::{Extent, Options};
use super::report::{Outcome, Report};
use super::scenarios::{self, Scenario};
use super::stage::{Stage, raise_descriptor_limit};
use crate::{binary, process};

/// How often a scenario that runs is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How many reads a scenario has at most.
const READS_MAX: u64 = 4;
/// The variable by which everything that a scenario started is known.
const SCENARIO_VARIABLE: &str = "OPENCTRL_BENCH_SCENARIO";

/// Measures the program `bin` in the scenarios that the options name, in their order.
///
/// # Errors
/// A scenario that does not exist.
pub fn run(options: &Options, bin: &Path) -> Result<Report, String> {
    let chosen = scenarios::named(&options.only)?;
    let load_before = load();
    let mut outcomes = Vec::new();
    for (index, scenario) in chosen.iter().enumerate() {
        let head = format!("[{}/{}] {}", index + 1, chosen.len(), scenario.name);
        say(&format!("{head}: {}", scenario.about));
        let outcome = isolated(scenario, options.extent, bin);
        if let Some(failure) = &outcome.failure {
            say(&format!("        failed: {failure}"));
        }
        outcomes.push(outcome);
    }
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let profile = binary::profile(bin).map(str::to_owned);
    Ok(Report { profile, cpus, load: [load_before, load()], quick: options.extent.quick, outcomes })
}

/// Is the process of one scenario: prints its figures as JSON.
///
/// # Errors
/// Why there are none.
pub fn run_one(name: &str, extent: Extent, out: &mut impl Write) -> Result<(), String> {
    let chosen = scenarios::named(&[name.to_owned()])?;
    raise_descriptor_limit();
    let stage = Stage::new(extent).map_err(|error| error.to_string())?;
    let figures = (chosen[0].run)(&stage).map_err(|error| error.to_string())?;
    serde_json::to_writer(out, &figures).map_err(|error| error.to_string())
}

fn isolated(scenario: &Scenario, extent: Extent, bin: &Path) -> Outcome {
    let begun = Instant::now();
    let result = in_process(scenario, extent, bin);
    let (figures, failure) = match result {
        Ok(figures) => (figures, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let took_s = begun.elapsed().as_secs_f64();
    Outcome { scenario: scenario.name.to_owned(), took_s, figures, failure }
}

fn in_process(scenario: &Scenario, extent: Extent, bin: &Path) -> Result<Vec<Figure>, String> {
    let mark = format!("{}-{}", std::process::id(), scenario.name);
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Command::new(program)
        .args(["--one", scenario.name])
        .args(extent.arguments())
        .env("OPENCTRL_BIN", bin)
        .env(SCENARIO_VARIABLE, &mark)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let answer = thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).map(|_| text)
    });
    let stderr = child.stderr.take().expect("stderr is piped");
    let reasons = thread::spawn(move || relay(stderr));
    let limit_s = if extent.quick { scenario.limit_s / 2 } else { scenario.limit_s };
    let reads_s = READS_MAX * u64::from(extent.seconds.unwrap_or_default());
    let limit = Duration::from_secs(limit_s + reads_s);
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if begun.elapsed() > limit => break None,
            None => thread::sleep(POLL),
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    process::sweep_variable(SCENARIO_VARIABLE, &mark);
    let reason = reasons.join().unwrap_or_default();
    let answer = answer.join().ok().and_then(Result::ok).unwrap_or_default();
    match status {
        None => Err(format!("it took longer than {} s", limit.as_secs())),
        Some(status) if !status.success() => Err(format!("{status}: {reason}")),
        Some(_) => serde_json::from_slice(&answer).map_err(|error| error.to_string()),
    }
}

/// Hands on what a scenario says it does; returns the last thing that it says otherwise.
fn relay(stderr: impl Read) -> String {
    let mut last = String::new();
    for line in io::BufRead::lines(io::BufReader::new(stderr)).map_while(Result::ok) {
        if line.starts_with("        ") {
            say(&line);
        } else if !line.starts_with("note: ") && !line.trim().is_empty() {
            last = if last.is_empty() { line } else { format!("{last} | {line}") };
            last.truncate(last.floor_char_boundary(1000));
        }
    }
    last
}

/// The load of the last minute: how busy the machine was.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
