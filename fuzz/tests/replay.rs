//! Every file of the corpus, through its target.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use openctrl_core::engine::Engine;
use openctrl_core::handover::Handover;
use openctrl_core::time::Now;
use openctrl_fuzz::TARGETS;

#[test]
fn the_corpus_holds() {
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let files = files(&folder("corpus").join(name));
        assert!(!files.is_empty(), "the target {name} has no corpus");
        for file in files {
            let data = fs::read(&file).expect("a readable file");
            if catch_unwind(|| target(&data)).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "these inputs fail: {failed:?}");
}

/// Bytes of another format end at their first field, so nothing behind it would be reached.
#[test]
fn handovers_of_the_corpus_have_the_current_format() {
    let remedy =
        "write it again: cargo test -p openctrl-tests --test s11_upgrade -- --ignored seeds";
    let corpus = folder("corpus").join("handover");
    for name in ["whole", "body", "trial-body"] {
        let data = fs::read(corpus.join(name)).expect("a readable file");
        let read = match name {
            "whole" => Handover::decode(&data).ok(),
            _ => Handover::decode_body(&data).ok(),
        };
        let read = read.unwrap_or_else(|| panic!("{name} is of another format: {remedy}"));
        let resumed = Engine::resume(&read.engine, &[], Now::default());
        assert!(resumed.is_ok(), "the engine in {name} is of another format: {remedy}");
    }
}

#[test]
fn corpus_binaries_and_targets_are_the_same() {
    let targets: BTreeSet<String> = TARGETS.map(|(name, _)| name.to_string()).into();
    let stems = |folder_name: &str| -> BTreeSet<String> {
        let stem =
            |path: PathBuf| path.file_stem().and_then(|stem| stem.to_str()).map(String::from);
        files(&folder(folder_name)).into_iter().filter_map(stem).collect()
    };
    assert_eq!(stems("corpus"), targets);
    assert_eq!(stems("fuzz_targets"), targets);
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What is in a folder, in the order of the names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.into_iter().flatten().collect();
    files.sort();
    files
}
