//! Reading one instance.

use super::super::client::body;
use super::super::figure::{Figure, short};
use super::super::floor::server::FloorServer;
use super::super::stage::{Measured, Stage};
use super::super::subject::{Subject, path};
use super::Scenario;
use super::reads::read;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "get", about: "GET one instance, 32 connections", limit_s: 40, run };

const STORED: usize = 100;
const CONNECTIONS: usize = 32;

fn run(stage: &Stage) -> Measured {
    let subject = Subject::with_stopped(stage, STORED)?;
    let request = subject.request("GET", &path(&subject.ids[STORED / 2]), "");
    stage.step("reading from the master");
    let reads = read(stage, subject.address(), subject.pid(), CONNECTIONS, &request)?;
    stage.step("reading the same bytes from a bare server");
    let server = FloorServer::start(stage, body(&reads.load.last))?;
    let bare = read(stage, server.address(), server.pid(), CONNECTIONS, &request)?;
    let figure = Figure::rate("answers a CPU-second of the master", "1/s", reads.per_cpu_s)
        .floor("bare hyper server with the same bytes", bare.per_cpu_s)
        .reference(52_000.0)
        .wanted(104_000.0)
        .note(format!("{}/s by the clock", short(reads.load.per_second())));
    Ok(vec![figure])
}
