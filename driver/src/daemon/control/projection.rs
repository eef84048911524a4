//! `events.db`: the stored events as SQLite, for SQL that people have (control contract B 3.2).
//!
//! The journal is the truth. A thread writes events in batches and never holds anything up; at the
//! start it writes what the database lacks. Events that cannot be written are written later, so the
//! rows have no gaps. A database that cannot be used is made anew.
//!
//! The thread has the lowest priority and may get no CPU for a long time. At the end, what is left
//! is therefore written by whoever waits for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openctrl_core::event::{StoredEvent, StoredId};
use openctrl_core::go::rfc3339_nano;
use rusqlite::{Connection, params};

use super::backlog::{BATCH_MAX, Backlog};
use super::jsonl::EventFiles;

/// How long to wait after events could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// The priority of the thread: the lowest.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 19;

/// After so many rows it is looked whether the queue was closed.
const ROWS_PER_LOOK: usize = 32;

/// The file in the state directory.
const FILE: &str = "events.db";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    api_version TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    generation INTEGER,
    created_at TEXT NOT NULL,
    topic TEXT,
    source_kind TEXT,
    source_instance TEXT,
    resource_api_version TEXT,
    resource_kind TEXT,
    resource_name TEXT,
    severity TEXT,
    attributes TEXT,
    created_at_us INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_type_id ON events (type, id);
CREATE INDEX IF NOT EXISTS events_topic_id ON events (topic, id);
CREATE INDEX IF NOT EXISTS events_resource_id ON events (resource_kind, resource_name, id);
CREATE TABLE IF NOT EXISTS event_consumer_cursors (
    consumer TEXT PRIMARY KEY,
    cursor INTEGER NOT NULL,
    updated_at TEXT NOT NULL
);
";

const INSERT: &str = "INSERT OR IGNORE INTO events (id, api_version, kind, name, type, reason, \
    message, generation, created_at, topic, source_kind, source_instance, resource_api_version, \
    resource_kind, resource_name, severity, attributes, created_at_us) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// Takes events in for the thread.
#[derive(Debug)]
pub(crate) struct Projection {
    backlog: Arc<Backlog>,
    thread: JoinHandle<Worker>,
}

struct Worker {
    path: PathBuf,
    /// The events of the journal, until the database has them.
    known: Vec<Arc<StoredEvent>>,
    /// `None` while the database cannot be used.
    connection: Option<Connection>,
    files: Option<EventFiles>,
    /// The newest event that the files have.
    in_files: StoredId,
    keep: usize,
    is_failing: bool,
}

impl Projection {
    /// Opens or makes the database in `state`, and starts the thread. `known` are the events of
    /// the journal, oldest first; `keep` is how many are kept.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(
        state: &Path,
        known: Vec<Arc<StoredEvent>>,
        keep: usize,
        files: Option<EventFiles>,
    ) -> io::Result<Self> {
        let path = state.join(FILE);
        let backlog = Backlog::new(keep);
        let queue = Arc::clone(&backlog);
        let thread = thread::Builder::new().name("events".to_owned()).spawn(move || {
            yield_to_others();
            let connection = open_or_replace(&path);
            let in_files = known.last().map_or(StoredId(0), |event| event.id);
            let is_failing = false;
            let mut worker = Worker { path, known, connection, files, in_files, keep, is_failing };
            worker.run(&queue);
            worker
        })?;
        Ok(Self { backlog, thread })
    }

    /// Hands durable events over.
    pub(crate) fn append(&self, events: Vec<Arc<StoredEvent>>) {
        self.backlog.append(events);
    }

    /// Waits until all is written that can be.
    pub(crate) fn finish(self) {
        self.backlog.close();
        match self.thread.join() {
            Ok(mut worker) => worker.complete(&self.backlog),
            Err(_) => tracing::error!("Control.events: the thread of {FILE} stopped after a panic"),
        }
    }
}

impl Worker {
    /// Writes events until the queue is closed.
    fn run(&mut self, backlog: &Backlog) {
        let is_over = || backlog.is_closed();
        while !self.catch_up(&is_over) {
            if backlog.pause(RETRY) {
                return;
            }
        }
        while let Some(batch) = backlog.take() {
            self.append_to_files(&batch);
            if !self.write(&batch, &is_over) {
                backlog.put_back(batch);
                if backlog.pause(RETRY) {
                    return;
                }
            }
        }
    }

    /// Writes the rest. What cannot be written is missing until the next start.
    fn complete(&mut self, backlog: &Backlog) {
        let is_over = || false;
        if !self.catch_up(&is_over) {
            return;
        }
        while let Some(batch) = backlog.take_rest() {
            self.append_to_files(&batch);
            if !self.write(&batch, &is_over) {
                return;
            }
        }
    }

    fn append_to_files(&mut self, batch: &[Arc<StoredEvent>]) {
        let start = batch.partition_point(|event| event.id <= self.in_files);
        if let (Some(files), Some(last)) = (&mut self.files, batch.last()) {
            files.append(&batch[start..]);
            self.in_files = self.in_files.max(last.id);
        }
    }

    /// Writes what the database lacks of the journal; whether it could. Events beyond the newest of
    /// the journal are of another journal: then it is made anew.
    fn catch_up(&mut self, is_over: &dyn Fn() -> bool) -> bool {
        let known = std::mem::take(&mut self.known);
        let Some(connection) = &self.connection else { return true };
        let newest = known.last().map_or(StoredId(0), |event| event.id);
        let head = connection
            .query_row("SELECT coalesce(max(id), 0) FROM events", [], |row| row.get::<_, i64>(0));
        let head = match head.map(|head| StoredId(u64::try_from(head).unwrap_or_default())) {
            Ok(head) if head > newest && newest > StoredId(0) => {
                self.replace("it has events that the journal does not have");
                StoredId(0)
            }
            Ok(head) => head,
            Err(error) => {
                self.replace(&error.to_string());
                StoredId(0)
            }
        };
        let start = known.partition_point(|event| event.id <= head);
        if known[start..].chunks(BATCH_MAX).all(|batch| self.write(batch, is_over)) {
            return true;
        }
        self.known = known;
        false
    }

    fn replace(&mut self, why: &str) {
        self.connection = None;
        self.connection = replace(&self.path, why);
    }

    /// Whether the events are in the database, or there is none. None of them is written if it
    /// `is_over` meanwhile.
    fn write(&mut self, events: &[Arc<StoredEvent>], is_over: &dyn Fn() -> bool) -> bool {
        let Some(connection) = &mut self.connection else { return true };
        match insert(connection, events, self.keep, is_over) {
            Ok(is_whole) => {
                self.is_failing = false;
                is_whole
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(
                        "Control.events: cannot write {}: {error}; it is tried again",
                        self.path.display()
                    );
                }
                false
            }
        }
    }
}

/// Rows can wait, what the master does for clients and processes cannot.
fn yield_to_others() {
    // Elsewhere this would be the priority of the whole process.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Writes events in one transaction; `false` if it was given up because it `is_over`.
fn insert(
    connection: &mut Connection,
    events: &[Arc<StoredEvent>],
    keep: usize,
    is_over: &dyn Fn() -> bool,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    {
        let mut statement = transaction.prepare_cached(INSERT)?;
        for (index, event) in events.iter().enumerate() {
            if index % ROWS_PER_LOOK == 0 && is_over() {
                return Ok(false);
            }
            let resource = event.resource.as_ref();
            let attributes = serde_json::to_string(&event.attributes).unwrap_or_default();
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            statement.execute(params![
                number(event.id.0),
                resource.map_or("daemon.routerd.net/v1alpha1", |resource| &*resource.api_version),
                event.row_kind(),
                event.row_name(),
                &*event.topic,
                &*event.reason,
                &*event.message,
                rfc3339_nano(event.time),
                &*event.topic,
                &*event.daemon.kind,
                &*event.daemon.instance,
                resource.map(|resource| &*resource.api_version),
                resource.map(|resource| &*resource.kind),
                resource.map(|resource| &*resource.name),
                event.severity.as_str(),
                attributes,
                number(event.time.as_micros()),
            ])?;
        }
        if let Some(last) = events.last() {
            let oldest = last.id.0.saturating_sub(keep as u64);
            transaction.execute(
                "DELETE FROM events WHERE id <= ?1",
                params![i64::try_from(oldest).unwrap_or(i64::MAX)],
            )?;
        }
    }
    transaction.commit()?;
    Ok(true)
}

fn open_or_replace(path: &Path) -> Option<Connection> {
    open(path).or_else(|error| replace(path, &error.to_string()).ok_or(error)).ok()
}

/// Keeps the bad file aside and begins another.
fn replace(path: &Path, why: &str) -> Option<Connection> {
    let aside = path.with_extension("db.bad");
    tracing::warn!(
        "Control.events: {} cannot be used: {why}; created it again, the old one is kept as {}",
        path.display(),
        aside.display()
    );
    let _ = fs::rename(path, aside);
    for extension in ["db-wal", "db-shm"] {
        let _ = fs::remove_file(path.with_extension(extension));
    }
    match open(path) {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::warn!("Control.events: there is no {}: {error}", path.display());
            None
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // The journal is the truth: what a power failure takes is written again at the next start.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.execute_batch(SCHEMA)?;
    // A damaged file shows here rather than at the first read.
    let word: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if word == "ok" {
        Ok(connection)
    } else {
        Err(rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(11), Some(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openctrl_core::ids::InstanceId;
    use openctrl_core::resource::{Fact, Identity};
    use openctrl_core::time::Wall;

    fn events(from: u64, to: u64) -> Vec<Arc<StoredEvent>> {
        let identity = Identity { id: InstanceId(1), name: "web".into() };
        let event = |id: u64| {
            let draft = Fact::CommandReceived("renew".into()).draft(&identity);
            Arc::new(draft.stored(StoredId(id), Wall::from_micros(id * 1_000_000)))
        };
        (from..=to).map(event).collect()
    }

    fn ids(state: &Path) -> Vec<i64> {
        let connection = Connection::open(state.join(FILE)).expect("it is a database");
        let mut statement = connection.prepare("SELECT id FROM events ORDER BY id").expect("SQL");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("a number")).collect()
    }

    #[test]
    fn events_are_rows_that_sql_finds() {
        let dir = tempfile::tempdir().expect("a directory");
        let projection = Projection::start(dir.path(), Vec::new(), 100, None).expect("a thread");
        projection.append(events(1, 2));
        projection.append(events(3, 3));
        projection.finish();
        assert_eq!(ids(dir.path()), [1, 2, 3]);
        let connection = Connection::open(dir.path().join(FILE)).expect("it is a database");
        let row: (String, String, String, String, Option<i64>) = connection
            .query_row(
                "SELECT topic, created_at, attributes, resource_name, generation FROM events \
                 WHERE id = 3",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
            )
            .expect("a row");
        let expected = (
            "routerd.daemon.command.received".to_owned(),
            "1970-01-01T00:00:03Z".to_owned(),
            "{\"command\":\"renew\"}".to_owned(),
            "web".to_owned(),
            None,
        );
        assert_eq!(row, expected);
    }

    #[test]
    fn what_is_missing_is_caught_up_with_and_the_oldest_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Projection::start(dir.path(), events(1, 3), 100, None).expect("a thread");
        first.finish();
        let second = Projection::start(dir.path(), events(1, 6), 4, None).expect("a thread");
        second.append(events(7, 7));
        second.finish();
        assert_eq!(ids(dir.path()), [4, 5, 6, 7]);
    }

    #[test]
    fn rows_have_no_gap_when_the_database_was_locked() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        Projection::start(dir.path(), events(1, 1), 100, None).expect("a thread").finish();
        let mut connection = open(&path).expect("it is a database");
        connection.busy_timeout(Duration::ZERO).expect("a number");
        let lock = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate);
        let lock = lock.expect("nobody else writes");
        let ours = open(&path).expect("it is a database");
        ours.busy_timeout(Duration::ZERO).expect("a number");
        let mut worker = Worker {
            path,
            known: Vec::new(),
            connection: Some(ours),
            files: None,
            in_files: StoredId(1),
            keep: 100,
            is_failing: false,
        };
        let backlog = Backlog::new(100);
        backlog.append(events(2, 3));
        let batch = backlog.take().expect("they are there");
        assert!(!worker.write(&batch, &|| false), "it is locked");
        backlog.put_back(batch);
        backlog.append(events(4, 4));
        drop(lock);
        backlog.close();
        worker.run(&backlog);
        assert_eq!(ids(dir.path()), [1], "what is left is for who waits for it");
        worker.complete(&backlog);
        assert_eq!(ids(dir.path()), [1, 2, 3, 4]);
    }

    #[test]
    fn a_backlog_holds_no_more_than_is_kept() {
        let backlog = Backlog::new(3);
        backlog.append(events(1, 5));
        let ids = |events: Vec<Arc<StoredEvent>>| -> Vec<u64> {
            events.iter().map(|event| event.id.0).collect()
        };
        let taken = backlog.take().expect("they are there");
        assert_eq!(ids(taken.clone()), [3, 4, 5]);
        backlog.append(events(6, 7));
        backlog.put_back(taken);
        assert_eq!(ids(backlog.take().expect("they are there")), [5, 6, 7]);
        backlog.append(events(8, 8));
        backlog.close();
        assert!(backlog.take().is_none());
        assert_eq!(ids(backlog.take_rest().expect("one is left")), [8]);
        assert!(backlog.take_rest().is_none());
    }

    #[test]
    fn a_lost_or_damaged_database_is_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(FILE);
        Projection::start(dir.path(), events(1, 3), 100, None).expect("a thread").finish();
        fs::remove_file(&path).expect("it is there");
        Projection::start(dir.path(), events(1, 3), 100, None).expect("a thread").finish();
        assert_eq!(ids(dir.path()), [1, 2, 3]);
        fs::write(&path, "this is no database, whatever its name says".repeat(100))
            .expect("a file");
        Projection::start(dir.path(), events(1, 4), 100, None).expect("a thread").finish();
        assert_eq!(ids(dir.path()), [1, 2, 3, 4]);
        assert!(dir.path().join("events.db.bad").exists());
    }

    #[test]
    fn events_of_another_journal_are_put_aside() {
        let dir = tempfile::tempdir().expect("a directory");
        Projection::start(dir.path(), events(1, 9), 100, None).expect("a thread").finish();
        Projection::start(dir.path(), events(1, 3), 100, None).expect("a thread").finish();
        assert_eq!(ids(dir.path()), [1, 2, 3]);
    }
}
