//! Operational log lines: `2026/06/09 12:00:00 Master.run: …` on standard error.
//!
//! Scripts scrape them (Contract §2), so the form is the Go master's. What instances print is not
//! here; it goes to standard output. `log_format=json` gives each line as an object instead.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::daemon::console::{Console, LogLine};
use crate::daemon::log_line::{LogFormat, go_time, now, object};

/// How much is logged: the number of a level, the more the higher.
static LEVEL: AtomicU8 = AtomicU8::new(number(&Level::INFO));

/// Sets the minimum level of the log.
pub(crate) fn set_level(level: Level) {
    LEVEL.store(number(&level), Ordering::Relaxed);
}

const fn number(level: &Level) -> u8 {
    match *level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    }
}

/// Sends everything that is logged from here on to `console`.
pub(crate) fn start(console: &Console, format: LogFormat) {
    let console: &'static Console = Box::leak(Box::new(console.clone()));
    let is_wanted = |about: &Metadata<'_>| number(about.level()) <= LEVEL.load(Ordering::Relaxed);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::DEBUG)
        .with_writer((move || LogLine::new(console)).with_filter(is_wanted))
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
