//! A runtime that does what its instance URL says (`openctrl_tests::script` has the language).
//!
//! It writes through unbuffered descriptors, so one step is one write, and its signal thread can
//! write while the main thread is stuck on a full pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openctrl_tests::script::{Script, Step};
use rustix::process::{Signal, getpgrp, getpid, getuid, kill_process};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

/// How often a cue is looked for.
const CUE_POLL: Duration = Duration::from_millis(5);

/// Exit code for a script or a call that cannot be understood.
const MISUSE: i32 = 64;

/// Exit code when the output is closed, as a shell shows death by SIGPIPE.
const NOBODY_READS: i32 = 141;

/// What SIGTERM runs; the first `OnTerm` starts the thread that looks here.
static AT_TERM: Mutex<Option<Script>> = Mutex::new(None);

fn main() {
    let url = std::env::args().nth(1).unwrap_or_default();
    match Script::from_url(&url) {
        Ok(script) => run(&script),
        Err(reason) => {
            write(io::stderr(), format!("stub-runtime: {reason}\n").as_bytes());
            exit(MISUSE);
        }
    }
}

fn run(script: &Script) {
    script.steps().iter().for_each(run_step);
}

fn run_step(step: &Step) {
    match step {
        Step::Print(text) => write(io::stdout(), format!("{text}\n").as_bytes()),
        Step::PrintError(text) => write(io::stderr(), format!("{text}\n").as_bytes()),
        Step::Raw(bytes) => write(io::stdout(), bytes),
        Step::Fill(byte, count) => write(io::stdout(), &vec![*byte; *count]),
        Step::Flood(lines, length) => flood(*lines, *length),
        Step::SleepMs(ms) => thread::sleep(Duration::from_millis(*ms)),
        Step::Cue(path) => cue(path),
        Step::Mark(path) => mark(path),
        Step::OnTerm(script) => on_term(script),
        Step::Grandchild(script) => spawn(script, false),
        Step::Orphan(script) => spawn(script, true),
        Step::Repeat(0, script) => loop {
            run(script);
        },
        Step::Repeat(times, script) => (0..*times).for_each(|_| run(script)),
        Step::CloseOutput => close_output(),
        Step::Report => report(),
        Step::Env(name) => {
            let value = std::env::var(name).unwrap_or_else(|_| "(unset)".into());
            write(io::stdout(), format!("{name}={value}\n").as_bytes());
        }
        Step::Exit(code) => exit(*code),
        Step::Die(signal) => die(*signal),
        Step::Wait => wait_for_ever(),
    }
}

fn write(stream: impl AsFd, bytes: &[u8]) {
    let Ok(descriptor) = stream.as_fd().try_clone_to_owned() else { exit(NOBODY_READS) };
    if File::from(descriptor).write_all(bytes).is_err() {
        exit(NOBODY_READS);
    }
}

/// Lines go out in blocks, as from a runtime that buffers: block and line ends do not agree.
fn flood(lines: usize, length: usize) {
    const BLOCK: usize = 16 * 1024;
    let mut block = String::with_capacity(BLOCK + length);
    for number in 0..lines {
        let start = block.len();
        block.push_str(&format!("flood-{number}-"));
        while block.len() - start < length {
            block.push('x');
        }
        block.push('\n');
        if block.len() >= BLOCK {
            write(io::stdout(), &block.as_bytes()[..BLOCK]);
            block.drain(..BLOCK);
        }
    }
    write(io::stdout(), block.as_bytes());
}

/// Ends when the test's folder is removed: then the cue cannot come any more.
fn cue(path: &Path) {
    while !path.exists() {
        if !path.parent().is_some_and(Path::exists) {
            exit(NOBODY_READS);
        }
        thread::sleep(CUE_POLL);
    }
}

fn mark(path: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} {}\n", std::process::id(), now.as_millis());
    let file = OpenOptions::new().append(true).create(true).open(path);
    if file.and_then(|mut file| file.write_all(line.as_bytes())).is_err() {
        exit(MISUSE);
    }
}

fn on_term(script: &Script) {
    let mut at_term = AT_TERM.lock().expect("no holder panics");
    let first = at_term.replace(script.clone()).is_none();
    drop(at_term);
    if !first {
        return;
    }
    let mut signals = Signals::new([SIGTERM]).expect("SIGTERM can be handled");
    thread::spawn(move || {
        for _ in signals.forever() {
            let script = AT_TERM.lock().expect("no holder panics").clone();
            run(&script.unwrap_or_default());
        }
    });
}

fn spawn(script: &Script, own_group: bool) {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(program);
    command.arg(script.url()).stdin(Stdio::null());
    if own_group {
        command.process_group(0);
    }
    if command.spawn().is_err() {
        exit(MISUSE);
    }
}

fn close_output() {
    let nowhere = OpenOptions::new().write(true).open("/dev/null").expect("/dev/null is there");
    rustix::stdio::dup2_stdout(&nowhere).expect("stdout can be replaced");
    rustix::stdio::dup2_stderr(&nowhere).expect("stderr can be replaced");
}

fn report() {
    let arguments: Vec<String> = std::env::args().collect();
    let mut input = [0; 1];
    let stdin = match io::stdin().read(&mut input) {
        Ok(0) => "empty".to_owned(),
        Ok(_) => "something".to_owned(),
        Err(error) => error.to_string(),
    };
    let group = if getpgrp() == getpid() { "own" } else { "inherited" };
    let facts = [
        ("argc", arguments.len().to_string()),
        ("argv0", arguments[0].clone()),
        ("argv1", arguments.get(1).cloned().unwrap_or_default()),
        ("stdin", stdin),
        ("group", group.to_owned()),
        ("uid", getuid().as_raw().to_string()),
        ("pid", std::process::id().to_string()),
    ];
    for (name, value) in facts {
        write(io::stdout(), format!("report {name}={value}\n").as_bytes());
    }
}

fn die(signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = kill_process(getpid(), signal);
    }
    wait_for_ever();
}

fn wait_for_ever() {
    loop {
        thread::park();
    }
}
