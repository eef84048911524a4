//! All that a screen shows, and what keys do. No I/O.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use crate::client::api::KEY_ID;
use crate::client::document::Document;
use crate::client::follow::Item;
use crate::client::instance::Instance;
use crate::client::list::{self, Line};
use crate::client::meter::Meter;
use crate::client::screen::Key;
use crate::client::stream::{Event, Word};
use crate::grammar::{Format, List, Sort, Status, Top};

/// Lines that the log pane keeps.
const PANE_MAX: usize = 500;

/// Which screen.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(super) is_top: bool,
    pub(super) is_wide: bool,
    pub(super) tags: Vec<String>,
    pub(super) status: Option<Status>,
    pub(super) sort: Sort,
}

impl Kind {
    /// `list --watch`.
    pub(crate) fn list(question: &List, format: Format) -> Self {
        let is_wide = format == Format::Wide;
        let (tags, status) = (question.tag.clone(), question.status);
        Self { is_top: false, is_wide, tags, status, sort: question.sort }
    }

    /// `top`.
    pub(crate) fn top(question: &Top, format: Format) -> Self {
        let is_wide = format == Format::Wide;
        let (tags, sort) = (question.tag.clone(), question.sort);
        Self { is_top: true, is_wide, tags, status: None, sort }
    }

    pub(super) const fn name(&self) -> &'static str {
        if self.is_top { "top" } else { "list --watch" }
    }
}

/// Answers of the master while a screen is shown.
pub(super) enum Answer {
    Processes(Vec<Document>),
    /// The master is an older one.
    NoProcesses,
    Info(Document),
    /// The last lines of an instance.
    Lines(String, Vec<LogLine>),
    /// What became of an action.
    Notice(String),
}

/// Requests of the screen to the master.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The last lines of an instance.
    Lines(String),
    /// An action.
    Act { id: String, name: String, action: &'static str },
}

/// All that a screen shows.
pub(super) struct Board {
    pub(super) kind: Kind,
    pub(super) place: String,
    pub(super) info: Document,
    pub(super) entries: HashMap<String, Entry>,
    /// Ids seen since the `initial` events started; others were deleted.
    picture: Option<HashSet<String>>,
    pub(super) lost: Option<String>,
    pub(super) has_processes: bool,
    pub(super) is_reversed: bool,
    /// The first line in sight, and how many are.
    pub(super) first: usize,
    pub(super) page: usize,
    /// The ids in their order, as they were drawn last.
    pub(super) order: Vec<String>,
    /// The instance that actions are for.
    pub(super) selected: Option<String>,
    pub(super) pane: Option<Pane>,
    /// An action that waits for a yes.
    pub(super) question: Option<Order>,
    pub(super) notice: String,
    orders: VecDeque<Order>,
    pub(super) has_news: bool,
}

/// One instance.
pub(super) struct Entry {
    pub(super) instance: Instance,
    meter: Meter,
    process: Document,
}

/// The last lines of one instance.
pub(super) struct Pane {
    pub(super) id: String,
    pub(super) lines: VecDeque<LogLine>,
    /// Whether lines have arrived as events, which do not name their stream.
    is_stale: bool,
    /// Whether the lines were asked for and have not come yet.
    is_asked: bool,
}

/// A line of a log.
#[derive(Clone, Debug)]
pub(super) struct LogLine {
    pub(super) text: String,
    /// Whether it was written to standard error, as far as that is known.
    pub(super) is_stderr: bool,
}

impl Entry {
    /// The entry as a line of a table.
    pub(super) fn line(&self, now: Instant) -> Line<'_> {
        let line = Line::alone(&self.instance);
        Line { process: &self.process, rates: self.meter.at(now), ..line }
    }
}

impl Board {
    pub(super) fn new(kind: Kind, place: &str, info: Document) -> Self {
        Self {
            kind,
            place: place.to_owned(),
            info,
            entries: HashMap::new(),
            picture: Some(HashSet::new()),
            lost: Some("connecting".to_owned()),
            has_processes: true,
            is_reversed: false,
            first: 0,
            page: 1,
            order: Vec::new(),
            selected: None,
            pane: None,
            question: None,
            notice: String::new(),
            orders: VecDeque::new(),
            has_news: true,
        }
    }

    /// Applies an item of the event stream.
    pub(super) fn hear(&mut self, item: Item) {
        self.has_news = true;
        match item {
            Item::Opened => self.lost = None,
            Item::Lost(reason) => self.lost = Some(reason),
            Item::Event(event) => self.take(&event),
        }
    }

    fn take(&mut self, event: &Event) {
        if event.is_gap() {
            self.picture = Some(HashSet::new());
            return;
        }
        let Some(word) = event.word() else { return };
        let is_initial = word.kind == "initial";
        let id = word.instance.id().to_owned();
        if let Some(seen) = &mut self.picture {
            if is_initial {
                seen.insert(id.clone());
            }
            // The last of a picture has an id; of masters that number nothing, none has.
            if !is_initial || event.id.is_some() {
                let seen = self.picture.take().unwrap_or_default();
                self.entries.retain(|id, _| seen.contains(id));
            }
        }
        if id == KEY_ID || id.is_empty() {
            return;
        }
        if word.kind == "delete" {
            self.entries.remove(&id);
            return;
        }
        self.note_line(&id, &word);
        let entry = self.entries.entry(id).or_insert_with(|| Entry {
            instance: word.instance.clone(),
            meter: Meter::default(),
            process: Document::Null,
        });
        entry.instance = word.instance;
        if is_initial {
            entry.meter.rebase();
        }
        entry.meter.update(Instant::now(), entry.instance.rx(), entry.instance.tx());
    }

    fn note_line(&mut self, id: &str, word: &Word) {
        let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id && word.kind == "log")
        else {
            return;
        };
        pane.lines.push_back(LogLine { text: word.line.clone(), is_stderr: false });
        pane.is_stale = true;
        if pane.lines.len() > PANE_MAX {
            pane.lines.pop_front();
        }
    }

    /// Takes in an answer.
    pub(super) fn learn(&mut self, answer: Answer) {
        self.has_news = true;
        match answer {
            Answer::Info(info) => self.info = info,
            Answer::NoProcesses => self.has_processes = false,
            Answer::Notice(text) => self.notice = text,
            Answer::Lines(id, lines) => {
                if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) {
                    pane.is_asked = false;
                    // A master without a history has none; those of events stay.
                    if !lines.is_empty() {
                        pane.lines = lines.into();
                    }
                }
            }
            Answer::Processes(list) => {
                for process in list {
                    if let Some(entry) = self.entries.get_mut(process.at("id").text()) {
                        entry.process = process;
                    }
                }
            }
        }
    }

    /// Asks for the lines of the pane if there are new ones. Called once a picture, however many
    /// lines there are.
    pub(super) fn refresh_pane(&mut self) {
        if let Some(pane) = self.pane.as_mut().filter(|pane| pane.is_stale && !pane.is_asked) {
            (pane.is_stale, pane.is_asked) = (false, true);
            self.orders.push_back(Order::Lines(pane.id.clone()));
        }
    }

    /// The next request to the master.
    pub(super) fn take_order(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// A key.
    pub(super) fn press(&mut self, key: Key) {
        self.notice.clear();
        if let Some(question) = self.question.take() {
            if key == Key::Letter('y') {
                self.orders.push_back(question);
            }
            return;
        }
        match key {
            Key::Up => self.step(-1),
            Key::Down => self.step(1),
            Key::PageUp => self.scroll(self.first.saturating_sub(self.page)),
            Key::PageDown => self.scroll(self.first + self.page),
            Key::Home => self.scroll(0),
            Key::End => self.scroll(usize::MAX),
            Key::Letter('s') => self.kind.sort = self.next_sort(),
            Key::Letter('r') => self.is_reversed = !self.is_reversed,
            Key::Letter('l') | Key::Enter if self.pane.is_none() => self.open_pane(),
            Key::Letter('l') | Key::Enter | Key::Escape => self.pane = None,
            Key::Letter('S') => self.ask("start"),
            Key::Letter('T') => self.ask("stop"),
            Key::Letter('R') => self.ask("restart"),
            Key::Letter(_) => {}
        }
    }

    fn step(&mut self, by: isize) {
        let at = self.selected.as_ref().and_then(|id| self.order.iter().position(|one| one == id));
        let at = match at {
            Some(at) => at.saturating_add_signed(by).min(self.order.len().saturating_sub(1)),
            None => self.first,
        };
        self.select(at);
        self.first = self.first.min(at).max((at + 1).saturating_sub(self.page));
    }

    fn scroll(&mut self, first: usize) {
        self.first = first.min(self.order.len().saturating_sub(self.page));
        let at = if first == usize::MAX { self.order.len().saturating_sub(1) } else { self.first };
        self.select(at);
    }

    fn select(&mut self, at: usize) {
        self.selected = self.order.get(at).cloned();
        if self.pane.is_some() {
            self.open_pane();
        }
    }

    fn open_pane(&mut self) {
        let Some(id) = self.selected.clone().or_else(|| self.order.first().cloned()) else {
            return;
        };
        self.selected = Some(id.clone());
        if self.pane.as_ref().is_none_or(|pane| pane.id != id) {
            let lines = VecDeque::new();
            self.pane = Some(Pane { id: id.clone(), lines, is_stale: false, is_asked: true });
            self.orders.push_back(Order::Lines(id));
        }
    }

    fn ask(&mut self, action: &'static str) {
        let entry = self.selected.as_ref().and_then(|id| self.entries.get(id));
        let Some(entry) = entry else {
            "select an instance with the arrows first".clone_into(&mut self.notice);
            return;
        };
        // `start` has no effect on one in error, but a user who presses it means "retry now".
        let is_retry = action == "start" && entry.instance.status() == "error";
        let action = if is_retry { "restart" } else { action };
        let (id, name) = (entry.instance.id().to_owned(), entry.instance.name());
        self.question = Some(Order::Act { id, name, action });
    }

    fn next_sort(&self) -> Sort {
        const ORDER: &[Sort] = &[
            Sort::Name,
            Sort::Status,
            Sort::Cpu,
            Sort::Memory,
            Sort::Uptime,
            Sort::Restarts,
            Sort::Rx,
            Sort::Tx,
        ];
        let at = ORDER.iter().position(|sort| *sort == self.kind.sort);
        ORDER[at.map_or(0, |at| at + 1) % ORDER.len()]
    }

    /// The selected lines, in order.
    pub(super) fn shown(&self, now: Instant) -> Vec<Line<'_>> {
        let is_wanted = |entry: &&Entry| {
            entry.instance.has_tags(&self.kind.tags)
                && list::has_status(&entry.instance, self.kind.status)
        };
        let wanted = self.entries.values().filter(is_wanted);
        let mut shown: Vec<Line<'_>> = wanted.map(|entry| entry.line(now)).collect();
        shown.sort_by(|a, b| {
            let order = list::compare(self.kind.sort, a, b);
            if self.is_reversed { order.reverse() } else { order }
        });
        shown
    }
}
