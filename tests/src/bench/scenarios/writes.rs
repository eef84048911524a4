//! Changing over and over: what the scenarios of durable changes share.

use std::io;
use std::time::Duration;

use super::super::client::{Load, Until, load, request};
use super::super::floor::server::FloorServer;
use super::super::floor::sync::syncs_per_s;
use super::super::meter::cpu_ns;
use super::super::stage::Stage;
use super::super::subject::{Subject, path};

/// What the machine does of the same.
pub(super) struct WriteFloor {
    /// Answers per second of a bare server that makes a record durable before each.
    pub(super) per_s: f64,
    /// Records per second, each synced by itself.
    pub(super) syncs_per_s: f64,
}

/// What the floor was.
pub(super) const FLOOR: &str = "bare hyper server, one append and fdatasync for all that wait";

/// What patching came to.
pub(super) struct Patches {
    /// Answers and times.
    pub(super) load: Load,
    /// CPU time of the master for one change, in µs.
    pub(super) cpu_us: f64,
}

/// Changes the alias of one instance after the other.
pub(super) fn patch(
    subject: &Subject,
    connections: usize,
    duration: Duration,
) -> io::Result<Patches> {
    let api = subject.api();
    // Two aliases in turn, so that each change is one: an instance comes round only when both
    // lists are through.
    let patches = |alias: &str| {
        let body = format!("{{\"alias\":\"{alias}-of-a-usual-length\"}}");
        subject.ids.iter().map(move |id| (path(id), body.clone())).collect::<Vec<_>>()
    };
    let requests: Vec<Vec<u8>> = [patches("one"), patches("two")]
        .concat()
        .iter()
        .map(|(path, body)| request(&api, "PATCH", path, body))
        .collect();
    let before = cpu_ns(subject.pid());
    let load = load(subject.address(), connections, Until::Elapsed(duration), |index| {
        &requests[index as usize % requests.len()][..]
    })?;
    let cpu_us = (cpu_ns(subject.pid()) - before) / 1e3 / load.answers as f64;
    Ok(Patches { load, cpu_us })
}

/// Measures the floor with as many connections.
pub(super) fn floor(
    stage: &Stage,
    connections: usize,
    duration: Duration,
    body: &[u8],
) -> io::Result<WriteFloor> {
    let server = FloorServer::start(stage, body)?;
    let text = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 40\r\n\r\n";
    let request = format!("{text}{:x<40}", "");
    let load =
        load(server.address(), connections, Until::Elapsed(duration), |_| request.as_bytes())?;
    let syncs_per_s = syncs_per_s(&stage.file("bare"), duration / 4)?;
    Ok(WriteFloor { per_s: load.per_second(), syncs_per_s })
}
