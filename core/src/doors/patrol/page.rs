//! The page at `/` and its forms. It works without script; a script of its own address makes it
//! live. Nothing in it is inline, so that a strict policy can hold for it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

use super::access::{ApiError, Group};
use super::launch::Logged;
use super::response::{Clock, Server, View};
use super::secret::Secret;
use crate::instance::Toggle;
use crate::time::Wall;

/// The data of one app or service on the page.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its state.
    pub view: View<'a>,
    /// Its log files; `None` for a service.
    pub logs: Option<RowLogs<'a>>,
}

/// The logs of an app on the page.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowLogs<'a> {
    /// Which outputs of its last start have a file.
    pub logged: Option<Logged>,
    /// Whether both outputs go to one file.
    pub is_merged: bool,
    /// The last lines, unless the app has a secret.
    pub tail: &'a str,
}

/// A form of the page, as it was sent.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// The id as it was sent.
    pub id: String,
    /// The group as it was sent.
    pub group: String,
    /// The secret as it was sent.
    pub secret: String,
    /// The first button, in the order of the contract.
    pub toggle: Option<Toggle>,
}

/// Why a form changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormError {
    /// The body is no form.
    BadPost,
    /// No button that the page has.
    Toggle,
    /// As for the API.
    Api(ApiError),
}

/// The buttons: their names in the form, what they say, and what they do. The order decides
/// which one counts, should a form have several.
const BUTTONS: [(&str, &str, Toggle); 5] = [
    ("disable", "Disable", Toggle::Disable),
    ("enable", "Enable", Toggle::Enable),
    ("restart", "Restart", Toggle::Restart),
    ("runonce-enable", "RunOnce Enable", Toggle::RunOnceEnable),
    ("runonce-disable", "RunOnce Disable", Toggle::RunOnceDisable),
];

impl FormError {
    /// The data of the page.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadPost => "Bad POST",
            Self::Toggle => "Toggle Invalid",
            Self::Api(error) => error.as_str(),
        }
    }
}

impl Form {
    /// Reads the body of a form.
    ///
    /// # Errors
    /// For a body that is no form.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let is_escaped = |index: usize| {
            body.get(index + 1..index + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        let good = body.iter().enumerate().all(|(index, byte)| match byte {
            b'%' => is_escaped(index),
            b';' => false,
            _ => true,
        });
        if !good {
            return Err(FormError::BadPost);
        }
        let field = |name: &str| {
            let found = form_urlencoded::parse(body).find(|(known, _)| known == name);
            found.map(|(_, text)| text).unwrap_or_default()
        };
        let pressed = BUTTONS.iter().find(|(name, _, _)| !field(name).is_empty());
        Ok(Self {
            id: field("id").into_owned(),
            group: field("group").into_owned(),
            secret: field("secret").into_owned(),
            toggle: pressed.map(|(_, _, toggle)| *toggle),
        })
    }

    /// Finds the target with `find`, which is given the id as it was sent and says what secret
    /// the target has. A missing secret is a wrong one here.
    ///
    /// # Errors
    /// The first error, in the order of the contract.
    pub fn admit<'a, T>(
        &self,
        find: impl FnOnce(Group, &str) -> Option<(T, Option<&'a Secret>)>,
    ) -> Result<(T, Toggle), FormError> {
        let toggle = self.toggle.ok_or(FormError::Toggle)?;
        let group = match self.group.as_str() {
            "app" => Group::App,
            "service" => Group::Service,
            _ => return Err(FormError::Api(ApiError::UnknownGroup)),
        };
        let (found, secret) = find(group, &self.id).ok_or(FormError::Api(group.unknown()))?;
        if secret.is_some_and(|secret| !secret.admits(&self.secret)) {
            return Err(FormError::Api(ApiError::Secret));
        }
        Ok((found, toggle))
    }
}

/// The page. `error` is the error of a submitted form.
pub fn render<'a>(
    server: Server<'_>,
    now: Wall,
    error: Option<FormError>,
    apps: impl IntoIterator<Item = Row<'a>>,
    services: impl IntoIterator<Item = Row<'a>>,
    clock: Clock<'_>,
) -> String {
    let mut page = String::with_capacity(4096);
    page.push_str(HEAD);
    match server.started {
        Some(started) => {
            let uptime = duration(now.as_micros().saturating_sub(started.as_micros()));
            let _ = writeln!(page, "<p class=\"uptime\">Uptime: {uptime}</p>");
        }
        None => page.push_str("<h1>Patrol is NOT running!!!</h1>\n"),
    }
    if server.shutdown {
        page.push_str("<h1>Patrol IS Shutting Down!!!</h1>\n");
    }
    if let Some(error) = error {
        let _ = writeln!(page, "<p class=\"warning\" role=\"alert\"><b>{}</b></p>", error.as_str());
    }
    table(&mut page, Group::App, apps, clock);
    table(&mut page, Group::Service, services, clock);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

const HEAD: &str = "\
<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"UTF-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Patrol</title>
<link href=\"/patrol.css\" rel=\"stylesheet\">
<script src=\"/patrol.js\" defer></script>
</head>
<body>
<nav>
<a href=\"/\">Patrol</a>
<a href=\"/status/\">GET /status/</a>
<a href=\"/api/?group=&amp;id=\">GET /api/?group=(app||service)&amp;id=app</a>
<a href=\"/api/\">POST /api/</a>
</nav>
<main>
";

fn table<'a>(
    page: &mut String,
    group: Group,
    rows: impl IntoIterator<Item = Row<'a>>,
    clock: Clock<'_>,
) {
    let (title, column) = match group {
        Group::App => ("Applications", "Application"),
        Group::Service => ("Services", "Service"),
    };
    let mut rows = rows.into_iter().peekable();
    if rows.peek().is_none() {
        let _ = writeln!(page, "<h1>{title} NOT Found?!</h1>");
        return;
    }
    let _ = writeln!(
        page,
        "<h1>{title}</h1>\n<table>\n<thead><tr><th>{column}</th><th>State</th><th>Toggle</th></tr></thead>\n<tbody>"
    );
    for row in rows {
        let _ = writeln!(page, "<tr id=\"{}-{}\">", group.as_str(), escape(row.id));
        identity(page, group, &row);
        state(page, &row.view, clock);
        toggles(page, group, &row);
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table>\n");
}

fn identity(page: &mut String, group: Group, row: &Row<'_>) {
    let (group, id, name) = (group.as_str(), escape(row.id), escape(row.view.name));
    let _ = writeln!(
        page,
        "<td><b><a href=\"/api/?group={group}&amp;id={id}\">{name}</a></b><br>\nID: {id}<br>"
    );
    if let Some(logs) = row.logs {
        let _ = writeln!(
            page,
            "PID: {}<br>\n<a href=\"/logs/?group={group}&amp;id={id}\">Logs</a><br>",
            row.view.pid
        );
        if let Some(logged) = logs.logged {
            log_links(page, (group, &id), row.view.secret, logged, logs);
        }
    }
    page.push_str("</td>\n");
}

fn log_links(
    page: &mut String,
    (group, id): (&str, &str),
    is_secret: bool,
    logged: Logged,
    logs: RowLogs<'_>,
) {
    let outputs = [("stdout", "Stdout", logged.stdout), ("stderr", "Stderr", logged.stderr)];
    for (address, name, _) in outputs.into_iter().filter(|(_, _, is_logged)| *is_logged) {
        let _ = if is_secret {
            writeln!(page, "{address}<br>")
        } else {
            writeln!(page, "<a href=\"/{address}/?group={group}&amp;id={id}\">{name}</a><br>")
        };
    }
    if logs.is_merged && logged == Logged::BOTH {
        page.push_str("stdout and stderr are merged<br>\n");
    }
    if !is_secret && !logs.tail.is_empty() {
        let _ = writeln!(page, "<pre class=\"tail\">{}</pre>", escape(logs.tail));
    }
}

fn state(page: &mut String, view: &View<'_>, clock: Clock<'_>) {
    page.push_str("<td>\n");
    if let Some(started) = view.started {
        let _ = writeln!(page, "Started: {}<br>", escape(&clock.show(started)));
        if let Some(last_seen) = view.last_seen {
            let uptime = duration(last_seen.as_micros().saturating_sub(started.as_micros()));
            let _ = writeln!(page, "Uptime: {uptime}<br>");
        }
    }
    let flags = [
        ("Secret", view.secret),
        ("Disabled", view.disabled),
        ("Restart", view.restart),
        ("RunOnce", view.run_once),
    ];
    for (name, _) in flags.iter().filter(|(_, flag)| *flag) {
        let _ = writeln!(page, "{name}: <b>true</b><br>");
    }
    let _ = writeln!(page, "Instances: {}", view.history.len());
    page.push_str("</td>\n");
}

fn toggles(page: &mut String, group: Group, row: &Row<'_>) {
    let (id, group) = (escape(row.id), group.as_str());
    let _ = writeln!(
        page,
        "<td><form action=\"/\" method=\"POST\">\n\
         <input type=\"hidden\" name=\"id\" value=\"{id}\">\n\
         <input type=\"hidden\" name=\"group\" value=\"{group}\">"
    );
    for (name, text, toggle) in BUTTONS {
        let hidden = if row.view.disabled { Toggle::Disable } else { Toggle::Enable };
        if toggle != hidden {
            let _ = writeln!(page, "<button name=\"{name}\" value=\"1\">{text}</button>");
        }
    }
    if row.view.secret {
        page.push_str("<label>Secret <input type=\"password\" name=\"secret\"></label>\n");
    }
    page.push_str("</form></td>\n");
}

/// A span of time as Go writes it: `1h2m3.5s`, `4ms`, `0s`.
pub fn duration(micros: u64) -> String {
    let fraction = |whole: u64, rest: u64, digits: usize, unit: &str| {
        let text = format!("{whole}.{rest:0digits$}");
        format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match micros {
        0 => "0s".to_string(),
        1..1_000 => format!("{micros}µs"),
        1_000..1_000_000 => fraction(micros / 1_000, micros % 1_000, 3, "ms"),
        _ => {
            let (hours, minutes) = (micros / 3_600_000_000, micros / 60_000_000 % 60);
            let seconds = fraction(micros / 1_000_000 % 60, micros % 1_000_000, 6, "s");
            match (hours, minutes) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    }
}

/// A text as HTML that shows it, also between quotes.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['<', '>', '&', '"', '\'', '\0']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        match char {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '\0' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests;
