//! What a start takes over: the stored state, the processes of the last run, and what another
//! program of the same process was doing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use openctrl_core::engine::Engine;
use openctrl_core::ids::InstanceId;
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::Image;
use openctrl_core::time::Now;
use openctrl_core::url::Survival;

use super::random::random;
use crate::counted::counted;
use crate::daemon::inbox::Mailbox;
use crate::daemon::patrol::ConfigFile;
use crate::daemon::process::{Keeping, Ledger, Leftover, Runtime, dismiss_keeper, find_leftovers};
use crate::daemon::start_error::StartError;
use crate::daemon::store::StoreWriter;
use crate::daemon::upgrade::Arrival;
use crate::state::{Loaded, StateDirectory};

/// Whether this system has keepers.
const HAS_KEEPERS: bool = cfg!(target_os = "linux");

/// What is there from before.
pub(super) struct Past {
    pub(super) image: Image,
    pub(super) store: StoreWriter,
    pub(super) ledger: Ledger,
    /// The keeper, and what it has of the last run.
    pub(super) keeping: Option<Keeping>,
    /// Processes of the last run whose output is lost.
    pub(super) leftovers: BTreeMap<InstanceId, Leftover>,
}

impl Past {
    /// Stores the state anew, and finds what still runs. A keeper starts while the state is written.
    ///
    /// # Errors
    /// When the state cannot be written, or there is no usable keeper although the URL asks for it.
    pub(super) fn take_over(
        directory: StateDirectory,
        loaded: Loaded,
        additions: &Additions<'_>,
        mailbox: Mailbox,
        (survival, runtime): (Survival, &Runtime),
    ) -> Result<Self, StartError> {
        let state = directory.path().to_owned();
        let mut ledger = Ledger::open(&state);
        let (adopted, keeping) = std::thread::scope(|scope| {
            let keeping = scope.spawn(|| keeping(survival, &state, runtime));
            let adopted = adopt(directory, loaded, additions, mailbox);
            (adopted, keeping.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (image, store) = adopted?;
        let mut keeping = keeping?;
        let is_known = |id| image.instances.contains_key(&id);
        keeping.iter_mut().for_each(|keeping| keeping.match_with(&ledger, is_known));
        let is_kept = |number| keeping.as_ref().is_some_and(|keeping| keeping.has(number));
        let leftovers = find_leftovers(&mut ledger, is_known, is_kept);
        Ok(Self { image, store, ledger, keeping, leftovers })
    }

    /// How long the oldest process of the last run has run.
    pub(super) fn oldest(&self) -> Duration {
        self.keeping.as_ref().map_or(Duration::ZERO, Keeping::oldest)
    }

    /// The engine that another program of this process handed over. One that cannot go on with it
    /// starts as after a crash, and without the rest of `arrival`.
    pub(super) fn resume(&mut self, arrival: &mut Option<Arrival>, now: Now) -> Option<Engine> {
        let handover = &arrival.as_ref()?.handover;
        let runs = self.keeping.as_ref().map(Keeping::runs).unwrap_or_default();
        match Engine::resume(&handover.engine, &runs, now) {
            Ok(engine) => {
                if let (Some(arrival), Some(keeping)) = (arrival, &mut self.keeping) {
                    let unfinished = std::mem::take(&mut arrival.handover.unfinished);
                    keeping.go_on(unfinished, std::mem::take(&mut arrival.notify));
                }
                Some(engine)
            }
            Err(error) => {
                tracing::error!(
                    "Master.upgrade: cannot continue with what was handed over, starting as after \
                     a crash: {error}"
                );
                *arrival = None;
                None
            }
        }
    }
}

/// What the URL and the configuration add to the stored state.
pub(super) struct Additions<'a> {
    /// The configuration of the Patrol door.
    pub(super) config: Option<&'a ConfigFile>,
    /// Whether there is no other door.
    pub(super) is_alone: bool,
    /// How many events the control API stores, if there is one.
    pub(super) events_max: Option<usize>,
}

/// The keeper of the children, unless the next master ends them.
fn keeping(
    survival: Survival,
    state: &Path,
    runtime: &Runtime,
) -> Result<Option<Keeping>, StartError> {
    if survival == Survival::Off || !(HAS_KEEPERS || survival == Survival::On) {
        dismiss_keeper(state);
        return Ok(None);
    }
    match Keeping::begin(state, runtime) {
        Ok(keeping) => Ok(Some(keeping)),
        Err(error) if survival == Survival::IfPossible && error.is_of_a_new_one() => {
            tracing::warn!("Master.run: instances do not outlive a master that is killed: {error}");
            Ok(None)
        }
        Err(error) => Err(StartError::Keeper(error)),
    }
}

/// The state to start from, durable before its key is told.
fn adopt(
    directory: StateDirectory,
    loaded: Loaded,
    additions: &Additions<'_>,
    mailbox: Mailbox,
) -> Result<(Image, StoreWriter), StartError> {
    let (mut image, word) = match loaded {
        Loaded::State(image, notes) => {
            for note in notes {
                tracing::warn!("Master.loadState: {note}");
            }
            (image, "loaded")
        }
        Loaded::Imported(mut image, path) => {
            let instances = counted(image.instances.len() as u64, "instance");
            tracing::info!("Master.loadState: {instances} taken over from {}", path.display());
            if image.master.mid.is_empty() {
                image.master.mid = MasterIdentity::from_random(random()?, [0; 16]).mid;
            }
            (image, "loaded")
        }
        Loaded::Nothing => {
            let identity = MasterIdentity::from_random(random()?, random()?);
            (Image::new(identity), "created")
        }
    };
    if let Some(events_max) = additions.events_max {
        image.adopt_control(events_max);
    }
    if let Some(config) = additions.config {
        let mut seed = [0; 8];
        let mut failed = None;
        image.configure(config.instances(), || {
            match random() {
                Ok(bytes) => seed = bytes,
                Err(error) => failed = Some(error),
            }
            u64::from_le_bytes(seed)
        });
        if let Some(error) = failed {
            return Err(error);
        }
    }
    let store = StoreWriter::start(directory, image.clone(), mailbox)
        .map_err(|error| StartError::System("save the state", error))?;
    if !additions.is_alone {
        tracing::info!("Master.run: API key {word}: {}", image.master.key.reveal());
    }
    Ok((image, store))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_keeper_that_cannot_be_started_is_an_error_only_if_the_url_asks_for_it() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let missing = home.path().join("missing");
        let runtime = Runtime { path: "/bin/true".into(), is_own: false };
        let begin = |survival| keeping(survival, &missing, &runtime);
        let error = begin(Survival::On).expect_err("no socket can be made there");
        assert!(error.to_string().contains("survive=off goes without it"), "{error}");
        assert!(begin(Survival::IfPossible).expect("it is possible without").is_none());
        assert!(begin(Survival::Off).expect("none is asked for").is_none());
    }
}
