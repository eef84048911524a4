//! The command line: its digests, its files, and what it says of bad arguments.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the command; returns whether it was content, and what it said.
fn sim(line: &str) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openctrl-sim"));
    let output = command.args(line.split_whitespace()).output().expect("the command runs");
    (output.status.success(), String::from_utf8(output.stdout).expect("it speaks UTF-8"))
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_same_seeds_have_the_same_digest() {
    let (good, digest) = sim("sweep --seeds 0..6 --digest");
    assert!(good && digest.trim_end().len() == 16, "{digest}");
    assert!(digest.trim_end().bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert_eq!(sim("sweep --seeds 0..6 --digest --twice"), (true, digest.clone()));
    assert_ne!(sim("sweep --seeds 1..7 --digest"), (true, digest));
}

#[test]
fn a_sweep_tells_what_it_does_and_what_it_missed() {
    let (good, said) = sim("sweep --seeds 0..2 --commit 0123456789abcdef --twice --time 1h");
    assert!(good, "{said}");
    for part in ["often:", "0..2, each twice", "3 seeds", "digest", "never visited"] {
        assert!(said.contains(part), "{part} is missing: {said}");
    }
    let (good, said) = sim("sweep --seeds 0..2 --cover");
    assert!(!good && said.contains("never visited"), "{said}");
}

#[test]
fn a_run_that_is_saved_can_be_replayed() {
    let file = scratch("seed-5.choices");
    let file = file.to_str().expect("a plain path");
    let (good, said) = sim(&format!("run --seed 5 --save {file}"));
    assert!(good, "{said}");
    let (_, digest) = said.rsplit_once("digest ").expect("a digest");
    for line in [format!("replay {file}"), format!("run --choices {file}")] {
        let (good, again) = sim(&line);
        assert!(good && again.ends_with(digest), "{line}: {again}");
    }
    let (good, said) = sim(&format!("shrink {file}"));
    assert!(!good && said.contains("nothing to shrink"), "{said}");
}

#[test]
fn bad_arguments_are_named() {
    for (line, part) in [("run --seed x", "--seed"), ("replay /no/such/file", "/no/such/file")] {
        let (good, said) = sim(line);
        assert!(!good && said.contains(part), "{said}");
    }
}
