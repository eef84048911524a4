//! `openctrl control`: reads and changes over the control socket, for users without `routerctl`.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::document::Document;
use super::failure::Failure;
use super::outlet::Outlet;
use super::table::{Cell, Column, Tone};
use crate::grammar::{Control, ControlApply, ControlEvents, ControlWhat, Format};

const BASE: &str = "/api/control.routerd.net/v1alpha1";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer that is read.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// How often new events are asked for.
const EVENTS_EVERY: Duration = Duration::from_millis(500);

/// Carries out the command.
pub(crate) async fn control(out: &Outlet, question: &Control) -> Result<(), Failure> {
    let socket = &*question.socket;
    match &question.what {
        ControlWhat::Get { subject } => {
            let subject = escape(subject.as_deref().unwrap_or("resources"));
            let answer = get(socket, &format!("/get?subject={subject}")).await?;
            show_items(out, answer)
        }
        ControlWhat::Describe { target } => {
            let answer = get(socket, &format!("/describe?target={}", escape(target))).await?;
            show(out, &answer)
        }
        ControlWhat::Probe { target } => {
            let target = target.as_deref().map(|target| format!("&target={}", escape(target)));
            let path = format!("/probe?subject=process{}", target.unwrap_or_default());
            probe(out, &get(socket, &path).await?)
        }
        ControlWhat::Events(question) => events(socket, out, question).await,
        ControlWhat::Apply(question) => apply(socket, out, question).await,
    }
}

async fn apply(socket: &Path, out: &Outlet, question: &ControlApply) -> Result<(), Failure> {
    let text = if question.file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(&question.file)
    };
    let text = text.map_err(|error| {
        Failure::Refused(format!("cannot read {}: {error}", question.file.display()))
    })?;
    let body = serde_json::json!({
        "candidateYaml": text,
        "replace": question.replace,
        "dryRun": question.dry_run,
    });
    let answer = ask(socket, "POST", "/apply", body.to_string()).await?;
    if out.is_for_programs() {
        return out.document(&answer);
    }
    let resources = answer.at("result").at("resources").clone().into_list();
    let lines = resources.iter().map(|resource| {
        let plan = resource.at("plan").clone().into_list();
        let word = plan.first().map(Document::bare).unwrap_or_default();
        (resource.at("id").bare(), word)
    });
    out.pairs(&lines.collect::<Vec<_>>())
}

/// Exits with 1 if a check fails.
fn probe(out: &Outlet, answer: &Document) -> Result<(), Failure> {
    let checks = answer.at("checks").clone().into_list();
    let failed = checks.iter().any(|check| check.at("status").text() == "fail");
    if out.is_for_programs() {
        out.document(answer)?;
    } else {
        const COLUMNS: [Column; 3] =
            [Column::flexible("CHECK", 8), Column::text("STATUS"), Column::text("DETAIL")];
        let row = |check: &Document| {
            let status = check.at("status").bare();
            let tone = match status.as_str() {
                "pass" => Tone::Good,
                "fail" => Tone::Bad,
                _ => Tone::Plain,
            };
            let text = |name: &str| Cell::new(&check.at(name).bare());
            vec![text("name"), Cell::toned(&status, tone), text("detail")]
        };
        out.table(&COLUMNS, &checks.iter().map(row).collect::<Vec<_>>())?;
    }
    if failed { Err(Failure::Partial) } else { Ok(()) }
}

async fn events(socket: &Path, out: &Outlet, question: &ControlEvents) -> Result<(), Failure> {
    let mut filter = String::new();
    for (name, value) in [("topic", &question.topic), ("resource", &question.resource)] {
        if let Some(value) = value {
            filter += &format!("&{name}={}", escape(value));
        }
    }
    let path = format!("/get?subject=events&limit={}{filter}", question.lines.clamp(1, 1_000));
    let mut newest = get(socket, &path).await?.at("events").clone().into_list();
    newest.reverse();
    let mut since = newest.last().and_then(|event| event.at("id").whole()).unwrap_or_default();
    show_events(out, &newest)?;
    if !question.follow {
        return Ok(());
    }
    loop {
        let path = format!("/get?subject=events&order=asc&limit=1000&since-id={since}{filter}");
        let events = get(socket, &path).await?.at("events").clone().into_list();
        show_events(out, &events)?;
        match events.last().and_then(|event| event.at("id").whole()) {
            Some(last) => since = last,
            None => sleep(EVENTS_EVERY).await,
        }
    }
}

fn show_events(out: &Outlet, events: &[Document]) -> Result<(), Failure> {
    for event in events {
        match out.format {
            Format::Json => out.print(&(event.to_json() + "\n"))?,
            Format::Yaml => out.print(&format!("---\n{}", event.to_yaml()))?,
            Format::Table | Format::Wide => {
                let text = |name: &str| super::text::plain(&event.at(name).bare()).into_owned();
                let line = format!(
                    "{} {} {} {}",
                    text("createdAt"),
                    text("topic"),
                    text("name"),
                    text("message")
                );
                out.print(&format!("{}\n", line.trim_end()))?;
            }
        }
    }
    Ok(())
}

/// Resources as a table; anything else in full.
fn show_items(out: &Outlet, answer: Document) -> Result<(), Failure> {
    let items = answer.at("items").clone().into_list();
    if out.is_for_programs() || items.is_empty() {
        return show(out, &answer);
    }
    const COLUMNS: [Column; 5] = [
        Column::flexible("RESOURCE", 8),
        Column::text("PHASE"),
        Column::text("REASON"),
        Column::text("HEALTH"),
        Column::text("SINCE"),
    ];
    let row = |item: &Document| {
        let status = item.at("status");
        let name = format!("{}/{}", item.at("kind").bare(), item.at("name").bare());
        let phase = status.at("phase").bare();
        let tone = match phase.as_str() {
            "Running" => Tone::Good,
            "Error" | "Unhealthy" => Tone::Bad,
            _ => Tone::Plain,
        };
        let text = |name: &str| Cell::new(&status.at(name).bare());
        vec![
            Cell::new(&name),
            Cell::toned(&phase, tone),
            text("reason"),
            text("health"),
            text("since"),
        ]
    };
    out.table(&COLUMNS, &items.iter().map(row).collect::<Vec<_>>())
}

fn show(out: &Outlet, answer: &Document) -> Result<(), Failure> {
    match out.format {
        Format::Json => out.document(answer),
        Format::Yaml | Format::Table | Format::Wide => out.print(&answer.to_yaml()),
    }
}

async fn get(socket: &Path, path: &str) -> Result<Document, Failure> {
    ask(socket, "GET", path, String::new()).await
}

async fn ask(socket: &Path, method: &str, path: &str, body: String) -> Result<Document, Failure> {
    let shown = socket.display();
    let unreachable = |error: String| Failure::Unreachable(format!("{shown}: {error}"));
    let answered = timeout(PATIENCE, exchange(socket, method, path, body)).await;
    let answered = answered.map_err(|_| unreachable("no answer in 30 s".to_owned()))?;
    let (status, body) = answered.map_err(|error| {
        unreachable(format!("{error}; is a master running with control=<dir>?"))
    })?;
    let document = Document::parse(&body)
        .ok_or_else(|| Failure::Refused(format!("{shown}: the answer is no JSON")))?;
    if (200..300).contains(&status) {
        return Ok(document);
    }
    let message = document.at("error").at("message").bare();
    if message.ends_with(" not found") {
        return Err(Failure::Missing(message));
    }
    Err(Failure::Refused(message))
}

type Broken = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(
    socket: &Path,
    method: &str,
    path: &str,
    body: String,
) -> Result<(u16, Bytes), Broken> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(format!("{BASE}{path}"))
        .header("Host", "openctrl")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_MAX_BYTES).collect().await?;
    Ok((status, body.to_bytes()))
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
