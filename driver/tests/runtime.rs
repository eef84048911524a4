//! The built-in runtime, as a master would launch it: the real binary with one URL.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

fn openctrl(url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openctrl"));
    command.arg(url).stdin(Stdio::null());
    command
}

fn output(url: &str) -> Output {
    openctrl(url).output().expect("the binary runs")
}

/// Asserts a refusal: its exit status, nothing on stdout, and `words` on stderr.
#[track_caller]
fn refused(url: &str, code: i32, words: &[&str]) {
    let got = output(url);
    let reason = String::from_utf8_lossy(&got.stderr);
    assert_eq!(got.status.code(), Some(code), "{url}: {reason}");
    assert!(got.stdout.is_empty(), "{url} did something before it was refused");
    for word in words {
        assert!(reason.contains(word), "{url}: no {word:?} in {reason:?}");
    }
}

struct Demo {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Demo {
    fn start(url: &str) -> Self {
        let mut command = openctrl(url);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text");
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the demo is alive");
    }
}

#[test]
fn a_scheme_nobody_serves_is_refused_with_a_way_out() {
    refused("managed://edge", 2, &["managed", "demo, exec", "bin="]);
    refused("nonsense", 2, &["unknown command \"nonsense\"", "--help"]);
}

#[test]
fn exec_becomes_the_command() {
    let url = "exec:sh?arg=-c&arg=echo+$$;echo+$K;pwd;echo+$1&arg=sh&arg=a%2Bb&env=K%3DV%3DW&cwd=/";
    let mut command = openctrl(url);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut text = String::new();
    let mut stdout = child.stdout.take().expect("stdout is piped");
    stdout.read_to_string(&mut text).expect("text");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(text, format!("{}\nV=W\n/\na+b\n", child.id()), "the pid is the one spawned");
}

#[test]
fn exec_takes_a_path_and_passes_the_exit_status_on() {
    assert_eq!(output("exec:///bin/sh?arg=-c&arg=exit+7").status.code(), Some(7));
}

#[test]
fn exec_gives_the_command_the_default_sigpipe() {
    // This process ignores it, as every Rust program does; a shell cannot undo what it inherits.
    let got = output("exec:sh?arg=-c&arg=kill+-PIPE+$$;echo+survived");
    assert_eq!(got.status.signal(), Some(Signal::PIPE.as_raw()), "{got:?}");
}

#[test]
fn exec_refuses_what_it_cannot_run() {
    refused("exec:no-such-command-anywhere", 127, &["no-such-command-anywhere"]);
    refused("exec:///no/such/path", 127, &["/no/such/path"]);
    refused("exec:///etc/passwd", 126, &["/etc/passwd", "cannot execute"]);
    refused("exec:///tmp", 126, &["/tmp", "cannot execute"]);
    refused("exec:sh?cwd=/no/such/dir", 2, &["cwd", "/no/such/dir"]);
    refused("exec:sh?cwd=/etc/passwd", 2, &["cwd", "/etc/passwd"]);
    refused("exec:sh?env=K", 2, &["env", "NAME=VALUE"]);
    refused("exec:sh?argument=x", 2, &["argument", "arg, env"]);
    refused("exec://bin/sh", 2, &["three slashes"]);
}

#[test]
fn demo_ends_on_term_with_last_words_and_a_last_checkpoint() {
    let mut demo = Demo::start("demo://web?every=1m");
    assert_eq!(demo.line(), "demo web: tick 0\n");
    let first =
        "CHECK_POINT|MODE=1|PING=10ms|POOL=4|TCPS=0|UDPS=0|TCPRX=0|TCPTX=0|UDPRX=0|UDPTX=0\n";
    assert_eq!(demo.line(), first);
    demo.signal(Signal::TERM);
    assert_eq!(demo.line(), "demo web: ending on TERM\n");
    assert!(demo.line().contains("|TCPRX=1024|"));
    assert_eq!(demo.line(), "", "end of output");
    assert_eq!(demo.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn demo_can_ignore_term() {
    let mut demo = Demo::start("demo://web?every=1m&checkpoints=off&ignore_term=1");
    assert_eq!(demo.line(), "demo web: tick 0\n");
    demo.signal(Signal::TERM);
    assert_eq!(demo.line(), "demo web: TERM ignored\n");
    demo.child.kill().expect("the demo is alive");
    assert_eq!(demo.child.wait().expect("it ends").signal(), Some(Signal::KILL.as_raw()));
}

#[test]
fn demo_ends_quietly_when_nobody_listens() {
    let demo = Demo::start("demo://web?every=1ms");
    drop(demo.lines);
    let got = demo.child.wait_with_output().expect("it ends");
    assert_eq!((got.status.code(), got.stderr), (Some(0), Vec::new()));
}

#[test]
fn demo_refuses_bad_parameters() {
    refused("demo://web?every=soon", 2, &["every", "250ms"]);
    refused("demo://web?every=1s&every=2s", 2, &["every", "twice"]);
    refused("demo://web?secret=hush", 2, &["secret", "exit_after"]);
    refused("demo:web", 2, &["demo://name"]);
}
