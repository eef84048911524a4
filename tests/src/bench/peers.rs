//! Other process managers with as many processes, for the commands that people compare.
//!
//! Each is installed at a pinned version into the scenario's own folder, and skipped with a reason
//! where that cannot be done.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::stage::Stage;

const PM2: &str = "pm2@7.0.4";
const SUPERVISOR: &str = "supervisor==4.3.0";

/// How long a peer may take until all of its processes run.
const START_LIMIT: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(500);

/// Another process manager that runs.
pub struct Peer {
    /// The command that is measured, as people write it.
    pub name: &'static str,
    list: Line,
    stop: Line,
    /// What the list has once for each process.
    mark: &'static str,
}

/// A program with its arguments and variables.
struct Line {
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(&'static str, PathBuf)>,
}

impl Line {
    fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        Self { program: program.into(), arguments, variables: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: &Path) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn run(&self) -> Result<Output, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.output().map_err(|error| format!("{}: {error}", self.program.display()))
    }

    /// Runs it; an error has the last line that it wrote.
    fn ok(&self) -> Result<(), String> {
        let output = self.run()?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason");
        Err(format!("{} failed: {last}", self.program.display()))
    }
}

impl Peer {
    /// pm2 with `count` processes that sleep.
    ///
    /// # Errors
    /// Why it cannot be measured here.
    pub fn pm2(stage: &Stage, count: usize) -> Result<Self, String> {
        let (home, folder) = (stage.file("pm2-home"), stage.file("pm2"));
        let prefix = folder.to_str().expect("a temporary path is UTF-8");
        Line::new("npm", &["install", "--no-audit", "--no-fund", "--prefix", prefix, PM2]).ok()?;
        let pm2 = |words: &[&str]| {
            Line::new(folder.join("node_modules/.bin/pm2"), words).with("PM2_HOME", &home)
        };
        let apps = format!(
            "{{\"apps\":[{{\"name\":\"s\",\"script\":\"/bin/sleep\",\"args\":\"100000\",\
             \"interpreter\":\"none\",\"exec_mode\":\"fork\",\"instances\":{count}}}]}}"
        );
        let file = stage.file("apps.json");
        fs::write(&file, apps).map_err(|error| error.to_string())?;
        pm2(&["start", file.to_str().expect("a temporary path is UTF-8")]).ok()?;
        let peer =
            Self { name: "pm2 ls", list: pm2(&["ls"]), stop: pm2(&["kill"]), mark: "online" };
        peer.wait(count)
    }

    /// supervisord with `count` processes that sleep.
    ///
    /// # Errors
    /// Why it cannot be measured here.
    pub fn supervisord(stage: &Stage, count: usize) -> Result<Self, String> {
        let folder = stage.file("supervisor");
        let target = folder.to_str().expect("a temporary path is UTF-8");
        Line::new("python3", &["-m", "pip", "install", "--quiet", "--target", target, SUPERVISOR])
            .ok()?;
        let config = stage.file("supervisord.conf");
        let text = format!(
            "[supervisord]\nminfds=8192\nlogfile={target}/log\npidfile={target}/pid\n\
             [unix_http_server]\nfile={target}/s\n[supervisorctl]\nserverurl=unix://{target}/s\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:s]\nnumprocs={count}\nprocess_name=s%(process_num)d\nstartsecs=0\n\
             command=/bin/sleep 100000\nstdout_logfile=NONE\nstderr_logfile=NONE\n"
        );
        fs::write(&config, text).map_err(|error| error.to_string())?;
        let config = config.to_str().expect("a temporary path is UTF-8");
        let python = |module: &str, words: &[&str]| {
            let words = [&["-m", module, "-c", config], words].concat();
            Line::new("python3", &words).with("PYTHONPATH", &folder)
        };
        python("supervisor.supervisord", &[]).ok()?;
        let peer = Self {
            name: "supervisorctl status",
            list: python("supervisor.supervisorctl", &["status"]),
            stop: python("supervisor.supervisorctl", &["shutdown"]),
            mark: "RUNNING",
        };
        peer.wait(count)
    }

    /// Waits until all processes run.
    fn wait(self, count: usize) -> Result<Self, String> {
        let begun = Instant::now();
        loop {
            let output = self.list.run()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let found = text.matches(self.mark).count();
            if found >= count {
                return Ok(self);
            }
            if begun.elapsed() > START_LIMIT {
                return Err(format!("{found} of {count} processes run"));
            }
            thread::sleep(POLL);
        }
    }

    /// How long its command takes, in ms.
    ///
    /// # Errors
    /// A command that cannot be started.
    pub fn list_ms(&self) -> Result<f64, String> {
        let begun = Instant::now();
        self.list.run()?;
        Ok(begun.elapsed().as_secs_f64() * 1e3)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.stop.ok();
    }
}
