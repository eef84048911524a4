//! The state directory and its writer on a real file system.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use openctrl_core::engine::Input;
use openctrl_core::ids::{InstanceId, RecordSeq, StoreEpoch};
use openctrl_core::instance::Definition;
use openctrl_core::master::MasterIdentity;
use openctrl_core::store::{Image, Record, SavedTotals, encode};
use openctrl_core::url::InstanceUrl;

use super::{Loaded, StateDirectory, StoreError, StoreWriter};
use crate::inbox::{Inbox, Notice, inbox};

fn image(key: u8) -> Image {
    Image::new(MasterIdentity::from_random([1; 8], [key; 16]))
}

fn put(id: u32) -> Record {
    let url = InstanceUrl::parse("a:b").expect("a good URL");
    let definition = Arc::new(Definition::new(InstanceId(id), url, String::new()));
    Record::PutInstance { definition, totals: SavedTotals::default() }
}

fn open(path: &Path) -> StateDirectory {
    StateDirectory::open(path).expect("the directory can be used")
}

fn key_of(loaded: &Loaded) -> &str {
    match loaded {
        Loaded::Current(image) | Loaded::Backup(image, _) => &image.master.key.reveal()[..2],
        Loaded::Nothing => "none",
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[test]
fn the_directory_is_private_and_held_by_one() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let path = home.path().join("deep/gob");
    let directory = open(&path);
    directory.save(&encode(&image(0xaa)), true).expect("saved");
    assert_eq!(mode(&path), 0o700);
    for name in ["openctrl.state", "openctrl.lock"] {
        assert_eq!(mode(&path.join(name)), 0o600, "{name}");
    }
    assert!(matches!(StateDirectory::open(&path), Err(StoreError::Locked(_))));
    drop(directory);
    assert_eq!(key_of(&open(&path).load().expect("loaded")), "aa");
}

#[test]
fn a_damaged_state_is_kept_aside_and_the_backup_used() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let directory = open(home.path());
    assert_eq!(key_of(&directory.load().expect("loaded")), "none");
    directory.save(&encode(&image(0xaa)), true).expect("saved");
    directory.save(&encode(&image(0xbb)), true).expect("saved");
    assert_eq!(key_of(&directory.load().expect("loaded")), "bb");

    let state = home.path().join("openctrl.state");
    fs::write(&state, "damaged").expect("written");
    let loaded = directory.load().expect("loaded");
    assert!(matches!(&loaded, Loaded::Backup(_, note) if note.contains("kept as")), "{loaded:?}");
    assert_eq!(key_of(&loaded), "aa");
    let names: Vec<String> = fs::read_dir(home.path())
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().any(|name| name.starts_with("openctrl.state.corrupt-")), "{names:?}");
    assert!(matches!(directory.load(), Ok(Loaded::Backup(..))), "the backup goes on to be used");
}

#[test]
fn nothing_is_made_new_over_a_state_that_cannot_be_read() {
    for (name, text) in [
        ("openctrl.state", "it is not a state file"),
        ("openctrl.state.backup", "it is not a state file"),
        ("openctrl.gob", "written by the Go master"),
        ("openctrl.gob.backup", "written by the Go master"),
    ] {
        let home = tempfile::tempdir().expect("a temporary directory");
        let directory = open(home.path());
        fs::write(home.path().join(name), "damaged").expect("written");
        let error = directory.load().expect_err("it cannot be read").to_string();
        assert!(error.contains(name) && error.contains(text), "{error}");
        assert_eq!(fs::read(home.path().join(name)).expect("still there"), b"damaged");
    }
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
    batch.into_iter().map(fact).collect()
}

/// Asks for a record and waits for the word on it.
fn persist(writer: &StoreWriter, inbox: &mut Inbox, epoch: u32, seq: u64) -> Vec<String> {
    let id = u32::try_from(seq).expect("a small number");
    writer.persist(StoreEpoch(epoch), RecordSeq(seq), put(id));
    facts(inbox)
}

#[test]
fn a_failed_write_ends_its_epoch_and_takes_its_records_back() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (mailbox, mut inbox) = inbox();
    let writer = StoreWriter::start(open(home.path()), image(0xaa), mailbox).expect("a thread");
    assert_eq!(persist(&writer, &mut inbox, 0, 1), ["persisted 1"]);

    // A directory in the place of the temporary file: it cannot be opened for writing.
    let obstacle = home.path().join("openctrl.state.tmp");
    fs::create_dir(&obstacle).expect("made");
    assert_eq!(persist(&writer, &mut inbox, 0, 2), ["epoch 0 failed"]);
    fs::remove_dir(&obstacle).expect("removed");

    // Built on what was refused, so it is dropped without a word.
    writer.persist(StoreEpoch(0), RecordSeq(3), put(3));
    assert_eq!(persist(&writer, &mut inbox, 1, 4), ["persisted 4"]);
    writer.finish();
    let loaded = open(home.path()).load().expect("loaded");
    let Loaded::Current(image) = loaded else { panic!("{loaded:?}") };
    let ids: Vec<u32> = image.instances.keys().map(|id| id.0).collect();
    assert_eq!(ids, [1, 4]);
}
