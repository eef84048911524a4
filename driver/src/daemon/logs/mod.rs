//! The history of output: in memory for `GET /instances/{id}/logs`, and in files if the operator
//! wants them.
//!
//! `openctrl_core::history` decides which lines are retained and which a query selects. This module
//! has the lock, runs the regular expressions, and passes blocks of lines to the thread that writes
//! files.

mod file;
mod files;
mod room;
mod tail;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use openctrl_core::command::Refusal;
use openctrl_core::doors::v2::Rejection;
use openctrl_core::event::{Event, EventKind, LogRun, Subject};
use openctrl_core::history::{
    HistoryLimits, KeptLog, LogBook, LogQuery, Page, Unfinished, blocks_of, restored,
};
use openctrl_core::ids::{BootId, InstanceId, ProcessRef};
use openctrl_core::stream::Stream;
use openctrl_core::url::LogOptions;
use regex::{Regex, RegexBuilder};
use tokio::sync::Semaphore;

use self::files::{Files, Limits, Lines};
pub(crate) use self::room::LogRoom;
use crate::counters::COUNTERS;
use crate::daemon::threads::Threads;

/// Answers that are put together at a time: each may be some 20 MiB, and take a second of a CPU
/// where a regular expression is slow.
const PAGES_AT_A_TIME: usize = 2;

/// How much memory a compiled regular expression may take, and as much again while it searches.
const REGEX_MAX_BYTES: usize = 1024 * 1024;

/// Minimum and maximum size of what is read from the file of an instance at the start; between
/// them, its share of the memory.
const RESTORE_BYTES: (usize, usize) = (4 * 1024, 4 * 1024 * 1024);

/// The history.
#[derive(Debug)]
pub(crate) struct Logs {
    boot: BootId,
    book: Mutex<LogBook>,
    /// Unfinished lines, of streams that have one.
    unfinished: Mutex<BTreeMap<(InstanceId, Stream), Unfinished>>,
    files: Option<Files>,
    turns: Arc<Semaphore>,
    threads: Threads,
}

impl Logs {
    /// A history of this run, `boot`; with the lines that another program of this master handed
    /// over, else with the last lines of `instances` that files have, where there are files.
    ///
    /// # Errors
    /// When the directory of the files cannot be made, or the thread not be started.
    pub(crate) fn open(
        options: &LogOptions,
        boot: BootId,
        instances: &[InstanceId],
        handed: Option<Vec<KeptLog>>,
        room: &Arc<LogRoom>,
    ) -> io::Result<Arc<Self>> {
        let mebibytes = |count: u32| usize::try_from(count).unwrap_or(0).saturating_mul(1 << 20);
        let lines = usize::try_from(options.lines).unwrap_or(usize::MAX);
        let limits = HistoryLimits { lines, bytes: mebibytes(options.memory_mib) };
        let mut book = LogBook::new(limits);
        let mut files = None;
        if let Some(directory) = &options.dir {
            let directory = Path::new(directory);
            let limits = Limits {
                size_bytes: mebibytes(options.size_mib) as u64,
                keep: options.keep,
                age: Duration::from_hours(24 * u64::from(options.age_days)),
            };
            files = Some(Files::start(
                directory,
                limits,
                instances,
                (Arc::clone(room), options.drops),
            )?);
            if handed.is_none() {
                restore(&mut book, directory, instances);
            }
        }
        handed.into_iter().flatten().for_each(|log| book.take_over(log));
        let (book, turns) = (Mutex::new(book), Arc::new(Semaphore::new(PAGES_AT_A_TIME)));
        let threads = Threads::new("pages", PAGES_AT_A_TIME);
        Ok(Arc::new(Self { boot, book, unfinished: Mutex::default(), files, turns, threads }))
    }

    /// Takes lines in: what `process` printed, or of the master about an instance. Costs a copy of
    /// what will be kept, and for files, of all of it.
    pub(crate) fn append(&self, process: Option<ProcessRef>, run: &LogRun) {
        let count = run.items.len();
        COUNTERS.log_lines.add(count as u64);
        COUNTERS
            .log_lines_cut
            .add(run.lines().filter(|(_, line)| line.cut_bytes > 0).count() as u64);
        let limit = self.lock().limits().lines;
        let keep = if self.files.is_some() { count } else { limit.min(count) };
        if keep == 0 {
            return;
        }
        let blocks = blocks_of(run, keep);
        self.lock().append(run.instance, &blocks, (count - keep) as u64);
        if let Some(files) = &self.files {
            files.append(Lines { instance: run.instance, process, time: run.time, blocks });
        }
    }

    /// Every line that is kept, for another program of this master.
    pub(crate) fn hand_over(&self) -> Vec<KeptLog> {
        self.lock().hand_over()
    }

    /// Sets the unfinished line of a stream of an instance, or that there is none.
    pub(crate) fn set_unfinished(&self, of: (InstanceId, Stream), unfinished: Option<Unfinished>) {
        let mut lines = self.unfinished();
        match unfinished {
            Some(line) => drop(lines.insert(of, line)),
            None => drop(lines.remove(&of)),
        }
    }

    fn unfinished(&self) -> MutexGuard<'_, BTreeMap<(InstanceId, Stream), Unfinished>> {
        self.unfinished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a deleted instance.
    pub(crate) fn follow(&self, event: &Event) {
        if let (EventKind::Delete, Subject::Instance(id)) = (event.kind, event.object.subject()) {
            self.lock().forget(id);
            Stream::ALL.into_iter().for_each(|stream| self.set_unfinished((id, stream), None));
            if let Some(files) = &self.files {
                files.forget(id);
            }
        }
    }

    /// The answer to a query about an instance.
    ///
    /// # Errors
    /// 400 for an invalid regular expression; 503 if no thread can be started for the search.
    pub(crate) async fn page(&self, id: InstanceId, query: LogQuery) -> Result<Bytes, Rejection> {
        let wanted = query.grep.as_deref().map(compile).transpose()?;
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await.map_err(|_| Refusal::ShuttingDown)?;
        let (shelf, boot) = (self.lock().shelf(id), self.boot);
        // After the lines: a line that ends in between is missing in both, but never in both twice.
        let unfinished = Stream::ALL.map(|stream| self.unfinished().get(&(id, stream)).cloned());
        // Off the async workers: it may take long.
        let render = move || {
            // Released when the search ends, not when the wait ends: a client can disconnect
            // before.
            let _turn = turn;
            let matches = |text: &str| wanted.as_ref().is_none_or(|wanted| wanted.is_match(text));
            let unfinished = unfinished.map(|line| line.filter(|line| matches(&line.text)));
            let of = |stream: Stream| unfinished[stream as usize].clone();
            Page::new(&shelf, &query, boot, matches).with_unfinished(&query, of).json()
        };
        self.threads.run(render).await.map_err(|error| Rejection::NoThread(error.to_string()))
    }

    /// How many lines are kept in memory, and the bytes that they take.
    pub(crate) fn kept(&self) -> (usize, usize) {
        let book = self.lock();
        (book.lines(), book.bytes())
    }

    /// Opens the files by their names again, after they were renamed.
    pub(crate) fn reopen(&self) {
        if let Some(files) = &self.files {
            files.reopen();
        }
    }

    /// Lets the files have what they lack, but no longer than `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        if let Some(files) = &self.files {
            files.flush(limit);
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogBook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the files of each instance, as much as its share of the memory holds.
fn restore(book: &mut LogBook, directory: &Path, instances: &[InstanceId]) {
    let HistoryLimits { lines, bytes } = book.limits();
    let (least, most) = RESTORE_BYTES;
    let share = (bytes / instances.len().max(1)).clamp(least, most);
    for id in instances {
        let kept = tail::last_lines(directory, *id, lines, share);
        let kept = kept.iter().map(|(time, stream, text)| (*time, *stream, text.as_slice()));
        book.append(*id, &restored(kept), 0);
    }
}

fn compile(pattern: &str) -> Result<Regex, Rejection> {
    let built = RegexBuilder::new(pattern)
        .size_limit(REGEX_MAX_BYTES)
        .dfa_size_limit(REGEX_MAX_BYTES)
        .build();
    built.map_err(|error| {
        // A syntax error has several lines; the last one is the description.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        Rejection::Bad(format!("grep is not a valid regular expression: {reason}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_expression_is_named() {
        let refused = |pattern: &str| compile(pattern).expect_err(pattern).to_string();
        let prefix = "grep is not a valid regular expression: ";
        assert_eq!(refused("a("), format!("{prefix}unclosed group"));
        assert!(refused("(a{1000}){1000}").starts_with(&format!("{prefix}Compiled regex exceeds")));
        assert!(compile("^a.*z$").expect("a good one").is_match("a to z"));
    }
}
