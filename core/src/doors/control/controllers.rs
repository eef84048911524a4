//! The controllers: periodic work of the master, and the results of its runs (control contract A
//! "Controllers", B 6).

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use super::wire::{is_empty, is_zero};
use crate::go::{format_duration, rfc3339_nano};
use crate::time::Wall;

/// Failed runs that are remembered of each.
const HISTORY_MAX: usize = 20;

/// The names, the kinds of resources, and the interval of those that have one.
const CONTROLLERS: [(&str, &[&str], &str); 4] = [
    ("checkpoint-watch", &["Process"], "5s"),
    ("derived-event", &["DerivedEvent"], ""),
    ("event-rule", &["EventRule"], ""),
    ("supervisor", &["Process"], ""),
];

/// All controllers, by name.
#[derive(Clone, Debug)]
pub struct Controllers {
    runs: BTreeMap<&'static str, Runs>,
}

/// One run of a controller.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// What caused it: a topic, `bootstrap` or `periodic`.
    pub trigger: String,
    /// When it began.
    pub started: Wall,
    /// The time of its end.
    pub completed: Wall,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
    /// When the next one is due.
    pub next: Option<Wall>,
    /// Why it failed.
    pub error: Option<RunError>,
}

/// Why a run failed, and about which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunError {
    /// Its kind.
    pub resource_kind: String,
    /// Its name.
    pub resource_name: String,
    /// What happened.
    pub error: String,
}

/// The retained runs of one controller.
#[derive(Clone, Debug, Default)]
struct Runs {
    last_trigger: String,
    last: Option<Wall>,
    last_success: Option<Wall>,
    next: Option<Wall>,
    count: u64,
    error_count: u64,
    consecutive_errors: u64,
    last_ns: u64,
    max_ns: u64,
    max_at: Option<Wall>,
    total_ns: u128,
    last_error: String,
    last_error_at: Option<Wall>,
    cleared_at: Option<Wall>,
    history: VecDeque<(Run, RunError)>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ControllerWire {
    name: &'static str,
    mode: &'static str,
    reason: &'static str,
    resource_kinds: &'static [&'static str],
    #[serde(skip_serializing_if = "is_empty")]
    interval: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_trigger: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_reconcile_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_success_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_reconcile_time: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    reconcile_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    reconcile_error_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    consecutive_error_count: u64,
    current_error: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_duration_millis: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_duration_millis: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    average_duration_millis: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    last_error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error_cleared_at: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reconcile_error_history: Vec<HistoryWire>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryWire {
    started_at: String,
    completed_at: String,
    duration: String,
    duration_ms: f64,
    #[serde(skip_serializing_if = "String::is_empty")]
    trigger: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    resource_name: String,
    error: String,
}

impl Controllers {
    /// All of them, at the start of the master: none ran yet but by it.
    pub fn new(started: Wall) -> Self {
        let runs = |(name, _, _): (&'static str, _, _)| {
            let last_trigger = "bootstrap".to_string();
            let is_periodic = name == "checkpoint-watch";
            let next = is_periodic.then(|| after_ns(started, 5_000_000_000));
            (name, Runs { last_trigger, next, ..Runs::default() })
        };
        Self { runs: CONTROLLERS.into_iter().map(runs).collect() }
    }

    /// Takes in a run of the controller `name`.
    pub fn record(&mut self, name: &'static str, run: Run) {
        let Some(runs) = self.runs.get_mut(name) else { return };
        runs.count += 1;
        runs.last_trigger.clone_from(&run.trigger);
        runs.last = Some(run.completed);
        runs.next = run.next;
        runs.last_ns = run.duration_ns;
        runs.total_ns += u128::from(run.duration_ns);
        if run.duration_ns > runs.max_ns {
            runs.max_ns = run.duration_ns;
            runs.max_at = Some(run.completed);
        }
        match run.error.clone() {
            None => {
                if runs.consecutive_errors > 0 {
                    runs.cleared_at = Some(run.completed);
                }
                runs.consecutive_errors = 0;
                runs.last_error.clear();
                runs.last_success = Some(run.completed);
            }
            Some(error) => {
                runs.error_count += 1;
                runs.consecutive_errors += 1;
                runs.last_error.clone_from(&error.error);
                runs.last_error_at = Some(run.completed);
                if runs.history.len() >= HISTORY_MAX {
                    runs.history.pop_front();
                }
                runs.history.push_back((run, error));
            }
        }
    }

    /// All of them, by name.
    pub(super) fn wire(&self) -> Vec<ControllerWire> {
        let wire = |(name, kinds, interval): (&'static str, &'static [&'static str], _)| {
            self.runs.get(name).map(|runs| runs.wire(name, kinds, interval))
        };
        CONTROLLERS.into_iter().filter_map(wire).collect()
    }
}

impl Runs {
    fn wire(
        &self,
        name: &'static str,
        resource_kinds: &'static [&'static str],
        interval: &'static str,
    ) -> ControllerWire {
        let time = |time: Option<Wall>| time.map(rfc3339_nano);
        let ran = self.count > 0;
        let average = self.total_ns.checked_div(u128::from(self.count)).unwrap_or_default();
        let average = u64::try_from(average).unwrap_or(u64::MAX);
        let duration = |ns: u64| (ran && ns > 0).then(|| go_duration(ns));
        let millis_of = |ns: u64| (ran && ns > 0).then(|| millis(ns));
        ControllerWire {
            name,
            mode: "live",
            reason: "Live",
            resource_kinds,
            interval,
            last_trigger: self.last_trigger.clone(),
            last_reconcile_time: time(self.last),
            last_success_time: time(self.last_success),
            next_reconcile_time: time(self.next),
            reconcile_count: self.count,
            reconcile_error_count: self.error_count,
            consecutive_error_count: self.consecutive_errors,
            current_error: self.consecutive_errors > 0,
            last_duration: duration(self.last_ns),
            max_duration: duration(self.max_ns),
            max_duration_at: time(self.max_at),
            average_duration: duration(average),
            last_duration_millis: millis_of(self.last_ns),
            max_duration_millis: millis_of(self.max_ns),
            average_duration_millis: millis_of(average),
            last_error: self.last_error.clone(),
            last_error_time: time(self.last_error_at),
            last_error_cleared_at: time(self.cleared_at),
            reconcile_error_history: self.history.iter().map(history).collect(),
        }
    }
}

fn history((run, error): &(Run, RunError)) -> HistoryWire {
    HistoryWire {
        started_at: rfc3339_nano(run.started),
        completed_at: rfc3339_nano(run.completed),
        duration: go_duration(run.duration_ns),
        duration_ms: millis(run.duration_ns),
        trigger: run.trigger.clone(),
        resource_kind: error.resource_kind.clone(),
        resource_name: error.resource_name.clone(),
        error: error.error.clone(),
    }
}

fn go_duration(ns: u64) -> String {
    format_duration(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// Exact for every realistic duration.
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn after_ns(time: Wall, ns: u64) -> Wall {
    Wall::from_micros(time.as_micros().saturating_add(ns / 1_000))
}
