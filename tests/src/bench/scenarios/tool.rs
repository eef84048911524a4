//! The commands that people type, with a thousand instances, beside those of other managers.

use std::fs;
use std::io;
use std::time::Instant;

use super::super::figure::{Figure, short};
use super::super::peers::{Kind, Peer};
use super::super::stage::{Measured, Stage};
use super::super::stats::median;
use super::Scenario;
use crate::{Master, Shell, binary, until};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "tool",
    about: "list and apply of 1,000 instances; pm2 and supervisord with as many",
    limit_s: 600,
    run,
};

fn run(stage: &Stage) -> Measured {
    let count = stage.size(1_000, 100);
    let (mut apply, mut again, mut list) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=stage.size(3, 1) {
        stage.step(&format!("master {round}: apply and list"));
        let master = Master::builder_for(binary::openctrl()).start();
        let file = master.folder().join("openctrl.toml");
        let entry = |n| format!("[instance.s{n:04}]\ncommand = [\"sleep\", \"100000\"]\n");
        fs::write(&file, (0..count).map(entry).collect::<String>())?;
        let shell = Shell::beside(&master);
        let words = ["apply", "-y", "-f", file.to_str().expect("a temporary path is UTF-8")];
        apply.push(timed(&shell, &words, "", 0)?);
        let running = || shell.ok(&["list", "--status", "running"]).lines().count() > count;
        until("every process to run", running);
        for _ in 0..5 {
            again.push(timed(&shell, &words, "", 0)?);
        }
        for _ in 0..9 {
            list.push(timed(&shell, &["list"], "running", count)?);
        }
    }
    let list = median(&list);
    let mut figures = vec![
        Figure::cost("apply of new instances", "ms", median(&apply)).wanted(1_000.0),
        Figure::cost("apply of the same again", "ms", median(&again)).wanted(100.0),
        Figure::cost("list", "ms", list).wanted(15.0),
    ];
    for (kind, share) in [(Kind::Pm2, 10.0), (Kind::Supervisord, 5.0)] {
        let name = kind.name();
        stage.step(&format!("{name}: installing it, and starting {count} processes"));
        match beside(stage, kind, count) {
            Ok((command, ms)) => figures.push(
                Figure::cost(&format!("list beside {command}"), "ms", list)
                    .wanted(ms / share)
                    .note(format!("{command}: {} ms", short(ms))),
            ),
            Err(reason) => stage.step(&format!("{name} is skipped: {reason}")),
        }
    }
    Ok(figures)
}

/// The command of a peer that lists its processes, and how long it takes, in ms.
fn beside(stage: &Stage, kind: Kind, count: usize) -> Result<(&'static str, f64), String> {
    let peer = Peer::install(stage, kind)?;
    let running = peer.start(count)?;
    let mut times = Vec::new();
    let mut command = "";
    for _ in 0..5 {
        let (name, time) = running.list()?.ok_or("it has no list")?;
        command = name;
        times.push(time.as_secs_f64() * 1e3);
    }
    Ok((command, median(&times)))
}

/// Runs a command; how long that took, in ms. It has to print `word` in this many lines.
fn timed(shell: &Shell, words: &[&str], word: &str, lines: usize) -> io::Result<f64> {
    let begun = Instant::now();
    let printed = shell.ok(words);
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    let found = printed.lines().filter(|line| line.contains(word)).count();
    match found >= lines {
        true => Ok(ms),
        false => Err(io::Error::other(format!("{words:?} has {found} lines with {word:?}"))),
    }
}
