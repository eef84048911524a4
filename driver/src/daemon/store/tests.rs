//! The state directory and its writer on a real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use openctrl_core::counters::SavedTotals;
use openctrl_core::engine::Input;
use openctrl_core::event::StoredId;
use openctrl_core::ids::{InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::instance::Definition;
use openctrl_core::master::MasterIdentity;
use openctrl_core::resource::{Fact, Identity};
use openctrl_core::store::{Image, Kept, Record};
use openctrl_core::time::Wall;
use openctrl_core::url::InstanceUrl;

use super::{StoreWriter, Urgency};
use crate::daemon::inbox::{Inbox, Notice, inbox};
use crate::state::{Loaded, StateDirectory, StoreError};

fn image(key: u8) -> Image {
    Image::new(MasterIdentity::from_random([1; 8], [key; 16]))
}

fn put(id: u32) -> Record {
    let url = InstanceUrl::parse("a:b").expect("a good URL");
    let definition = Arc::new(Definition::new(InstanceId(id), url, String::new()));
    Record::PutInstance { definition, desired: Arc::default(), totals: SavedTotals::default() }
}

fn open(path: &Path) -> StateDirectory {
    StateDirectory::open(path).expect("the directory can be used")
}

fn load(directory: &mut StateDirectory) -> (Image, Vec<String>) {
    match directory.load().expect("loaded") {
        Loaded::State(image, notes) => (image, notes),
        other @ (Loaded::Nothing | Loaded::Imported(..)) => panic!("no state of ours: {other:?}"),
    }
}

fn key_of(image: &Image) -> &str {
    &image.master.key.reveal()[..2]
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

/// The effect of a master that starts and stops with this state on a directory.
fn run_once(path: &Path, image: Image) {
    let mut directory = open(path);
    directory.load().expect("loaded");
    let (mailbox, _inbox) = inbox();
    StoreWriter::start(directory, image, mailbox).expect("saved").finish();
}

fn names(path: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<String> = fs::read_dir(path).expect("listed").map(name).collect();
    names.sort();
    names
}

#[test]
fn the_directory_is_private_and_held_by_one() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("deep/gob");
    run_once(&path, image(0xaa));
    assert_eq!(mode(&path), 0o700);
    let files = [
        "openctrl.journal.1",
        "openctrl.journal.2",
        "openctrl.lock",
        "openctrl.state",
        "openctrl.state.backup",
    ];
    assert_eq!(names(&path), files);
    for name in files {
        assert_eq!(mode(&path.join(name)), 0o600, "{name}");
    }
    let mut directory = open(&path);
    assert!(matches!(StateDirectory::open(&path), Err(StoreError::Locked(_))));
    assert_eq!(key_of(&load(&mut directory).0), "aa");
}

#[test]
fn old_journals_go_and_the_backup_keeps_its_own() {
    let home = tempfile::tempdir().expect("a temporary directory");
    for _ in 0..4 {
        run_once(home.path(), image(0xaa));
    }
    let journals: Vec<String> =
        names(home.path()).into_iter().filter(|name| name.contains("journal")).collect();
    assert_eq!(journals, ["openctrl.journal.4", "openctrl.journal.5"]);
    fs::remove_file(home.path().join("openctrl.state")).expect("removed");
    let (_, notes) = load(&mut open(home.path()));
    assert!(notes[0].contains("the snapshot is missing"), "{notes:?}");
}

#[test]
fn a_damaged_snapshot_is_kept_aside_and_costs_nothing() {
    let home = tempfile::tempdir().expect("a temporary directory");
    run_once(home.path(), image(0xaa));
    let state = home.path().join("openctrl.state");
    fs::write(&state, "damaged").expect("written");
    let (found, notes) = load(&mut open(home.path()));
    assert_eq!(key_of(&found), "aa");
    assert!(notes[0].contains("kept as"), "{notes:?}");
    let aside = |name: &String| name.starts_with("openctrl.state.corrupt-");
    assert!(names(home.path()).iter().any(aside), "{:?}", names(home.path()));
    run_once(home.path(), found);
    let (found, notes) = load(&mut open(home.path()));
    assert_eq!((key_of(&found), notes.len()), ("aa", 0));
}

#[test]
fn nothing_is_made_new_over_a_state_that_cannot_be_read() {
    for (name, text) in [
        ("openctrl.state", "not a state file"),
        ("openctrl.state.backup", "not a state file"),
        ("openctrl.journal.7", "the snapshot is missing"),
        ("openctrl.gob", "openctrl.gob: "),
        ("openctrl.gob.backup", "openctrl.gob.backup: "),
    ] {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut directory = open(home.path());
        fs::write(home.path().join(name), "damaged").expect("written");
        let error = directory.load().expect_err("it cannot be read").to_string();
        assert!(error.contains(text), "{name}: {error}");
        assert_eq!(fs::read(home.path().join(name)).expect("still there"), b"damaged");
    }
}

#[test]
fn the_state_of_the_go_master_is_taken_over_once() {
    let fixtures = Path::new("../core/src/store/gob/testdata");
    let gob = fs::read(fixtures.join("full.gob")).expect("the fixture is there");
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("openctrl.gob");
    // A damaged file, as a crash of the Go master leaves it, and its backup.
    for (name, bytes) in [("openctrl.gob", &gob[..gob.len() / 2]), ("openctrl.gob.backup", &gob)] {
        fs::write(home.path().join(name), bytes).expect("written");
    }
    let mut directory = open(home.path());
    let Ok(Loaded::Imported(image, from)) = directory.load() else { panic!("not imported") };
    assert_eq!(from, home.path().join("openctrl.gob.backup"));
    assert!(!image.instances.is_empty());
    drop(directory);

    run_once(home.path(), image);
    fs::write(&path, "not looked at any more").expect("written");
    let (_, notes) = load(&mut open(home.path()));
    assert!(notes.is_empty());
    assert_eq!(fs::read(&path).expect("still there"), b"not looked at any more");
}

fn facts(inbox: &mut Inbox) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut batch = Vec::new();
    runtime.block_on(inbox.fill(&mut batch));
    let fact = |notice: Notice| {
        if let Notice::Fact(Input::RecordsPersisted { upto }) = notice {
            return format!("persisted {}", upto.0);
        }
        if let Notice::Fact(Input::PersistFailed { epoch, .. }) = notice {
            return format!("epoch {} failed", epoch.0);
        }
        format!("{notice:?}")
    };
    let several = |notice| {
        if let Notice::Several(notices) = notice { notices } else { vec![notice] }
    };
    batch.into_iter().flat_map(several).map(fact).collect()
}

/// Asks for a record and waits for the word on it.
fn persist(writer: &mut StoreWriter, inbox: &mut Inbox, epoch: u32, seq: u64) -> Vec<String> {
    let id = u32::try_from(seq).expect("a small number");
    writer.persist(StoreEpoch(epoch), RecordSeq(seq), put(id), None);
    writer.hand_over();
    facts(inbox)
}

fn ids(path: &Path) -> Vec<u32> {
    load(&mut open(path)).0.instances.keys().map(|id| id.0).collect()
}

#[test]
fn what_is_said_to_be_durable_is_there_after_a_crash() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (mailbox, mut inbox) = inbox();
    let mut writer = StoreWriter::start(open(home.path()), image(0xaa), mailbox).expect("a thread");
    for seq in 1..=3 {
        assert_eq!(persist(&mut writer, &mut inbox, 0, seq), [format!("persisted {seq}")]);
    }
    // The directory as a crash would leave it: nothing more is written to the copy.
    let copy = tempfile::tempdir().expect("a temporary directory");
    for name in names(home.path()) {
        fs::copy(home.path().join(&name), copy.path().join(&name)).expect("copied");
    }
    assert_eq!(ids(copy.path()), [1, 2, 3]);
    writer.finish();
}

#[test]
fn a_failed_write_ends_its_epoch_and_takes_its_records_back() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (mailbox, mut inbox) = inbox();
    let mut writer = StoreWriter::start(open(home.path()), image(0xaa), mailbox).expect("a thread");
    assert_eq!(persist(&mut writer, &mut inbox, 0, 1), ["persisted 1"]);

    // The journal is at its limit, and the next snapshot cannot be written, because a directory has
    // the name of its temporary file.
    let obstacle = home.path().join("openctrl.state.tmp");
    fs::create_dir(&obstacle).expect("made");
    writer.break_journal();
    assert_eq!(persist(&mut writer, &mut inbox, 0, 2), ["epoch 0 failed"]);
    assert_eq!(persist(&mut writer, &mut inbox, 1, 3), ["epoch 1 failed"]);
    fs::remove_dir(&obstacle).expect("removed");

    // It depends on a refused change, so it is dropped silently.
    writer.persist(StoreEpoch(1), RecordSeq(4), put(4), None);
    assert_eq!(persist(&mut writer, &mut inbox, 2, 5), ["persisted 5"]);
    writer.finish();
    assert_eq!(ids(home.path()), [1, 5]);
}

/// An event that a change causes.
fn caused() -> Kept {
    event(1)
}

fn event(id: u64) -> Kept {
    let identity = Identity { id: InstanceId(2), name: "web".into() };
    let event = Fact::Created.draft(&identity).stored(StoredId(id), Wall::default());
    Kept { epoch: 0, events: vec![Arc::new(event)], rules: None, upto: StoredId(id) }
}

#[test]
fn events_that_no_client_waits_for_go_with_the_next_change_or_the_end() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (mailbox, mut inbox) = inbox();
    let mut writer = StoreWriter::start(open(home.path()), image(0xaa), mailbox).expect("a thread");
    writer.keep(event(1), Urgency::Patient);
    writer.hand_over();
    writer.keep(event(2), Urgency::Patient);
    writer.persist(StoreEpoch(0), RecordSeq(1), put(1), Some(event(3)));
    writer.hand_over();
    let mut said = facts(&mut inbox);
    while said.last().is_none_or(|last| last != "persisted 1") {
        said.extend(facts(&mut inbox));
    }
    let kept = "Control(EventsKept { upto: StoredId(3) })".to_owned();
    assert!(said.contains(&kept), "before what they are about is answered: {said:?}");
    writer.keep(event(4), Urgency::Patient);
    writer.finish();
    let stored = load(&mut open(home.path())).0.control.events;
    let stored: Vec<u64> = stored.iter().map(|event| event.id.0).collect();
    assert_eq!(stored, [1, 2, 3, 4]);
}

#[test]
fn events_of_a_change_that_is_dropped_are_reported() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (mailbox, mut inbox) = inbox();
    let mut writer = StoreWriter::start(open(home.path()), image(0xaa), mailbox).expect("a thread");
    let obstacle = home.path().join("openctrl.state.tmp");
    fs::create_dir(&obstacle).expect("made");
    writer.break_journal();
    // It causes no events, so its failure says nothing about those of the next one.
    assert_eq!(persist(&mut writer, &mut inbox, 0, 1), ["epoch 0 failed"]);
    fs::remove_dir(&obstacle).expect("removed");
    writer.persist(StoreEpoch(0), RecordSeq(2), put(2), Some(caused()));
    writer.hand_over();
    let said = facts(&mut inbox);
    assert!(
        said.len() == 1
            && said[0].starts_with("Control(KeepFailed { epoch: 0, refused: Some(StoreEpoch(0))"),
        "{said:?}"
    );
    // Later events of the same epoch are dropped, and reported no second time.
    writer.keep(caused(), Urgency::Awaited);
    assert_eq!(persist(&mut writer, &mut inbox, 1, 3), ["persisted 3"]);
    writer.finish();
    assert_eq!(ids(home.path()), [3]);
}

#[test]
fn the_first_change_after_a_failed_write_is_not_in_the_snapshot_alone() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (mailbox, mut inbox) = inbox();
    let mut writer = StoreWriter::start(open(home.path()), image(0xaa), mailbox).expect("a thread");
    let obstacle = home.path().join("openctrl.state.tmp");
    fs::create_dir(&obstacle).expect("made");
    writer.break_journal();
    assert_eq!(persist(&mut writer, &mut inbox, 0, 1), ["epoch 0 failed"]);
    fs::remove_dir(&obstacle).expect("removed");
    assert_eq!(persist(&mut writer, &mut inbox, 1, 2), ["persisted 2"]);
    writer.finish();

    let snapshot = home.path().join("openctrl.state");
    let mut bytes = fs::read(&snapshot).expect("readable");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&snapshot, bytes).expect("written");
    assert_eq!(ids(home.path()), [2]);
}
