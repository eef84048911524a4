//! `bench-durability`: how fast changes become durable, against what the disk itself can do, and
//! how long a start takes with much to recover. Prints two tables; the figures are for anyone who
//! compares two versions on one machine.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use openctrl_tests::api::id_of;
use openctrl_tests::http::{Connection, Request};
use openctrl_tests::{Api, Master};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

const CLIENTS: [usize; 3] = [1, 16, 256];
/// How long each measurement takes, and how often it is taken.
const SLICE: Duration = Duration::from_millis(500);
const SLICES: u32 = 8;
/// Instances while changes are measured, and when a start is.
const SOME: usize = 1_000;
const MANY: usize = 10_000;
/// A journal is followed by a snapshot from 4 MiB on: this is as full as it gets.
const FULL_JOURNAL: u64 = 3_900_000;
/// Clients that fill the state.
const FILLERS: usize = 64;
/// Starts that are measured; the middle one counts.
const STARTS: usize = 5;

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    match changes(&mut out).and_then(|()| recovery(&mut out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// A master whose instances cost nothing: their runtime does not exist.
fn master(state: &Path) -> Master {
    let state = state.to_str().expect("a temporary path is UTF-8");
    Master::builder_for(Path::new("/nonexistent")).query("state", state).unread_stdout().start()
}

fn changes(out: &mut impl Write) -> io::Result<()> {
    let folder = TempDir::new()?;
    let state = folder.path().join("state");
    let master = master(&state);
    let ids = fill(&master.api(), SOME);
    let record_bytes = record_bytes(&master.api(), &state, &ids);
    writeln!(out, "durable changes, {SOME} instances, records of {record_bytes} bytes")?;
    writeln!(out, "clients  changes/s  bare syncs/s  ratio  traced: changes  syncs  changes/sync")?;
    for clients in CLIENTS {
        // In turns, for what else the disk has to do changes all the time.
        let (mut bare, mut patched) = (0, 0);
        for _ in 0..SLICES {
            bare += bare_syncs(folder.path(), record_bytes)?;
            patched += patch_for(&master.api(), &ids, clients, SLICE);
        }
        let rate = |count: u64| count as f64 / (SLICE * SLICES).as_secs_f64();
        let (bare, patched) = (rate(bare), rate(patched));
        // Apart, since tracing slows the master down.
        let traced = match traced(&master, &ids, clients) {
            Some((changes, syncs)) => {
                let grouped = changes as f64 / syncs as f64;
                format!("{changes:>15}  {syncs:>5}  {grouped:>12.1}")
            }
            None => "n/a".to_owned(),
        };
        let ratio = patched / bare;
        writeln!(out, "{clients:>7}  {patched:>9.0}  {bare:>12.0}  {ratio:>5.2}  {traced}")?;
    }
    Ok(())
}

fn recovery(out: &mut impl Write) -> io::Result<()> {
    let folder = TempDir::new()?;
    let state = folder.path().join("state");
    let mut master = master(&state);
    let ids = fill(&master.api(), MANY);
    while journal_bytes(&state) < FULL_JOURNAL {
        // Little at a time, to stop before the next snapshot.
        patch_for(&master.api(), &ids, FILLERS, Duration::from_millis(50));
    }
    let journal = journal_bytes(&state);
    master.crash();
    // A start leaves a new snapshot and an empty journal, so each begins with a copy.
    let mut full = Vec::new();
    for number in 0..STARTS {
        let copy = folder.path().join(number.to_string());
        copy_files(&state, &copy)?;
        full.push(time_start(&copy));
    }
    let empty: Vec<f64> =
        (0..STARTS).map(|number| time_start(&folder.path().join(number.to_string()))).collect();
    let snapshot = fs::metadata(state.join("openctrl.state"))?.len();
    writeln!(out, "\nfrom exec to `started`, {MANY} instances, middle of {STARTS}")?;
    writeln!(out, "snapshot of {snapshot} bytes, journal of {journal}: {:.0} ms", middle(full))?;
    writeln!(out, "everything in the snapshot: {:.0} ms", middle(empty))
}

/// Creates instances that are not to run; returns their ids.
fn fill(api: &Api, count: usize) -> Vec<String> {
    let left = AtomicU64::new(count as u64);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    thread::scope(|scope| {
        let fillers: Vec<_> = (0..FILLERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::open(api);
                    let mut ids = Vec::new();
                    while let Ok(number) = take() {
                        let body = json!({"url": format!("bench://host-{number}/?token=abcdef")});
                        let created = client.send("POST", "/instances", &body, 201);
                        let id = id_of(&created);
                        let path = format!("/instances/{id}");
                        client.send("PATCH", &path, &json!({"restart": false}), 200);
                        ids.push(id);
                    }
                    ids
                })
            })
            .collect();
        fillers.into_iter().flat_map(|filler| filler.join().expect("it works")).collect()
    })
}

/// Changes aliases for a time; returns how many changes were answered.
fn patch_for(api: &Api, ids: &[String], clients: usize, duration: Duration) -> u64 {
    let begun = Instant::now();
    let patch = |client_number: usize| {
        let mut client = Client::open(api);
        let mut count = 0;
        while begun.elapsed() < duration {
            let index = client_number + usize::try_from(count).unwrap_or(0) * clients;
            let path = format!("/instances/{}", ids[index % ids.len()]);
            let alias = format!("{:032}", begun.elapsed().as_nanos());
            client.send("PATCH", &path, &json!({"alias": alias}), 200);
            count += 1;
        }
        count
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..clients).map(|number| scope.spawn(move || patch(number))).collect();
        clients.into_iter().map(|client| client.join().expect("it works")).sum()
    })
}

struct Client<'a> {
    connection: Connection,
    api: &'a Api,
}

impl<'a> Client<'a> {
    fn open(api: &'a Api) -> Self {
        let connection = Connection::open(api.endpoint()).expect("the master listens");
        Self { connection, api }
    }

    fn send(&mut self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let request: Request = self.api.request(method, path).json(body).into_request();
        let answer = self.connection.send(&request).expect("the master answers");
        answer.expect(status).json()
    }
}

/// How much a change adds to the journal.
fn record_bytes(api: &Api, state: &Path, ids: &[String]) -> u64 {
    let before = journal_bytes(state);
    let mut client = Client::open(api);
    for id in &ids[..10] {
        let body = json!({"alias": format!("{:032}", 0)});
        client.send("PATCH", &format!("/instances/{id}"), &body, 200);
    }
    (journal_bytes(state) - before) / 10
}

/// Writes of a record, each followed by a sync: how many there are in a slice.
fn bare_syncs(folder: &Path, record_bytes: u64) -> io::Result<u64> {
    let mut file = OpenOptions::new().append(true).create(true).open(folder.join("bare"))?;
    let record = vec![b'r'; usize::try_from(record_bytes).expect("a small number")];
    let begun = Instant::now();
    let mut count = 0_u64;
    while begun.elapsed() < SLICE {
        file.write_all(&record)?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count)
}

/// Changes and syncs while the master is traced; `None` where that cannot be.
fn traced(master: &Master, ids: &[String], clients: usize) -> Option<(u64, u64)> {
    let folder = TempDir::new().ok()?;
    let counts = folder.path().join("counts");
    let mut strace: Child = Command::new("strace")
        .args(["-f", "-c", "-e", "trace=fdatasync,fsync", "-o"])
        .arg(&counts)
        .args(["-p", &master.pid().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let is_traced = || {
        let status = fs::read_to_string(format!("/proc/{}/status", master.pid()));
        status.is_ok_and(|status| {
            status.lines().any(|l| l.starts_with("TracerPid:\t") && !l.ends_with("\t0"))
        })
    };
    while !is_traced() {
        // It may have refused.
        if strace.try_wait().ok()?.is_some() {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let changes = patch_for(&master.api(), ids, clients, SLICE * SLICES);
    // On INT it lets go, and writes what it counted.
    openctrl_tests::process::send(i32::try_from(strace.id()).ok()?, Signal::INT);
    strace.wait().ok()?;
    let table = fs::read_to_string(counts).ok()?;
    let calls = |line: &str| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    let is_sync = |line: &&str| line.ends_with("fdatasync") || line.ends_with("fsync");
    let syncs = table.lines().filter(is_sync).filter_map(calls).sum();
    Some((changes, syncs))
}

fn journals(state: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(state).expect("the state is there").flatten();
    let number = |path: &Path| path.extension()?.to_str()?.parse().ok();
    entries.filter_map(|entry| Some((number(&entry.path())?, entry.path()))).collect()
}

/// How long the journal is that was begun last.
fn journal_bytes(state: &Path) -> u64 {
    let last = journals(state).into_iter().max_by_key(|(number, _)| *number);
    last.and_then(|(_, path)| fs::metadata(path).ok()).map_or(0, |file| file.len())
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Milliseconds from the start of a master until it says that it has started; it is killed then.
fn time_start(state: &Path) -> f64 {
    let begun = Instant::now();
    let mut master = master(state);
    let took = begun.elapsed();
    assert_eq!(master.api().list().len(), MANY + 1, "all instances are there");
    master.crash();
    took.as_secs_f64() * 1000.0
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
