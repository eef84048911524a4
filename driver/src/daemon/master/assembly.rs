//! Puts the loop together: the engine, and what its effects are carried out with.

use std::sync::Arc;

use openctrl_core::doors::patrol::config::HookName;
use openctrl_core::engine::{Engine, Found};
use openctrl_core::ids::InstanceId;
use openctrl_core::url::MasterUrl;
use tokio::signal::unix::Signal;

use super::past::Past;
use super::random::random;
use super::shared::Shared;
use crate::daemon::console::Console;
use crate::daemon::control::{ControlHands, ControlHub, Parts, start_control};
use crate::daemon::file_watch::FileWatch;
use crate::daemon::hub::Publisher;
use crate::daemon::inbox::Notice;
use crate::daemon::process::{IdleSpawner, Keeping, Runtime};
use crate::daemon::reactor::{Hands, Reactor};
use crate::daemon::start_error::StartError;
use crate::daemon::trace::Recorder;
use crate::daemon::webhook::Webhooks;

/// What the loop is put together with, and nothing else needs.
pub(super) struct Tools<'a> {
    pub(super) url: &'a MasterUrl,
    pub(super) runtime: Runtime,
    pub(super) spawner: IdleSpawner,
    pub(super) stdout: Option<Console>,
    pub(super) webhooks: Option<Webhooks>,
    pub(super) recorder: Recorder,
    pub(super) child_ended: Signal,
}

/// The loop, and what the control API shows.
///
/// # Errors
/// What the system refuses: a thread, a socket, randomness.
pub(super) fn assemble(
    past: Past,
    resumed: Option<Engine>,
    shared: &Shared,
    tools: Tools<'_>,
) -> Result<(Reactor, Option<Arc<ControlHub>>), StartError> {
    let system = |attempt| move |error| StartError::System(attempt, error);
    let Past { image, store, ledger, keeping, leftovers } = past;
    let Shared { state, mailbox, clock, hub, logs, processes, door, groups, .. } = shared;
    let Tools { url, runtime, spawner, stdout, webhooks, recorder, child_ended } = tools;
    let left_behind: Vec<InstanceId> = leftovers.keys().copied().collect();
    if !left_behind.is_empty() {
        let count = left_behind.len();
        tracing::warn!("Master.run: the last run left processes behind, ending them: {count}");
    }
    let facts = keeping.as_ref().map(|keeping| keeping.facts(clock.sample())).unwrap_or_default();
    let notes = keeping.as_ref().map(|keeping| keeping.notes().to_vec()).unwrap_or_default();
    let (keeper, survivors) = keeping.map(Keeping::into_parts).unzip();
    let keeper = keeper.map(|keeper| (keeper, state.clone()));
    let spawner =
        spawner.begin(runtime, ledger, mailbox.clone(), door.clone(), keeper, groups.clone());
    let hands = Hands {
        publisher: Publisher::new(Arc::clone(hub)),
        spawner: spawner.map_err(system("start the runtime"))?,
        store,
        stdout,
        logs: Arc::clone(logs),
        processes: Arc::clone(processes),
        mailbox: mailbox.clone(),
        files: FileWatch::new(mailbox.clone()),
        webhooks,
        door: door.clone(),
        leftovers,
        survivors: survivors.unwrap_or_default(),
    };
    let now = hands.publisher.advance(clock.sample());
    let start = |options| {
        start_control(Parts {
            options,
            image: &image,
            state,
            views: Arc::clone(hub),
            processes: Arc::clone(processes),
            mailbox: mailbox.clone(),
            clock: clock.clone(),
            now,
            open: shared.sockets.clone(),
            gate: Arc::clone(&shared.gates[1]),
        })
    };
    let control = url.control.as_ref().map(start).transpose()?;
    let shown = control.as_ref().map(ControlHands::hub);
    let found = Found { leftovers: &left_behind, survivors: &facts, notes: &notes };
    if let Some(door) = door {
        door.happened(HookName::Start);
    }
    let engine = match resumed {
        Some(engine) => engine,
        None => Engine::with_found(image, found, random()?, now),
    };
    if let Some(webhooks) = &hands.webhooks {
        mailbox.fact(Notice::Fact(webhooks.configured()));
    }
    let reactor = Reactor::new(engine, recorder, hands, control, clock.clone(), child_ended, now);
    Ok((reactor, shown))
}
