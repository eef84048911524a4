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
use crate::rate::{Rate, thread_time};

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
    let rates = Rates::default();
    let mut sum = Sum { report, visits, seeds: 0, rates, begun: Instant::now() };
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
    rates: Rates,
}

/// How fast the runs of each world are.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    /// Runs without the control API.
    plain: Rate,
    /// Runs with the control API: the inputs of both machines.
    control: Rate,
    /// Runs with apps and services.
    apps: Rate,
}

impl Rates {
    fn add(&mut self, other: Self) {
        self.plain.add(other.plain);
        self.control.add(other.control);
        self.apps.add(other.apps);
    }

    fn all(&self) -> Rate {
        let mut all = self.plain;
        all.add(self.control);
        all.add(self.apps);
        all
    }
}

impl Outcome {
    fn of(seed: u64, twice: bool) -> Self {
        let begun = thread_time();
        let instances = if twice { run_twice(seed) } else { run_seed(seed) };
        let between = thread_time();
        let apps = patrol::run_seed(seed);
        let mut rates = Rates::default();
        if let Ok(report) = &instances {
            let inputs = (report.inputs + report.control_inputs.unwrap_or_default())
                * if twice { 2 } else { 1 };
            let has_control = report.control_inputs.is_some();
            let world = if has_control { &mut rates.control } else { &mut rates.plain };
            *world = Rate { inputs, time: between - begun };
        }
        let inputs = apps.as_ref().map_or(0, |apps| apps.inputs);
        rates.apps = Rate { inputs, time: thread_time() - between };
        Self { instances, apps, rates }
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
    rates: Rates,
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
            Ok(report) => self.report.add(&report),
            Err(failure) => {
                console.say(&format!("seed {seed} fails:"))?;
                found::tell(&failure, &Origin::Seed(seed), console)?;
                return Ok(false);
            }
        }
        self.seeds += 1;
        self.rates.add(outcome.rates);
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

    /// The run of the same seed in the world of apps and services.
    fn add_patrol(&mut self, summary: &patrol::Summary) {
        self.report.digest.word(summary.digest.0);
        self.visits.add(&summary.visits);
    }

    /// What can be visited and was not.
    fn missed(&self) -> Vec<String> {
        [self.report.coverage.missed(), self.visits.missed()].concat()
    }

    fn rate(&self) -> f64 {
        self.rates.all().inputs as f64 / self.begun.elapsed().as_secs_f64()
    }

    fn line(&self) -> String {
        format!(
            "{} seeds, {} inputs, {:.0} inputs/s, {} simulated, {} things never visited",
            self.seeds,
            self.rates.all().inputs,
            self.rate(),
            hours(self.report.simulated_ms),
            self.missed().len()
        )
    }

    fn tell(&self, plan: &Plan, console: &mut Console) -> io::Result<bool> {
        let Report { effects, restarts, simulated_ms, digest, coverage, .. } = &self.report;
        let Rates { plain, control, apps } = &self.rates;
        let all = self.rates.all();
        console.say(&format!("{} seeds: all invariants hold", self.seeds))?;
        console.say(&format!(
            "{} inputs, {effects} effects, {restarts} deaths of the master, {} simulated",
            all.inputs,
            hours(*simulated_ms)
        ))?;
        let seconds = self.begun.elapsed().as_secs_f64();
        console.say(&format!("{:.0} inputs/s over {seconds:.1} s", self.rate()))?;
        console.say(&format!("instances          {plain}"))?;
        console.say(&format!("with control API   {control}"))?;
        console.say(&format!("apps and services  {apps}"))?;
        console.say(&format!("all                {all}"))?;
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

fn hours(ms: u64) -> String {
    format!("{:.1} h", ms as f64 / 3_600_000.0)
}
