//! The managed socket of one instance on kept connections.

use std::path::{Path, PathBuf};

use super::super::client::{Client, body};
use super::super::figure::{Figure, short};
use super::super::floor::go::GoServer;
use super::super::floor::server::FloorServer;
use super::super::stage::{Measured, Stage};
use super::super::subject::{Subject, list_ids};
use super::Scenario;
use super::reads::read;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "control",
    about: "healthz and status of an instance over its Unix socket, 16 connections",
    limit_s: 90,
    run,
};

const CONNECTIONS: usize = 16;

fn run(stage: &Stage) -> Measured {
    let (subject, dir) = Subject::with_control(stage, &[])?;
    let socket = instance(&subject, &dir)?;
    let mut figures = Vec::new();
    for name in ["healthz", "status"] {
        stage.step(&format!("{name}: the master"));
        let request = get(&format!("/v1/{name}"));
        let answers = read(stage, &*socket, subject.pid(), CONNECTIONS, &request)?;
        let bytes = body(&answers.load.last);
        stage.step(&format!("{name}: bare servers with the same bytes"));
        let bare = FloorServer::start(stage, bytes)?;
        let bare = read(stage, bare.socket(), bare.pid(), CONNECTIONS, &request)?;
        let rate = answers.load.per_second();
        let figure = Figure::rate(&format!("{name} answers a second"), "1/s", rate);
        let hyper = format!(
            "a bare hyper server with one thread {}/s; {} answers a CPU-second of the master, {} of it",
            short(bare.load.per_second()),
            short(answers.per_cpu_s),
            short(bare.per_cpu_s)
        );
        figures.push(match GoServer::start(stage, bytes)? {
            Some(go) => {
                let go = read(stage, go.socket(), go.pid(), CONNECTIONS, &request)?;
                let per_s = go.load.per_second();
                figure
                    .floor("half of what is wanted: bare Go net/http on a Unix socket", per_s)
                    .wanted((2.0 * per_s).max(50_000.0))
                    .note(format!("{hyper}, {} of Go", short(go.per_cpu_s)))
            }
            None => figure
                .floor("bare hyper server on a Unix socket, one thread", bare.load.per_second())
                .wanted(50_000.0)
                .note(format!("no Go here; {hyper}")),
        });
    }
    Ok(figures)
}

/// Creates an instance that runs, and gives its socket once it answers that it does.
pub(super) fn instance(subject: &Subject, dir: &Path) -> std::io::Result<PathBuf> {
    subject.create("bench://wait/host")?;
    let ids = list_ids(&subject.api())?;
    let id = ids.first().ok_or_else(|| std::io::Error::other("it is not listed"))?;
    let socket = dir.join("bench").join(format!("{id}.sock"));
    let request = get("/v1/healthz");
    crate::eventually("the instance to run", || {
        let mut client = Client::open(&*socket).ok()?;
        let answer = client.ask(&request).ok()?;
        body(answer).starts_with(b"{\"status\":\"ok\"").then_some(())
    });
    Ok(socket)
}

/// A request as bytes.
pub(super) fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
}

/// A command as bytes.
pub(super) fn command(name: &str) -> Vec<u8> {
    format!("POST /v1/commands/{name} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        .into_bytes()
}

/// The cursor of the newest event.
pub(super) fn cursor(socket: &Path) -> std::io::Result<u64> {
    let mut client = Client::open(socket)?;
    let answer = client.ask(&get("/v1/events?tail=true"))?;
    let answer: serde_json::Value = serde_json::from_slice(body(answer))?;
    let cursor = answer["cursor"].as_str().and_then(|text| text.parse().ok());
    cursor.ok_or_else(|| std::io::Error::other("there is no cursor"))
}
