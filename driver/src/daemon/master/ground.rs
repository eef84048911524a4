//! What a start stands on before it changes anything that outlives it: the configuration, the lock of
//! the state directory and what is stored there, the certificate, and where it listens.
//!
//! A start that is refused here leaves everything as it was.

use std::io;
use std::path::{Path, PathBuf};

use openctrl_core::cgroup::Grouping;
use openctrl_core::url::{MasterUrl, Survival, Tls};
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cgroups;
use crate::daemon::clock::Clock;
use crate::daemon::control::OpenSockets;
use crate::daemon::endpoint::{listen, listen_udp, secured, usable_listener};
use crate::daemon::limits::raise_descriptor_limit;
use crate::daemon::patrol::{ConfigFile, Extras};
use crate::daemon::process::{IdleSpawner, Runtime, become_subreaper};
use crate::daemon::service::Notifier;
use crate::daemon::signals::Signals;
use crate::daemon::start_error::StartError;
use crate::daemon::tls::Secured;
use crate::daemon::upgrade::{Arrival, OwnProgram};
use crate::daemon::webhook::Webhooks;
use crate::promises::unblock_signals;
use crate::state::{Loaded, StateDirectory};

/// The Patrol door of a master.
pub(super) struct Patrol {
    pub(super) path: PathBuf,
    /// Whether there is nothing else.
    pub(super) is_alone: bool,
    pub(super) extras: Extras,
}

/// What a start stands on.
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) program: OwnProgram,
    /// With the port that the system chose, if it was to choose.
    pub(super) url: MasterUrl,
    /// Of the Patrol door, if there is one.
    pub(super) config: Option<ConfigFile>,
    /// Whether there is no other door.
    pub(super) is_alone: bool,
    pub(super) extras: Extras,
    pub(super) survival: Survival,
    pub(super) runtime: Runtime,
    pub(super) spawner: IdleSpawner,
    pub(super) notifier: Notifier,
    pub(super) signals: Signals,
    pub(super) child_ended: Signal,
    pub(super) directory: StateDirectory,
    pub(super) loaded: Loaded,
    pub(super) secured: Option<Secured>,
    pub(super) webhooks: Option<Webhooks>,
    pub(super) listener: TcpListener,
    pub(super) sockets: OpenSockets,
    pub(super) udp: Option<UdpSocket>,
    /// The control group that those of processes are made in.
    pub(super) groups_in: Option<PathBuf>,
}

impl Ground {
    /// Reads, locks and listens.
    ///
    /// # Errors
    /// What cannot be read, is held by another master, or is in use.
    pub(super) async fn prepare(
        mut url: MasterUrl,
        patrol: Option<Patrol>,
        inherited: Option<std::net::TcpListener>,
        arrival: &mut Option<Arrival>,
    ) -> Result<Self, StartError> {
        let system = |attempt| move |error| StartError::System(attempt, error);
        let clock = arrival.as_ref().map_or_else(Clock::start, |Arrival { handover, .. }| {
            Clock::resuming(handover.origin_micros, handover.started_micros)
        });
        let program = OwnProgram::remember().map_err(system("find this program's own file"))?;
        let is_alone = patrol.as_ref().is_some_and(|patrol| patrol.is_alone);
        let extras = patrol.as_ref().map(|patrol| patrol.extras.clone()).unwrap_or_default();
        let mut config = patrol
            .map(|patrol| ConfigFile::read(&patrol.path, patrol.extras))
            .transpose()
            .map_err(StartError::Patrol)?;
        if let Some(config) = config.as_ref().filter(|_| is_alone) {
            (url.host, url.port) = config.http_address().map_err(StartError::Patrol)?;
        }
        // What a configuration starts outlives the master anyway, and is found by its pid files.
        let survival = if config.is_none() { url.survival } else { Survival::Off };
        // The same: a group of its own would end it with the master.
        let grouping = if config.is_none() { url.grouping } else { Grouping::Off };
        let groups_in = cgroups::find(grouping).map_err(|obstacle| {
            StartError::System("use control groups", io::Error::other(obstacle))
        })?;
        raise_descriptor_limit();
        let shares_table = survival != Survival::Off || !extras.sources.is_empty();
        let spawner = IdleSpawner::start(shares_table).map_err(system("start a thread"))?;
        let executable = std::env::current_exe().map_err(system("find this program's own file"))?;
        let runtime = Runtime {
            path: url.bin.clone().map_or_else(|| executable.clone(), PathBuf::from),
            is_own: url.bin.is_none(),
        };
        warn_of_oddities(&url, &executable, &runtime.path);

        let notifier = Notifier::from_environment();
        let signals = Signals::listen(config.is_some()).map_err(system("listen for signals"))?;
        let child_ended = signal(SignalKind::child()).map_err(system("listen for signals"))?;
        if arrival.is_some() {
            unblock_signals().map_err(system("unblock signals"))?;
        }
        become_subreaper();
        let mut directory = open_directory(&url, &executable, arrival.as_mut())?;
        let loaded = directory.load()?;
        let made = arrival.as_mut().and_then(|arrival| arrival.handover.certificate.take());
        let secured = secured(&url, made)?;
        let webhooks = url.webhooks.as_ref().map(Webhooks::new).transpose();
        let webhooks = webhooks.map_err(StartError::Webhook)?;
        let handed = arrival.as_mut().and_then(|arrival| arrival.tcp.take());
        let handed = handed.map(usable_listener).transpose().map_err(system("listen"))?;
        let (listener, url) = listen(url, handed.or(inherited)).await?;
        let sockets = arrival.as_mut().map(|arrival| std::mem::take(&mut arrival.sockets));
        let sockets = OpenSockets::with(sockets.unwrap_or_default());
        let udp = match &mut config {
            Some(config) => Some(listen_udp(config, &listener, is_alone).await?),
            None => None,
        };
        Ok(Self {
            clock,
            program,
            url,
            config,
            is_alone,
            extras,
            survival,
            runtime,
            spawner,
            notifier,
            signals,
            child_ended,
            directory,
            loaded,
            secured,
            webhooks,
            listener,
            sockets,
            udp,
            groups_in,
        })
    }
}

/// Opens the state directory, with the lock that another program of this process holds.
fn open_directory(
    url: &MasterUrl,
    executable: &Path,
    arrival: Option<&mut Arrival>,
) -> Result<StateDirectory, StartError> {
    let path = state_path(url, executable)?;
    Ok(match arrival.and_then(|arrival| arrival.state_lock.take()) {
        Some(lock) => StateDirectory::held(&path, lock.into())?,
        None => StateDirectory::open(&path)?,
    })
}

fn state_path(url: &MasterUrl, executable: &Path) -> Result<PathBuf, StartError> {
    if let Some(state) = &url.state {
        return Ok(PathBuf::from(state));
    }
    let beside = executable.parent().ok_or_else(|| {
        let reason = io::Error::other("the path of this program has no directory; use state=<dir>");
        StartError::System("find the directory of this program", reason)
    })?;
    Ok(beside.join("gob"))
}

/// Warns of what an operator should correct although the master can start.
fn warn_of_oddities(url: &MasterUrl, executable: &Path, runtime: &Path) {
    if url.state.is_none() && is_in_build_directory(executable) {
        let name = executable.display();
        tracing::warn!(
            "Master.run: the state is beside {name}, where cargo clean deletes it; \
             use state=<dir> to keep it elsewhere"
        );
    }
    if !url.ignored.is_empty() {
        let names = url.ignored.join(", ");
        tracing::warn!("Master.run: unknown parameters of the master URL are ignored: {names}");
    }
    let is_for_all = matches!(&*url.host, "" | "0.0.0.0" | "::");
    if is_for_all && url.tls == Tls::Off {
        tracing::warn!(
            "Master.run: the API listens on all addresses without TLS: anyone on the network path \
             can read the key; add tls=1 or tls=2, or listen on 127.0.0.1"
        );
    }
    // A bare name is looked up in PATH at every start.
    if runtime.components().count() > 1 && !runtime.exists() {
        let runtime = runtime.display();
        tracing::warn!("Master.run: the runtime {runtime} does not exist; no instance will start");
    }
}

/// Whether cargo built the program and has not installed it.
fn is_in_build_directory(executable: &Path) -> bool {
    executable.ancestors().skip(1).any(|folder| folder.join(".rustc_info.json").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cargo_built_is_told_from_an_installed_one() {
        let ours = std::env::current_exe().expect("a test is a program");
        assert!(is_in_build_directory(&ours), "{}", ours.display());
        assert!(!is_in_build_directory(Path::new("/usr/bin/openctrl")));
    }
}
