//! `openctrl logs`: what an instance printed, and what it prints.
//!
//! The lines come from the history of the master; while they are followed, the event stream only
//! tells that there are more, so that what is shown and searched is the same with and without
//! `--follow`. A master without a history is asked for what its event window has.

use std::sync::Arc;

use super::api::{Api, escape};
use super::document::{Document, quote};
use super::events::{before, newest, replay};
use super::failure::Failure;
use super::follow::{Follower, Item};
use super::outlet::{Outlet, note};
use super::select::resolve_one;
use super::stream::{Event, number};
use super::text::{plain, plain_line};
use crate::grammar::{Format, Logs};

/// The most lines that one answer may have.
const PAGE: usize = 5000;

/// How far back the event window of a master without a history is looked at.
const WINDOW: u64 = 50_000;

/// Prints lines.
pub(crate) async fn logs(api: &Arc<Api>, out: &Outlet, question: &Logs) -> Result<(), Failure> {
    let id = resolve_one(api, &question.name).await?.id().to_owned();
    let printer = Printer { out, question };
    let mut pages = Pages { api, id: &id, grep: question.grep.as_deref() };
    let since = match question.since_start {
        true => Some(start_of(api, &id).await?),
        false => None,
    };
    let Some((lines, cursor)) = pages.last(question.lines, since.as_deref()).await? else {
        return without_history(api, &id, &printer).await;
    };
    printer.print(&lines)?;
    if question.follow { follow(api, &pages, cursor, &printer).await } else { Ok(()) }
}

/// When the present process, or the last one that is known, was started.
async fn start_of(api: &Api, id: &str) -> Result<String, Failure> {
    let process = api.get_if_known(&format!("/instances/{id}/process")).await?;
    let started = process.map(|process| process.at("started").text().to_owned());
    match started.as_deref() {
        None => Err(Failure::Refused(
            "this master does not tell when processes were started: use -n COUNT".to_owned(),
        )),
        Some("") => Err(Failure::Refused("it does not run: use -n COUNT".to_owned())),
        Some(started) => Ok(started.to_owned()),
    }
}

/// Lines, and where to go on.
type Page = (Vec<Document>, String);

/// The history of one instance.
struct Pages<'a> {
    api: &'a Api,
    id: &'a str,
    grep: Option<&'a str>,
}

impl Pages<'_> {
    /// The last lines, or all since a time; none where there is no history.
    async fn last(&mut self, count: usize, since: Option<&str>) -> Result<Option<Page>, Failure> {
        let mut lines: Vec<Document> = Vec::new();
        let mut cursor = None;
        let mut place = String::new();
        loop {
            let wanted = if since.is_some() { PAGE } else { count.saturating_sub(lines.len()) };
            let query = format!("{place}limit={}", wanted.clamp(1, PAGE));
            let Some(page) = self.get(&query).await? else { return Ok(None) };
            cursor.get_or_insert_with(|| page.at("next").text().to_owned());
            let has_more = page.at("more") == &Document::Bool(true);
            let mut older = page.at("lines").clone().into_list();
            let oldest = older.first().map(|line| line.at("id").text().to_owned());
            let taken = older.len();
            if let Some(since) = since {
                older.retain(|line| line.at("time").text() >= since);
            }
            let is_over = older.len() < taken || !has_more;
            older.append(&mut lines);
            lines = older;
            let is_enough = since.is_none() && lines.len() >= count;
            match oldest {
                Some(oldest) if !is_over && !is_enough => {
                    place = format!("before={}&", escape(&oldest));
                }
                Some(_) | None => break,
            }
        }
        if since.is_none() {
            lines.drain(..lines.len().saturating_sub(count));
        }
        Ok(Some((lines, cursor.unwrap_or_default())))
    }

    /// The lines after a cursor, all of them.
    async fn after(
        &self,
        cursor: &mut String,
        mut show: impl FnMut(&[Document]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            let query = format!("cursor={}&limit={PAGE}", escape(cursor));
            let Some(page) = self.get(&query).await? else {
                return Err(Failure::Missing("the instance is gone".to_owned()));
            };
            if page.at("missed") != &Document::Null && page.at("missed").whole() != Some(0) {
                note(&format!("{} lines are not kept any more", page.at("missed").bare()));
            }
            show(&page.at("lines").clone().into_list())?;
            let next = page.at("next").text();
            let has_more = page.at("more") == &Document::Bool(true) && next != cursor.as_str();
            next.clone_into(cursor);
            if !has_more {
                return Ok(());
            }
        }
    }

    async fn get(&self, query: &str) -> Result<Option<Document>, Failure> {
        let grep = self.grep.map(|grep| format!("&grep={}", escape(grep))).unwrap_or_default();
        let path = format!("/instances/{}/logs?{query}{grep}", self.id);
        let page = self.api.get_if_known(&path).await;
        page.map_err(|failure| if self.grep.is_some() { failure.of("--grep") } else { failure })
    }
}

async fn follow(
    api: &Arc<Api>,
    pages: &Pages<'_>,
    mut cursor: String,
    printer: &Printer<'_>,
) -> Result<(), Failure> {
    let mut follower = Follower::new(api, None);
    let mut is_lost = false;
    loop {
        let mut has_more = false;
        match follower.next().await? {
            Item::Opened => {
                if is_lost {
                    note("the master is there again");
                }
                is_lost = false;
                has_more = true;
            }
            Item::Event(event) => {
                has_more |= is_news(&event, pages.id, &cursor)?;
                // What has come already needs no answer of its own.
                while let Some(event) = follower.waiting() {
                    has_more |= is_news(&event, pages.id, &cursor)?;
                }
            }
            Item::Lost(reason) => {
                if !is_lost {
                    note(&format!("{reason}; trying again"));
                }
                is_lost = true;
            }
        }
        if has_more {
            match pages.after(&mut cursor, |lines| printer.print(lines)).await {
                // The stream is going to say the same, and is opened again.
                Ok(()) | Err(Failure::Unreachable(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether an event tells of a line after the cursor.
fn is_news(event: &Event, id: &str, cursor: &str) -> Result<bool, Failure> {
    if event.is_gap() {
        return Ok(true);
    }
    let is_known = match (event.number(), number(cursor)) {
        (Some((boot, at)), Some((known, last))) => boot == known && at <= last,
        (None, _) | (_, None) => false,
    };
    // Most events are of other instances; these are not taken apart.
    if is_known || !event.data.contains(id) {
        return Ok(false);
    }
    let Some(word) = event.word().filter(|word| word.instance.id() == id) else { return Ok(false) };
    match word.kind.as_str() {
        "delete" => Err(Failure::Missing("the instance was deleted".to_owned())),
        kind => Ok(kind == "log"),
    }
}

/// What the event window has, where there is no history.
async fn without_history(api: &Arc<Api>, id: &str, printer: &Printer<'_>) -> Result<(), Failure> {
    let question = printer.question;
    if question.grep.is_some() {
        let reason = "this master keeps no logs and cannot search them: use '| grep'";
        return Err(Failure::Refused(reason.to_owned()));
    }
    let newest = newest(api).await?;
    if let Some(newest) = &newest {
        note("this master keeps no logs; this is what its event window has");
        let events = replay(api, &before(newest, WINDOW), newest).await?;
        let lines: Vec<Document> = events.iter().filter_map(|event| line_of(event, id)).collect();
        printer.print(&lines[lines.len().saturating_sub(question.lines)..])?;
    } else if !question.follow {
        let reason = "this master keeps no logs: use --follow for what comes";
        return Err(Failure::Refused(reason.to_owned()));
    }
    if !question.follow {
        return Ok(());
    }
    let mut follower = Follower::new(api, newest);
    loop {
        if let Item::Event(event) = follower.next().await?
            && let Some(line) = line_of(&event, id)
        {
            printer.print(&[line])?;
        }
    }
}

/// A `log` event as a line of a history.
fn line_of(event: &Event, id: &str) -> Option<Document> {
    let word = event.word().filter(|word| word.kind == "log" && word.instance.id() == id)?;
    let field = |name: &str, text: &str| (name.to_owned(), Document::Text(text.to_owned()));
    Some(Document::Object(vec![
        field("id", event.id.as_deref().unwrap_or_default()),
        field("time", &word.time),
        field("text", &word.line),
    ]))
}

struct Printer<'a> {
    out: &'a Outlet,
    question: &'a Logs,
}

impl Printer<'_> {
    fn print(&self, lines: &[Document]) -> Result<(), Failure> {
        let mut text = String::new();
        for line in lines {
            match self.out.format {
                Format::Json => text.push_str(&(json_line(line) + "\n")),
                Format::Yaml => text.push_str(&format!("---\n{}", line.to_yaml())),
                Format::Table | Format::Wide => text.push_str(&(self.line(line) + "\n")),
            }
        }
        if text.is_empty() { Ok(()) } else { self.out.print(&text) }
    }

    fn line(&self, line: &Document) -> String {
        let said = line.at("text").text();
        let said = if self.question.raw { said.into() } else { plain_line(said) };
        let cut = match line.at("cut").whole() {
            None | Some(0) => String::new(),
            Some(cut) => format!(" … ({cut} bytes cut)"),
        };
        match self.question.time {
            true => format!("{} {said}{cut}", plain(line.at("time").text())),
            false => format!("{said}{cut}"),
        }
    }
}

/// A line as JSON in one line.
fn json_line(line: &Document) -> String {
    let mut json = String::from("{");
    for (index, (name, value)) in line.fields().iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        quote(&mut json, name);
        json.push(':');
        json.push_str(&value.to_json());
    }
    json + "}"
}
