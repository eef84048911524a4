//! The little language of the scripts that the stub runtime runs.
//!
//! A script travels in the instance's URL: `stub://name?script=print:hello;exit:3`. Steps run one
//! after the other; a script that ends lets the stub exit with 0, a URL without a script lets it
//! wait indefinitely. This module owns the words; `bin/stub-runtime.rs` gives them their meaning.

use std::fmt::Write;
use std::path::PathBuf;

use crate::{Cue, Mark};

/// One thing the stub does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Writes a line to stdout, in one write.
    Print(String),
    /// Writes a line to stderr, in one write.
    PrintError(String),
    /// Writes bytes to stdout, in one write.
    Raw(Vec<u8>),
    /// Writes one byte many times to stdout; no line end.
    Fill(u8, usize),
    /// Writes a number of lines `flood-<number>-xxx…` of a length in bytes, without the line end.
    Flood(usize, usize),
    /// Does nothing for some milliseconds.
    SleepMs(u64),
    /// Waits until a file exists.
    Cue(PathBuf),
    /// Appends pid and time to a file.
    Mark(PathBuf),
    /// From now on, runs a script at each SIGTERM instead of dying; an empty one ignores it.
    OnTerm(Script),
    /// Starts a process in the stub's own process group that inherits stdout and stderr.
    Grandchild(Script),
    /// As `Grandchild`, but in a process group of its own, out of reach of the master's signals.
    Orphan(Script),
    /// Runs a script a number of times; 0 is without end.
    Repeat(u64, Script),
    /// Closes stdout and stderr and continues.
    CloseOutput,
    /// Prints facts about the process, each on a line `report <name>=<value>`.
    Report,
    /// Prints an environment variable as `<name>=<value>`.
    Env(String),
    /// Exits with a code.
    Exit(i32),
    /// Dies of a signal.
    Die(i32),
    /// Waits indefinitely.
    Wait,
}

/// A sequence of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
}

impl Script {
    /// A script that does nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any step.
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Adds a line on stdout.
    pub fn print(self, text: impl Into<String>) -> Self {
        self.step(Step::Print(text.into()))
    }

    /// Adds a checkpoint line: mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx.
    pub fn checkpoint(self, fields: [u64; 9]) -> Self {
        self.print(checkpoint(fields.map(|field| field.to_string())))
    }

    /// Adds bytes on stdout.
    pub fn raw(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Raw(bytes.as_ref().to_vec()))
    }

    /// Adds waiting for a cue.
    pub fn cue(self, cue: &Cue) -> Self {
        self.step(Step::Cue(cue.path().to_path_buf()))
    }

    /// Adds leaving a mark.
    pub fn mark(self, mark: &Mark) -> Self {
        self.step(Step::Mark(mark.path().to_path_buf()))
    }

    /// Adds what to do at SIGTERM.
    pub fn on_term(self, script: Script) -> Self {
        self.step(Step::OnTerm(script))
    }

    /// Adds ignoring SIGTERM.
    pub fn ignore_term(self) -> Self {
        self.on_term(Script::new())
    }

    /// Adds exiting with a code.
    pub fn exit(self, code: i32) -> Self {
        self.step(Step::Exit(code))
    }

    /// Adds waiting indefinitely.
    pub fn wait(self) -> Self {
        self.step(Step::Wait)
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The instance URL that carries this script.
    pub fn url(&self) -> String {
        self.url_at("stub://x")
    }

    /// As [`Script::url`] with another scheme and host.
    pub fn url_at(&self, scheme_and_host: &str) -> String {
        format!("{scheme_and_host}?script={}", self.encode())
    }

    /// The script an instance URL carries; without one, waiting indefinitely.
    pub fn from_url(url: &str) -> Result<Self, String> {
        match url.split_once("?script=") {
            Some((_, text)) => Self::decode(text.split('#').next().unwrap_or("")),
            None => Ok(Self::new().wait()),
        }
    }

    /// The script as text: `name:argument` joined by `;`, arguments percent-encoded.
    pub fn encode(&self) -> String {
        let steps: Vec<String> = self.steps.iter().map(encode_step).collect();
        steps.join(";")
    }

    /// Reads what [`Script::encode`] wrote.
    pub fn decode(text: &str) -> Result<Self, String> {
        let steps = text.split(';').filter(|step| !step.is_empty()).map(decode_step);
        Ok(Self { steps: steps.collect::<Result<_, _>>()? })
    }
}

/// A checkpoint line with any text in its fields.
pub fn checkpoint<T: std::fmt::Display>(fields: [T; 9]) -> String {
    let [mode, ping, pool, tcps, udps, tcprx, tcptx, udprx, udptx] = fields;
    format!(
        "CHECK_POINT|MODE={mode}|PING={ping}ms|POOL={pool}|TCPS={tcps}|UDPS={udps}\
         |TCPRX={tcprx}|TCPTX={tcptx}|UDPRX={udprx}|UDPTX={udptx}"
    )
}

fn encode_step(step: &Step) -> String {
    match step {
        Step::Print(text) => argument("print", text.as_bytes()),
        Step::PrintError(text) => argument("err", text.as_bytes()),
        Step::Raw(bytes) => argument("raw", bytes),
        Step::Fill(byte, count) => format!("fill:{byte},{count}"),
        Step::Flood(lines, length) => format!("flood:{lines},{length}"),
        Step::SleepMs(ms) => format!("sleep:{ms}"),
        Step::Cue(path) => argument("cue", path.as_os_str().as_encoded_bytes()),
        Step::Mark(path) => argument("mark", path.as_os_str().as_encoded_bytes()),
        Step::OnTerm(script) => argument("on-term", script.encode().as_bytes()),
        Step::Grandchild(script) => argument("grandchild", script.encode().as_bytes()),
        Step::Orphan(script) => argument("orphan", script.encode().as_bytes()),
        Step::Repeat(times, script) => {
            argument("repeat", format!("{times},{}", script.encode()).as_bytes())
        }
        Step::CloseOutput => "close".into(),
        Step::Report => "report".into(),
        Step::Env(name) => argument("env", name.as_bytes()),
        Step::Exit(code) => format!("exit:{code}"),
        Step::Die(signal) => format!("die:{signal}"),
        Step::Wait => "wait".into(),
    }
}

fn decode_step(text: &str) -> Result<Step, String> {
    let (name, raw) = text.split_once(':').unwrap_or((text, ""));
    let bytes = percent_decode(raw)?;
    let string = || String::from_utf8(bytes.clone()).map_err(|_| format!("{text}: not UTF-8"));
    let script = || Script::decode(&string()?);
    Ok(match name {
        "print" => Step::Print(string()?),
        "err" => Step::PrintError(string()?),
        "raw" => Step::Raw(bytes),
        "fill" => {
            let (byte, count) = pair::<u8, usize>(&string()?)?;
            Step::Fill(byte, count)
        }
        "flood" => {
            let (lines, length) = pair(&string()?)?;
            Step::Flood(lines, length)
        }
        "sleep" => Step::SleepMs(number(&string()?)?),
        "cue" => Step::Cue(string()?.into()),
        "mark" => Step::Mark(string()?.into()),
        "on-term" => Step::OnTerm(script()?),
        "grandchild" => Step::Grandchild(script()?),
        "orphan" => Step::Orphan(script()?),
        "repeat" => {
            let argument = string()?;
            let (times, script) = argument.split_once(',').ok_or("repeat: no comma")?;
            Step::Repeat(number(times)?, Script::decode(script)?)
        }
        "close" => Step::CloseOutput,
        "report" => Step::Report,
        "env" => Step::Env(string()?),
        "exit" => Step::Exit(number(&string()?)?),
        "die" => Step::Die(number(&string()?)?),
        "wait" => Step::Wait,
        _ => return Err(format!("unknown step {text}")),
    })
}

fn argument(name: &str, bytes: &[u8]) -> String {
    let mut text = format!("{name}:");
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/,".contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn percent_decode(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = if *first == b'%' {
            let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            (value.ok_or_else(|| format!("{text}: bad escape"))?, &tail[2..])
        } else {
            (*first, tail)
        };
        bytes.push(byte);
        rest = after;
    }
    Ok(bytes)
}

fn pair<A: std::str::FromStr, B: std::str::FromStr>(text: &str) -> Result<(A, B), String> {
    let (first, second) = text.split_once(',').ok_or_else(|| format!("{text}: no comma"))?;
    Ok((number(first)?, number(second)?))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text}: not a number"))
}

#[cfg(test)]
mod tests {
    use super::{Script, Step, checkpoint};

    #[test]
    fn every_step_survives_the_way_through_a_url() {
        let inner = Script::new().print("bye; now: 100%").exit(7);
        let script = Script::new()
            .print("a line; with %41 & é")
            .step(Step::PrintError("x".into()))
            .raw([0, 10, 13, 255, b'%', b';'])
            .step(Step::Fill(27, 100_000))
            .step(Step::Flood(3, 4))
            .step(Step::SleepMs(5))
            .step(Step::Cue("/tmp/a b".into()))
            .step(Step::Mark("/tmp/c:d".into()))
            .on_term(inner.clone())
            .ignore_term()
            .step(Step::Grandchild(Script::new().on_term(inner.clone()).wait()))
            .step(Step::Orphan(inner.clone()))
            .step(Step::Repeat(0, inner))
            .step(Step::CloseOutput)
            .step(Step::Report)
            .step(Step::Env("HOME".into()))
            .exit(-1)
            .step(Step::Die(9))
            .wait();
        assert_eq!(Script::from_url(&script.url()), Ok(script));
    }

    #[test]
    fn a_url_without_a_script_waits() {
        assert_eq!(Script::from_url("mailto:joe"), Ok(Script::new().wait()));
        assert!(Script::from_url("stub://x?script=nonsense").is_err());
        assert!(Script::from_url("stub://x?script=print:%4").is_err());
    }

    #[test]
    fn a_checkpoint_has_the_published_form() {
        assert_eq!(
            checkpoint([1, 2, 3, 4, 5, 6, 7, 8, 9]),
            "CHECK_POINT|MODE=1|PING=2ms|POOL=3|TCPS=4|UDPS=5|TCPRX=6|TCPTX=7|UDPRX=8|UDPTX=9"
        );
    }
}
