//! Files that an earlier release wrote (`testdata/v1`) load with the code of today.
//!
//! `expected.json` beside them says what each holds; the black-box test `golden` starts the program
//! on them. A file here is never written anew: a state directory in use cannot be either.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use openctrl_core::store::{Files, Finding, Image, Recovered, RecoveryError, recover};
use openctrl_core::trace::{
    EndReason, Ending, Reader, Record, Replay, TraceError, Verdict, show_change, show_effect,
    show_happened, show_input,
};
use serde_json::{Value, json};

/// A version that no program knows.
const NO_VERSION: u16 = u16::MAX;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/v1")
}

/// What the files of `kind` hold, by their names.
fn expected(kind: &str, count: usize) -> Vec<(String, Value)> {
    let text = fs::read(golden().join("expected.json")).expect("the page of what is expected");
    let all: Value = serde_json::from_slice(&text).expect("JSON");
    let files = all[kind].as_object().expect("an object");
    assert_eq!(files.len(), count, "{kind}");
    files.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The files of a state directory.
#[derive(Clone)]
struct Directory {
    snapshot: Option<Vec<u8>>,
    backup: Option<Vec<u8>>,
    journals: BTreeMap<u64, Vec<u8>>,
}

impl Directory {
    fn read(name: &str) -> Self {
        let folder = golden().join(name);
        let journals = fs::read_dir(&folder).expect("a folder").filter_map(|entry| {
            let path = entry.expect("an entry of it").path();
            let name = path.file_name()?.to_str()?;
            let generation = name.strip_prefix("openctrl.journal.")?.parse().ok()?;
            Some((generation, fs::read(&path).expect("a journal")))
        });
        Self {
            snapshot: fs::read(folder.join("openctrl.state")).ok(),
            backup: fs::read(folder.join("openctrl.state.backup")).ok(),
            journals: journals.collect(),
        }
    }

    fn recover(&self) -> Result<Option<Recovered>, RecoveryError> {
        let journals: Vec<(u64, &[u8])> =
            self.journals.iter().map(|(generation, file)| (*generation, &file[..])).collect();
        let (snapshot, backup) = (self.snapshot.as_deref(), self.backup.as_deref());
        recover(Files { snapshot, backup, journals: &journals })
    }

    fn recovered(&self, name: &str) -> Recovered {
        let recovered = self.recover().unwrap_or_else(|error| panic!("{name}: {error}"));
        recovered.unwrap_or_else(|| panic!("{name}: there is no state"))
    }
}

/// The state in the form of `expected.json`.
fn shown(image: &Image) -> Value {
    let instances = image.instances.values().map(|stored| {
        let (definition, totals) = (&stored.definition, stored.totals.totals());
        json!({
            "id": definition.id.to_string(), "alias": definition.alias,
            "url": definition.url().as_str(), "restart": definition.restarts(),
            "meta": definition.meta, "mode": stored.totals.mode,
            "tcprx": totals.tcprx, "tcptx": totals.tcptx,
            "udprx": totals.udprx, "udptx": totals.udptx,
        })
    });
    let master = &image.master;
    json!({
        "master": {"mid": master.mid, "alias": master.alias, "key": master.key.reveal()},
        "instances": instances.collect::<Vec<Value>>(),
    })
}

#[test]
fn every_state_loads() {
    for (name, expected) in expected("states", 5) {
        let directory = Directory::read(&name);
        let recovered = directory.recovered(&name);
        let image = shown(&recovered.image);
        assert_eq!(image["master"], expected["master"], "{name}");
        assert_eq!(image["instances"], expected["instances"], "{name}");
        let torn_at = match &recovered.findings[..] {
            [] => None,
            [Finding::Cut { generation, at }] if *generation == recovered.generation => Some(*at),
            others => panic!("{name}: {others:?}"),
        };
        assert_eq!(json!(torn_at), expected["torn_at"], "{name}");
    }
}

/// The backup and its journals hold the same state.
#[test]
fn every_state_loads_without_its_snapshot() {
    for (name, expected) in expected("states", 5) {
        let mut directory = Directory::read(&name);
        directory.snapshot = None;
        let recovered = directory.recovered(&name);
        assert_eq!(shown(&recovered.image)["master"], expected["master"], "{name}");
        assert_eq!(shown(&recovered.image)["instances"], expected["instances"], "{name}");
        assert!(matches!(recovered.findings[0], Finding::BackupUsed(None)), "{name}");
    }
}

/// The names of the directories are true: what is in `journal` is in no snapshot, and the reverse.
#[test]
fn each_kind_of_file_holds_something() {
    let journal = Directory::read("journal").recovered("journal");
    assert!(journal.records >= 20, "{} records", journal.records);
    assert_eq!(Directory::read("snapshot").recovered("snapshot").records, 0);
    let mut without = Directory::read("killed");
    without.journals.values_mut().for_each(|journal| journal.truncate(30));
    let last = without.recovered("the snapshot of killed").image;
    without.snapshot = None;
    assert!(without.recover().is_err(), "the journal of the backup is missed");
    assert_ne!(shown(&last), shown(&Directory::read("killed").recovered("killed").image));
}

#[test]
fn a_state_of_an_unknown_version_is_refused_by_name() {
    let good = Directory::read("killed");
    let last = *good.journals.keys().last().expect("there is a journal");
    let mut newer = [good.clone(), good.clone(), good];
    set_version(newer[0].snapshot.as_mut().expect("a snapshot"));
    set_version(newer[1].journals.get_mut(&last).expect("a journal"));
    newer[2].snapshot = None;
    set_version(newer[2].backup.as_mut().expect("a backup"));
    for (directory, file) in newer.iter().zip(["snapshot", "journal", "backup"]) {
        let error = directory.recover().expect_err("it is of another program").to_string();
        assert!(error.contains(file) && error.contains("format version 65535"), "{error}");
    }
}

fn set_version(file: &mut [u8]) {
    file[8..10].copy_from_slice(&NO_VERSION.to_le_bytes());
}

/// Every segment decodes to its end, and every line of it can be shown.
#[test]
fn every_trace_is_shown() {
    for (name, expected) in expected("traces", 4) {
        let file = fs::read(golden().join(&name)).expect("a segment");
        let mut reader = Reader::new(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let header = reader.header();
        let head = json!({
            "product": header.product, "boot": header.boot.to_string(),
            "sequence": header.sequence, "has_text": header.has_text,
        });
        for field in ["product", "boot", "sequence", "has_text"] {
            assert_eq!(head[field], expected[field], "{name}");
        }
        let (mut inputs, mut lines) = (0, String::new());
        for record in reader.by_ref() {
            let Record::Input { input, .. } = record else { continue };
            inputs += 1;
            lines += &format!("{}\n", show_input(&input));
        }
        let is_whole = match reader.ending() {
            Some(Ending::Marked(end)) => end.why == EndReason::Finished,
            Some(Ending::Torn(_)) => false,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(json!(inputs), expected["inputs"], "{name}");
        assert_eq!(json!(is_whole), expected["is_whole"], "{name}");
        assert_eq!(lines.lines().count(), inputs, "{name}: an input is not one line");
        assert_shows(&name, &lines, &expected["shows"]);
    }
}

/// What an engine of today does with the inputs is shown. It is not compared: the digests of
/// version 1 are made of other things, and a later engine may decide otherwise.
#[test]
fn every_trace_is_replayed_without_a_comparison() {
    for (name, expected) in expected("traces", 4) {
        let file = fs::read(golden().join(&name)).expect("a segment");
        let mut replay = Replay::new(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut shown = String::new();
        while let Some(step) = replay.step() {
            assert_eq!(step.verdict, Verdict::Unknown, "{name}: {step:?}");
            let changes = step.changes.iter().map(show_change);
            let effects = step.effects.iter().map(show_effect);
            for line in [show_happened(&step.input)].into_iter().chain(changes).chain(effects) {
                shown += &format!("{line}\n");
            }
        }
        assert_eq!((replay.version(), replay.is_comparable()), (1, false), "{name}");
        let summary = replay.summary();
        assert_eq!(json!(summary.inputs), expected["inputs"], "{name}");
        let compared = (summary.effects_checked, summary.states_checked, summary.difference);
        assert_eq!(compared, (0, 0, None), "{name}");
        assert_shows(&name, &shown, &expected["shows"]);
        assert_shows(&name, &shown, &expected["replay_shows"]);
    }
}

fn assert_shows(name: &str, shown: &str, texts: &Value) {
    for text in texts.as_array().expect("a list") {
        let text = text.as_str().expect("a text");
        assert!(shown.contains(text), "{name}: {text}\n{shown}");
    }
}

#[test]
fn a_trace_of_an_unknown_version_is_refused_by_name() {
    let mut file = fs::read(golden().join("busy.trace")).expect("a segment");
    set_version(&mut file);
    assert_eq!(Reader::new(&file).err(), Some(TraceError::Version(NO_VERSION)));
    let error = Replay::new(&file).expect_err("it is of another program").to_string();
    assert!(error.contains("format version 65535"), "{error}");
}
