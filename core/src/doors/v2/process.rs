//! The process object: `GET /instances/{id}/process`, and each element of `GET /processes`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

use crate::ids::InstanceId;
use crate::instance::{End, LastExit, ProcessFacts};
use crate::process::Exit;
use crate::time::{Now, Wall};

/// The last sample of the resource usage of a process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of its members, including exited ones, in hundredths of a second.
    pub cpu_centis: u64,
    /// Of one CPU since the look before, in tenths of a percent; `None` without one before.
    pub cpu_permille: Option<u64>,
    /// Resident memory of its members. What they share counts for each.
    pub memory_bytes: u64,
    /// How many members it has.
    pub processes: u64,
    /// The time of the sample.
    pub sampled: Wall,
}

/// The facts about an instance to render.
#[derive(Clone, Debug)]
pub struct ProcessReport<'a> {
    /// Which.
    pub id: InstanceId,
    /// The facts of the engine.
    pub facts: &'a ProcessFacts,
    /// The process that is alive, as the system calls it.
    pub pid: Option<i32>,
    /// Its resource usage.
    pub usage: Option<Usage>,
    /// Facts about the last exit beyond its status, such as a core dump.
    pub exit_note: Option<&'a str>,
}

/// Fields in the order of the wire; all are always there.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    id: String,
    pid: Option<i32>,
    started: Option<String>,
    uptime: Option<u64>,
    starts: u64,
    failures: u64,
    restarts: u64,
    exits: u64,
    last_exit: Option<ExitView<'a>>,
    next_restart: Option<String>,
    backoff_ms: Option<u64>,
    reason: String,
    ready: bool,
    waits_for: Option<&'a str>,
    next_run: Option<String>,
    cpu_seconds: Option<f64>,
    cpu_percent: Option<f64>,
    memory_bytes: Option<u64>,
    processes: Option<u64>,
    sampled: Option<String>,
}

/// `code` or `signal` is present, or neither if no process started.
#[derive(Serialize)]
struct ExitView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    time: &'a str,
    reason: &'a str,
}

impl ProcessReport<'_> {
    /// The JSON of the report at `now`.
    pub fn json(&self, now: Now) -> Bytes {
        let mut json = Vec::new();
        self.write(&mut json, now);
        Bytes::from(json)
    }

    /// Appends the same.
    fn write(&self, out: &mut Vec<u8>, now: Now) {
        let Self { id, facts, pid, usage, exit_note } = self;
        let alive = facts.alive.map(|(_, since)| since);
        let exit = facts.last_exit.as_ref().map(|exit| Told::of(exit, *exit_note));
        let view = View {
            id: id.to_string(),
            pid: pid.filter(|_| alive.is_some()),
            started: alive.map(|since| since.wall.to_string()),
            uptime: alive.map(|since| now.mono.ms_since(since.mono) / 1_000),
            starts: facts.starts,
            failures: facts.failures,
            restarts: facts.restarts,
            exits: facts.exits,
            last_exit: exit.as_ref().map(Told::view),
            next_restart: facts.next_restart.map(|(at, _)| at.to_string()),
            backoff_ms: facts.next_restart.map(|(_, delay_ms)| delay_ms),
            reason: facts.explanation(),
            ready: facts.is_ready(),
            waits_for: facts.waits_for.as_deref(),
            next_run: facts.next_run.as_ref().and_then(|next| Some(next.at?.to_string())),
            cpu_seconds: usage.map(|usage| fraction(usage.cpu_centis, 100)),
            cpu_percent: usage.and_then(|usage| Some(fraction(usage.cpu_permille?, 10))),
            memory_bytes: usage.map(|usage| usage.memory_bytes),
            processes: usage.map(|usage| usage.processes),
            sampled: usage.map(|usage| usage.sampled.to_string()),
        };
        let json = serde_json::to_vec(&view).expect("strings and numbers always encode");
        out.extend_from_slice(&json);
    }
}

/// The JSON of all reports, as an array.
pub fn render_processes<'a>(
    reports: impl IntoIterator<Item = ProcessReport<'a>>,
    now: Now,
) -> Bytes {
    let mut json = Vec::from(*b"[");
    for report in reports {
        if json.len() > 1 {
            json.push(b',');
        }
        report.write(&mut json, now);
    }
    json.push(b']');
    Bytes::from(json)
}

/// Exact for every figure of a real machine.
fn fraction(numerator: u64, denominator: u32) -> f64 {
    numerator as f64 / f64::from(denominator)
}

/// The exit of a process in words.
struct Told {
    code: Option<i32>,
    signal: Option<i32>,
    time: String,
    reason: String,
}

impl Told {
    fn of(exit: &LastExit, note: Option<&str>) -> Self {
        let (ended, reason) = match &exit.end {
            End::Own(ended) => {
                let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
                (Some(*ended), format!("{ended}{note}"))
            }
            End::Requested(ended) => (Some(*ended), String::from("stopped on request")),
            End::NotStarted(reason) => (None, format!("could not be started: {reason}")),
        };
        let (code, signal) = match ended {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        Self { code, signal, time: exit.time.to_string(), reason }
    }

    fn view(&self) -> ExitView<'_> {
        let Self { code, signal, time, reason } = self;
        ExitView { code: *code, signal: *signal, time, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Generation, ProcessRef, SlotId};
    use crate::instance::ProcessFacts;
    use crate::time::Time;

    fn text(json: &Bytes) -> &str {
        core::str::from_utf8(json).expect("JSON is UTF-8")
    }

    fn at(seconds: u64) -> Now {
        let micros = seconds * 1_000_000;
        Now { mono: Time::from_micros(micros), wall: Wall::from_micros(micros) }
    }

    fn report(facts: &ProcessFacts, usage: Option<Usage>) -> ProcessReport<'_> {
        ProcessReport { id: InstanceId(7), facts, pid: Some(1234), usage, exit_note: None }
    }

    #[test]
    fn every_field_is_there() {
        let mut facts = ProcessFacts::default();
        insta::assert_snapshot!(text(&report(&facts, None).json(at(0))), @r#"{"id":"00000007","pid":null,"started":null,"uptime":null,"starts":0,"failures":0,"restarts":0,"exits":0,"lastExit":null,"nextRestart":null,"backoffMs":null,"reason":"","ready":false,"waitsFor":null,"nextRun":null,"cpuSeconds":null,"cpuPercent":null,"memoryBytes":null,"processes":null,"sampled":null}"#);
        let process = ProcessRef { slot: SlotId(0), generation: Generation(1) };
        facts.not_started("no such file", at(1).wall);
        facts.started(process, at(2));
        let usage = Usage {
            cpu_centis: 123,
            cpu_permille: Some(1_005),
            memory_bytes: 4_096,
            processes: 2,
            sampled: at(3).wall,
        };
        insta::assert_snapshot!(text(&report(&facts, Some(usage)).json(at(4))), @r#"{"id":"00000007","pid":1234,"started":"1970-01-01T00:00:02.000000Z","uptime":2,"starts":1,"failures":1,"restarts":0,"exits":0,"lastExit":{"time":"1970-01-01T00:00:01.000000Z","reason":"could not be started: no such file"},"nextRestart":null,"backoffMs":null,"reason":"","ready":false,"waitsFor":null,"nextRun":null,"cpuSeconds":1.23,"cpuPercent":100.5,"memoryBytes":4096,"processes":2,"sampled":"1970-01-01T00:00:03.000000Z"}"#);
        facts.exited(Exit::Signal(9), false, at(5).wall);
        facts.set_next_restart(Some((at(7).wall, 2_000)));
        insta::assert_snapshot!(text(&report(&facts, None).json(at(6))), @r#"{"id":"00000007","pid":null,"started":null,"uptime":null,"starts":1,"failures":1,"restarts":0,"exits":1,"lastExit":{"signal":9,"time":"1970-01-01T00:00:05.000000Z","reason":"killed by SIGKILL"},"nextRestart":"1970-01-01T00:00:07.000000Z","backoffMs":2000,"reason":"restart due at 1970-01-01T00:00:07.000000Z","ready":false,"waitsFor":null,"nextRun":null,"cpuSeconds":null,"cpuPercent":null,"memoryBytes":null,"processes":null,"sampled":null}"#);
    }

    #[test]
    fn ends_are_told_in_words() {
        let reason = |end| Told::of(&LastExit { time: Wall::default(), end }, None).reason;
        assert_eq!(reason(End::Own(Exit::Code(1))), "exited with code 1");
        assert_eq!(reason(End::Own(Exit::Signal(15))), "killed by SIGTERM");
        assert_eq!(reason(End::Own(Exit::Signal(64))), "killed by signal 64");
        assert_eq!(reason(End::Requested(Exit::Signal(15))), "stopped on request");
    }

    #[test]
    fn many_are_an_array() {
        let facts = ProcessFacts::default();
        assert_eq!(render_processes([], at(0)), "[]");
        let two = render_processes([report(&facts, None), report(&facts, None)], at(0));
        let parsed: serde_json::Value = serde_json::from_slice(&two).expect("JSON");
        assert_eq!(parsed.as_array().map(Vec::len), Some(2));
    }
}
