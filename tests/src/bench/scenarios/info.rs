//! Asking for the master's figures.

use super::super::client::{Until, body, load};
use super::super::figure::{Figure, short};
use super::super::floor::server::FloorServer;
use super::super::stage::{Measured, Stage};
use super::super::stats::{median, percentile};
use super::super::subject::Subject;
use super::Scenario;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "info", about: "GET /info, one connection", limit_s: 60, run };

fn run(stage: &Stage) -> Measured {
    let subject = Subject::empty(stage)?;
    let request = subject.request("GET", "/info", "");
    let count = Until::Elapsed(std::time::Duration::from_millis(stage.size(2000, 400) as u64));
    stage.step("asking the master");
    let answers = load(subject.address(), 1, count, |_| &request[..])?;
    stage.step("asking a bare server for the same bytes");
    let server = FloorServer::start(stage, body(&answers.last))?;
    let bare = load(server.address(), 1, count, |_| &request[..])?;
    let ms = |latencies: &[f64]| median(latencies) / 1e3;
    let tail = percentile(&answers.latencies_us, 0.99) / 1e3;
    let figure = Figure::cost("p50", "ms", ms(&answers.latencies_us))
        .floor("bare hyper server with the same bytes", ms(&bare.latencies_us))
        .reference(104.0)
        .wanted(0.3)
        .note(format!("p99 {} ms", short(tail)));
    Ok(vec![figure])
}
