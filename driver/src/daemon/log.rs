//! Operational log lines: `2026/06/09 12:00:00 Master.run: …` on standard error.
//!
//! Scripts scrape them (Contract §2), so the form is the Go master's. What instances print is not
//! here; it goes to standard output. `log_format=json` gives each line as an object instead.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::daemon::console::{Console, LogLine};
use crate::daemon::log_line::{LogFormat, go_time, now, object};

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
