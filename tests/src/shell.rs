//! The client commands as an operator runs them: without a terminal, or in one of their own.
//!
//! The program is the one in the master's folder, so that it finds that master by itself; nothing
//! of the machine's own configuration reaches it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::{Master, eventually, until};

/// A place to run commands in.
#[derive(Clone, Debug)]
pub struct Shell {
    program: PathBuf,
    home: PathBuf,
    variables: Vec<(String, String)>,
}

/// The result of a command.
#[derive(Debug)]
pub struct Ran {
    /// Its exit status; none if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// A command that keeps running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: ChildStdout,
    seen: String,
}

/// A command in a terminal.
pub struct Terminal {
    child: Child,
    master: File,
    seen: Arc<Mutex<Seen>>,
}

/// What a terminal was sent, and what it shows.
struct Seen {
    bytes: Vec<u8>,
    screen: vt100::Parser,
    /// The screen after the last whole picture.
    picture: String,
}

impl Shell {
    /// In the folder of a master.
    pub fn beside(master: &Master) -> Self {
        Self::new(&master.folder().join("openctrl"), master.folder())
    }

    /// With any program; `home` has the configuration.
    pub fn new(program: &Path, home: &Path) -> Self {
        Self { program: program.to_owned(), home: home.to_owned(), variables: Vec::new() }
    }

    /// With another environment variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command to its end.
    pub fn run(&self, words: &[&str]) -> Ran {
        let output = self.command(words).output().expect("openctrl can be started");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let ran = Ran {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        };
        assert!(!ran.stderr.contains("panicked"), "{words:?}: {}", ran.stderr);
        ran
    }

    /// Runs a command that has to succeed; what it printed.
    pub fn ok(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(0), "{words:?}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// Runs a command that has to fail with this exit status and one line of reason.
    pub fn fails(&self, code: i32, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, Some(code), "{words:?}: {}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{words:?}: {}", ran.stderr);
        let reason = ran.stderr.strip_prefix("openctrl: ").expect("it begins with the program");
        reason.trim_end().to_owned()
    }

    /// Starts a command.
    pub fn start(&self, words: &[&str]) -> Running {
        let mut child = self.command(words).spawn().expect("openctrl can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        Running { child, stdout, seen: String::new() }
    }

    /// Starts a command in a terminal of this size, which is its controlling one.
    pub fn terminal(&self, columns: u16, rows: u16, words: &[&str]) -> Terminal {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is ours");
        let name = ptsname(&master, Vec::new()).expect("it has a name");
        let path = name.to_str().expect("an ASCII name");
        resize(&master, columns, rows);
        let side = || {
            let file = File::options().read(true).write(true).open(path).expect("the other side");
            Stdio::from(file)
        };
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(&self.program).args(words);
        self.surround(&mut command).env("TERM", "xterm-256color");
        command.stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().expect("setsid can be started");
        Terminal::new(child, master, columns, rows)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.surround(&mut command);
        command
    }

    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in [
            "OPENCTRL_API",
            "OPENCTRL_KEY",
            "OPENCTRL_CONFIG",
            "XDG_CONFIG_HOME",
            "XDG_STATE_HOME",
            "NO_COLOR",
        ] {
            command.env_remove(name);
        }
        command.env("HOME", &self.home).envs(self.variables.iter().cloned())
    }
}

impl Running {
    /// Waits until it has printed `text`.
    pub fn wait_for(&mut self, text: &str) -> &str {
        let mut block = [0; 4096];
        while !self.seen.contains(text) {
            let count = self.stdout.read(&mut block).expect("its output can be read");
            if count == 0 {
                let mut reason = String::new();
                if let Some(stderr) = &mut self.child.stderr {
                    stderr.read_to_string(&mut reason).expect("UTF-8");
                }
                panic!("it ended without {text:?}: {}{reason}", self.seen);
            }
            self.seen.push_str(&String::from_utf8_lossy(&block[..count]));
        }
        &self.seen
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a pid fits")
    }

    /// Stops to read what it prints, has it print more, and waits for its end.
    pub fn close_after(mut self, more: impl FnOnce()) -> Option<i32> {
        drop(self.stdout);
        more();
        self.child.wait().expect("a child of ours").code()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        let stream = self.child.stderr.take().expect("stderr is piped");
        let code = self.child.wait().expect("a child of ours").code();
        std::io::BufReader::new(stream).read_to_string(&mut stderr).expect("UTF-8");
        (code, stderr)
    }
}

impl Terminal {
    fn new(child: Child, master: OwnedFd, columns: u16, rows: u16) -> Self {
        let master = File::from(master);
        let screen = vt100::Parser::new(rows, columns, 0);
        let seen = Seen { bytes: Vec::new(), screen, picture: String::new() };
        let seen = Arc::new(Mutex::new(seen));
        let (mut reader, kept) = (master.try_clone().expect("a descriptor"), Arc::clone(&seen));
        thread::spawn(move || {
            let mut block = [0; 65536];
            // The other side being closed is an error here.
            while let Ok(count @ 1..) = reader.read(&mut block) {
                kept.lock().expect("no holder panics").take(&block[..count]);
            }
        });
        Self { child, master, seen }
    }

    /// Waits until the screen, as it was drawn last, satisfies a condition; its lines.
    pub fn wait_for(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let start = std::time::Instant::now();
        loop {
            let shown = self.shown();
            if is_there(&shown) {
                return shown;
            }
            assert!(start.elapsed() < crate::PATIENCE, "{what} is not shown:\n{shown}");
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// The screen after the last whole picture, without colours; every row is a line.
    pub fn shown(&self) -> String {
        self.seen.lock().expect("no holder panics").picture.clone()
    }

    /// Everything it wrote.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no holder panics").bytes).into_owned()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Changes the size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut seen = self.seen.lock().expect("no holder panics");
        seen.screen.screen_mut().set_size(rows, columns);
        resize(&self.master, columns, rows);
    }

    /// Whether keys are shown and come in lines, as a shell needs it.
    pub fn is_ordinary(&self) -> bool {
        let modes = tcgetattr(&self.master).expect("a terminal").local_modes;
        modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Option<i32> {
        let child = &mut self.child;
        eventually("the command to end", || child.try_wait().expect("a child of ours")).code()
    }

    /// Waits until it has written `text`.
    pub fn wait_output(&self, text: &str) {
        until(text, || self.output().contains(text));
    }
}

impl Seen {
    fn take(&mut self, bytes: &[u8]) {
        const END: &[u8] = b"\x1b[?2026l";
        for byte in bytes {
            self.bytes.push(*byte);
            self.screen.process(&[*byte]);
            if self.bytes.ends_with(END) {
                let screen = self.screen.screen();
                let (_, columns) = screen.size();
                let rows: Vec<String> = screen.rows(0, columns).collect();
                self.picture = rows.join("\n");
            }
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resize(master: impl std::os::fd::AsFd, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).expect("a terminal has a size");
}
