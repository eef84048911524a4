//! Puts the control API together, before anything is started.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use openctrl_core::control::Control;
use openctrl_core::ids::InstanceId;
use openctrl_core::resource::Names;
use openctrl_core::store::{Image, StoredInstance};
use openctrl_core::time::Now;
use openctrl_core::url::ControlOptions;
use rustix::process::{Resource, getrlimit, getuid};

use super::answer::{Door, Writers};
use super::hands::ControlHands;
use super::hub::ControlHub;
use super::jsonl::EventFiles;
use super::listen::{ListenError, OpenSockets, find_group};
use super::orders::Followed;
use super::projection::Projection;
use super::sockets::{Sockets, SocketsConfig};
use crate::daemon::clock::Clock;
use crate::daemon::gate::Gate;
use crate::daemon::hub::Hub;
use crate::daemon::inbox::Mailbox;
use crate::daemon::threads::Threads;
use crate::daemon::usage::Processes;

/// Descriptors that the master needs beside those of the sockets, before any instance runs.
const DESCRIPTORS_SPARE: u64 = 64;

/// From so many sockets on it is said how many descriptors they take.
const MANY: u64 = 1_000;

/// What the control API is put together from.
pub(crate) struct Parts<'a> {
    pub(crate) options: &'a ControlOptions,
    pub(crate) image: &'a Image,
    pub(crate) state: &'a Path,
    pub(crate) views: Arc<Hub>,
    pub(crate) processes: Arc<Processes>,
    pub(crate) mailbox: Mailbox,
    pub(crate) clock: Clock,
    pub(crate) now: Now,
    pub(crate) open: OpenSockets,
    /// What connections pass.
    pub(crate) gate: Arc<Gate>,
}

/// Binds the sockets, and begins to answer.
///
/// # Errors
/// For a socket that cannot be bound, or a group that does not exist.
pub(crate) fn start_control(parts: Parts<'_>) -> Result<ControlHands, ListenError> {
    let Parts { options, image, state, views, processes, mailbox, clock, now, open, gate } = parts;
    let gid = options.group.as_deref().map(find_group).transpose()?;
    let config = SocketsConfig {
        dir: PathBuf::from(&options.dir),
        group: gid,
        tagged_only: options.tagged_only,
        open,
    };
    let known = followed(image);
    check_descriptors(&known, options.tagged_only)?;
    let sockets = Sockets::bind(config, &known)?;
    let events: Vec<_> = image.control.events.iter().cloned().collect();
    let files = options.jsonl.then(|| EventFiles::new(state.join("events")));
    let keep = options.events as usize;
    let projection = Projection::start(state, events.clone(), keep, files)
        .map_err(|error| ListenError::Io("start a thread for", state.to_owned(), error))?;
    let hub = ControlHub::new(keep, events, now.wall, views, processes);
    let uid = getuid().as_raw();
    let writers = Writers { uid, gid };
    let readers = Threads::new("rules", 1);
    let door = Door { hub: Arc::clone(&hub), mailbox, clock, writers, readers };
    let serving = sockets.serve(Arc::new(door), gate);
    let serving =
        serving.map_err(|error| ListenError::Io("listen in", options.dir.clone().into(), error))?;
    let machine = Control::new(&image.control, now);
    Ok(ControlHands::new(machine, hub, serving, projection))
}

/// The instances with the names that they are going to have.
fn followed(image: &Image) -> Vec<Followed> {
    let mut names = Names::default();
    let mut ages: Vec<(u64, InstanceId)> =
        image.control.ages.iter().map(|(id, age)| (*age, *id)).collect();
    ages.sort();
    let known = ages.iter().map(|(_, id)| id).chain(image.instances.keys());
    for id in known {
        if names.name(*id).is_none()
            && let Some(stored) = image.instances.get(id)
        {
            names.insert(*id, &stored.definition.alias);
        }
    }
    let followed = |(id, stored): (&InstanceId, &StoredInstance)| {
        let name = names.name(*id).unwrap_or_default();
        Followed::expected(*id, &name, &stored.definition)
    };
    image.instances.iter().map(followed).collect()
}

/// Every socket is a descriptor: a listening Unix socket cannot stand for several paths, since the
/// path that a client connected to is not told. Says what many of them take, and refuses what
/// cannot be.
fn check_descriptors(known: &[Followed], tagged_only: bool) -> Result<(), ListenError> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = known.iter().filter(|known| known.has_socket(tagged_only)).count() as u64;
    if needed + DESCRIPTORS_SPARE > limit {
        return Err(ListenError::TooMany { needed, limit });
    }
    if needed > limit / 2 {
        tracing::warn!(
            "Control.listen: the control sockets of {needed} instances take {needed} of {limit} \
             descriptors; raise the limit, or choose control_sockets=tagged"
        );
    } else if needed >= MANY {
        tracing::info!(
            "Control.listen: the control sockets of {needed} instances take {needed} of {limit} \
             descriptors"
        );
    }
    Ok(())
}
