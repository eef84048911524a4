//! Operational log lines: `2026/06/09 12:00:00 Master.run: …` on standard error.
//!
//! Scripts scrape them (Contract §2), so the form is the Go master's. What instances print is not
//! here; it goes to standard output.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_core::time::Wall;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::console::{Console, LogLine};

/// Sends everything that is logged from here on to `console`.
pub(crate) fn start(console: &Console) {
    let console: &'static Console = Box::leak(Box::new(console.clone()));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::INFO)
        .with_writer(move || LogLine::new(console))
        .event_format(GoStyle)
        .finish();
    // Fails only where one is set already, as in a test that runs two masters.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

struct GoStyle;

impl<S, N> FormatEvent<S, N> for GoStyle
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
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX);
        write!(writer, "{} ", go_time(Wall::from_micros(micros)))?;
        match *event.metadata().level() {
            Level::ERROR => writer.write_str("error: ")?,
            Level::WARN => writer.write_str("warning: ")?,
            _ => {}
        }
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
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
}
