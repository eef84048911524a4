//! Runs hooks: commands of the configuration and closures of library users.
//!
//! They run beside supervision and never delay it: the numbers of pending and running hooks are
//! limited, and so is their duration. A hook runs too late to prepare a start; use the
//! configuration and the API for that. At the end of the server the pending hooks have a limited
//! time to run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openctrl_core::doors::patrol::config::{Hook, Hooks};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use super::hooks::{Event, Listener};
use crate::daemon::process::{VerbEnd, run_command};

/// How many events may wait; more are dropped, which is warned about.
const WAITING_MAX: usize = 1_024;

/// How many commands run at a time.
const AT_A_TIME: u32 = 4;

/// How long a command may run.
const LIMIT: Duration = Duration::from_secs(30);

/// How many of the hooks that the end of the server cuts off are named.
const NAMED_MAX: usize = 16;

/// The queue of hooks, and the task that runs them.
pub(super) struct HookRunner {
    /// `None` once the server has ended.
    work: Mutex<Option<Work>>,
    unfinished: Arc<Unfinished>,
    has_listener: bool,
}

struct Work {
    queue: mpsc::Sender<Waiting>,
    task: JoinHandle<()>,
}

/// An event that hooks are to be run for.
struct Waiting {
    event: Event,
    hook: Option<Hook>,
    ticket: Ticket,
}

impl fmt::Debug for HookRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookRunner")
    }
}

impl HookRunner {
    /// Starts the task that runs hooks.
    pub(super) fn start(listener: Option<Listener>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let has_listener = listener.is_some();
        let task = tokio::spawn(run_all(waiting, listener));
        let work = Mutex::new(Some(Work { queue, task }));
        Self { work, unfinished: Arc::default(), has_listener }
    }

    /// Leaves an event, if a hook is there for it.
    pub(super) fn tell(&self, event: Event, hooks: &Hooks) {
        let hook = hooks.get(event.name).cloned();
        if hook.is_none() && !self.has_listener {
            return;
        }
        let work = lock(&self.work);
        let Some(Work { queue, .. }) = work.as_ref() else { return };
        let name = event.name.as_str();
        match queue.try_reserve() {
            Ok(place) => {
                let ticket = Unfinished::ticket(&self.unfinished, &event);
                place.send(Waiting { event, hook, ticket });
            }
            Err(_) => tracing::warn!("Patrol.hook: too many hooks wait, dropped: {name}"),
        }
    }

    /// Takes no more events and waits until all hooks have run, but not beyond `until`. Those that
    /// have not run by then are named in the log.
    pub(super) async fn finish(&self, until: Instant) {
        let Some(Work { queue, mut task }) = lock(&self.work).take() else { return };
        drop(queue);
        if timeout_at(until.into(), &mut task).await.is_err() {
            let given_up = self.unfinished.names();
            task.abort();
            tracing::warn!("Patrol.hook: cut off by the end of the server: {given_up}");
        }
    }
}

/// Ends when the queue is closed and all hooks have run.
async fn run_all(mut queue: mpsc::Receiver<Waiting>, listener: Option<Listener>) {
    let places = Arc::new(Semaphore::new(AT_A_TIME as usize));
    while let Some(Waiting { event, hook, ticket }) = queue.recv().await {
        if let Some(listener) = listener.clone() {
            let event = event.clone();
            ticket.runs();
            // It may take as long as it likes, and panic: both are its own affair.
            let _ = tokio::task::spawn_blocking(move || listener(&event)).await;
        }
        let Some(hook) = hook else { continue };
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        tokio::spawn(async move {
            ticket.runs();
            run(&event, &hook).await;
            drop((ticket, place));
        });
    }
    let _ = places.acquire_many(AT_A_TIME).await;
}

async fn run(event: &Event, hook: &Hook) {
    let problem = match run_command(hook, &event.variables(), LIMIT).await {
        VerbEnd::Exited(exit) if exit.is_clean() => return,
        VerbEnd::Exited(exit) => format!("{exit:?}"),
        VerbEnd::TimedOut => format!("killed after {} s", LIMIT.as_secs()),
        VerbEnd::NotStarted(error) => error.to_string(),
    };
    tracing::warn!("Patrol.hook: {} of {}: {problem}", event.name.as_str(), event.whose());
}

/// The hooks that wait or run, in their order.
#[derive(Default)]
struct Unfinished(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    last: u64,
    open: BTreeMap<u64, Entry>,
}

struct Entry {
    name: String,
    runs: bool,
}

/// One of them, until it is dropped.
struct Ticket {
    number: u64,
    of: Arc<Unfinished>,
}

impl Unfinished {
    fn ticket(this: &Arc<Self>, event: &Event) -> Ticket {
        let name = format!("{} of {}", event.name.as_str(), event.whose());
        let mut entries = lock(&this.0);
        entries.last += 1;
        let number = entries.last;
        entries.open.insert(number, Entry { name, runs: false });
        Ticket { number, of: Arc::clone(this) }
    }

    fn names(&self) -> String {
        let entries = lock(&self.0);
        let name = |entry: &Entry| {
            let state = if entry.runs { "killed" } else { "not run" };
            format!("{} ({state})", entry.name)
        };
        let named: Vec<String> = entries.open.values().take(NAMED_MAX).map(name).collect();
        let more = entries.open.len().saturating_sub(NAMED_MAX);
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        named.join(", ") + &more
    }
}

impl Ticket {
    fn runs(&self) {
        if let Some(entry) = lock(&self.of.0).open.get_mut(&self.number) {
            entry.runs = true;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        lock(&self.of.0).open.remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
