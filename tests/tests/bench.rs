//! The benchmark runs and prints figures beside their floors. Their values are not checked.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::process::{Command, Output};

use openctrl_tests::bench::report::Report;
use openctrl_tests::binary;
use tempfile::TempDir;

#[test]
fn a_quick_run_writes_figures_and_floors() {
    let folder = TempDir::new().unwrap();
    let (json, svg) = (folder.path().join("run.json"), folder.path().join("run.svg"));
    let output = bench()
        .args(["--quick", "--only", "info,idle", "--bin"])
        .arg(binary::openctrl())
        .arg("--json")
        .arg(&json)
        .arg("--svg")
        .arg(&svg)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report = Report::read(&json).unwrap();
    let names: Vec<&str> = report.outcomes.iter().map(|o| o.scenario.as_str()).collect();
    assert_eq!(names, ["info", "idle"]);
    for (scenario, figure) in report.figures() {
        let floor = figure.floor.as_ref().unwrap().value;
        assert!(figure.value > 0.0 && floor > 0.0, "{scenario}: {figure:?}");
    }
    assert_eq!(report.figures().count(), 2);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("| info ") && table.contains("| idle "), "{table}");
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.contains("info: p50") && picture.contains("idle: resident memory"));
}

#[test]
fn a_program_that_is_no_master_is_a_failure_with_a_name() {
    let output =
        bench().args(["--quick", "--only", "idle", "--bin", "/bin/false"]).output().unwrap();
    assert!(!output.status.success());
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("idle: **nothing measured**"), "{table}");
    assert!(stderr(&output).contains("[1/1] idle"), "{}", stderr(&output));
}

fn bench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bench"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
