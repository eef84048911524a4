//! A line of the operational log, in either of its forms.

use std::time::{SystemTime, UNIX_EPOCH};

use openctrl_core::time::Wall;
use serde_json::{Map, Value};
use tracing::Level;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// As the Go master writes it.
    Plain,
    /// `{"time":…,"level":…,"message":…}`, and a member for each further field.
    Json,
}

/// The replacement of lines that were dropped because standard error or standard output is not read
/// fast enough.
pub(crate) fn dropped(format: LogFormat, lines: u64) -> String {
    let message = format!("{lines} lines were not written: the reader is slow");
    match format {
        LogFormat::Plain => format!("{message}\n"),
        LogFormat::Json => object(now(), Level::WARN, Map::from_iter([said(message)])),
    }
}

pub(super) fn now() -> Wall {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Wall::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
}

fn said(message: String) -> (String, Value) {
    ("message".to_owned(), Value::String(message))
}

/// One line. Time and level come first, for reading without a tool.
pub(super) fn object(time: Wall, level: Level, mut fields: Map<String, Value>) -> String {
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
pub(super) fn go_time(wall: Wall) -> String {
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
