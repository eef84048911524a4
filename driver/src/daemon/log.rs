//! Operational log lines: `2026/06/09 12:00:00 Master.run: …` on standard error.
//!
//! Scripts scrape them (Contract §2), so the form is the Go master's. What instances print is not
//! here; it goes to standard output. `log_format=json` gives each line as an object instead.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_core::time::Wall;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::daemon::console::{Console, LogLine};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// As the Go master writes it.
    Plain,
    /// `{"time":…,"level":…,"message":…}`, and a member for each further field.
    Json,
}

/// Sends everything that is logged from here on to `console`.
pub(crate) fn start(console: &Console, format: LogFormat) {
    let console: &'static Console = Box::leak(Box::new(console.clone()));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_writer(move || LogLine::new(console))
        .event_format(format)
        .finish();
    // Fails only where one is set already, as in a test that runs two masters.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// What stands in the place of lines that were dropped because standard error or standard output is
/// not read fast enough.
pub(crate) fn dropped(format: LogFormat, lines: u64) -> String {
    let message = format!("{lines} lines were not written: the reader is slow");
    match format {
        LogFormat::Plain => format!("{message}\n"),
        LogFormat::Json => object(now(), Level::WARN, Map::from_iter([said(message)])),
    }
}

impl<S, N> FormatEvent<S, N> for LogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if *self == Self::Json {
            let mut fields = Fields::default();
            event.record(&mut fields);
            return writer.write_str(&object(now(), *event.metadata().level(), fields.0));
        }
        write!(writer, "{} ", go_time(now()))?;
        match *event.metadata().level() {
            Level::ERROR => writer.write_str("error: ")?,
            Level::WARN => writer.write_str("warning: ")?,
            _ => {}
        }
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

fn now() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

/// The fields of an event as JSON; the message is one of them.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

fn said(message: String) -> (String, Value) {
    ("message".to_owned(), Value::String(message))
}

/// One line. Time and level come first, for those who read it without a tool.
fn object(time: Wall, level: Level, mut fields: Map<String, Value>) -> String {
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        _ => "info",
    };
    let message = fields.remove("message").unwrap_or_default();
    let mut line = format!(r#"{{"time":"{time}","level":"{level}","message":{message}"#);
    for (name, value) in fields {
        line += &format!(",{}:{value}", Value::String(name));
    }
    line += "}\n";
    line
}

/// `2026/06/09 12:00:00`, in UTC.
fn go_time(wall: Wall) -> String {
    let rfc_3339 = wall.to_string();
    rfc_3339[..19].replace('-', "/").replace('T', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_like_the_go_masters() {
        assert_eq!(go_time(Wall::from_micros(1_781_000_000_999_999)), "2026/06/09 10:13:20");
    }

    #[test]
    fn json_has_the_fields_beside_the_message() {
        let fields = [
            said("a \"b\"\n".to_owned()),
            ("n".to_owned(), 3.into()),
            ("time\"".to_owned(), true.into()),
        ];
        let line =
            object(Wall::from_micros(1_781_000_000_000_000), Level::ERROR, Map::from_iter(fields));
        assert_eq!(
            line,
            "{\"time\":\"2026-06-09T10:13:20.000000Z\",\"level\":\"error\",\
             \"message\":\"a \\\"b\\\"\\n\",\"n\":3,\"time\\\"\":true}\n"
        );
    }

    #[test]
    fn a_note_of_dropped_lines_is_a_line_of_the_log() {
        let text = "3 lines were not written: the reader is slow";
        assert_eq!(dropped(LogFormat::Plain, 3), format!("{text}\n"));
        let json: Value = serde_json::from_str(&dropped(LogFormat::Json, 3)).expect("JSON");
        assert_eq!((&json["message"], &json["level"]), (&text.into(), &"warn".into()));
    }
}
