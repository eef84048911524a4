//! The definition of an instance by an operator: URL, name, policy and meta data.
//!
//! Definitions are values: a change makes a new one, which becomes current when it is durable. The
//! actual state of an instance is elsewhere.

use alloc::collections::BTreeMap;
use alloc::string::String;

use serde::Serialize;

use super::checks::Checks;
use super::edit::PolicyEdit;
use super::exec_url::exec_policy;
use super::launch::{Launch, Setup};
use super::liveness::Liveness;
use super::policy::{BackoffPolicy, Policy, Restart};
use super::rare::Rare;
use crate::ids::{InstanceId, Revision};
use crate::limits::PROMPT_MS;
use crate::url::InstanceUrl;

/// The longest alias, peer field, tag key or tag value that a PATCH may set, in bytes
/// (Contract §4).
pub const TEXT_MAX_BYTES: usize = 256;

/// The largest instance object as JSON, in bytes: half of the 64 KiB that an event frame may
/// have, so that every frame has room for the object and a log line (Contract §4, §8).
pub const OBJECT_MAX_BYTES: usize = 32 * 1024;

/// One instance as its operator defined it (Contract §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Definition {
    /// Its id, which never changes.
    pub id: InstanceId,
    /// Rises by one with every change of the definition.
    pub revision: Revision,
    /// Its name in the file that defines it; `None` for an instance that was created by request.
    pub label: Option<Label>,
    /// Where it was defined.
    pub origin: Origin,
    /// The operator's name for it; may be empty.
    pub alias: String,
    /// The command.
    pub launch: Launch,
    /// In what surroundings.
    pub setup: Rare<Setup>,
    /// How it is kept running.
    pub policy: Policy,
    /// How it is known to be alive and well.
    pub liveness: Liveness,
    /// When it is ready, and what it starts after; derives from the launch.
    pub checks: Rare<Checks>,
    /// Whether the values that clients keep with it are dropped when a run ends.
    pub clears_values: bool,
    /// Free-form data of the operator.
    pub meta: Meta,
}

/// Where an instance was defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By a request of the v2 API.
    Api,
    /// In a Patrol configuration file.
    Config,
    /// In a manifest.
    Manifest,
    /// By the fleet.
    Fleet,
}

/// The name of an instance in the file that defines it, such as `app/web`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub String);

impl Definition {
    /// The definition of a new instance of the v2 API: its runtime is run with `url`, by the rules
    /// of the contract, without meta data. Parameters of an `exec:` URL set policy and setup; those
    /// that a door would refuse set nothing.
    pub fn new(id: InstanceId, url: InstanceUrl, alias: String) -> Self {
        let edit = exec_policy(&url).unwrap_or_default();
        let launch = Launch::Runtime(url);
        let checks = Checks::of(&launch);
        let mut new = Self {
            id,
            revision: Revision::FIRST,
            label: None,
            origin: Origin::Api,
            alias,
            liveness: Liveness::of(&launch, &checks),
            checks: checks.into(),
            launch,
            setup: Rare::default(),
            policy: Policy::default(),
            clears_values: false,
            meta: Meta::default(),
        };
        edit.apply(&mut new.policy, &mut new.setup);
        new
    }

    /// The URL that clients of the v2 API see.
    pub const fn url(&self) -> &InstanceUrl {
        self.launch.url()
    }

    /// Whether it stands in a configuration file: what is wanted of it is durable then, and so are
    /// its runs.
    pub const fn is_configured(&self) -> bool {
        matches!(self.origin, Origin::Config)
    }

    /// Whether it is a service that commands start and stop.
    pub const fn is_service(&self) -> bool {
        matches!(self.launch, Launch::Verbs(_))
    }

    /// The next revision, with another URL for the runtime. Values set by the parameters of the old
    /// `exec:` URL return to their defaults, unless the new URL sets them; the rest of the policy
    /// stays.
    #[must_use]
    pub fn with_url(&self, url: InstanceUrl) -> Self {
        let mut changed = self.clone();
        let old = exec_policy(self.url()).unwrap_or_default();
        let new = exec_policy(&url).unwrap_or_default();
        PolicyEdit { fields: old.fields, ..PolicyEdit::default() }
            .apply(&mut changed.policy, &mut changed.setup);
        new.apply(&mut changed.policy, &mut changed.setup);
        changed.revision = self.revision.next();
        changed.launch = Launch::Runtime(url);
        changed.checks = Checks::of(&changed.launch).into();
        let liveness = Liveness::of(&changed.launch, &changed.checks);
        if liveness != Liveness::of(&self.launch, &self.checks) {
            changed.liveness = liveness;
        }
        changed
    }

    /// How long to wait before a restart, with the defaults of what is launched.
    pub fn backoff(&self) -> BackoffPolicy {
        let default_ms = self.launch.is_command().then_some(PROMPT_MS);
        let backoff = self.policy.backoff;
        BackoffPolicy { prompt_ms: backoff.prompt_ms.or(default_ms), ..backoff }
    }

    /// Whether the instance is restarted after a failure: `restart` of the v2 API.
    pub const fn restarts(&self) -> bool {
        !matches!(self.policy.restart, Restart::Never)
    }

    /// Sets `restart` of the v2 API. A policy that is already shown as `restart` is not changed.
    pub fn set_restarts(&mut self, restarts: bool) {
        if restarts != self.restarts() {
            self.policy.restart = if restarts { Restart::OnFailure } else { Restart::Never };
        }
    }
}

/// The `meta` object of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Hash)]
pub struct Meta {
    /// The peer of the instance, as clients define it.
    pub peer: Peer,
    /// Labels; never null on the wire.
    pub tags: BTreeMap<String, String>,
}

/// The `meta.peer` object of an instance. Its fields are replaced together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Hash)]
pub struct Peer {
    /// The peer's id.
    pub sid: String,
    /// The peer's kind; `type` on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// The peer's name.
    pub alias: String,
}
