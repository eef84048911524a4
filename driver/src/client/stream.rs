//! The event stream as it comes over the wire.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::document::Document;
use super::instance::Instance;

/// The master sends a heartbeat every 15 s at most, older ones every 30 s: a stream that is silent
/// for longer is dead.
const SILENCE: Duration = Duration::from_secs(70);

/// Frames are smaller than 64 KiB; a server that sends more without an end is not a master.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;

/// An open stream.
#[derive(Debug)]
pub(crate) struct EventStream {
    body: Incoming,
    parser: Parser,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    /// `instance` or `gap`.
    pub(crate) name: String,
    /// One line of JSON.
    pub(crate) data: String,
    /// The id to resume after it; not every event has one.
    pub(crate) id: Option<String>,
}

/// The content of an event about an instance.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// `initial`, `create`, `update`, `delete`, `log`, `shutdown`.
    pub(crate) kind: String,
    /// When, by the master's clock.
    pub(crate) time: String,
    /// Its object; empty at `shutdown`.
    pub(crate) instance: Instance,
    /// The line of a `log`.
    pub(crate) line: String,
}

impl EventStream {
    /// Reads events from the body of an answer.
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, parser: Parser::default() }
    }

    /// The next event; `None` when the stream has ended or broken.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.parser.next() {
                return Some(event);
            }
            if self.parser.buffer.len() > FRAME_MAX_BYTES {
                return None;
            }
            match timeout(SILENCE, self.body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.parser.feed(&data);
                    }
                }
                Ok(None | Some(Err(_))) | Err(_) => return None,
            }
        }
    }

    /// The next event that is here already.
    pub(crate) fn waiting(&mut self) -> Option<Event> {
        self.parser.next()
    }
}

impl Event {
    /// Whether it reports lost events.
    pub(crate) fn is_gap(&self) -> bool {
        self.name == "gap"
    }

    /// Its content; `None` for a gap.
    pub(crate) fn word(&self) -> Option<Word> {
        if self.is_gap() {
            return None;
        }
        let Document::Object(fields) = Document::parse(self.data.as_bytes())? else { return None };
        let mut word = Word {
            kind: String::new(),
            time: String::new(),
            instance: Instance::new(Document::Null),
            line: String::new(),
        };
        for (name, value) in fields {
            match &*name {
                "type" => word.kind = value.text().to_owned(),
                "time" => word.time = value.text().to_owned(),
                "logs" => word.line = value.text().to_owned(),
                "instance" => word.instance = Instance::new(value),
                _ => {}
            }
        }
        Some(word)
    }

    /// The two parts of its id: the run of the master, and the number in it.
    pub(crate) fn number(&self) -> Option<(&str, u64)> {
        number(self.id.as_deref()?)
    }
}

/// The two parts of an event's id, or of the cursor of a log, which begins with one.
pub(crate) fn number(id: &str) -> Option<(&str, u64)> {
    let (boot, rest) = id.split_once('-')?;
    let digits = rest.split([':', '.']).next()?;
    Some((boot, digits.parse().ok()?))
}

/// Parses Server-Sent Events, however they are split.
#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
    /// The parsed part of the buffer.
    done: usize,
    event: Event,
}

impl Parser {
    fn feed(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.done);
        self.done = 0;
        self.buffer.extend_from_slice(piece);
    }

    fn next(&mut self) -> Option<Event> {
        loop {
            let rest = &self.buffer[self.done..];
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            self.done += end + 1;
            if let Some(event) = self.take(line.strip_suffix('\r').unwrap_or(&line)) {
                return Some(event);
            }
        }
    }

    fn take(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &str = "retry: 3000\n\nid: c9e27ad1-7\r\nevent: instance\ndata: {\"type\":\"log\",\
        \"time\":\"T\",\"instance\":{\"id\":\"00000001\"},\"logs\":\"grün\"}\n\n\
        event: gap\ndata: {\"lost\":3}\n\n";

    #[test]
    fn events_are_the_same_in_any_pieces() {
        for size in 1..WIRE.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for piece in WIRE.as_bytes().chunks(size) {
                parser.feed(piece);
                events.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(events.len(), 2, "in pieces of {size}");
            assert_eq!(events[0].number(), Some(("c9e27ad1", 7)));
            let word = events[0].word().expect("it is about an instance");
            assert_eq!((&*word.kind, word.instance.id(), &*word.line), ("log", "00000001", "grün"));
            assert!(events[1].is_gap() && events[1].word().is_none());
        }
    }

    #[test]
    fn cursors_have_the_number_of_an_event() {
        assert_eq!(number("c9e27ad1-17:1"), Some(("c9e27ad1", 17)));
        assert_eq!(number("c9e27ad1-0.5"), Some(("c9e27ad1", 0)));
        assert_eq!(number("nonsense"), None);
    }
}
