//! The live screens, `list --watch` and `top`: hears the events, draws what fits.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::api::{Api, KEY_ID};
use super::document::Document;
use super::failure::Failure;
use super::follow::{Follower, Item};
use super::instance::Instance;
use super::list;
use super::meter::Meter;
use super::outlet::{Outlet, terminal_size};
use super::screen::{Key, Screen, keys};
use super::show::cpu_percent;
use super::stream::Event;
use super::table::{Canvas, Cell, Column, Tone, lines, paint};
use super::text::{fit, plain};
use super::units::{bytes, rate, span};
use crate::grammar::{Format, List, Sort, Status, Top};

/// Pictures a second, at most, are enough for eyes.
const FRAME: Duration = Duration::from_millis(250);

/// A picture without news: ages go on.
const STALE: Duration = Duration::from_secs(1);

/// How often figures are asked for. An answer that takes long is asked for less often.
const FIGURES: Duration = Duration::from_secs(2);
const FIGURES_SHARE: u32 = 20;

/// Which screen.
#[derive(Debug)]
pub(crate) struct Kind {
    is_top: bool,
    is_wide: bool,
    tags: Vec<String>,
    status: Option<Status>,
    sort: Sort,
}

impl Kind {
    /// `list --watch`.
    pub(crate) fn list(question: &List, format: Format) -> Self {
        let is_wide = format == Format::Wide;
        let (tags, status) = (question.tag.clone(), question.status);
        Self { is_top: false, is_wide, tags, status, sort: question.sort }
    }

    /// `top`.
    pub(crate) fn top(question: &Top) -> Self {
        let (tags, sort) = (question.tag.clone(), question.sort);
        Self { is_top: true, is_wide: false, tags, status: None, sort }
    }

    const fn name(&self) -> &'static str {
        if self.is_top { "top" } else { "list --watch" }
    }
}

/// Figures that no event tells.
enum Figures {
    Processes(Vec<Document>),
    /// The master is an older one.
    NoProcesses,
    Info(Document),
}

/// Keeps a screen until it is quit.
pub(crate) async fn watch(api: &Arc<Api>, kind: Kind) -> Result<(), Failure> {
    // What is wrong from the start is told on an ordinary screen.
    let info = api.get("/info").await?;
    let mut items = Follower::new(api, None).spawn();
    let mut figures = ask_for_figures(api, kind.is_top);
    let mut board = Board::new(kind, api.shown(), info);
    let screen = Screen::enter(board.kind.name())?;
    let mut keys = keys();
    let failed = |error| Failure::Refused(format!("cannot listen for signals: {error}"));
    let mut resized = signal(SignalKind::window_change()).map_err(failed)?;
    let mut frame = interval(FRAME);
    frame.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drawn = None::<Instant>;
    loop {
        tokio::select! {
            Some(item) = items.recv() => board.hear(item?),
            Some(figures) = figures.recv() => board.learn(figures),
            Some(key) = keys.recv() => {
                if key == Key::Letter('q') {
                    return Ok(());
                }
                board.press(key);
                drawn = None;
            }
            _ = resized.recv() => drawn = None,
            _ = frame.tick() => {}
        }
        let pause = if board.has_news { FRAME } else { STALE };
        if drawn.is_none_or(|drawn| drawn.elapsed() >= pause) {
            let canvas = Outlet::new(Format::Table).canvas;
            let (columns, rows) = terminal_size().unwrap_or((80, 24));
            let canvas = Canvas { width: Some(columns), ..canvas };
            screen.draw(&board.draw(canvas, rows, Instant::now()))?;
            board.has_news = false;
            drawn = Some(Instant::now());
        }
    }
}

fn ask_for_figures(api: &Arc<Api>, is_wanted: bool) -> mpsc::Receiver<Figures> {
    let (sender, receiver) = mpsc::channel(4);
    let api = Arc::clone(api);
    if !is_wanted {
        return receiver;
    }
    tokio::spawn(async move {
        let mut has_processes = true;
        loop {
            let begun = Instant::now();
            // What cannot be had now the event stream tells of.
            if has_processes {
                let news = match api.get_if_known("/processes").await {
                    Ok(Some(list)) => Some(Figures::Processes(list.into_list())),
                    Ok(None) => {
                        has_processes = false;
                        Some(Figures::NoProcesses)
                    }
                    Err(_) => None,
                };
                if let Some(news) = news
                    && sender.send(news).await.is_err()
                {
                    return;
                }
            }
            if let Ok(info) = api.get("/info").await
                && sender.send(Figures::Info(info)).await.is_err()
            {
                return;
            }
            sleep(FIGURES.max(begun.elapsed() * FIGURES_SHARE)).await;
        }
    });
    receiver
}

/// All that a screen shows.
struct Board {
    kind: Kind,
    place: String,
    info: Document,
    entries: HashMap<String, Entry>,
    /// Ids seen since a new picture began; what is not among them at its end is gone.
    picture: Option<HashSet<String>>,
    lost: Option<String>,
    has_processes: bool,
    is_reversed: bool,
    first: usize,
    page: usize,
    has_news: bool,
}

struct Entry {
    instance: Instance,
    meter: Meter,
    process: Document,
}

impl Board {
    fn new(kind: Kind, place: &str, info: Document) -> Self {
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
            has_news: true,
        }
    }

    fn hear(&mut self, item: Item) {
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

    fn learn(&mut self, figures: Figures) {
        self.has_news = true;
        match figures {
            Figures::Info(info) => self.info = info,
            Figures::NoProcesses => self.has_processes = false,
            Figures::Processes(list) => {
                for process in list {
                    if let Some(entry) = self.entries.get_mut(process.at("id").text()) {
                        entry.process = process;
                    }
                }
            }
        }
    }

    fn press(&mut self, key: Key) {
        match key {
            Key::Up => self.first = self.first.saturating_sub(1),
            Key::Down => self.first += 1,
            Key::PageUp => self.first = self.first.saturating_sub(self.page),
            Key::PageDown => self.first += self.page,
            Key::Home => self.first = 0,
            Key::End => self.first = usize::MAX,
            Key::Letter('s') => self.kind.sort = self.next_sort(),
            Key::Letter('r') => self.is_reversed = !self.is_reversed,
            Key::Letter(_) => {}
        }
    }

    fn next_sort(&self) -> Sort {
        const LIST: &[Sort] =
            &[Sort::Alias, Sort::Status, Sort::Ping, Sort::Sessions, Sort::Rx, Sort::Tx];
        const TOP: &[Sort] = &[
            Sort::Cpu,
            Sort::Memory,
            Sort::Rx,
            Sort::Tx,
            Sort::Sessions,
            Sort::Status,
            Sort::Alias,
        ];
        let order = if self.kind.is_top { TOP } else { LIST };
        let at = order.iter().position(|sort| *sort == self.kind.sort);
        order[at.map_or(0, |at| at + 1) % order.len()]
    }

    /// The lines of a screen of so many rows.
    fn draw(&mut self, canvas: Canvas, rows: usize, now: Instant) -> Vec<String> {
        let width = canvas.width.unwrap_or(80);
        let mut heading = self.heading(now);
        if let Some(reason) = &self.lost {
            let text = format!("not connected, trying again: {}", plain(reason));
            heading.push(paint(&fit(&text, width), Tone::Bad, canvas));
        }
        for line in heading.iter_mut().take(1 + usize::from(self.kind.is_top)) {
            *line = fit(line, width).into_owned();
        }
        // The heading of the table and the last line.
        self.page = rows.saturating_sub(heading.len() + 2).max(1);
        let shown = self.shown(now);
        let last_first = shown.len().saturating_sub(self.page);
        let first = self.first.min(last_first);
        let visible = &shown[first..shown.len().min(first + self.page)];
        let cells: Vec<Vec<Cell>> = visible.iter().map(|entry| self.row(entry, now)).collect();
        let last = first + visible.len();
        let foot = format!(
            "{}-{last} of {}  sort: {}{}  [s]ort [r]everse [q]uit, arrows, page up and down",
            if visible.is_empty() { 0 } else { first + 1 },
            shown.len(),
            sort_name(self.kind.sort),
            if self.is_reversed { ", reversed" } else { "" },
        );
        self.first = first;
        let mut all = heading;
        all.extend(lines(self.columns(), &cells, canvas));
        all.resize(rows.saturating_sub(1), String::new());
        all.push(paint(&fit(&foot, width), Tone::Dim, canvas));
        all.truncate(rows);
        all
    }

    fn heading(&self, now: Instant) -> Vec<String> {
        let of = |status| self.entries.values().filter(|e| e.instance.status() == status).count();
        let name = match self.info.at("alias").text() {
            "" => &self.place,
            alias => alias,
        };
        let total = format!(
            "{}  {} instances: {} running, {} error, {} stopped",
            plain(name),
            self.entries.len(),
            of("running"),
            of("error"),
            of("stopped")
        );
        if !self.kind.is_top {
            return vec![total];
        }
        let rates = self.entries.values().map(|entry| entry.meter.at(now));
        let (rx, tx) = rates.fold((0.0, 0.0), |(rx, tx), (r, t)| (rx + r, tx + t));
        let size = |name: &str| bytes(self.info.at(name).whole().unwrap_or(0));
        let machine = format!(
            "cpu {}%  memory {} of {}  rx {}/s  tx {}/s  up {}{}",
            self.info.at("cpu").bare(),
            size("mem_used"),
            size("mem_total"),
            rate(rx),
            rate(tx),
            span(self.info.at("uptime").whole().unwrap_or(0)),
            if self.has_processes {
                ""
            } else {
                "  (no CPU and memory of instances: older master)"
            },
        );
        vec![total, machine]
    }

    /// The entries that are wanted, in their order.
    fn shown(&self, now: Instant) -> Vec<&Entry> {
        let is_wanted = |entry: &&Entry| {
            entry.instance.has_tags(&self.kind.tags)
                && list::has_status(&entry.instance, self.kind.status)
        };
        let mut shown: Vec<&Entry> = self.entries.values().filter(is_wanted).collect();
        shown.sort_by(|a, b| {
            let order = self.compare(a, b, now);
            if self.is_reversed { order.reverse() } else { order }
        });
        shown
    }

    fn compare(&self, a: &Entry, b: &Entry, now: Instant) -> Ordering {
        let down = |number: &dyn Fn(&Entry) -> f64| number(b).total_cmp(&number(a));
        let first = match self.kind.sort {
            Sort::Cpu => down(&|one| cpu_percent(&one.process).unwrap_or(-1.0)),
            Sort::Memory => down(&|one| one.process.at("memoryBytes").number().unwrap_or(-1.0)),
            Sort::Rx if self.kind.is_top => down(&|one| one.meter.at(now).0),
            Sort::Tx if self.kind.is_top => down(&|one| one.meter.at(now).1),
            Sort::Alias
            | Sort::Id
            | Sort::Status
            | Sort::Ping
            | Sort::Sessions
            | Sort::Rx
            | Sort::Tx => Ordering::Equal,
        };
        first.then_with(|| list::compare(self.kind.sort, &a.instance, &b.instance))
    }

    const fn columns(&self) -> &'static [Column] {
        const TOP: &[Column] = &[
            Column::flexible("ALIAS", 8),
            Column::text("ID"),
            Column::text("STATUS"),
            Column::number("PID"),
            Column::number("CPU%"),
            Column::number("MEM"),
            Column::number("PING"),
            Column::number("SESS"),
            Column::number("RX/s"),
            Column::number("TX/s"),
            Column::number("STARTS"),
        ];
        if self.kind.is_top { TOP } else { list::columns(self.kind.is_wide) }
    }

    fn row(&self, entry: &Entry, now: Instant) -> Vec<Cell> {
        let instance = &entry.instance;
        if !self.kind.is_top {
            return list::row(instance, self.kind.is_wide);
        }
        let known = |text: Option<String>| Cell::new(&text.unwrap_or_else(|| "-".to_owned()));
        let (rx, tx) = entry.meter.at(now);
        vec![
            Cell::new(instance.alias()),
            Cell::toned(instance.id(), Tone::Dim),
            list::status(instance),
            known(entry.process.at("pid").whole().map(|pid| pid.to_string())),
            known(cpu_percent(&entry.process).map(|percent| format!("{percent:.1}"))),
            known(entry.process.at("memoryBytes").whole().map(bytes)),
            Cell::new(&instance.number("ping").to_string()),
            Cell::new(&instance.sessions().to_string()),
            Cell::new(&rate(rx)),
            Cell::new(&rate(tx)),
            known(entry.process.at("starts").whole().map(|starts| starts.to_string())),
        ]
    }
}

fn sort_name(sort: Sort) -> String {
    use clap::ValueEnum;
    sort.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
