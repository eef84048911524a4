//! The parameters of the master URL beyond the contract: retained output, access to metrics, the
//! format of the log, and the heartbeat of streams. docs/operators/OPERATIONS.md explains them.

use alloc::borrow::ToOwned;
use alloc::string::String;

use super::control::ControlOptions;
use super::cors::Cors;
use super::error::MasterUrlError;
use super::parts::outline;
use crate::cgroup::Grouping;

/// How much output of instances is retained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// `logs=<dir>`: where the files are; `None` writes none.
    pub dir: Option<String>,
    /// `log_lines=`: lines of each instance in memory.
    pub lines: u32,
    /// `log_memory=`: what they take of it, of all instances together, in MiB.
    pub memory_mib: u32,
    /// `log_size=`: how long a file grows, in MiB.
    pub size_mib: u32,
    /// `log_keep=`: how many older files of an instance are kept.
    pub keep: u32,
    /// `log_age=`: how many days they are kept; 0 keeps them indefinitely.
    pub age_days: u32,
    /// `logs_full=drop`: a process does not wait for the files; what they cannot take is missing
    /// there.
    pub drops: bool,
}

/// What `/metrics` shows, and to whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetricsOptions {
    /// `metrics=open`: without a key.
    pub open: bool,
    /// `metrics_instances=on`: also series of each instance.
    pub per_instance: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            dir: None,
            lines: 1_000,
            memory_mib: 32,
            size_mib: 10,
            keep: 5,
            age_days: 30,
            drops: false,
        }
    }
}

/// Whether processes outlive a master that is killed (Contract §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// `survive=off`: the next master ends them.
    Off,
    /// Without the parameter: they do if a keeper can be started here.
    IfPossible,
    /// `survive=on`: a master that cannot start a keeper does not start.
    On,
}

/// The texts of these parameters, as they are collected from a query.
#[derive(Default)]
pub(super) struct OptionTexts {
    texts: [Option<String>; NAMES.len()],
}

const LOGS: usize = 0;
const METRICS: usize = 6;
const METRICS_INSTANCES: usize = 7;
const LOG_FORMAT: usize = 8;
const HEARTBEAT: usize = 9;
const CONTROL: usize = 10;
const CONTROL_GROUP: usize = 11;
const CONTROL_EVENTS: usize = 12;
const CONTROL_JSONL: usize = 13;
const CONTROL_SOCKETS: usize = 14;
const SURVIVE: usize = 15;
const SOCKET: usize = 16;
const CORS: usize = 17;
const CLIENT_CA: usize = 18;
const CONSOLE: usize = 19;
const LOGS_FULL: usize = 20;
const CGROUPS: usize = 21;
const NAMES: [&str; 22] = [
    "logs",
    "log_lines",
    "log_memory",
    "log_size",
    "log_keep",
    "log_age",
    "metrics",
    "metrics_instances",
    "log_format",
    "heartbeat",
    "control",
    "control_group",
    "control_events",
    "control_jsonl",
    "control_sockets",
    "survive",
    "socket",
    "cors",
    "client_ca",
    "console",
    "logs_full",
    "cgroups",
];

/// Default interval of the heartbeat of an idle event stream, in seconds: within the 4 s of
/// Contract §8, also on a busy machine.
const HEARTBEAT_S: u32 = 3;

/// The page and the commands take a longer silence for a dead connection.
const HEARTBEAT_MAX_S: u32 = 30;

impl OptionTexts {
    /// Where the value of `name` belongs, if it is one of these.
    pub(super) fn place_of(&mut self, name: &str) -> Option<&mut Option<String>> {
        let index = NAMES.iter().position(|known| *known == name)?;
        self.texts.get_mut(index)
    }

    /// # Errors
    /// For an invalid value of the parameter.
    pub(super) fn logs(&self) -> Result<LogOptions, MasterUrlError> {
        let plain = LogOptions::default();
        Ok(LogOptions {
            dir: self.text(LOGS).map(str::to_owned),
            // A limit on the bookkeeping of one answer.
            lines: self.number(1, plain.lines, 0, 100_000)?,
            memory_mib: self.number(2, plain.memory_mib, 0, 65_536)?,
            size_mib: self.number(3, plain.size_mib, 1, 65_536)?,
            keep: self.number(4, plain.keep, 0, 1_000)?,
            age_days: self.number(5, plain.age_days, 0, 36_500)?,
            drops: self.choice(LOGS_FULL, ["wait", "drop"])?,
        })
    }

    /// # Errors
    /// For an invalid value of the parameter.
    pub(super) fn metrics(&self) -> Result<MetricsOptions, MasterUrlError> {
        Ok(MetricsOptions {
            open: self.choice(METRICS, ["key", "open"])?,
            per_instance: self.choice(METRICS_INSTANCES, ["off", "on"])?,
        })
    }

    /// The control API; `None` without one.
    ///
    /// # Errors
    /// For an invalid value of the parameter.
    pub(super) fn control(&self) -> Result<Option<ControlOptions>, MasterUrlError> {
        let options = ControlOptions {
            dir: self.text(CONTROL).map(str::to_owned).unwrap_or_default(),
            group: self.text(CONTROL_GROUP).map(str::to_owned),
            events: self.number(CONTROL_EVENTS, 100_000, 1, 10_000_000)?,
            jsonl: self.choice(CONTROL_JSONL, ["off", "on"])?,
            tagged_only: self.choice(CONTROL_SOCKETS, ["all", "tagged"])?,
        };
        Ok(Some(options).filter(|options| !options.dir.is_empty()))
    }

    /// `socket=<path>`: a Unix socket that the API is served on, too.
    pub(super) fn socket(&self) -> Option<String> {
        self.text(SOCKET).map(str::to_owned)
    }

    /// `client_ca=<path>`: clients have to show a certificate of one of these authorities.
    pub(super) fn client_ca(&self) -> Option<String> {
        self.text(CLIENT_CA).map(str::to_owned)
    }

    /// `cors=`: which web sites may use the API.
    ///
    /// # Errors
    /// For anything but `*`, `off` or origins.
    pub(super) fn cors(&self) -> Result<Cors, MasterUrlError> {
        let Some(text) = self.text(CORS) else { return Ok(Cors::default()) };
        Cors::parse(text).ok_or_else(|| MasterUrlError::BadCors(outline(text)))
    }

    /// Whether the master's own log is JSON.
    ///
    /// # Errors
    /// For an invalid value of the parameter.
    pub(super) fn log_is_json(&self) -> Result<bool, MasterUrlError> {
        self.choice(LOG_FORMAT, ["plain", "json"])
    }

    /// Whether lines of instances are repeated on standard output.
    ///
    /// # Errors
    /// For an invalid value of the parameter.
    pub(super) fn console(&self) -> Result<bool, MasterUrlError> {
        Ok(!self.choice(CONSOLE, ["on", "off"])?)
    }

    /// Whether processes outlive the master.
    ///
    /// # Errors
    /// For a value that is not one of those that the parameter has.
    pub(super) fn survival(&self) -> Result<Survival, MasterUrlError> {
        Ok(match self.switch(SURVIVE)? {
            None => Survival::IfPossible,
            Some(true) => Survival::On,
            Some(false) => Survival::Off,
        })
    }

    /// `cgroups=`: whether processes have control groups of their own.
    ///
    /// # Errors
    /// For an invalid value of the parameter.
    pub(super) fn grouping(&self) -> Result<Grouping, MasterUrlError> {
        Ok(match self.switch(CGROUPS)? {
            None => Grouping::IfDelegated,
            Some(true) => Grouping::On,
            Some(false) => Grouping::Off,
        })
    }

    /// `heartbeat=`: how often an idle event stream shows a sign of life, in seconds.
    ///
    /// # Errors
    /// For anything but a whole number from 1 to 30.
    pub(super) fn heartbeat_s(&self) -> Result<u32, MasterUrlError> {
        self.number(HEARTBEAT, HEARTBEAT_S, 1, HEARTBEAT_MAX_S)
    }

    fn text(&self, index: usize) -> Option<&str> {
        self.texts[index].as_deref().filter(|text| !text.is_empty())
    }

    fn number(
        &self,
        index: usize,
        default: u32,
        least: u32,
        most: u32,
    ) -> Result<u32, MasterUrlError> {
        let Some(text) = self.text(index) else { return Ok(default) };
        // The standard parser would take a plus sign too.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
        let number = digits.and_then(|digits| digits.parse().ok());
        number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
            MasterUrlError::BadNumber { name: NAMES[index], value: outline(text), least, most }
        })
    }

    /// Whether `on` or `off` was chosen; `None` without the parameter.
    fn switch(&self, index: usize) -> Result<Option<bool>, MasterUrlError> {
        let is_on = self.choice(index, ["off", "on"])?;
        Ok(self.text(index).map(|_| is_on))
    }

    /// Whether the second of two values was chosen.
    fn choice(&self, index: usize, values: [&'static str; 2]) -> Result<bool, MasterUrlError> {
        match self.text(index) {
            None => Ok(false),
            Some(text) if text == values[0] => Ok(false),
            Some(text) if text == values[1] => Ok(true),
            Some(text) => {
                Err(MasterUrlError::BadChoice { name: NAMES[index], value: outline(text), values })
            }
        }
    }
}
