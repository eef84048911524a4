//! The master that is measured. Only what the contract says is used of it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::client::{Client, Until, load, request};
use super::readers::Readers;
use super::stage::Stage;
use super::stream::Marks;
use crate::master::Builder;
use crate::{Api, KEY_ID, Master};

/// A program that is not there: instances that cost nothing.
const NO_RUNTIME: &str = "/nonexistent";
/// Connections that prepare a state.
const FILLERS: usize = 16;
/// How long a master may take to answer after its start, or to start all instances.
pub const START_LIMIT: Duration = Duration::from_secs(100);

/// Whether stored instances are to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// As they are created: they run whenever the master does.
    Running,
    /// They stay stopped.
    Stopped,
}

/// A master under measurement.
pub struct Subject {
    /// The master.
    pub master: Master,
    /// Its instances.
    pub ids: Vec<String>,
}

impl Subject {
    /// A running master without instances.
    ///
    /// # Errors
    /// What the system says.
    pub fn empty(stage: &Stage) -> io::Result<Self> {
        Ok(Self { master: start(stage.child())?, ids: Vec::new() })
    }

    /// A running master with the control API and these parameters beside it; gives the directory
    /// of its sockets as well.
    ///
    /// # Errors
    /// What the system says.
    pub fn with_control(stage: &Stage, more: &[(&str, &str)]) -> io::Result<(Self, PathBuf)> {
        let dir = stage.file("run");
        Ok((Self::with_control_in(stage, &dir, more)?, dir))
    }

    /// The same with the sockets in `dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn with_control_in(stage: &Stage, dir: &Path, more: &[(&str, &str)]) -> io::Result<Self> {
        let text = dir.to_str().expect("a temporary path is UTF-8");
        Self::with(stage, &[&[("control", text)], more].concat())
    }

    /// A running master without instances, with these parameters.
    ///
    /// # Errors
    /// What the system says.
    pub fn with(stage: &Stage, parameters: &[(&str, &str)]) -> io::Result<Self> {
        let mut builder = builder(stage.child())?;
        for (name, value) in parameters {
            builder = builder.query(name, value);
        }
        Ok(Self { master: builder.start(), ids: Vec::new() })
    }

    /// A running master with this many stored instances that stay stopped.
    ///
    /// # Errors
    /// A master that refuses what the contract allows.
    pub fn with_stopped(stage: &Stage, count: usize) -> io::Result<Self> {
        let mut subject = Self::stored(stage, count, Policy::Stopped)?;
        subject.master.restart();
        Ok(subject)
    }

    /// A master that was stopped and has this many stored instances.
    ///
    /// # Errors
    /// A master that refuses what the contract allows.
    pub fn stored(stage: &Stage, count: usize, policy: Policy) -> io::Result<Self> {
        stage.step(&format!("storing {count} instances"));
        let mut master = start(Path::new(NO_RUNTIME))?;
        fill(&master.api(), count, policy)?;
        let ids = list_ids(&master.api())?;
        if ids.len() != count {
            return Err(io::Error::other(format!("{count} created, {} listed", ids.len())));
        }
        master.stop();
        let child = stage.child().to_str().expect("a temporary path is UTF-8").to_owned();
        master.reconfigure(|builder| builder.query("bin", &child));
        Ok(Self { master, ids })
    }

    /// Its client.
    pub fn api(&self) -> Api {
        self.master.api()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.master.endpoint().address
    }

    /// Its process.
    pub fn pid(&self) -> i32 {
        self.master.pid()
    }

    /// A request to it, as bytes.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        request(&self.api(), method, path, body)
    }

    /// Creates an instance, in a request of its own.
    ///
    /// # Errors
    /// What the master says.
    pub fn create(&self, url: &str) -> io::Result<()> {
        let request = self.request("POST", "/instances", &format!("{{\"url\":\"{url}\"}}"));
        Client::open(self.address())?.ask(&request).map(|_| ())
    }

    /// Starts it again and waits until it answers; returns how long that took.
    ///
    /// # Errors
    /// One that does not answer.
    pub fn restart_until_up(&mut self) -> io::Result<Duration> {
        let id = self.ids.first().map_or(KEY_ID, String::as_str);
        let request = self.request("GET", &format!("/instances/{id}"), "");
        let address = self.address();
        let begun = Instant::now();
        self.master.begin_restart();
        loop {
            let answer =
                Client::open(address).and_then(|mut client| client.ask(&request).map(drop));
            match answer {
                Ok(()) => return Ok(begun.elapsed()),
                Err(error) if begun.elapsed() > START_LIMIT => return Err(error),
                Err(_) => thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    /// Waits until every instance runs; returns when that was.
    ///
    /// # Errors
    /// What is missing when the time is over.
    pub fn wait_all_running(&self) -> io::Result<Instant> {
        let wanted = self.ids.len() as u64;
        let marks = Marks::new(&["\"status\":\"running\""]);
        let mut reader = Readers::open(&self.api(), 1, &marks)?;
        reader.until("all running", START_LIMIT, |counter| counter.count(0) >= wanted)
    }

    /// Ends it with SIGTERM; returns how long that took, looked at every 200 µs.
    pub fn stop(&mut self) -> Duration {
        self.master.signal(Signal::TERM);
        let begun = Instant::now();
        while self.master.is_running() && begun.elapsed() < START_LIMIT {
            thread::sleep(Duration::from_micros(200));
        }
        begun.elapsed()
    }
}

fn start(runtime: &Path) -> io::Result<Master> {
    Ok(builder(runtime)?.start())
}

fn builder(runtime: &Path) -> io::Result<Builder> {
    // A port that is known in advance, for servers that do not print which one the system chose.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let builder = Master::builder_for(runtime).brief_stdout();
    Ok(builder.authority(&format!("127.0.0.1:{port}")))
}

/// Creates instances; those that must stay stopped are stopped.
fn fill(api: &Api, count: usize, policy: Policy) -> io::Result<()> {
    let address = api.endpoint().address;
    let create = request(api, "POST", "/instances", "{\"url\":\"bench://wait/host?token=abcdef\"}");
    let answers = Until::Answers(count as u64);
    load(address, FILLERS, answers, |_| &create[..])?;
    if policy == Policy::Stopped {
        let patch = |id: &String| request(api, "PATCH", &path(id), "{\"restart\":false}");
        let patches: Vec<Vec<u8>> = list_ids(api)?.iter().map(patch).collect();
        load(address, FILLERS, answers, |index| &patches[index as usize % patches.len()])?;
    }
    Ok(())
}

/// The path of an instance.
pub fn path(id: &str) -> String {
    format!("/instances/{id}")
}

/// The ids of all instances, in the order of the list.
pub fn list_ids(api: &Api) -> io::Result<Vec<String>> {
    let list = api.get("/instances").expect(200).json();
    let ids = list.as_array().into_iter().flatten().filter_map(|item| item["id"].as_str());
    Ok(ids.filter(|id| *id != KEY_ID).map(str::to_owned).collect())
}
