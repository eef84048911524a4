//! Converts definitions and desired states from the model to the newest version, and back.
//!
//! Also which of their texts a trace masks.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::parts::{into_peer, into_url};
use super::v2::definition::{
    BeatViaV2, BootV2, DefinitionV2, DesiredV2, GoalV2, LaunchV2, LivenessV2, OnceV2, OriginV2,
    OutputV2, PolicyV2, RestartV2, ScopeV2, SetupV2, StopV2, VerbV2,
};
use super::v2::traced::EditV2;
use super::{FormatError, Masks};
use crate::ids::{InstanceId, Revision};
use crate::instance::{
    BackoffPolicy, BeatVia, Boot, Cas, Checks, Definition, Desired, Exec, Goal, HISTORY_MAX, Label,
    Launch, Liveness, Meta, Once, Origin, Output, Policy, PolicyEdit, PolicyField, Restart,
    RestartLimit, Setup, StopPolicy, StopStep, Verb, Verbs,
};
use crate::process::{Scope, Signal};

impl From<&Definition> for DefinitionV2 {
    fn from(definition: &Definition) -> Self {
        let Definition {
            id,
            revision,
            label,
            origin,
            alias,
            launch,
            setup,
            policy,
            liveness,
            checks: _,
            clears_values,
            meta,
        } = definition.clone();
        Self {
            id: id.0,
            revision: revision.0,
            label: label.map(|Label(label)| label),
            origin: match origin {
                Origin::Api => OriginV2::Api,
                Origin::Config => OriginV2::Config,
                Origin::Manifest => OriginV2::Manifest,
                Origin::Fleet => OriginV2::Fleet,
            },
            alias,
            launch: launch.into(),
            setup: Setup::clone(&setup).into(),
            policy: policy.into(),
            liveness: liveness.into(),
            clears_values,
            peer: [meta.peer.sid, meta.peer.kind, meta.peer.alias],
            tags: meta.tags.into_iter().collect(),
        }
    }
}

impl DefinitionV2 {
    /// The same for a trace: texts that may be secret are masked. What can be seen is the label,
    /// where a URL leads, which program is run as which user and where, and the names of tags and
    /// of environment variables.
    pub(crate) fn masked(definition: &Definition, masks: &mut Masks) -> Self {
        let mut masked = Self::from(definition);
        let Self {
            id: _,
            revision: _,
            label: _,
            origin: _,
            alias,
            launch,
            setup,
            policy: _,
            liveness: _,
            clears_values: _,
            peer,
            tags,
        } = &mut masked;
        launch.mask(masks);
        *alias = masks.alias(alias);
        mask_all(peer, masks);
        mask_all(tags.iter_mut().map(|(_, value)| value), masks);
        setup.mask(masks);
        masked
    }

    /// # Errors
    /// What no definition can have.
    pub(crate) fn into_definition(self) -> Result<Definition, FormatError> {
        let id = InstanceId(self.id);
        self.read().map_err(|error| error.of(id))
    }

    fn read(self) -> Result<Definition, FormatError> {
        let launch = self.launch.read()?;
        Ok(Definition {
            id: InstanceId(self.id),
            revision: Revision(self.revision),
            label: self.label.map(Label),
            origin: match self.origin {
                OriginV2::Api => Origin::Api,
                OriginV2::Config => Origin::Config,
                OriginV2::Manifest => Origin::Manifest,
                OriginV2::Fleet => Origin::Fleet,
            },
            alias: self.alias,
            checks: Checks::of(&launch).into(),
            launch,
            setup: Setup::from(self.setup).into(),
            policy: self.policy.read()?,
            liveness: self.liveness.into(),
            clears_values: self.clears_values,
            meta: Meta { peer: into_peer(self.peer), tags: self.tags.into_iter().collect() },
        })
    }
}

fn mask_all<'a>(texts: impl IntoIterator<Item = &'a mut String>, masks: &mut Masks) {
    texts.into_iter().for_each(|text| *text = masks.text(text));
}

impl From<Launch> for LaunchV2 {
    fn from(launch: Launch) -> Self {
        let verb = |Verb { argv, ignored_codes }| VerbV2 { argv, ignored_codes };
        match launch {
            Launch::Runtime(url) => Self::Runtime(url.as_str().into()),
            Launch::Exec(Exec { shown, argv, output }) => {
                let output = match output {
                    Output::Pipe => OutputV2::Pipe,
                    Output::Files { directory, merge } => OutputV2::Files { directory, merge },
                };
                Self::Exec { shown: shown.as_str().into(), argv, output }
            }
            Launch::Verbs(verbs) => Self::Verbs {
                shown: verbs.shown.as_str().into(),
                verbs: [verbs.start, verbs.status, verbs.stop, verbs.restart].map(verb),
            },
        }
    }
}

impl LaunchV2 {
    fn mask(&mut self, masks: &mut Masks) {
        let arguments = |argv: &mut [String], masks: &mut Masks| {
            mask_all(argv.iter_mut().skip(1), masks);
        };
        match self {
            Self::Runtime(url) => *url = masks.url(url),
            Self::Exec { shown, argv, output: _ } => {
                *shown = masks.url(shown);
                arguments(argv, masks);
            }
            Self::Verbs { shown, verbs } => {
                *shown = masks.url(shown);
                verbs.iter_mut().for_each(|verb| arguments(&mut verb.argv, masks));
            }
        }
    }

    fn read(self) -> Result<Launch, FormatError> {
        let command = |argv: Vec<String>| {
            if argv.is_empty() { Err(FormatError::Missing("a program")) } else { Ok(argv) }
        };
        let verb = |VerbV2 { argv, ignored_codes }| {
            Ok::<_, FormatError>(Verb { argv: command(argv)?, ignored_codes })
        };
        Ok(match self {
            Self::Runtime(url) => Launch::Runtime(into_url(&url)?),
            Self::Exec { shown, argv, output } => {
                let output = match output {
                    OutputV2::Pipe => Output::Pipe,
                    OutputV2::Files { directory, merge } => Output::Files { directory, merge },
                };
                Launch::Exec(Exec { shown: into_url(&shown)?, argv: command(argv)?, output })
            }
            Self::Verbs { shown, verbs: [start, status, stop, restart] } => {
                Launch::Verbs(Box::new(Verbs {
                    shown: into_url(&shown)?,
                    start: verb(start)?,
                    status: verb(status)?,
                    stop: verb(stop)?,
                    restart: verb(restart)?,
                }))
            }
        })
    }
}

impl From<Setup> for SetupV2 {
    fn from(setup: Setup) -> Self {
        let Setup { user, group, umask, cwd, env, clear_env, open_files, memory_bytes } = setup;
        let env = env.into_iter().collect();
        Self { user, group, umask, cwd, env, clear_env, open_files, memory_bytes }
    }
}

impl SetupV2 {
    /// Masks the values of variables.
    fn mask(&mut self, masks: &mut Masks) {
        let Self {
            user: _,
            group: _,
            umask: _,
            cwd: _,
            env,
            clear_env: _,
            open_files: _,
            memory_bytes: _,
        } = self;
        mask_all(env.iter_mut().map(|(_, value)| value), masks);
    }
}

impl EditV2 {
    /// For a trace: the values of variables are masked.
    pub(crate) fn masked(edit: &PolicyEdit, masks: &mut Masks) -> Self {
        let PolicyEdit { fields, policy, setup } = edit;
        let number = |field| PolicyField::ALL.iter().position(|one| one == field);
        let mut setup = SetupV2::from(setup.clone());
        setup.mask(masks);
        Self {
            fields: fields
                .iter()
                .filter_map(number)
                .filter_map(|at| u8::try_from(at).ok())
                .collect(),
            policy: policy.clone().into(),
            setup,
        }
    }

    /// # Errors
    /// A field that is not known, or what no policy can have.
    pub(crate) fn into_edit(self) -> Result<PolicyEdit, FormatError> {
        let field = |number: &u8| PolicyField::ALL.get(usize::from(*number)).copied();
        let fields = self.fields.iter().map(field).collect::<Option<_>>();
        Ok(PolicyEdit {
            fields: fields.ok_or(FormatError::Unknown("a field of a policy"))?,
            policy: self.policy.read()?,
            setup: self.setup.into(),
        })
    }
}

impl From<SetupV2> for Setup {
    fn from(setup: SetupV2) -> Self {
        let SetupV2 { user, group, umask, cwd, env, clear_env, open_files, memory_bytes } = setup;
        let env = env.into_iter().collect();
        Self { user, group, umask, cwd, env, clear_env, open_files, memory_bytes }
    }
}

impl From<Policy> for PolicyV2 {
    fn from(policy: Policy) -> Self {
        let Policy { restart, limit, boot, backoff, stop, run_limit_ms, history, lease_ms } =
            policy;
        let BackoffPolicy { first_ms, longest_ms, healthy_ms, prompt_ms } = backoff;
        Self {
            restart: match restart {
                Restart::Never => RestartV2::Never,
                Restart::OnFailure => RestartV2::OnFailure,
                Restart::Always => RestartV2::Always,
            },
            limit: limit.map(|RestartLimit { max, window_ms }| (max, window_ms)),
            boot: match boot {
                Boot::Restart => BootV2::Restart,
                Boot::Saved => BootV2::Saved,
                Boot::Always => BootV2::Always,
            },
            backoff_ms: [first_ms, longest_ms, healthy_ms],
            prompt_ms,
            stop: (&stop).into(),
            run_limit_ms,
            history,
            lease_ms,
        }
    }
}

impl PolicyV2 {
    fn read(self) -> Result<Policy, FormatError> {
        let [first_ms, longest_ms, healthy_ms] = self.backoff_ms;
        if self.history > HISTORY_MAX {
            return Err(FormatError::TooLarge("the number of runs that are remembered"));
        }
        Ok(Policy {
            restart: match self.restart {
                RestartV2::Never => Restart::Never,
                RestartV2::OnFailure => Restart::OnFailure,
                RestartV2::Always => Restart::Always,
            },
            limit: self.limit.map(|(max, window_ms)| RestartLimit { max, window_ms }),
            boot: match self.boot {
                BootV2::Restart => Boot::Restart,
                BootV2::Saved => Boot::Saved,
                BootV2::Always => Boot::Always,
            },
            backoff: BackoffPolicy { first_ms, longest_ms, healthy_ms, prompt_ms: self.prompt_ms },
            stop: self.stop.read()?,
            run_limit_ms: self.run_limit_ms,
            history: self.history,
            lease_ms: self.lease_ms,
        })
    }
}

impl From<&StopPolicy> for StopV2 {
    fn from(stop: &StopPolicy) -> Self {
        let steps = stop.steps().iter();
        Self {
            steps: steps.map(|step| (step.signal.number(), step.wait_ms)).collect(),
            scope: match stop.scope {
                Scope::Group => ScopeV2::Group,
                Scope::Leader => ScopeV2::Leader,
            },
            restart_signal: stop.restart_signal.map(Signal::number),
        }
    }
}

impl StopV2 {
    fn read(self) -> Result<StopPolicy, FormatError> {
        let signal = |number| Signal::new(number).ok_or(FormatError::Unknown("a signal"));
        let step = |(number, wait_ms)| Ok(StopStep { signal: signal(number)?, wait_ms });
        let steps = self.steps.into_iter().map(step).collect::<Result<_, FormatError>>()?;
        let scope = match self.scope {
            ScopeV2::Group => Scope::Group,
            ScopeV2::Leader => Scope::Leader,
        };
        let mut stop = StopPolicy::new(steps, scope)
            .map_err(|_| FormatError::Contradiction("a stop has no step, or too many"))?;
        stop.restart_signal = self.restart_signal.map(signal).transpose()?;
        Ok(stop)
    }
}

impl From<Liveness> for LivenessV2 {
    fn from(liveness: Liveness) -> Self {
        match liveness {
            Liveness::Exit => Self::Exit,
            Liveness::Checkpoint { silence_ms, error_mark } => {
                Self::Checkpoint { silence_ms, error_mark }
            }
            Liveness::PidFile { path, every_ms, verify } => {
                Self::PidFile { path, every_ms, verify }
            }
            Liveness::Beat { via, timeout_ms, grace_ms } => {
                let via = match via {
                    BeatVia::Http => BeatViaV2::Http,
                    BeatVia::Udp => BeatViaV2::Udp,
                };
                Self::Beat { via, timeout_ms, grace_ms }
            }
            Liveness::Probe { every_ms, timeout_ms } => Self::Probe { every_ms, timeout_ms },
        }
    }
}

impl From<LivenessV2> for Liveness {
    fn from(liveness: LivenessV2) -> Self {
        match liveness {
            LivenessV2::Exit => Self::Exit,
            LivenessV2::Checkpoint { silence_ms, error_mark } => {
                Self::Checkpoint { silence_ms, error_mark }
            }
            LivenessV2::PidFile { path, every_ms, verify } => {
                Self::PidFile { path, every_ms, verify }
            }
            LivenessV2::Beat { via, timeout_ms, grace_ms } => {
                let via = match via {
                    BeatViaV2::Http => BeatVia::Http,
                    BeatViaV2::Udp => BeatVia::Udp,
                };
                Self::Beat { via, timeout_ms, grace_ms }
            }
            LivenessV2::Probe { every_ms, timeout_ms } => Self::Probe { every_ms, timeout_ms },
        }
    }
}

impl From<Goal> for GoalV2 {
    fn from(goal: Goal) -> Self {
        match goal {
            Goal::Up => Self::Up,
            Goal::Down => Self::Down,
        }
    }
}

impl From<GoalV2> for Goal {
    fn from(goal: GoalV2) -> Self {
        match goal {
            GoalV2::Up => Self::Up,
            GoalV2::Down => Self::Down,
        }
    }
}

impl From<&Desired> for DesiredV2 {
    fn from(desired: &Desired) -> Self {
        let Desired { goal, once, restart, values, cas: Cas(cas) } = desired.clone();
        Self {
            goal: goal.into(),
            once: match once {
                Once::No => OnceV2::No,
                Once::Armed => OnceV2::Armed,
                Once::Consumed => OnceV2::Consumed,
            },
            restart,
            values: values.into_iter().collect(),
            cas,
        }
    }
}

impl DesiredV2 {
    /// The same for a trace: values are masked, their names are not.
    pub(crate) fn masked(desired: &Desired, masks: &mut Masks) -> Self {
        let mut masked = Self::from(desired);
        mask_all(masked.values.iter_mut().map(|(_, value)| value), masks);
        masked
    }
}

impl From<DesiredV2> for Desired {
    fn from(desired: DesiredV2) -> Self {
        let DesiredV2 { goal, once, restart, values, cas } = desired;
        Self {
            goal: goal.into(),
            once: match once {
                OnceV2::No => Once::No,
                OnceV2::Armed => Once::Armed,
                OnceV2::Consumed => Once::Consumed,
            },
            restart,
            values: values.into_iter().collect(),
            cas: Cas(cas),
        }
    }
}
