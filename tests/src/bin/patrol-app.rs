//! An app for Patrol tests. It does what its arguments say, one word after the other:
//!
//! `print:TEXT` `error:TEXT` `sleep:MS` `exit:CODE` `die:SIGNAL` `wait`;
//! `mark:FILE` appends its process id and the time; `env:FILE` writes its environment;
//! `pidfile:FILE` writes its process id; `cue:FILE` waits until the file exists;
//! `on:SIGNAL=exit:CODE`, `on:SIGNAL=ignore`, `on:SIGNAL=mark:FILE` and `on:SIGNAL=successor` (a
//! copy of itself in its own group, then `exit:12`) handle a signal;
//! `ping:MS` and `beat:MS` (without a process id) begin to send pings, which INT ends;
//! `child:FILE` starts a process of its group that ignores all signals and marks the file;
//! `daemon` continues in a child, in a session of its own, and exits with 0.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::iterator::Signals;

/// How often a cue is looked for.
const CUE_POLL: Duration = Duration::from_millis(5);

/// Exit code for words that cannot be understood.
const MISUSE: i32 = 64;

/// Exit code of a process that made a successor.
const SUCCEEDED: i32 = 12;

/// Whether pings are sent; INT ends them.
static PINGS: AtomicBool = AtomicBool::new(true);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    handle(libc_number("INT"), "no-pings".to_owned());
    for (index, word) in words.iter().enumerate() {
        if word == "daemon" {
            spawn_self(&words[index + 1..], true);
            exit(0);
        }
        run(word);
    }
}

fn run(word: &str) {
    let (name, value) = word.split_once(':').unwrap_or((word, ""));
    match name {
        "print" => write(std::io::stdout(), value),
        "error" => write(std::io::stderr(), value),
        "sleep" => thread::sleep(millis(value)),
        "exit" => exit(number(value)),
        "die" => die(value),
        "mark" => mark(value),
        "env" => write_environment(value),
        "pidfile" => replace(value, &format!("{}\n", std::process::id())),
        "cue" => {
            while !Path::new(value).exists() {
                thread::sleep(CUE_POLL);
            }
        }
        "on" => {
            let (signal, action) = value.split_once('=').unwrap_or_else(|| misuse(word));
            handle(libc_number(signal), action.to_owned());
        }
        "ping" => ping(millis(value), true),
        "beat" => ping(millis(value), false),
        "child" => start_child(value),
        "wait" => loop {
            thread::park();
        },
        _ => misuse(word),
    }
}

fn misuse(word: &str) -> ! {
    write(std::io::stderr(), &format!("patrol-app: no such word: {word}"));
    exit(MISUSE)
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_else(|_| misuse(text))
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap_or_else(|_| misuse(text)))
}

fn libc_number(name: &str) -> i32 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        "KILL" => 9,
        "USR1" => 10,
        "SEGV" => 11,
        "USR2" => 12,
        "TERM" => 15,
        other => misuse(other),
    }
}

/// One write, so that lines of several processes do not mix.
fn write(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(format!("{text}\n").as_bytes());
}

fn mark(path: &str) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} {}\n", std::process::id(), since.as_millis());
    let file = OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|_| misuse(path));
}

/// Replaces a file as a whole: every reader sees all of it.
fn replace(path: &str, text: &str) {
    let new = format!("{path}.new");
    let done = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    done.unwrap_or_else(|_| misuse(path));
}

fn write_environment(path: &str) {
    let environment = std::fs::read("/proc/self/environ").unwrap_or_default();
    let text = String::from_utf8_lossy(&environment).replace('\0', "\n");
    let here = std::env::current_dir().unwrap_or_default();
    let arguments: Vec<String> = std::env::args().collect();
    let text = format!("{text}(cwd)={}\n(argv)={}\n", here.display(), arguments.join(" "));
    replace(path, &text);
}

fn die(signal: &str) {
    let signal = Signal::from_named_raw(libc_number(signal)).expect("a signal with a name");
    kill_process(getpid(), signal).expect("its own process");
    thread::park();
}

/// Does `action` at each `signal`.
fn handle(signal: i32, action: String) {
    let mut signals = Signals::new([signal]).expect("a signal that can be handled");
    thread::spawn(move || {
        for _ in signals.forever() {
            match action.as_str() {
                "ignore" => {}
                "no-pings" => PINGS.store(false, Ordering::Relaxed),
                "successor" => {
                    spawn_self(&std::env::args().skip(1).collect::<Vec<_>>(), false);
                    exit(SUCCEEDED);
                }
                other => run(other),
            }
        }
    });
}

#[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
fn spawn_self(words: &[String], apart: bool) {
    let program = std::env::args_os().next().expect("the name of the program");
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null());
    if apart {
        command.process_group(0);
    }
    command.spawn().expect("it can start itself");
}

/// A shell of the same group that only KILL ends.
#[expect(clippy::zombie_processes, reason = "it is to outlive this process")]
fn start_child(path: &str) {
    let script =
        "trap '' HUP INT QUIT USR1 USR2 TERM; echo $$ 0 >> \"$0\"; while :; do sleep 1; done";
    Command::new("/bin/sh").args(["-c", script, path]).spawn().expect("a shell");
}

fn ping(every: Duration, with_pid: bool) {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let pid = if with_pid { format!(",\"pid\":{}", std::process::id()) } else { String::new() };
    let body =
        format!("{{\"id\":\"{}\",\"group\":\"app\",\"ping\":true{pid}}}", variable("PATROL_ID"));
    let over_udp = variable("PATROL_KEEPALIVE") == "4";
    let listen = variable(if over_udp { "PATROL_UDP" } else { "PATROL_HTTP" });
    let addresses: Vec<String> = serde_json::from_str(&listen).unwrap_or_default();
    let Some(address) = addresses.into_iter().next() else { misuse("no address to ping") };
    thread::spawn(move || {
        while PINGS.load(Ordering::Relaxed) {
            let _ = if over_udp { send_datagram(&address, &body) } else { post(&address, &body) };
            thread::sleep(every);
        }
    });
}

fn send_datagram(address: &str, body: &str) -> std::io::Result<()> {
    UdpSocket::bind("127.0.0.1:0")?.send_to(body.as_bytes(), address).map(drop)
}

fn post(address: &str, body: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let length = body.len();
    let head = format!(
        "POST /api/ HTTP/1.1\r\nHost: {address}\r\nUser-Agent: Go-http-client/1.1\r\n\
         Content-Length: {length}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map(drop)
}
