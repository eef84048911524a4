//! Many runs on all cores, up to the first seed that fails.

use std::io;
use std::ops::{ControlFlow, Range};
use std::time::{Duration, Instant};

use openctrl_sim::choice::Choices;
use openctrl_sim::lanes::in_order;
use openctrl_sim::patrol::{self, Visits};
use openctrl_sim::run::{Failure, Report, run_seed, run_twice};
use openctrl_sim::scenario::Scenario;

use crate::console::Console;
use crate::found::{self, Origin};

/// A sweep of this many seeds must have visited everything.
const COVERING_SEEDS: u64 = 300;

/// What to sweep.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The seeds.
    pub(crate) seeds: Range<u64>,
    /// One more, the first.
    pub(crate) extra: Option<u64>,
    /// The deadline.
    pub(crate) time: Option<Duration>,
    /// Whether each runs twice.
    pub(crate) twice: bool,
    /// Whether only the digest is printed.
    pub(crate) digest_only: bool,
    /// Whether everything has to be visited, however few seeds there are.
    pub(crate) cover: bool,
}

/// Runs all seeds. Says whether all holds, and everything was visited that has to be.
pub(crate) fn sweep(plan: &Plan, console: &mut Console) -> io::Result<bool> {
    if !plan.digest_only {
        announce(plan, console)?;
    }
    let (report, visits) = (Report::default(), Visits::default());
    let mut sum = Sum { report, visits, seeds: 0, runs: 0, begun: Instant::now() };
    let (begun, time) = (sum.begun, plan.time);
    let seeds = plan.extra.into_iter().chain(plan.seeds.clone());
    let seeds = seeds.take_while(move |_| time.is_none_or(|time| begun.elapsed() < time));
    let stopped = in_order(
        seeds,
        |seed| Outcome::of(seed, plan.twice),
        |seed, outcome| match sum.take(seed, outcome, plan, console) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(Ok(false)),
            Err(error) => ControlFlow::Break(Err(error)),
        },
    );
    if let Some(said) = stopped {
        return said;
    }
    if plan.digest_only {
        console.say(&format!("{:016x}", sum.report.digest.0))?;
        return Ok(true);
    }
    sum.tell(plan, console)
}

/// What one seed gave in both worlds.
struct Outcome {
    instances: Result<Report, Box<Failure>>,
    apps: Result<patrol::Summary, Box<Failure>>,
}

impl Outcome {
    fn of(seed: u64, twice: bool) -> Self {
        Self {
            instances: if twice { run_twice(seed) } else { run_seed(seed) },
            apps: patrol::run_seed(seed),
        }
    }
}

fn announce(plan: &Plan, console: &mut Console) -> io::Result<()> {
    let Range { start, end } = plan.seeds;
    let twice = if plan.twice { ", each twice" } else { "" };
    if let Some(seed) = plan.extra {
        console.say(&format!("seed {seed}{twice}"))?;
        let scenario = Scenario::draw(&mut Choices::from_seed(seed));
        console.say(&scenario.to_string())?;
    }
    if !plan.seeds.is_empty() {
        console.say(&format!("seeds {start}..{end}{twice}, each with a scenario of its own"))?;
    }
    Ok(())
}

/// The result of all runs so far.
struct Sum {
    report: Report,
    visits: Visits,
    seeds: u64,
    runs: u64,
    begun: Instant,
}

impl Sum {
    /// Adds the next seed in order, or reports its failure. Says whether to go on.
    fn take(
        &mut self,
        seed: u64,
        outcome: Outcome,
        plan: &Plan,
        console: &mut Console,
    ) -> io::Result<bool> {
        match outcome.instances {
            Ok(report) => self.add(&report, plan.twice),
            Err(failure) => {
                console.say(&format!("seed {seed} fails:"))?;
                found::tell(&failure, &Origin::Seed(seed), console)?;
                return Ok(false);
            }
        }
        match outcome.apps {
            Ok(summary) => self.add_patrol(&summary),
            Err(failure) => {
                console.say(&format!("seed {seed} fails with apps and services:\n{failure}"))?;
                console.say(&format!(
                    "REPRODUCE: cargo run --release -p openctrl-sim -- sweep --seeds {seed}..{}",
                    seed + 1
                ))?;
                return Ok(false);
            }
        }
        if !plan.digest_only {
            console.progress(|| self.line())?;
        }
        Ok(true)
    }

    fn add(&mut self, report: &Report, twice: bool) {
        self.report.add(report);
        self.seeds += 1;
        self.runs += if twice { 2 } else { 1 };
    }

    /// The run of the same seed in the world of apps and services.
    fn add_patrol(&mut self, summary: &patrol::Summary) {
        self.report.inputs += summary.inputs;
        self.report.digest.word(summary.digest.0);
        self.visits.add(&summary.visits);
    }

    /// What can be visited and was not.
    fn missed(&self) -> Vec<String> {
        [self.report.coverage.missed(), self.visits.missed()].concat()
    }

    fn rate(&self) -> f64 {
        let inputs = self.report.inputs * self.runs / self.seeds.max(1);
        inputs as f64 / self.begun.elapsed().as_secs_f64()
    }

    fn line(&self) -> String {
        format!(
            "{} seeds, {} inputs, {:.0} inputs/s, {} simulated, {} things never visited",
            self.seeds,
            self.report.inputs,
            self.rate(),
            hours(self.report.simulated_ms),
            self.missed().len()
        )
    }

    fn tell(&self, plan: &Plan, console: &mut Console) -> io::Result<bool> {
        let Report { inputs, effects, restarts, simulated_ms, digest, coverage } = &self.report;
        let seconds = self.begun.elapsed().as_secs_f64();
        console.say(&format!("{} seeds: all invariants hold", self.seeds))?;
        console.say(&format!(
            "{inputs} inputs, {effects} effects, {restarts} deaths of the master, {} simulated",
            hours(*simulated_ms)
        ))?;
        let rate = self.rate();
        console.say(&format!(
            "{rate:.0} inputs/s over {seconds:.1} s, {:.0} a second of CPU time",
            rate * seconds / cpu_seconds()
        ))?;
        console.say(&format!("digest {:016x}", digest.0))?;
        console.say(&coverage.to_string())?;
        console.say(&self.visits.to_string())?;
        let missed = self.missed();
        if missed.is_empty() {
            console.say("everything was visited")?;
            return Ok(true);
        }
        console.say(&format!("never visited:\n  {}", missed.join("\n  ")))?;
        Ok(!plan.cover && self.seeds < COVERING_SEEDS)
    }
}

/// The CPU time of all threads so far, in seconds.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn hours(ms: u64) -> String {
    format!("{:.1} h", ms as f64 / 3_600_000.0)
}
