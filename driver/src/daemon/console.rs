//! Standard output and standard error, each written by its own thread.
//!
//! Their readers may be slow or stuck; supervision must not wait for them. Text beyond a limit is
//! dropped, and replaced by its amount (Contract §7).

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, iter, thread};

use crate::counters::Counter;
use crate::daemon::log_line::{LogFormat, dropped};

/// Maximum pending text: a few seconds of a flood, and small compared with the event window.
const PENDING_MAX_BYTES: usize = 8 * 1024 * 1024;

/// A stream that is written in the background. Clones write to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    changed: Condvar,
    losses: Option<Losses>,
}

/// The number of lost lines of a stream, reported in the log once per outage.
#[derive(Debug)]
struct Losses {
    counter: &'static Counter,
    is_reported: AtomicBool,
}

#[derive(Debug, Default)]
struct Pending {
    text: Vec<u8>,
    dropped_lines: u64,
    is_writing: bool,
}

impl Console {
    /// Starts the thread that writes to `stream`; a note that lines were dropped has this form.
    pub(crate) fn start(
        name: &str,
        stream: impl Write + Send + 'static,
        notes: LogFormat,
    ) -> io::Result<Self> {
        Self::start_with(name, stream, notes, Shared::default())
    }

    /// As [`Console::start`], for a stream other than that of the operational log: lines that are
    /// lost are counted and reported there.
    pub(crate) fn start_counted(
        name: &str,
        stream: impl Write + Send + 'static,
        notes: LogFormat,
        counter: &'static Counter,
    ) -> io::Result<Self> {
        let losses = Some(Losses { counter, is_reported: AtomicBool::new(false) });
        Self::start_with(name, stream, notes, Shared { losses, ..Shared::default() })
    }

    fn start_with(
        name: &str,
        stream: impl Write + Send + 'static,
        notes: LogFormat,
        shared: Shared,
    ) -> io::Result<Self> {
        let shared = Arc::new(shared);
        let writer = Arc::clone(&shared);
        thread::Builder::new().name(name.to_owned()).spawn(move || writer.run(stream, notes))?;
        Ok(Self { shared })
    }

    /// Appends the text that `write` writes, a whole line for each of `lines`, except for those
    /// beyond the limit.
    pub(crate) fn write_lines<T>(
        &self,
        lines: impl Iterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) {
        let mut pending = self.shared.lock();
        let was_empty = pending.text.is_empty();
        let mut dropped = 0;
        for line in lines {
            if pending.text.len() < PENDING_MAX_BYTES {
                write(&mut pending.text, line);
            } else {
                dropped += 1;
            }
        }
        pending.dropped_lines += dropped;
        if was_empty && !pending.text.is_empty() {
            self.shared.changed.notify_all();
        }
        drop(pending);
        self.shared.lost(dropped, &"its reader is slow or stuck");
    }

    /// Waits until everything is written, but no longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let is_busy = |pending: &mut Pending| pending.is_writing || !pending.text.is_empty();
        // Timed out or not: there is nothing more to be done for it.
        drop(self.shared.changed.wait_timeout_while(self.shared.lock(), limit, is_busy));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, mut stream: impl Write, notes: LogFormat) {
        let mut writing = Vec::new();
        loop {
            let is_idle = |pending: &mut Pending| pending.text.is_empty();
            let guard = self.changed.wait_while(self.lock(), is_idle);
            let mut pending = guard.unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut pending.text, &mut writing);
            let count = std::mem::take(&mut pending.dropped_lines);
            pending.is_writing = true;
            drop(pending);

            match write_all(&mut stream, &writing) {
                Ok(()) => self.wrote(count),
                Err((written, error)) => {
                    let lines = writing[written..].iter().filter(|byte| **byte == b'\n').count();
                    self.lost(lines as u64, &error);
                }
            }
            if count > 0 {
                let _ = stream.write_all(dropped(notes, count).as_bytes());
            }
            let _ = stream.flush();
            writing.clear();
            writing.shrink_to(64 * 1024);
            self.lock().is_writing = false;
            self.changed.notify_all();
        }
    }
}

impl Shared {
    fn lost(&self, lines: u64, reason: &dyn fmt::Display) {
        let Some(Losses { counter, is_reported }) = &self.losses else { return };
        if lines == 0 {
            return;
        }
        counter.add(lines);
        if !is_reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "Master.console: lines of instances are missing on standard output: {reason}; \
                 /metrics counts them, and the log history and the event stream contain them"
            );
        }
    }

    /// Everything that waited was written, but for `dropped` lines before it.
    fn wrote(&self, dropped: u64) {
        let Some(Losses { counter, is_reported }) = &self.losses else { return };
        if dropped == 0 && is_reported.swap(false, Ordering::Relaxed) {
            let lines = counter.get();
            tracing::info!(
                "Master.console: standard output accepts lines again; {lines} lines are missing since the start"
            );
        }
    }
}

/// Writes all of `text`, or returns how much of it was written and why no more.
fn write_all(stream: &mut impl Write, text: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < text.len() {
        match stream.write(&text[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// One line of the operational log, handed on when it is complete.
#[derive(Debug)]
pub(crate) struct LogLine<'a> {
    console: &'a Console,
    text: Vec<u8>,
}

impl<'a> LogLine<'a> {
    pub(crate) const fn new(console: &'a Console) -> Self {
        Self { console, text: Vec::new() }
    }
}

impl Write for LogLine<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine<'_> {
    fn drop(&mut self) {
        self.console.write_lines(iter::once(&mut self.text), |out, text| out.append(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Passes on written text, but only after it is released.
    struct Gate {
        open: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Gate {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.open.recv();
            let _ = self.written.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_costs_lines_but_nobody_waits() {
        let (open, opened) = mpsc::channel();
        let (written, shown) = mpsc::channel();
        let gate = Gate { open: opened, written };
        static LOST: Counter = Counter::new();
        let console =
            Console::start_counted("test", gate, LogFormat::Plain, &LOST).expect("a thread");
        let line = vec![b'x'; 1024 * 1024];
        for _ in 0..30 {
            console.write_lines(iter::once(&line), |out, line| out.extend_from_slice(line));
        }
        drop(open);
        console.flush(Duration::from_secs(30));
        let text: Vec<u8> = shown.try_iter().flatten().collect();
        let lines = text.iter().filter(|byte| **byte == b'x').count() / line.len();
        assert!((8..=17).contains(&lines), "{lines} lines were written");
        assert_eq!(LOST.get(), 30 - lines as u64);
        // Where lines are lost before the thread takes the first ones, there are two notes.
        let text = String::from_utf8(text).expect("all of it is ASCII");
        let noted = text.lines().filter_map(|line| {
            let line = line.trim_start_matches('x');
            line.strip_suffix(" lines were not written: the reader is slow")?.parse::<usize>().ok()
        });
        assert_eq!(noted.sum::<usize>(), 30 - lines);
    }

    /// Takes a few bytes, then is full.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let taken = text.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted() {
        static LOST: Counter = Counter::new();
        let console = Console::start_counted("test", Full(6), LogFormat::Plain, &LOST);
        let console = console.expect("a thread");
        console.write_lines(0..5, |out, _| out.extend_from_slice(b"1234\n"));
        console.flush(Duration::from_secs(30));
        assert_eq!(LOST.get(), 4);
    }
}
