//! Other process managers that run as many processes as the master, for the same work.
//!
//! Each is installed at a pinned version into the scenario's own folder, and skipped with a reason
//! where that cannot be done. Which processes are its own is read from `/proc`: all inherit a
//! variable, and the program of its children is a copy that no one else runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::meter::proportional;
use super::stage::Stage;

const PM2: &str = "pm2@7.0.4";
const SUPERVISOR: &str = "supervisor==4.3.0";
const RUNIT: [&str; 1] = ["runit=2.1.2-54"];
const S6: [&str; 4] = [
    "s6=2.11.3.2-1",
    "libs6-2.11=2.11.3.2-1",
    "libskarnet2.13=2.13.1.1-1",
    "libexecline2.9=2.9.3.0-1",
];
/// Where Debian's packages for this machine have their libraries.
const LIBRARIES: &str = "root/usr/lib/x86_64-linux-gnu";

/// How long a peer may take until all of its processes run, or have stopped.
const LIMIT: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(1);
/// The variable that all processes of a peer inherit.
const MARK: &str = "BENCH_PEER";

/// One of the other process managers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// <https://pm2.keymetrics.io>, from npm.
    Pm2,
    /// <http://supervisord.org>, from PyPI.
    Supervisord,
    /// <http://smarden.org/runit>, from Debian.
    Runit,
    /// <https://skarnet.org/software/s6>, from Debian.
    S6,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Supervisord, Self::Pm2, Self::S6, Self::Runit];

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pm2 => "pm2",
            Self::Supervisord => "supervisord",
            Self::Runit => "runit",
            Self::S6 => "s6",
        }
    }
}

/// A process manager that is installed.
pub struct Peer {
    kind: Kind,
    folder: PathBuf,
    child: PathBuf,
}

impl Peer {
    /// Installs it.
    ///
    /// # Errors
    /// Why it cannot be measured here.
    pub fn install(stage: &Stage, kind: Kind) -> Result<Self, String> {
        let folder = stage.file(kind.name());
        let child = folder.join("bench-child");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        fs::copy(stage.child(), &child).map_err(|error| error.to_string())?;
        let peer = Self { kind, folder, child };
        let here = text(&peer.folder);
        match kind {
            Kind::Pm2 => {
                run(peer
                    .line("npm", &["install", "--no-audit", "--no-fund", "--prefix", here, PM2]))
            }
            Kind::Supervisord => {
                let words = ["-m", "pip", "install", "--quiet", "--target", here, SUPERVISOR];
                run(peer.line("python3", &words))
            }
            Kind::Runit => peer.unpack(&RUNIT),
            Kind::S6 => peer.unpack(&S6),
        }?;
        Ok(peer)
    }

    /// Starts it with `count` processes; returns when all run.
    ///
    /// # Errors
    /// What it says.
    pub fn start(&self, count: usize) -> Result<Running<'_>, String> {
        let (foreground, stop) = self.prepare(count)?;
        let begun = Instant::now();
        let mut managers = Vec::new();
        for mut line in foreground {
            let spawned =
                line.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            managers.push(spawned.map_err(|error| format!("{line:?}: {error}"))?);
        }
        let mut running = Running { peer: self, managers, stop, started: Duration::ZERO };
        running.wait("run", |children| children.len() >= count)?;
        running.started = begun.elapsed();
        Ok(running)
    }

    /// Starts supervisord with one process that runs `url` and whose output goes to `file`.
    ///
    /// # Errors
    /// What it says.
    pub fn supervise_logging(&self, url: &str, file: &Path) -> Result<Child, String> {
        let config = format!(
            "[supervisord]\nnodaemon=true\nlogfile=log\npidfile=pid\n[program:s]\n\
             startsecs=0\ncommand={child} {url}\nstdout_logfile={file}\n\
             stdout_logfile_maxbytes=0\nstderr_logfile=NONE\n",
            child = self.child.display(),
            file = file.display(),
        );
        let config = self.write("logging.conf", &config)?;
        let mut line = self.line("python3", &["-m", "supervisor.supervisord", "-c", text(&config)]);
        line.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        line.spawn().map_err(|error| format!("{line:?}: {error}"))
    }

    /// What has to be started, and how all of it is stopped.
    fn prepare(&self, count: usize) -> Result<(Vec<Command>, Stop), String> {
        match self.kind {
            Kind::Pm2 => self.prepare_pm2(count),
            Kind::Supervisord => self.prepare_supervisord(count),
            Kind::Runit => {
                let services = self.services(count)?;
                let line = self.line("root/usr/bin/runsvdir", &[text(&services)]);
                // It ends its supervisors, which end their services.
                Ok((vec![line], Stop::Signal(Signal::HUP)))
            }
            Kind::S6 => {
                let services = self.services(count)?;
                // As its scanner does, which names them by an absolute path.
                let each =
                    |n| self.line("root/usr/bin/s6-supervise", &[text(&services.join(service(n)))]);
                Ok(((0..count).map(each).collect(), Stop::Signal(Signal::TERM)))
            }
        }
    }

    fn prepare_pm2(&self, count: usize) -> Result<(Vec<Command>, Stop), String> {
        let apps = format!(
            "{{\"apps\":[{{\"name\":\"s\",\"script\":\"{}\",\"args\":\"bench://wait\",\
             \"interpreter\":\"none\",\"exec_mode\":\"fork\",\"instances\":{count}}}]}}",
            self.child.display()
        );
        let file = self.write("apps.json", &apps)?;
        let program = "node_modules/.bin/pm2";
        let stop = self.line(program, &["kill"]);
        Ok((vec![self.line(program, &["start", text(&file)])], Stop::Command(stop)))
    }

    fn prepare_supervisord(&self, count: usize) -> Result<(Vec<Command>, Stop), String> {
        let config = format!(
            "[supervisord]\nnodaemon=true\nminfds=8192\nlogfile=log\npidfile=pid\n\
             [unix_http_server]\nfile={here}/s\n[supervisorctl]\nserverurl=unix://{here}/s\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:s]\nnumprocs={count}\nprocess_name=s%(process_num)d\nstartsecs=0\n\
             command={child} bench://wait\nstdout_logfile=NONE\nstderr_logfile=NONE\n",
            here = self.folder.display(),
            child = self.child.display(),
        );
        let config = self.write("supervisord.conf", &config)?;
        let words = ["-m", "supervisor.supervisord", "-c", text(&config)];
        Ok((vec![self.line("python3", &words)], Stop::Signal(Signal::TERM)))
    }

    /// A folder of services for runit and s6.
    fn services(&self, count: usize) -> Result<PathBuf, String> {
        let services = self.folder.join("services");
        let _ = fs::remove_dir_all(&services);
        let script = format!("#!/bin/sh\nexec {} bench://wait\n", self.child.display());
        for n in 0..count {
            let folder = services.join(service(n));
            fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            let file = folder.join("run");
            fs::write(&file, &script).map_err(|error| error.to_string())?;
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&file, mode).map_err(|error| error.to_string())?;
        }
        Ok(services)
    }

    /// Unpacks Debian packages.
    fn unpack(&self, packages: &[&str]) -> Result<(), String> {
        run(self.line("apt-get", &[&["download", "--quiet"], packages].concat()))?;
        let files = fs::read_dir(&self.folder).map_err(|error| error.to_string())?.flatten();
        let files = files.map(|file| file.path());
        for file in files.filter(|file| file.extension().is_some_and(|it| it == "deb")) {
            run(self.line("dpkg-deb", &["-x", text(&file), "root"]))?;
        }
        Ok(())
    }

    fn write(&self, name: &str, content: &str) -> Result<PathBuf, String> {
        let file = self.folder.join(name);
        fs::write(&file, content).map_err(|error| error.to_string())?;
        Ok(file)
    }

    /// A command in its folder, with all that its programs need.
    fn line(&self, program: &str, words: &[&str]) -> Command {
        let here = self.folder.join(program);
        let mut command = Command::new(if here.exists() { here } else { program.into() });
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(words)
            .current_dir(&self.folder)
            .env(MARK, self.kind.name())
            .env("PATH", format!("{}:{path}", self.folder.join("root/usr/bin").display()))
            .env("PM2_HOME", self.folder.join("home"))
            .env("PYTHONPATH", &self.folder)
            .env("LD_LIBRARY_PATH", self.folder.join(LIBRARIES));
        command
    }
}

/// How a peer and all of its processes are stopped.
enum Stop {
    Command(Command),
    /// To what was started.
    Signal(Signal),
}

/// A process manager with its processes.
pub struct Running<'a> {
    peer: &'a Peer,
    managers: Vec<Child>,
    stop: Stop,
    started: Duration,
}

impl Running<'_> {
    /// How long it took until all of its processes ran.
    pub const fn started(&self) -> Duration {
        self.started
    }

    /// The command that lists its processes, as people write it, and how long it takes; `None` if
    /// it has none for all of them.
    ///
    /// # Errors
    /// What it says.
    pub fn list(&self) -> Result<Option<(&'static str, Duration)>, String> {
        let peer = self.peer;
        let config = text(&peer.folder).to_owned() + "/supervisord.conf";
        let (name, mut line) = match peer.kind {
            Kind::Pm2 => ("pm2 ls", peer.line("node_modules/.bin/pm2", &["ls"])),
            Kind::Supervisord => {
                let words = ["-m", "supervisor.supervisorctl", "-c", &config, "status"];
                ("supervisorctl status", peer.line("python3", &words))
            }
            Kind::Runit | Kind::S6 => return Ok(None),
        };
        let begun = Instant::now();
        line.output().map_err(|error| error.to_string())?;
        Ok(Some((name, begun.elapsed())))
    }

    /// The memory of its own processes in bytes; what they share counts in equal parts.
    pub fn memory(&self) -> f64 {
        let children = self.children();
        let own = marked(self.peer.kind.name()).into_iter();
        own.filter(|pid| !children.contains(pid)).map(proportional).sum()
    }

    /// Kills one of its processes; how long until another one runs.
    ///
    /// # Errors
    /// None comes.
    pub fn crash_one(&self) -> Result<Duration, String> {
        crash_one(&self.peer.child)
    }

    /// Stops it and all of its processes; how long that takes.
    ///
    /// # Errors
    /// What it says.
    pub fn stop(mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.order_stop()?;
        self.wait("are left", <[i32]>::is_empty)?;
        Ok(begun.elapsed())
    }

    fn order_stop(&mut self) -> Result<(), String> {
        match &mut self.stop {
            Stop::Command(command) => {
                command.output().map_err(|error| error.to_string())?;
            }
            Stop::Signal(signal) => {
                for manager in &self.managers {
                    let _ = kill_process(Pid::from_child(manager), *signal);
                }
            }
        }
        Ok(())
    }

    fn children(&self) -> Vec<i32> {
        running(&self.peer.child)
    }

    fn wait(&self, what: &str, is_done: impl Fn(&[i32]) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let children = self.children();
            if is_done(&children) {
                return Ok(());
            }
            if begun.elapsed() > LIMIT {
                return Err(format!("{} processes {what}", children.len()));
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = self.order_stop();
        // It may have failed on the way: nothing is left on the machine.
        for pid in marked(self.peer.kind.name()).into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        for manager in &mut self.managers {
            let _ = manager.wait();
        }
    }
}

/// Kills one process of a program; how long until another one runs.
///
/// # Errors
/// None comes.
pub fn crash_one(program: &Path) -> Result<Duration, String> {
    let before = running(program);
    let victim = before.first().copied().and_then(Pid::from_raw).ok_or("nothing runs")?;
    let begun = Instant::now();
    kill_process(victim, Signal::KILL).map_err(|error| error.to_string())?;
    loop {
        if running(program).iter().any(|pid| !before.contains(pid)) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > LIMIT {
            return Err("no successor of a process that was killed".to_owned());
        }
        thread::sleep(POLL / 4);
    }
}

/// The processes of a program.
pub fn running(program: &Path) -> Vec<i32> {
    let is_running = |pid: &i32| {
        fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|running| running == program)
    };
    processes().filter(is_running).collect()
}

/// The processes that inherited the mark of a peer.
fn marked(name: &str) -> Vec<i32> {
    let mark = format!("{MARK}={name}");
    let has_mark = |pid: &i32| {
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes().filter(has_mark).collect()
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn service(n: usize) -> String {
    format!("s{n:04}")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

/// Runs a command to its end; an error has the last line that it wrote.
fn run(mut command: Command) -> Result<(), String> {
    let ended = command.stdin(Stdio::null()).output();
    let Output { status, stderr, .. } = ended.map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason");
    Err(format!("{} failed: {last}", command.get_program().display()))
}
