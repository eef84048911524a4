//! `openctrl events`: what happened last, and what happens.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::api::{Api, KEY_ID};
use super::document::{Document, safe_json};
use super::failure::Failure;
use super::follow::{Follower, Item};
use super::instance::Instance;
use super::outlet::{Outlet, note};
use super::select::resolve_one;
use super::stream::{Event, Word, number};
use super::text::plain;
use crate::grammar::{Events, Format};

/// How long the newest number may take to come; masters that number nothing never send it.
const PICTURE: Duration = Duration::from_secs(10);

/// Prints the last events, and with `--follow` new ones.
pub(crate) async fn events(api: &Arc<Api>, out: &Outlet, question: &Events) -> Result<(), Failure> {
    let only = match &question.name {
        Some(name) => Some(resolve_one(api, name).await?.id().to_owned()),
        None => None,
    };
    let Some(newest) = newest(api).await? else {
        if question.follow {
            return follow(api, None, out, question, only.as_deref()).await;
        }
        return Err(too_old());
    };
    let Some(only) = only else {
        let from = before(&newest, question.lines);
        if question.follow {
            return follow(api, Some(from), out, question, None).await;
        }
        for event in replay(api, &from, &newest).await? {
            show(out, question, None, &event)?;
        }
        return Ok(());
    };
    for event in last_of(api, &only, &newest, question.lines).await? {
        show(out, question, Some(&only), &event)?;
    }
    if question.follow {
        return follow(api, Some(newest), out, question, Some(&only)).await;
    }
    Ok(())
}

/// The last events of one instance, as far as the master remembers them.
async fn last_of(api: &Api, id: &str, newest: &str, count: u64) -> Result<Vec<Event>, Failure> {
    let all = replay(api, &before(newest, u64::MAX), newest).await?;
    let is_its = |event: &Event| event.word().is_some_and(|word| word.instance.id() == id);
    let mut its: Vec<Event> = all.into_iter().filter(is_its).collect();
    let more = its.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
    its.drain(..more);
    Ok(its)
}

/// For a master that numbers nothing.
fn too_old() -> Failure {
    Failure::Refused("this master does not keep events; use --follow to see new ones".to_owned())
}

/// The id of the newest event; none where events are not numbered.
pub(crate) async fn newest(api: &Api) -> Result<Option<String>, Failure> {
    let mut stream = api.events(None).await?;
    let numbered = async {
        while let Some(event) = stream.next().await {
            if event.id.is_some() {
                return event.id;
            }
        }
        None
    };
    Ok(timeout(PICTURE, numbered).await.unwrap_or(None).filter(|id| number(id).is_some()))
}

/// The id this many events before another.
pub(crate) fn before(id: &str, count: u64) -> String {
    let (boot, newest) = number(id).unwrap_or((id, 0));
    format!("{boot}-{}", newest.saturating_sub(count))
}

/// The events after one up to another, as far as the master remembers them.
pub(crate) async fn replay(api: &Api, from: &str, newest: &str) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    let last = number(newest).map_or(0, |(_, last)| last);
    if number(from).is_some_and(|(_, first)| first >= last) {
        return Ok(events);
    }
    let mut stream = api.events(Some(from)).await?;
    while let Some(event) = stream.next().await {
        let is_last = event.number().is_some_and(|(_, at)| at >= last);
        events.push(event);
        if is_last {
            break;
        }
    }
    Ok(events)
}

async fn follow(
    api: &Arc<Api>,
    from: Option<String>,
    out: &Outlet,
    question: &Events,
    only: Option<&str>,
) -> Result<(), Failure> {
    let mut follower = Follower::new(api, from);
    let mut is_lost = false;
    loop {
        match follower.next().await? {
            Item::Event(event) => show(out, question, only, &event)?,
            Item::Opened if is_lost => {
                is_lost = false;
                note("the master is there again");
            }
            Item::Opened => {}
            Item::Lost(reason) if !is_lost => {
                is_lost = true;
                note(&format!("{reason}; trying again"));
            }
            Item::Lost(_) => {}
        }
    }
}

fn show(out: &Outlet, question: &Events, only: Option<&str>, event: &Event) -> Result<(), Failure> {
    let is_json = question.json || out.format == Format::Json;
    let Some(word) = event.word() else {
        let lost = Document::parse(event.data.as_bytes()).unwrap_or(Document::Null);
        let lost = lost.at("lost").bare();
        let lost = if lost.is_empty() { "some" } else { &lost };
        note(&format!("{} events are not known any more", plain(lost)));
        return Ok(());
    };
    if only.is_some_and(|id| id != word.instance.id()) {
        return Ok(());
    }
    // The key instance carries the key.
    if is_json && word.instance.id() != KEY_ID {
        return out.print(&format!("{}\n", safe_json(&event.data)));
    }
    if is_json {
        return Ok(());
    }
    if out.format == Format::Yaml {
        let data = Document::parse(event.data.as_bytes()).unwrap_or(Document::Null);
        return match word.instance.id() {
            KEY_ID => Ok(()),
            _ => out.print(&format!("---\n{}", data.to_yaml())),
        };
    }
    out.print(&format!("{}\n", line(&word)))
}

/// An event in one line.
fn line(word: &Word) -> String {
    let name = match word.instance.id() {
        KEY_ID => "the master".to_owned(),
        "" => String::new(),
        _ => word.instance.name(),
    };
    let what = match word.kind.as_str() {
        "log" => word.line.clone(),
        "shutdown" | "delete" => String::new(),
        _ => state(&word.instance),
    };
    let text = format!("{} {:<8} {name}  {what}", word.time, word.kind);
    plain(text.trim_end_matches(' ')).into_owned()
}

fn state(instance: &Instance) -> String {
    if instance.id() == KEY_ID {
        return String::new();
    }
    let mut text = instance.status().to_owned();
    let figures = [
        ("ping", instance.number("ping")),
        ("sessions", instance.sessions()),
        ("rx", instance.rx()),
        ("tx", instance.tx()),
    ];
    for (name, value) in figures.into_iter().filter(|(_, value)| *value > 0) {
        let _ = write!(text, " {name}={value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let shown = |data: &str| {
            let event = Event { name: "instance".into(), data: data.into(), id: None };
            line(&event.word().expect("a word"))
        };
        assert_eq!(
            shown(
                r#"{"type":"log","time":"T","instance":{"id":"1","alias":"a"},"logs":"x\u001b\n"}"#
            ),
            "T log      a (1)  x\\x1b\\n"
        );
        assert_eq!(
            shown(
                r#"{"type":"update","time":"T","instance":{"id":"1","status":"running"},"logs":""}"#
            ),
            "T update   1  running"
        );
        assert_eq!(
            shown(
                r#"{"type":"update","time":"T","instance":{"id":"1","status":"error","tcps":2,"udprx":7},"logs":""}"#
            ),
            "T update   1  error sessions=2 rx=7"
        );
        assert_eq!(
            shown(r#"{"type":"shutdown","time":"T","instance":null,"logs":""}"#),
            "T shutdown"
        );
        let key =
            r#"{"type":"initial","time":"T","instance":{"id":"********","url":"k"},"logs":""}"#;
        assert_eq!(shown(key), "T initial  the master");
    }

    #[test]
    fn ids_are_counted_back() {
        assert_eq!(before("c9e27ad1-107", 100), "c9e27ad1-7");
        assert_eq!(before("c9e27ad1-7", 100), "c9e27ad1-0");
    }
}
