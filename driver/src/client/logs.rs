//! `openctrl logs`: the output of instances.
//!
//! The lines come from the history of the master. While they are followed, the event stream only
//! signals that there are more, so that display and search are the same with and without
//! `--follow`. For a master without a history, the lines in its event window are used.

use std::sync::Arc;

use openctrl_core::ids::InstanceId;
use openctrl_core::stream::Stream;

use super::api::{Api, escape};
use super::archive::{Wanted, before as before_kept};
use super::document::{Document, quote};
use super::events::{before, newest, replay};
use super::failure::Failure;
use super::follow::{Follower, Item};
use super::instance::Instance;
use super::outlet::{Outlet, note};
use super::select::resolve;
use super::stream::{Event, number};
use super::table::{Tone, paint};
use super::text::{plain, plain_line, width};
use crate::counted::counted;
use crate::grammar::{Format, Logs, StreamName, Which};
use crate::log_files::path_of;

/// The most lines that one answer may have.
const PAGE: usize = 5000;

/// Default number of lines.
const LINES: usize = 200;

/// How far back the event window of a master without a history is read.
const WINDOW: u64 = 50_000;

/// Prints lines: of one instance as they are, of several each with the name before it.
pub(crate) async fn logs(api: &Arc<Api>, out: &Outlet, question: &Logs) -> Result<(), Failure> {
    let (names, tag, all) = (question.names.clone(), question.tag.clone(), question.all);
    let instances = resolve(api, &Which { names, tag, all }).await?;
    let is_one = !question.all && question.tag.is_empty();
    if let (true, [instance]) = (is_one, &instances[..]) {
        return one(api, out, question, instance.id()).await;
    }
    many(api, out, question, &instances).await
}

async fn one(api: &Arc<Api>, out: &Outlet, question: &Logs, id: &str) -> Result<(), Failure> {
    let printer = Printer { out, question, prefix: String::new(), id: None };
    let mut pages = Pages::new(api, id, question);
    let Some((lines, cursor)) = pages.wanted(question).await? else {
        return without_history(api, id, &printer).await;
    };
    printer.print(&lines)?;
    if question.follow { follow(api, &pages, cursor, &printer).await } else { Ok(()) }
}

/// One of several logs.
struct Log<'a> {
    pages: Pages<'a>,
    cursor: String,
    printer: Printer<'a>,
}

/// Prints the lines of several instances in the order of their times.
async fn many(
    api: &Arc<Api>,
    out: &Outlet,
    question: &Logs,
    instances: &[Instance],
) -> Result<(), Failure> {
    let name = |one: &Instance| {
        let twins = instances.iter().filter(|other| other.alias() == one.alias()).count();
        match one.alias() {
            "" => one.id().to_owned(),
            _ if twins > 1 => one.name(),
            alias => alias.to_owned(),
        }
    };
    let wide = instances.iter().map(|one| width(&plain(&name(one)))).max().unwrap_or(0);
    let mut logs = Vec::new();
    let mut all: Vec<(String, usize, Document)> = Vec::new();
    for instance in instances {
        let mut pages = Pages::new(api, instance.id(), question);
        let Some((lines, cursor)) = pages.wanted(question).await? else {
            let reason = "this master keeps no logs: ask for one instance with --follow";
            return Err(Failure::Refused(reason.to_owned()));
        };
        let index = logs.len();
        all.extend(lines.into_iter().map(|line| (line.at("time").text().to_owned(), index, line)));
        let name = name(instance);
        let name = plain(&name);
        let space = " ".repeat(wide - width(&name));
        let prefix = format!("{name}{space} ");
        logs.push(Log {
            pages,
            cursor,
            printer: Printer { out, question, prefix, id: Some(instance.id()) },
        });
    }
    // Stable: lines of one instance stay in their order.
    all.sort_by(|(a, _, _), (b, _, _)| a.cmp(b));
    for (_, index, line) in all {
        logs[index].printer.print(&[line])?;
    }
    if question.follow { follow_many(api, &mut logs).await } else { Ok(()) }
}

async fn follow_many(api: &Arc<Api>, logs: &mut Vec<Log<'_>>) -> Result<(), Failure> {
    let mut follower = Follower::new(api, None);
    let mut is_lost = false;
    while !logs.is_empty() {
        let mut news = vec![false; logs.len()];
        let mut deleted = vec![false; logs.len()];
        let mut look = |event: &Event| {
            for (index, log) in logs.iter().enumerate() {
                match is_news(event, log.pages.id, &log.cursor) {
                    Ok(is_news) => news[index] |= is_news,
                    Err(_) => deleted[index] = true,
                }
            }
        };
        match follower.next().await? {
            Item::Opened => {
                is_lost = false;
                news.fill(true);
            }
            Item::Event(event) => {
                look(&event);
                // Lines that have already arrived need no request.
                while let Some(event) = follower.waiting() {
                    look(&event);
                }
            }
            Item::Lost(reason) => {
                if !is_lost {
                    note(&format!("{reason}; trying again"));
                }
                is_lost = true;
            }
        }
        for (log, _) in logs.iter_mut().zip(&news).filter(|(_, news)| **news) {
            match log.pages.after(&mut log.cursor, |lines| log.printer.print(lines)).await {
                // A lost stream is opened again, and a deleted instance is dropped.
                Ok(()) | Err(Failure::Unreachable(_) | Failure::Missing(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
        let mut gone = deleted.iter();
        logs.retain(|_| gone.next() == Some(&false));
    }
    Ok(())
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

/// Lines, and the cursor to continue from.
type Page = (Vec<Document>, String);

/// The history of one instance.
struct Pages<'a> {
    api: &'a Api,
    id: &'a str,
    grep: Option<&'a str>,
    stream: Option<Stream>,
}

impl<'a> Pages<'a> {
    fn new(api: &'a Api, id: &'a str, question: &'a Logs) -> Self {
        Self {
            api,
            id,
            grep: question.grep.as_deref(),
            stream: question.stream.map(StreamName::stream),
        }
    }

    /// The lines that are asked for; none where there is no history.
    async fn wanted(&mut self, question: &Logs) -> Result<Option<Page>, Failure> {
        let since = match question.since_start {
            true => Some(start_of(self.api, self.id).await?),
            // Lines before the last page can be requested too.
            false => question.since.clone().or_else(|| question.until.is_some().then(String::new)),
        };
        let count = question.lines.unwrap_or(LINES);
        let page = self.last(count, since.as_deref()).await?;
        let Some((mut lines, cursor)) = page else { return Ok(None) };
        if let Some(until) = &question.until {
            let is_in_time = |time: &str| time.get(..until.len()).unwrap_or(time) <= until.as_str();
            lines.retain(|line| is_in_time(line.at("time").text()));
        }
        let is_bounded = question.since.is_none() && !question.since_start;
        if let Some(count) = question.lines.or_else(|| is_bounded.then_some(LINES)) {
            lines.drain(..lines.len().saturating_sub(count));
        }
        Ok(Some((lines, cursor)))
    }

    /// The last lines, or all since a time; none where there is no history.
    async fn last(&mut self, count: usize, since: Option<&str>) -> Result<Option<Page>, Failure> {
        let mut lines: Vec<Document> = Vec::new();
        let mut cursor = None;
        let mut place = String::new();
        let mut is_exhausted;
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
            is_exhausted = older.len() == taken && !has_more;
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
        if is_exhausted && (since.is_some() || lines.len() < count) {
            lines = self.with_older(lines, count, since);
        }
        Ok(Some((lines, cursor.unwrap_or_default())))
    }

    /// Lines with those before them that only the log files have, if these are on this machine.
    fn with_older(&self, lines: Vec<Document>, count: usize, since: Option<&str>) -> Vec<Document> {
        let id = InstanceId::parse(self.id);
        let (Some(directory), Some(id)) = (self.api.logs(), id) else { return lines };
        let wanted = Wanted { count, since, grep: self.grep, stream: self.stream };
        match before_kept(&lines, directory, id, wanted) {
            Ok(mut older) => {
                older.extend(lines);
                older
            }
            Err(error) => {
                let file = path_of(directory, id, 0);
                note(&format!("older lines are in {}, not shown: {error}", file.display()));
                lines
            }
        }
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
                return Err(Failure::Missing("the instance was deleted".to_owned()));
            };
            let missed = page.at("missed").whole().unwrap_or(0);
            if missed > 0 {
                note(&format!("not kept any more: {}", counted(missed, "line")));
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
        let stream = self.stream.map(|stream| format!("&stream={}", stream.as_str()));
        let stream = stream.unwrap_or_default();
        let path = format!("/instances/{}/logs?{query}{grep}{stream}", self.id);
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
                // Lines that have already arrived need no request.
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
                // The stream will report the same, and reconnects.
                Ok(()) | Err(Failure::Unreachable(_)) => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether an event is a line after the cursor.
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

/// The lines of the event window, if there is no history.
async fn without_history(api: &Arc<Api>, id: &str, printer: &Printer<'_>) -> Result<(), Failure> {
    let question = printer.question;
    if question.grep.is_some() {
        let reason = "this master keeps no logs and cannot search them: use '| grep'";
        return Err(Failure::Refused(reason.to_owned()));
    }
    if question.stream.is_some() {
        let reason = "this master keeps no logs, and its events name no stream: leave out --stream";
        return Err(Failure::Refused(reason.to_owned()));
    }
    let newest = newest(api).await?;
    if let Some(newest) = &newest {
        note("this master keeps no logs; this is what its event window has");
        let events = replay(api, &before(newest, WINDOW), newest).await?;
        let lines: Vec<Document> = events.iter().filter_map(|event| line_of(event, id)).collect();
        printer.print(&lines[lines.len().saturating_sub(question.lines.unwrap_or(LINES))..])?;
    } else if !question.follow {
        let reason = "this master keeps no logs; use --follow to see new lines";
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
    let field = |name: &'static str, text: &str| (name.into(), Document::Text(text.to_owned()));
    Some(Document::Object(vec![
        field("id", event.id.as_deref().unwrap_or_default()),
        field("time", &word.time),
        field("text", &word.line),
    ]))
}

struct Printer<'a> {
    out: &'a Outlet,
    question: &'a Logs,
    /// The prefix of each line: the name of its instance, without the mark of its stream.
    prefix: String,
    /// The instance, where there are several.
    id: Option<&'a str>,
}

impl Printer<'_> {
    fn print(&self, lines: &[Document]) -> Result<(), Failure> {
        let mut text = String::new();
        for line in lines {
            match self.out.format {
                Format::Json => text.push_str(&(json_line(&self.object(line)) + "\n")),
                Format::Yaml => text.push_str(&format!("---\n{}", self.object(line).to_yaml())),
                Format::Table | Format::Wide => text.push_str(&(self.line(line) + "\n")),
            }
        }
        if text.is_empty() { Ok(()) } else { self.out.print(&text) }
    }

    /// A line for programs; with several instances, it names the instance.
    fn object(&self, line: &Document) -> Document {
        let Some(id) = self.id else { return line.clone() };
        let mut fields = vec![("instance".into(), Document::Text(id.to_owned()))];
        fields.extend(line.fields().iter().cloned());
        Document::Object(fields)
    }

    fn line(&self, line: &Document) -> String {
        let said = line.at("text").text();
        let said = if self.question.raw { said.into() } else { plain_line(said) };
        let cut = match line.at("cut").whole() {
            None | Some(0) => String::new(),
            Some(cut) => format!(" … ({cut} bytes cut)"),
        };
        let time = match self.question.time {
            true => format!("{} ", plain(line.at("time").text())),
            false => String::new(),
        };
        let is_stderr = line.at("stream").text() == "stderr";
        self.prefixed(is_stderr, &format!("{time}{said}{cut}"))
    }

    /// A line behind the name of its instance and a mark of its stream. Alone it is marked only on a
    /// terminal, with a color if there are any: other readers get it as it was printed.
    fn prefixed(&self, is_stderr: bool, text: &str) -> String {
        let canvas = self.out.canvas;
        let mark = match (self.id, is_stderr) {
            (Some(_), false) => "| ",
            (Some(_), true) => "! ",
            (None, true) if canvas.width.is_some() && !canvas.has_colours => "! ",
            (None, _) => "",
        };
        let text = format!("{}{mark}{text}", self.prefix);
        if is_stderr { paint(&text, Tone::Bad, canvas) } else { text }
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
