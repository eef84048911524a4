//! The Patrol door: the board, and the handling of requests, independent of their transport.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use openctrl_core::command::{Caller, Command, Desire, Door as Which, Outcome, Refusal, Trust};
use openctrl_core::doors::patrol::access::{
    Access, ApiError, Group, Via, admit, toggle, values_edit,
};
use openctrl_core::doors::patrol::config::{Config, HookName};
use openctrl_core::doors::patrol::launch::{LogFiles, Logged};
use openctrl_core::doors::patrol::layout::{Layout, RFC1123Z, Zone};
use openctrl_core::doors::patrol::request::Request;
use openctrl_core::doors::patrol::response::{Clock, Reply, Server, datagram, http, status};
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Beat, Cas, Label, RunShown, Toggle, Values, ValuesEdit};
use openctrl_core::time::Wall;

use super::board::{Before, Board};
use super::hook_runner::HookRunner;
use super::hooks::{Event, Extras};
use super::local_time::LocalTime;
use super::sources::Sources;
use super::udp::Answerer;
use super::uuid::uuid_of;
use crate::daemon::clock::Clock as SystemClock;
use crate::daemon::inbox::Mailbox;
use crate::daemon::process::{Claim, prove};

/// The Patrol door of a master.
pub(crate) struct Door {
    pub(super) board: Mutex<Board>,
    pub(super) mailbox: Mailbox,
    pub(super) clock: SystemClock,
    local: LocalTime,
    /// Whether the whole server is this door.
    pub(crate) is_alone: bool,
    instance_id: String,
    started: Wall,
    status: Mutex<Option<Status>>,
    hooks: HookRunner,
    pub(super) sources: Sources,
}

/// `/status/` as it was rendered last.
struct Status {
    at: u64,
    body: Bytes,
}

/// Why there is no reply but an error.
#[derive(Debug)]
pub(super) enum Problem {
    /// One of the contract.
    Api(ApiError),
    /// The change could not be made durable, or the server is shutting down.
    Unavailable(String),
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("is_alone", &self.is_alone).finish_non_exhaustive()
    }
}

impl Door {
    pub(crate) fn new(
        config: Arc<Config>,
        is_alone: bool,
        id: [u8; 16],
        mailbox: Mailbox,
        clock: SystemClock,
        extras: Extras,
    ) -> Self {
        let hooks = HookRunner::start(extras.listener);
        let started = clock.sample().wall;
        Self {
            hooks,
            sources: extras.sources,
            board: Mutex::new(Board::new(config)),
            mailbox,
            clock,
            local: LocalTime::read(),
            is_alone,
            instance_id: uuid_of(id),
            started,
            status: Mutex::new(None),
        }
    }

    /// Takes another configuration in.
    pub(crate) fn configure(&self, config: Arc<Config>) {
        self.lock().configure(config);
        self.forget_status();
    }

    /// Applies the shown state of an instance.
    pub(crate) fn show(&self, label: Label, instance: InstanceId, shown: RunShown) {
        let mut board = self.lock();
        for event in board.show(label, instance, shown) {
            self.tell(&board, event);
        }
        drop(board);
        self.forget_status();
    }

    /// Something happened to the server.
    pub(crate) fn happened(&self, name: HookName) {
        self.tell(&self.lock(), Event::of_server(name));
    }

    /// The server has ended: its hooks may run until then.
    pub(crate) async fn finish(&self, until: Instant) {
        self.happened(HookName::Stopped);
        self.hooks.finish(until).await;
    }

    /// A start is tried, or failed.
    pub(crate) fn start_tried(&self, label: &Label, name: HookName) {
        let board = self.lock();
        if let Some((group, id, _)) = board.named(label) {
            self.tell(&board, Event::of(name, group, id));
        }
    }

    /// Reports the state of apps and services at every tick, until the task is stopped.
    pub(crate) async fn tick(self: Arc<Self>) {
        loop {
            self.happened(HookName::Tick);
            let tick_s = {
                let board = self.lock();
                for event in board.tick_events() {
                    self.tell(&board, event);
                }
                board.config.tick_every_s
            };
            tokio::time::sleep(Duration::from_secs(tick_s)).await;
        }
    }

    fn tell(&self, board: &Board, event: Event) {
        if let Some((hooks, x)) = board.hooks(&event) {
            self.hooks.tell(Event { x: x.clone(), ..event }, hooks);
        }
    }

    /// The log files of a start that is about to be tried.
    pub(super) fn log_files(
        &self,
        label: &Label,
        root: &str,
        merge: bool,
        logged: Logged,
    ) -> LogFiles {
        let now = self.now();
        let files = LogFiles::new(root, merge, logged, now, &self.local.zone(now));
        self.lock().set_log(label, files.clone());
        files
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().expect("nothing panics while it holds the board")
    }

    pub(super) fn now(&self) -> Wall {
        self.clock.sample().wall
    }

    pub(super) fn zone(&self, at: Wall) -> Zone {
        self.local.zone(at)
    }

    pub(super) const fn server(&self, is_draining: bool) -> Server<'_> {
        Server {
            instance_id: self.instance_id.as_str(),
            started: Some(self.started),
            shutdown: is_draining,
        }
    }

    pub(super) fn layout(config: &Config) -> Layout {
        config.timestamp.clone().unwrap_or_else(|| Layout::new(RFC1123Z))
    }

    /// `/status/`. What was rendered in the same second is rendered again only if anything changed
    /// or times have fractions.
    pub(super) fn status(&self) -> Bytes {
        let now = self.now();
        let board = self.lock();
        let layout = Self::layout(&board.config);
        let step = if layout.has_fraction() { 1_000 } else { 1_000_000 };
        let at = now.as_micros() / step;
        let mut kept = self.status.lock().expect("nothing panics while it holds this");
        if let Some(status) = kept.as_ref().filter(|status| status.at == at) {
            return status.body.clone();
        }
        let zone = |at| self.zone(at);
        let clock = Clock { layout: &layout, zone: &zone };
        let apps = board.views(Group::App, now);
        let services = board.views(Group::Service, now);
        let text = status(self.server(board.is_draining()), apps, services, clock);
        let body = Bytes::from(text);
        *kept = Some(Status { at, body: body.clone() });
        body
    }

    fn forget_status(&self) {
        *self.status.lock().expect("nothing panics while it holds this") = None;
    }

    /// The reply to a request over HTTP.
    pub(super) async fn reply(&self, request: Request) -> Result<String, Problem> {
        let with_history = request.history != Some(false);
        self.answer(request, Via::Http, |reply, clock| http(&reply, with_history, clock)).await
    }

    /// Toggles an app or service for a form.
    pub(super) async fn press(&self, instance: InstanceId, toggle: Toggle) -> Result<(), Problem> {
        let desire = Desire {
            expect: Cas(0),
            values: ValuesEdit::Merge(Values::new()),
            toggle: Some(toggle),
            beat: None,
            shows_instance: false,
        };
        self.desire(instance, desire).await.map(drop)
    }

    async fn answer(
        &self,
        request: Request,
        via: Via,
        render: impl FnOnce(Reply<'_>, Clock<'_>) -> String,
    ) -> Result<String, Problem> {
        let zone = |at| self.zone(at);
        let (group, id, access, desired) = {
            let board = self.lock();
            let find = |group: Group, id: &str| {
                let (entry, _) = board.find(group, id)?;
                Some(((group, id.to_owned()), entry.target()))
            };
            let ((group, id), access) = admit(&request, via, find).map_err(Problem::Api)?;
            let desired = match access {
                Access::Full => self.desire_of(&request, &board, group, &id),
                Access::ReadOnly => None,
            };
            if desired.is_none() {
                let (entry, shown) = board.find(group, &id).expect("it was just found");
                let view = entry.view(shown, self.now());
                let layout = Self::layout(&board.config);
                let clock = Clock { layout: &layout, zone: &zone };
                let stale = request.cas != 0 && request.cas != view.cas;
                let cas_invalid = access == Access::ReadOnly || stale;
                let shutdown = board.is_draining();
                return Ok(render(Reply { id: &id, group, shutdown, cas_invalid, view }, clock));
            }
            (group, id, access, desired)
        };
        debug_assert_eq!(access, Access::Full);
        let Some((instance, desire)) = desired else {
            return Err(Problem::Api(group.unknown()));
        };
        let (before, is_stale) = self.desire(instance, desire).await?;
        let (name, has_secret, layout) = {
            let board = self.lock();
            let entry = board.find(group, &id).map(|(entry, _)| entry);
            let name = entry.map(|entry| entry.name.clone()).unwrap_or_default();
            let has_secret = entry.is_some_and(|entry| entry.secret.is_some());
            (name, has_secret, Self::layout(&board.config))
        };
        let view = before.view(&name, has_secret, self.now());
        let clock = Clock { layout: &layout, zone: &zone };
        let shutdown = before.is_draining();
        Ok(render(Reply { id: &id, group, shutdown, cas_invalid: is_stale, view }, clock))
    }

    /// The command of a request for the engine; `None` if it only reads.
    fn desire_of(
        &self,
        request: &Request,
        board: &Board,
        group: Group,
        id: &str,
    ) -> Option<(InstanceId, Desire)> {
        let (entry, shown) = board.find(group, id)?;
        let instance = shown?.instance;
        let values = values_edit(request);
        let toggle = toggle(request.toggle);
        let is_ping = request.ping && group == Group::App;
        let changes = is_ping
            || toggle.is_some()
            || !matches!(&values, ValuesEdit::Merge(values) if values.is_empty());
        if !changes {
            return None;
        }
        let beat = is_ping.then(|| {
            let leader = shown.and_then(|shown| shown.run.leader);
            let proven = entry.app.as_ref().filter(|_| request.pid != 0).and_then(|app| {
                let program = PathBuf::from(app.program());
                let variable = format!("PATROL_ID={id}");
                let claim = Claim { program: &program, leader, variable: &variable };
                prove(request.pid, &claim).admits(app.pid_verify)
            });
            Beat { pid: request.pid, proven }
        });
        let expect = Cas(request.cas);
        Some((instance, Desire { expect, values, toggle, beat, shows_instance: false }))
    }

    async fn desire(
        &self,
        instance: InstanceId,
        desire: Desire,
    ) -> Result<(Before, bool), Problem> {
        let command = Command::Desire { id: instance, desire: Box::new(desire) };
        let caller = Caller { door: Which::Patrol, trust: Trust::Open };
        match self.mailbox.call(caller, command).await {
            Some(Outcome::Desired(done)) => Ok((Before::new(*done.before), done.is_stale)),
            Some(Outcome::Refused(refusal)) => Err(refused(&refusal)),
            Some(_) | None => Err(refused(&Refusal::ShuttingDown)),
        }
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let reason = match refusal {
        Refusal::NotDurable { reason } => format!("not changed: cannot save the state: {reason}"),
        Refusal::NoInstance => "the configuration is being read".to_owned(),
        Refusal::TakesRole(_)
        | Refusal::NotAdmitted
        | Refusal::CannotEnd
        | Refusal::SameUrl
        | Refusal::Configured
        | Refusal::Circle { .. }
        | Refusal::TooLarge { .. }
        | Refusal::Busy
        | Refusal::Crowded
        | Refusal::Full { .. }
        | Refusal::ShuttingDown => "the server is shutting down".to_owned(),
    };
    Problem::Unavailable(reason)
}

impl Answerer for Door {
    async fn answer(&self, bytes: Vec<u8>, _: SocketAddr) -> Option<String> {
        let request = Request::from_json(&bytes).ok()?;
        self.answer(request, Via::Udp, |reply, clock| datagram(&reply, clock)).await.ok()
    }
}
