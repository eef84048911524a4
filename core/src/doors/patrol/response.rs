//! Replies as JSON, in Patrol's order of fields; zero and empty values are omitted.

use alloc::string::String;
use alloc::vec::Vec;

use super::access::{ApiError, Group};
use super::json::{Fields, Json};
use super::layout::{Layout, Zone};
use super::values::KeyValues;
use crate::time::Wall;

/// How times are written in one reply.
#[derive(Clone, Copy)]
pub struct Clock<'a> {
    /// The layout.
    pub layout: &'a Layout,
    /// The local time zone at a moment.
    pub zone: &'a dyn Fn(Wall) -> Zone,
}

/// The view of one app or service in a reply: its state before the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct View<'a> {
    /// The id of its instance; empty without one.
    pub instance_id: &'a str,
    /// What people call it.
    pub name: &'a str,
    /// The process id, or 0.
    pub pid: u32,
    /// When its instance began.
    pub started: Option<Wall>,
    /// When it was last seen; for an app that the server waits for, now.
    pub last_seen: Option<Wall>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Whether it is to be restarted.
    pub restart: bool,
    /// Whether it runs once.
    pub run_once: bool,
    /// Its ended instances, the oldest first.
    pub history: &'a [Record],
    /// Its key-values.
    pub values: Option<&'a KeyValues>,
    /// Whether it has a secret.
    pub secret: bool,
    /// Its CAS.
    pub cas: u64,
}

/// A past instance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its id.
    pub instance_id: String,
    /// Its process id, or 0.
    pub pid: u32,
    /// When it began.
    pub started: Option<Wall>,
    /// When it was last seen.
    pub last_seen: Option<Wall>,
    /// The time of its end.
    pub stopped: Option<Wall>,
    /// Whether it was disabled.
    pub disabled: bool,
    /// Whether a restart ended it.
    pub restart: bool,
    /// Whether it was the one instance of run-once.
    pub run_once: bool,
    /// Whether the server was shutting down.
    pub shutdown: bool,
    /// Its exit code, where there is one; 255 for a signal.
    pub exit_code: u8,
    /// The key-values at its end.
    pub values: KeyValues,
}

/// The parts of a reply besides the view.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The id.
    pub id: &'a str,
    /// The group.
    pub group: Group,
    /// Whether the server is shutting down.
    pub shutdown: bool,
    /// Whether the request's CAS was not the present one, or its secret was missing.
    pub cas_invalid: bool,
    /// The state before the request.
    pub view: View<'a>,
}

/// The server in `/status/`.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// The id of this run of the server.
    pub instance_id: &'a str,
    /// When it started to supervise its apps and services.
    pub started: Option<Wall>,
    /// Whether it is shutting down.
    pub shutdown: bool,
}

impl Clock<'_> {
    /// A moment as text.
    pub fn show(&self, at: Wall) -> String {
        self.layout.render(at, &(self.zone)(at))
    }

    fn field(&self, fields: &mut Fields<'_>, name: &str, at: Option<Wall>) {
        if let Some(at) = at {
            fields.text(name, &self.show(at));
        }
    }
}

/// The reply over HTTP; without the history if the request asks for that.
pub fn http(reply: &Reply<'_>, with_history: bool, clock: Clock<'_>) -> String {
    let mut json = Json::indented();
    let parts = Parts { history: with_history, values: true };
    json.object(|fields| whole(fields, reply, parts, clock));
    json.finish()
}

/// The reply over UDP: compact, without history and key-values.
pub fn datagram(reply: &Reply<'_>, clock: Clock<'_>) -> String {
    let mut json = Json::compact();
    let parts = Parts { history: false, values: false };
    json.object(|fields| whole(fields, reply, parts, clock));
    json.finish()
}

/// The reply to a request that is refused.
pub fn refusal(error: ApiError) -> String {
    let mut json = Json::indented();
    json.object(|fields| fields.member("errors").array([error.as_str()], Json::text));
    json.finish()
}

/// The reply of `/status/`. `apps` and `services` are sorted by id.
pub fn status<'a>(
    server: Server<'_>,
    apps: impl IntoIterator<Item = (&'a str, View<'a>)>,
    services: impl IntoIterator<Item = (&'a str, View<'a>)>,
    clock: Clock<'_>,
) -> String {
    let mut json = Json::indented();
    json.object(|fields| {
        fields.text("instance-id", server.instance_id);
        group(fields, "apps", apps, clock);
        group(fields, "service", services, clock);
        clock.field(fields, "started", server.started);
        fields.flag("shutdown", server.shutdown);
    });
    json.finish()
}

fn group<'a>(
    fields: &mut Fields<'_>,
    name: &str,
    views: impl IntoIterator<Item = (&'a str, View<'a>)>,
    clock: Clock<'_>,
) {
    let mut views = views.into_iter().peekable();
    if views.peek().is_none() {
        return;
    }
    let parts = Parts { history: true, values: true };
    fields.member(name).object(|fields| {
        for (id, view) in views {
            fields.member(id).object(|fields| {
                fields.text("instance-id", view.instance_id);
                state(fields, &view, false, clock);
                tail(fields, &view, parts, clock);
            });
        }
    });
}

/// Which long parts a reply has.
#[derive(Clone, Copy)]
struct Parts {
    history: bool,
    values: bool,
}

fn whole(fields: &mut Fields<'_>, reply: &Reply<'_>, parts: Parts, clock: Clock<'_>) {
    fields.text("id", reply.id);
    fields.text("instance-id", reply.view.instance_id);
    fields.text("group", reply.group.as_str());
    state(fields, &reply.view, reply.shutdown, clock);
    tail(fields, &reply.view, parts, clock);
    fields.flag("cas-invalid", reply.cas_invalid);
}

fn state(fields: &mut Fields<'_>, view: &View<'_>, shutdown: bool, clock: Clock<'_>) {
    fields.text("name", view.name);
    fields.number("pid", u64::from(view.pid));
    clock.field(fields, "started", view.started);
    clock.field(fields, "lastseen", view.last_seen);
    fields.flag("disabled", view.disabled);
    fields.flag("restart", view.restart);
    fields.flag("run-once", view.run_once);
    fields.flag("shutdown", shutdown);
}

fn tail(fields: &mut Fields<'_>, view: &View<'_>, parts: Parts, clock: Clock<'_>) {
    if parts.history && !view.history.is_empty() {
        fields.member("history").array(view.history, |json, record| {
            json.object(|fields| history_item(fields, record, clock));
        });
    }
    if parts.values {
        key_values(fields, view.values);
    }
    fields.flag("secret", view.secret);
    fields.number("cas", view.cas);
}

fn history_item(fields: &mut Fields<'_>, record: &Record, clock: Clock<'_>) {
    fields.text("instance-id", &record.instance_id);
    fields.number("pid", u64::from(record.pid));
    clock.field(fields, "started", record.started);
    clock.field(fields, "lastseen", record.last_seen);
    clock.field(fields, "stopped", record.stopped);
    fields.flag("disabled", record.disabled);
    fields.flag("restart", record.restart);
    fields.flag("run-once", record.run_once);
    fields.flag("shutdown", record.shutdown);
    fields.number("exit-code", u64::from(record.exit_code));
    key_values(fields, Some(&record.values));
}

fn key_values(fields: &mut Fields<'_>, values: Option<&KeyValues>) {
    if let Some(values) = values.filter(|values| !values.is_empty()) {
        values.write(fields.member("keyvalue"));
    }
}

/// Appends a record and drops the oldest ones, so that at most `most` are kept.
pub fn remember(history: &mut Vec<Record>, record: Record, most: usize) {
    let surplus = (history.len() + 1).saturating_sub(most);
    history.drain(..surplus.min(history.len()));
    history.push(record);
}

#[cfg(test)]
mod tests;
