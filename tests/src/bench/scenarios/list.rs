//! Reading the list of many instances.

use super::super::client::body;
use super::super::figure::{Figure, short};
use super::super::floor::server::FloorServer;
use super::super::meter::{peak_resident, resident};
use super::super::stage::{Measured, Stage};
use super::super::subject::Subject;
use super::Scenario;
use super::reads::read;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "list", about: "GET the list of 1 000, 8 connections", limit_s: 60, run };

const CONNECTIONS: usize = 8;

fn run(stage: &Stage) -> Measured {
    let subject = Subject::with_stopped(stage, stage.size(1000, 300))?;
    let request = subject.request("GET", "/instances", "");
    stage.step("reading from the master");
    let reads = read(stage, subject.address(), subject.pid(), CONNECTIONS, &request)?;
    let mb = |bytes: f64| bytes / 1e6;
    let (memory, peak) = (mb(resident(subject.pid())), mb(peak_resident(subject.pid())));
    stage.step("reading the same bytes from a bare server");
    let list = body(&reads.load.last);
    let server = FloorServer::start(stage, list)?;
    let bare = read(stage, server.address(), server.pid(), CONNECTIONS, &request)?;
    let rate = Figure::rate("answers a CPU-second of the master", "1/s", reads.per_cpu_s)
        .floor("bare hyper server with the same bytes", bare.per_cpu_s)
        .reference(1250.0)
        .wanted(25_000.0)
        .note(format!(
            "{} KB an answer; {}/s by the clock",
            list.len() / 1000,
            short(reads.load.per_second())
        ));
    let memory = Figure::cost("resident memory after it", "MB", memory)
        .floor("bare hyper server", mb(resident(server.pid())))
        .reference(132.0)
        .wanted(33.0)
        .note(format!("{} MB at most", short(peak)));
    Ok(vec![rate, memory])
}
