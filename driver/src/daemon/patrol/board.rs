//! The data for reads of the Patrol door: the configuration, and the last shown state of each app
//! and service.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use openctrl_core::doors::patrol::access::{Group, Target};
use openctrl_core::doors::patrol::config::{App, Config, FreeData, Hooks, KeepAlive};
use openctrl_core::doors::patrol::definitions::instance_label;
use openctrl_core::doors::patrol::launch::{LogFiles, log_root};
use openctrl_core::doors::patrol::response::{Record, View};
use openctrl_core::doors::patrol::secret::Secret;
use openctrl_core::doors::patrol::values::KeyValues;
use openctrl_core::ids::InstanceId;
use openctrl_core::instance::{Goal, Label, Once, PastRun, RunShown};
use openctrl_core::time::Wall;

use super::hooks::{Event, at_tick, changes};
use super::uuid::uuid;

/// Apps and services, each by its id.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) config: Arc<Config>,
    apps: BTreeMap<String, Entry>,
    services: BTreeMap<String, Entry>,
    /// The instances that the engine showed, by the label of their definition.
    shown: BTreeMap<Label, Shown>,
}

/// An app or a service of the configuration.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) secret: Option<Secret>,
    /// `None` for a service.
    pub(super) app: Option<App>,
    hooks: Hooks,
    x: FreeData,
    label: Label,
}

/// The last shown state of an instance.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) instance: InstanceId,
    pub(super) run: RunShown,
    pub(super) log: Option<LogFiles>,
    run_id: String,
    past: Vec<Record>,
    values: KeyValues,
}

impl Board {
    pub(super) fn new(config: Arc<Config>) -> Self {
        let mut board = Self {
            config: Arc::clone(&config),
            apps: BTreeMap::new(),
            services: BTreeMap::new(),
            shown: BTreeMap::new(),
        };
        board.configure(config);
        board
    }

    /// Applies another configuration. Shown states stay until the engine shows others.
    pub(super) fn configure(&mut self, config: Arc<Config>) {
        let app = |id: &str, app: &App| Entry {
            name: app.name.clone(),
            secret: app.common.secret.clone(),
            app: Some(app.clone()),
            hooks: app.common.hooks.clone(),
            x: app.common.x.clone(),
            label: instance_label(Group::App, id),
        };
        self.apps = config
            .apps
            .iter()
            .map(|(id, one)| (id.as_str().to_owned(), app(id.as_str(), one)))
            .collect();
        self.services = config
            .services
            .iter()
            .map(|(id, service)| {
                let entry = Entry {
                    name: service.name.clone(),
                    secret: service.common.secret.clone(),
                    app: None,
                    hooks: service.common.hooks.clone(),
                    x: service.common.x.clone(),
                    label: instance_label(Group::Service, id.as_str()),
                };
                (id.as_str().to_owned(), entry)
            })
            .collect();
        let labels: Vec<&Label> =
            self.apps.values().chain(self.services.values()).map(|entry| &entry.label).collect();
        self.shown.retain(|label, _| labels.contains(&label));
        self.config = config;
    }

    /// The log folders of all apps, and the files that they write to.
    pub(super) fn logs(&self) -> (BTreeSet<PathBuf>, BTreeSet<PathBuf>) {
        let apps = self.apps.values().filter_map(|entry| entry.app.as_ref());
        let current = self.shown.values().filter_map(|shown| shown.log.as_ref());
        let current = current.flat_map(LogFiles::paths);
        (apps.map(|app| log_root(app).into()).collect(), current.map(PathBuf::from).collect())
    }

    /// Takes in what the engine shows of an instance; returns what happened since it was shown
    /// before.
    pub(super) fn show(&mut self, label: Label, instance: InstanceId, run: RunShown) -> Vec<Event> {
        let before = self.shown.remove(&label).filter(|shown| shown.instance == instance);
        let last = before.as_ref().map(|shown| &shown.run);
        let events = self.named(&label).map(|(group, id, _)| changes(group, id, last, &run));
        let events = events.unwrap_or_default();
        let mut shown = Shown {
            instance,
            run_id: run.run.as_ref().map(|run| uuid(run.id)).unwrap_or_default(),
            past: Vec::new(),
            values: KeyValues::default(),
            log: None,
            run,
        };
        match before {
            Some(before) => {
                let same_values = before.run.desired.values == shown.run.desired.values;
                shown.values = if same_values {
                    before.values
                } else {
                    KeyValues::from_texts(&shown.run.desired.values)
                };
                let same_past = Arc::ptr_eq(&before.run.past, &shown.run.past);
                shown.past = if same_past { before.past } else { records(&shown.run) };
                shown.log = before.log;
            }
            None => {
                shown.values = KeyValues::from_texts(&shown.run.desired.values);
                shown.past = records(&shown.run);
            }
        }
        self.shown.insert(label, shown);
        events
    }

    /// The app or service of a label.
    pub(super) fn named(&self, label: &Label) -> Option<(Group, &str, &Entry)> {
        [Group::App, Group::Service].into_iter().find_map(|group| {
            let found = self.group(group).iter().find(|(_, entry)| entry.label == *label);
            found.map(|(id, entry)| (group, id.as_str(), entry))
        })
    }

    /// The state of every app and service at a tick.
    pub(super) fn tick_events(&self) -> Vec<Event> {
        let of = |group: Group| {
            self.group(group).iter().filter_map(move |(id, entry)| {
                at_tick(group, id, &self.shown.get(&entry.label)?.run)
            })
        };
        of(Group::App).chain(of(Group::Service)).collect()
    }

    /// The hooks for an event, and the free data of its subject.
    pub(super) fn hooks(&self, event: &Event) -> Option<(&Hooks, &FreeData)> {
        match &event.subject {
            None => Some((&self.config.hooks, &self.config.x)),
            Some((group, id)) => self.group(*group).get(id).map(|entry| (&entry.hooks, &entry.x)),
        }
    }

    /// The log files of the last start of an instance.
    pub(super) fn set_log(&mut self, label: &Label, log: LogFiles) {
        if let Some(shown) = self.shown.get_mut(label) {
            shown.log = Some(log);
        }
    }

    pub(super) fn group(&self, group: Group) -> &BTreeMap<String, Entry> {
        match group {
            Group::App => &self.apps,
            Group::Service => &self.services,
        }
    }

    pub(super) fn find(&self, group: Group, id: &str) -> Option<(&Entry, Option<&Shown>)> {
        let entry = self.group(group).get(id)?;
        Some((entry, self.shown.get(&entry.label)))
    }

    /// Whether the engine showed that it is shutting down.
    pub(super) fn is_draining(&self) -> bool {
        self.shown.values().any(|shown| shown.run.draining)
    }

    /// Every app or service with its view at `now`, sorted by id.
    pub(super) fn views(
        &self,
        group: Group,
        now: Wall,
    ) -> impl Iterator<Item = (&str, View<'_>)> + '_ {
        self.group(group).iter().map(move |(id, entry)| {
            let view = entry.view(self.shown.get(&entry.label), now);
            (id.as_str(), view)
        })
    }
}

impl Entry {
    /// The values that the errors of a request depend on.
    pub(super) fn target(&self) -> Target<'_> {
        Target { keep_alive: self.keep_alive(), secret: self.secret.as_ref() }
    }

    fn keep_alive(&self) -> Option<KeepAlive> {
        self.app.as_ref().map(|app| app.keep_alive)
    }

    pub(super) fn view<'a>(&'a self, shown: Option<&'a Shown>, now: Wall) -> View<'a> {
        let base = View { name: &self.name, secret: self.secret.is_some(), ..View::default() };
        let Some(shown) = shown else { return base };
        View {
            instance_id: &shown.run_id,
            history: &shown.past,
            values: Some(&shown.values),
            ..state(base, &shown.run, now)
        }
    }
}

/// A run as it was shown at some other time, with what a view of it borrows.
#[derive(Debug)]
pub(super) struct Before {
    run: RunShown,
    run_id: String,
    past: Vec<Record>,
    values: KeyValues,
}

impl Before {
    pub(super) fn new(run: RunShown) -> Self {
        Self {
            run_id: run.run.as_ref().map(|run| uuid(run.id)).unwrap_or_default(),
            past: records(&run),
            values: KeyValues::from_texts(&run.desired.values),
            run,
        }
    }

    pub(super) fn view<'a>(&'a self, name: &'a str, has_secret: bool, now: Wall) -> View<'a> {
        let base = View { name, secret: has_secret, ..View::default() };
        View {
            instance_id: &self.run_id,
            history: &self.past,
            values: Some(&self.values),
            ..state(base, &self.run, now)
        }
    }

    pub(super) const fn is_draining(&self) -> bool {
        self.run.draining
    }
}

fn state<'a>(base: View<'a>, shown: &RunShown, now: Wall) -> View<'a> {
    let run = shown.run.as_ref();
    let seen = run.and_then(|run| if shown.is_watched { Some(now) } else { run.last_seen });
    View {
        pid: run.map_or(0, |run| run.pid),
        started: run.map(|run| run.started),
        last_seen: seen.or(shown.heard),
        disabled: shown.desired.goal == Goal::Down,
        restart: shown.desired.restart,
        run_once: shown.desired.once != Once::No,
        cas: shown.desired.cas.0,
        ..base
    }
}

fn records(shown: &RunShown) -> Vec<Record> {
    shown.past.iter().map(|run| record(run)).collect()
}

fn record(run: &PastRun) -> Record {
    Record {
        instance_id: uuid(run.id),
        pid: run.pid,
        started: Some(run.started),
        last_seen: run.last_seen,
        stopped: Some(run.stopped),
        disabled: run.disabled,
        restart: run.restart,
        run_once: run.once,
        shutdown: run.shutdown,
        exit_code: run.exit_code,
        values: KeyValues::from_texts(&run.values),
    }
}
