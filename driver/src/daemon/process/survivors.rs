//! The processes that outlived the last master, as the keeper of the state directory lists them at
//! the start of a master.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use openctrl_core::engine;
use openctrl_core::ids::{InstanceId, RunId};
use openctrl_core::keeper::{Child, ChildState, Note, Order};
use openctrl_core::line::UnfinishedLine;
use openctrl_core::process::{Scope, Signal};
use openctrl_core::stream::Stream;
use openctrl_core::time::{Now, Time};

use super::launch::{Launcher, Runtime};
use super::ledger::Ledger;
use super::link::{Link, is_closed, remove_socket};
use super::link_error::LinkError;
use super::listed::Listed;
use super::stat::{Sink, inode};
use super::survivor::Survivor;

/// The keeper of a state directory, and the processes of the last master.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(super) link: Link,
    survivors: BTreeMap<InstanceId, Survivor>,
    /// The notes about instances that have no process.
    notes: Vec<(InstanceId, Note)>,
}

impl Keeping {
    /// Connects to the keeper of a state directory, or starts one.
    ///
    /// # Errors
    /// If there is no usable keeper. No child is affected then.
    pub(crate) fn begin(directory: &Path, runtime: &Runtime) -> Result<Self, LinkError> {
        let failed = |error| LinkError::Io("ask the keeper of", directory.to_owned(), error);
        let launcher = Launcher::new(runtime, None).map_err(failed)?;
        let environment: &[CString] = launcher.environment_of_all();
        let (link, listed) = loop {
            let Some(link) = Link::find(directory, environment)? else {
                break (Link::launch(directory, environment)?, Vec::new());
            };
            match link.list() {
                Ok(listed) => break (link, listed),
                // It was killed meanwhile, and is not found again.
                Err(error) if is_closed(&error) => {}
                Err(error) => return Err(failed(error)),
            }
        };
        let is_taken = |listed: &Listed| listed.child.state == ChildState::Taken;
        let (taken, listed): (Vec<Listed>, Vec<Listed>) = listed.into_iter().partition(is_taken);
        let (pid, count) = (link.pid, listed.len());
        if count > 0 {
            tracing::info!("Master.run: keeper {pid} has {count} processes of the last run");
        }
        let survivors = newest_of_each(&link, listed);
        let note_of = |listed: Listed| (listed.child.instance, Note::decode(&listed.child.note));
        let notes = taken.into_iter().map(note_of);
        let notes = notes.filter(|(instance, _)| !survivors.contains_key(instance)).collect();
        Ok(Self { link, survivors, notes })
    }

    /// Ends the processes of instances that do not exist any more, and finds the others in the
    /// ledger.
    pub(crate) fn match_with(&mut self, ledger: &Ledger, is_known: impl Fn(InstanceId) -> bool) {
        let link = &self.link;
        self.survivors.retain(|id, survivor| {
            let is_kept = is_known(*id);
            if !is_kept {
                discard(link, &survivor.child);
            }
            is_kept
        });
        self.notes.retain(|(id, _)| {
            let is_kept = is_known(*id);
            if !is_kept {
                let _ = link.order(&Order::ForgetInstance(*id), &[]);
            }
            is_kept
        });
        for (number, child) in ledger.children() {
            let of_it = self.survivors.get_mut(&child.instance);
            if let Some(survivor) =
                of_it.filter(|survivor| child.outputs.stdout == Sink::Pipe(survivor.pipes.stdout))
            {
                survivor.number = Some(number);
            }
        }
    }

    /// Whether a process of the ledger is one of these.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.survivors.values().any(|survivor| survivor.number == Some(number))
    }

    /// How long the oldest of them has run.
    pub(crate) fn oldest(&self) -> Duration {
        let ages = self.survivors.values().map(|survivor| survivor.child.age_ms);
        Duration::from_millis(ages.max().unwrap_or(0))
    }

    /// The runs of all of them.
    pub(crate) fn runs(&self) -> Vec<(InstanceId, RunId)> {
        self.survivors.iter().map(|(id, survivor)| (*id, survivor.child.run)).collect()
    }

    /// Goes on with what another program of this process knew of runs: the lines that they have not
    /// ended, and where they say that they are ready.
    pub(crate) fn go_on(
        &mut self,
        unfinished: Vec<(RunId, Stream, UnfinishedLine)>,
        mut notify: HashMap<RunId, OwnedFd>,
    ) {
        let mut lines: HashMap<RunId, Vec<_>> = HashMap::new();
        for (run, stream, line) in unfinished {
            lines.entry(run).or_default().push((stream, line));
        }
        for survivor in self.survivors.values_mut() {
            survivor.unfinished = lines.remove(&survivor.child.run).unwrap_or_default();
            survivor.notify = notify.remove(&survivor.child.run);
        }
    }

    /// The facts about them for the engine.
    pub(crate) fn facts(&self, now: Now) -> Vec<engine::Survivor> {
        let fact = |(instance, survivor): (&InstanceId, &Survivor)| {
            let Child { run, started, age_ms, ref note, is_stopping, lease, .. } = survivor.child;
            let note = Note::decode(note);
            let micros = now.mono.as_micros().saturating_sub(age_ms.saturating_mul(1_000));
            let mono = Time::from_micros(micros);
            engine::Survivor {
                instance: *instance,
                run,
                since: Now { mono, wall: note.started.unwrap_or(started) },
                is_stopping,
                is_leased: lease.is_some(),
                note,
            }
        };
        self.survivors.iter().map(fact).collect()
    }

    /// The notes about instances that have no process.
    pub(crate) fn notes(&self) -> &[(InstanceId, Note)] {
        &self.notes
    }

    /// The connection, and the processes by their instances.
    pub(crate) fn into_parts(self) -> (KeeperLink, BTreeMap<InstanceId, Survivor>) {
        (KeeperLink(self.link), self.survivors)
    }
}

/// The connection to a keeper.
#[derive(Debug)]
pub(crate) struct KeeperLink(pub(super) Link);

/// With `survive=off`: orders the keeper of an earlier master to end once its children have exited.
/// They are stopped like other leftovers.
pub(crate) fn dismiss_keeper(directory: &Path) {
    match Link::find(directory, &[]) {
        Ok(None) => remove_socket(directory),
        Ok(Some(link)) => {
            let _ = link.order(&Order::Quit, &[]);
            let pid = link.pid;
            tracing::info!("Master.run: keeper {pid} of the last run ends with its processes");
        }
        Err(error) => tracing::warn!("Master.run: {error}"),
    }
}

/// Of several runs of an instance the newest is its process. The others have received the signals of
/// their stop, and what is left of them is killed.
fn newest_of_each(link: &Link, listed: Vec<Listed>) -> BTreeMap<InstanceId, Survivor> {
    let mut survivors: BTreeMap<InstanceId, Survivor> = BTreeMap::new();
    for Listed { child, outputs } in listed {
        let Some(outputs) = outputs else {
            discard(link, &child);
            continue;
        };
        let pipes = outputs.as_ref().map(|output| inode(output.as_fd()).unwrap_or_default());
        let (number, unfinished, notify) = (None, Vec::new(), None);
        let survivor = Survivor { child, outputs, pipes, number, unfinished, notify };
        let id = survivor.child.instance;
        let is_newer = |other: &Survivor| survivor.child.age_ms < other.child.age_ms;
        if survivors.get(&id).is_none_or(is_newer) {
            if let Some(older) = survivors.insert(id, survivor) {
                discard(link, &older.child);
            }
        } else {
            discard(link, &survivor.child);
        }
    }
    survivors
}

/// Kills what is left of a child and forgets it.
pub(super) fn discard(link: &Link, child: &Child) {
    let (run, scope, signal) = (child.run, Scope::Group, Signal::KILL);
    let _ = link.order(&Order::Signal { run, scope, signal, is_stop: true }, &[]);
    let _ = link.order(&Order::Forget(run), &[]);
}
