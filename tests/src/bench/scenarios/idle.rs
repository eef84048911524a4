//! A master that has nothing to do.

use std::thread;
use std::time::Duration;

use super::super::client::Client;
use super::super::figure::Figure;
use super::super::floor::server::FloorServer;
use super::super::meter::resident;
use super::super::stage::{Measured, Stage};
use super::super::subject::Subject;
use super::Scenario;

pub(super) const SCENARIO: Scenario =
    Scenario { name: "idle", about: "a master without instances", limit_s: 60, run };

/// How long a program may take until it is idle.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);

fn run(stage: &Stage) -> Measured {
    let subject = Subject::empty(stage)?;
    let request = subject.request("GET", "/info", "");
    Client::open(subject.address())?.ask(&request)?;
    let server = FloorServer::start(stage, b"{}")?;
    Client::open(server.address())?.ask(&request)?;
    // What the start needed is given back by then.
    thread::sleep(SETTLES_WITHIN);
    let mb = |pid: i32| resident(pid) / 1e6;
    let figure = Figure::cost("resident memory", "MB", mb(subject.pid()))
        .floor("bare hyper server, one thread", mb(server.pid()))
        .reference(9.5)
        .wanted(6.0);
    Ok(vec![figure])
}
