//! The configuration of a run: an app of each keep-alive and a service, with policies that vary.

use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{
    BackoffPolicy, BeatVia, Definition, Desired, Exec, Goal, Label, Launch, Liveness, Origin,
    Output, Policy, Restart, StopPolicy, StopStep, Verb, Verbs,
};
use openctrl_core::process::{Scope, Signal};
use openctrl_core::url::InstanceUrl;

use crate::choice::Choices;

/// How long an instance that reports may be silent, in ms.
pub(super) const SILENCE_MS: u64 = 5_000;

/// What varies. A reload draws another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    history: u16,
    clears_values: bool,
    run_limit_ms: Option<u64>,
    disabled: usize,
    /// Which one is not there.
    absent: Option<usize>,
    /// Part of the second app and of the service: another one makes them run something else.
    version: usize,
}

const NAMES: [&str; 5] = ["awaited", "file", "http", "udp", "unit"];

/// An app or service, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct App(usize);

impl App {
    /// The one of a definition.
    pub(super) fn of(definition: &Definition) -> Option<Self> {
        let Label(label) = definition.label.as_ref()?;
        NAMES.iter().position(|name| name == label).map(Self)
    }
}

impl Config {
    pub(super) fn draw(choices: &mut Choices) -> Self {
        Self {
            history: *choices.pick(&[3, 5, 2]),
            clears_values: choices.one_in(3),
            run_limit_ms: choices.one_in(4).then_some(20_000),
            disabled: choices.below(8),
            absent: choices.one_in(4).then(|| choices.below(NAMES.len())),
            version: choices.below(3),
        }
    }

    /// The instances. Those that are new are told what is wanted of them.
    pub(super) fn set(self) -> Vec<(Definition, Desired)> {
        let all = NAMES.iter().enumerate().filter(|(place, _)| self.absent != Some(*place));
        all.map(|(place, name)| {
            let goal = if self.disabled == place { Goal::Down } else { Goal::Up };
            (self.one(place, name), Desired { goal, ..Desired::default() })
        })
        .collect()
    }

    fn one(self, place: usize, name: &str) -> Definition {
        let beat = |via| Liveness::Beat { via, timeout_ms: SILENCE_MS, grace_ms: 2 * SILENCE_MS };
        let liveness = match place {
            0 => Liveness::Exit,
            1 => Liveness::PidFile { path: "/pid".to_string(), every_ms: 5_000, verify: false },
            2 => beat(BeatVia::Http),
            3 => beat(BeatVia::Udp),
            _ => Liveness::Probe { every_ms: 5_000, timeout_ms: 30_000 },
        };
        let is_service = place == NAMES.len() - 1;
        let shown = InstanceUrl::parse(&format!("app://{name}")).expect("a URL");
        let version = format!("v{}", if place % 2 == 1 || is_service { self.version } else { 0 });
        let launch = if is_service {
            let verb = |word: &str| Verb {
                argv: vec!["service".to_string(), version.clone(), word.to_string()],
                ignored_codes: Vec::new(),
            };
            let [start, status, stop, restart] = ["start", "status", "stop", "restart"].map(verb);
            Launch::Verbs(Box::new(Verbs { shown: shown.clone(), start, status, stop, restart }))
        } else {
            let argv = vec!["/app".to_string(), version];
            Launch::Exec(Exec { shown: shown.clone(), argv, output: Output::Pipe })
        };
        Definition {
            label: Some(Label(name.to_string())),
            origin: Origin::Config,
            launch,
            liveness,
            policy: self.policy(),
            clears_values: self.clears_values,
            ..Definition::new(InstanceId(place as u32 + 1), shown, name.to_string())
        }
    }

    /// That of the product: USR1, TERM, KILL; USR2 for a restart.
    fn policy(self) -> Policy {
        let step = |signal, wait_ms| StopStep { signal, wait_ms };
        let steps =
            vec![step(Signal::USR1, 5_000), step(Signal::TERM, 5_000), step(Signal::KILL, 0)];
        let mut stop = StopPolicy::new(steps, Scope::Group).expect("three steps");
        stop.restart_signal = Some(Signal::USR2);
        let backoff =
            BackoffPolicy { first_ms: 0, longest_ms: 60_000, healthy_ms: 600_000, prompt_ms: None };
        let (run_limit_ms, history) = (self.run_limit_ms, self.history);
        let restart = Restart::Always;
        Policy { restart, stop, backoff, run_limit_ms, history, ..Policy::default() }
    }
}
