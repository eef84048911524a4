//! What a program under test writes, captured as it comes.
//!
//! Owns the reading threads and the waiting for a line. It keeps everything: a test that floods
//! keeps its flood.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use crate::PATIENCE;

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One captured line, without its line end.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it came from.
    pub source: Source,
    /// Its text; invalid UTF-8 is replaced.
    pub text: String,
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    open_streams: usize,
}

/// The captured lines of one program; clones share them.
#[derive(Clone, Default)]
pub struct Output {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Output {
    /// Nothing captured yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `stream` to its end in a thread of its own.
    pub fn capture(&self, source: Source, stream: impl Read + Send + 'static) {
        self.state().open_streams += 1;
        let output = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            while output.take_line(source, &mut reader) {}
            output.end_stream();
        });
    }

    /// As [`Output::capture`], but keeps only this many lines from the start: later lines are
    /// read in large blocks and thrown away.
    pub fn capture_head(&self, source: Source, stream: impl Read + Send + 'static, lines: usize) {
        self.state().open_streams += 1;
        let output = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            for _ in 0..lines {
                if !output.take_line(source, &mut reader) {
                    break;
                }
            }
            let mut stream = reader.into_inner();
            let mut block = vec![0; 256 * 1024];
            while stream.read(&mut block).is_ok_and(|count| count > 0) {}
            output.end_stream();
        });
    }

    /// Everything captured so far, in the order it arrived.
    pub fn lines(&self) -> Vec<Line> {
        self.state().lines.clone()
    }

    /// Everything one stream gave so far, line ends restored.
    pub fn text(&self, source: Source) -> String {
        let state = self.state();
        let of_source = state.lines.iter().filter(|line| line.source == source);
        of_source.map(|line| line.text.clone() + "\n").collect()
    }

    /// How many lines satisfy `predicate` so far.
    pub fn count(&self, mut predicate: impl FnMut(&Line) -> bool) -> usize {
        self.state().lines.iter().filter(|line| predicate(line)).count()
    }

    /// Waits for a line, among those captured already too. Panics naming `what` once both streams
    /// have ended without it or patience is at its end.
    pub fn wait_for_line(&self, what: &str, predicate: impl Fn(&Line) -> bool) -> Line {
        let start = Instant::now();
        let mut seen = 0;
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines[seen..].iter().find(|line| predicate(line)) {
                return line.clone();
            }
            seen = state.lines.len();
            let left = PATIENCE.saturating_sub(start.elapsed());
            if left.is_zero() || state.open_streams == 0 {
                let lines = state.lines.clone();
                drop(state);
                panic!("no line came: {what}; the output ends with\n{}", tail(&lines));
            }
            state = self.shared.1.wait_timeout(state, left).expect("no holder panics").0;
        }
    }

    /// Waits until both streams have ended.
    pub fn wait_end(&self) {
        let start = Instant::now();
        let mut state = self.state();
        while state.open_streams > 0 {
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "the output did not end");
            state = self.shared.1.wait_timeout(state, left).expect("no holder panics").0;
        }
    }

    /// The last lines, for a failure's message.
    pub fn tail(&self) -> String {
        tail(&self.state().lines)
    }

    /// Reads one line; `false` at the end of the stream.
    fn take_line(&self, source: Source, reader: &mut impl BufRead) -> bool {
        let mut bytes = Vec::new();
        if !reader.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            return false;
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let text = String::from_utf8_lossy(line).into_owned();
        self.state().lines.push(Line { source, text });
        self.shared.1.notify_all();
        true
    }

    fn end_stream(&self) {
        self.state().open_streams -= 1;
        self.shared.1.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no holder panics")
    }
}

fn tail(lines: &[Line]) -> String {
    let from = lines.len().saturating_sub(40);
    let shorten = |text: &str| text.chars().take(300).collect::<String>();
    lines[from..].iter().map(|l| format!("  {:?}: {}\n", l.source, shorten(&l.text))).collect()
}
