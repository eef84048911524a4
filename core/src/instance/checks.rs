//! The checks of a command: when it is ready, whether it still works, which of its lines are errors,
//! what it starts after, when, which files it is restarted for, and how its standard error is read.
//!
//! Values only. They are given as parameters of an `exec:` URL and derive from it, so no stored
//! format has them.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};
use core::ops::RangeInclusive;

use super::exec_url::duration_ms;
use super::launch::Launch;
use super::rare::Usual;
use super::schedule::Schedule;
use super::watch::{WATCH, WATCH_IGNORE, Watch};
use crate::ids::InstanceId;
use crate::limits::READY_LIMIT_MS;
use crate::pattern::Pattern;
use crate::url::InstanceUrl;

/// The names of these parameters that may be given once, in the order of a URL.
pub const CHECK_PARAMETERS: [&str; 10] = [
    "error",
    "ready",
    "ready_timeout",
    "live",
    "live_interval",
    "live_timeout",
    "live_threshold",
    "schedule",
    "schedule_tz",
    "stderr",
];

/// The name of the parameter that may be repeated.
pub const AFTER: &str = "after";

/// The most names that one instance starts after.
pub const AFTER_MAX: usize = 16;

/// The longest of these names, in bytes.
const NAME_MAX_BYTES: usize = 128;

/// The longest target of a check, in bytes.
const TARGET_MAX_BYTES: usize = 1024;

/// How often a live check may be made, in ms.
const INTERVAL_MS: RangeInclusive<u64> = 100..=24 * 3_600_000;

/// How long a live check may take, in ms.
const TIMEOUT_MS: RangeInclusive<u64> = 1..=60_000;

/// After how many failed live checks in a row an instance fails.
const THRESHOLD: RangeInclusive<u32> = 1..=100;

/// How long it may be until a process is ready, in ms.
const LIMIT_MS: RangeInclusive<u64> = 100..=24 * 3_600_000;

/// How long `ready=after:` may be, in ms.
const AFTER_MS: RangeInclusive<u64> = 0..=24 * 3_600_000;

/// The checks of one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// When a process is ready; `None`: as soon as it runs.
    pub ready: Option<Ready>,
    /// How long that may take, in ms; `None`: any time.
    pub ready_limit_ms: Option<u64>,
    /// Whether it still works; `None`: as long as it runs.
    pub live: Option<Live>,
    /// A line with a match of this pattern is an error.
    pub error: Option<String>,
    /// The aliases of the instances that have to be ready before it is started.
    pub after: Vec<String>,
    /// When it is started; `None`: at its creation and with the master.
    pub schedule: Option<Schedule>,
    /// The files whose changes restart it.
    pub watch: Watch,
    /// How its standard error is read.
    pub stderr: Stderr,
}

/// How the standard error of a process is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stderr {
    /// From the pipe of standard output, as the contract asks of runtimes: the order of all lines is
    /// that in which they were written.
    #[default]
    Joined,
    /// From a pipe of its own: each line is shown with its stream.
    Apart,
}

/// When a process is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Once it printed a line with a match of this pattern.
    Line(String),
    /// This long after its start, in ms.
    After(u64),
    /// Once this target answers.
    Target(Target),
    /// Once it says so with `sd_notify`.
    Notify,
}

/// What a check connects to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// `host:port`: accepts a connection.
    Tcp(String),
    /// A URL of `http:` or `https:`: answers with a status from 200 to 399.
    Http(String),
}

/// What a check is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckKind {
    /// Whether the process is ready.
    Ready,
    /// Whether it still works.
    Live,
}

/// A check that a process still works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// What has to answer.
    pub target: Target,
    /// How often it is asked, in ms.
    pub every_ms: u64,
    /// How long an answer may take, in ms.
    pub timeout_ms: u64,
    /// After how many failures in a row the instance has failed.
    pub threshold: u32,
}

impl Hash for Checks {
    /// Nothing: they are a part of the URL, which is hashed.
    fn hash<H: Hasher>(&self, _state: &mut H) {}
}

impl Usual for Checks {
    fn usual() -> &'static Self {
        static USUAL: Checks = Checks {
            ready: None,
            ready_limit_ms: None,
            live: None,
            error: None,
            after: Vec::new(),
            schedule: None,
            watch: Watch { paths: Vec::new(), ignored: Vec::new() },
            stderr: Stderr::Joined,
        };
        &USUAL
    }
}

impl Checks {
    /// The checks that the parameters of a URL ask for; none for a URL of another scheme.
    ///
    /// # Errors
    /// A sentence that names the parameter and its valid values.
    pub fn parse(url: &InstanceUrl) -> Result<Self, String> {
        let mut checks = Self::default();
        if !url.scheme().eq_ignore_ascii_case("exec") {
            return Ok(checks);
        }
        let query = url.as_str().split_once('?').map_or("", |(_, query)| query);
        let mut given: [Option<String>; CHECK_PARAMETERS.len()] = Default::default();
        let mut is_always = false;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            is_always |= name == "restart" && value == "always";
            if name == AFTER {
                checks.add_after(&value)?;
            } else if name == WATCH || name == WATCH_IGNORE {
                checks.watch.add(&name, &value)?;
            }
            let Some(at) = CHECK_PARAMETERS.iter().position(|known| *known == name) else {
                continue;
            };
            if given[at].replace(value.into_owned()).is_some() {
                return Err(format!("{name} is given twice: give it once"));
            }
        }
        let [error, ready, limit, live, interval, timeout, threshold, schedule, zone, stderr] =
            given;
        checks.stderr = stderr.as_deref().map_or(Ok(Stderr::Apart), Stderr::parse)?;
        if let Some(pattern) = &error {
            Pattern::new(pattern).map_err(|why| format!("error must be a pattern: {why}"))?;
        }
        checks.error = error;
        checks.ready = ready.as_deref().map(Ready::parse).transpose()?;
        checks.ready_limit_ms = ready_limit(checks.ready.as_ref(), limit.as_deref())?;
        checks.live = Live::parse(live.as_deref(), [interval, timeout, threshold])?;
        checks.schedule = match (schedule, zone) {
            (Some(_), _) if is_always => {
                return Err(
                    "schedule and restart=always contradict each other: leave one out".into()
                );
            }
            (Some(text), zone) => Some(Schedule::parse(&text, zone.as_deref())?),
            (None, Some(_)) => {
                return Err("schedule_tz has no effect without schedule: give both".into());
            }
            (None, None) => None,
        };
        if checks.watch.is_empty() && !checks.watch.ignored.is_empty() {
            return Err("watch_ignore has no effect without watch: give both".into());
        }
        Ok(checks)
    }

    /// Those of what is launched. Parameters that a door would refuse ask for nothing.
    pub fn of(launch: &Launch) -> Self {
        match launch {
            Launch::Runtime(url) => Self::parse(url).unwrap_or_default(),
            Launch::Exec(_) | Launch::Verbs(_) => Self::default(),
        }
    }

    fn add_after(&mut self, name: &str) -> Result<(), String> {
        if !is_name(name) {
            let want = "the alias of an instance, of at most 128 letters, digits and -._~/:@";
            return Err(format!("after must be {want}, not an id"));
        }
        if self.after.iter().any(|known| known == name) {
            return Err(format!("after={name} is given twice: give it once"));
        }
        if self.after.len() == AFTER_MAX {
            return Err(format!("after may be given {AFTER_MAX} times at most"));
        }
        self.after.push(name.to_string());
        Ok(())
    }
}

/// Whether `after` can name an instance by this. Only what needs no escape in a URL: a trace masks
/// aliases, and has to mask this alike. The star is that of the mask.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@*".contains(&byte);
    let is_short = (1..=NAME_MAX_BYTES).contains(&name.len());
    is_short && name.bytes().all(is_plain) && !InstanceId::is_like(name)
}

impl Ready {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "line" => {
                Pattern::new(rest)
                    .map_err(|why| format!("ready must be a pattern after line: {why}"))?;
                Ok(Self::Line(rest.to_string()))
            }
            "after" => {
                let ms = duration_ms(rest, AFTER_MS);
                let ms = ms.ok_or("ready must be a time after after: such as 5s, at most 24h")?;
                Ok(Self::After(ms))
            }
            "notify" if text == "notify" => Ok(Self::Notify),
            "tcp" | "http" | "https" => Target::parse("ready", text).map(Self::Target),
            _ => {
                Err("ready must be line:PATTERN, after:TIME, tcp:HOST:PORT, http://…, https://… or notify"
                    .into())
            }
        }
    }
}

impl Stderr {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "apart" => Ok(Self::Apart),
            "joined" => Ok(Self::Joined),
            _ => Err("stderr must be apart or joined".into()),
        }
    }
}

/// How long an instance may take to be ready: what depends on more than time.
fn ready_limit(ready: Option<&Ready>, text: Option<&str>) -> Result<Option<u64>, String> {
    let may_fail = ready.is_some_and(|ready| !matches!(ready, Ready::After(_)));
    match text {
        None => Ok(may_fail.then_some(READY_LIMIT_MS)),
        Some(_) if !may_fail => {
            Err("ready_timeout has no effect without ready, or with ready=after:".into())
        }
        Some("off") => Ok(None),
        Some(text) => duration_ms(text, LIMIT_MS)
            .map(Some)
            .ok_or("ready_timeout must be a time such as 30s, from 100ms to 24h, or off".into()),
    }
}

impl Target {
    fn parse(name: &str, text: &str) -> Result<Self, String> {
        let is_plain =
            text.len() <= TARGET_MAX_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(address) = text.strip_prefix("tcp:").filter(|_| is_plain)
            && let Some((host, port)) = address.rsplit_once(':')
            && !host.is_empty()
            && port.parse::<u16>().is_ok_and(|port| port > 0)
        {
            return Ok(Self::Tcp(address.to_string()));
        }
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        if let Some(rest) = rest.filter(|_| is_plain)
            && let authority = rest.split(['/', '?']).next().unwrap_or_default()
            && !authority.is_empty()
            && !authority.contains('@')
            && !rest.contains('#')
        {
            return Ok(Self::Http(text.to_string()));
        }
        Err(format!(
            "{name} must be tcp:HOST:PORT, http://HOST:PORT/PATH or https://…, without a user"
        ))
    }
}

impl Live {
    fn parse(
        target: Option<&str>,
        [interval, timeout, threshold]: [Option<String>; 3],
    ) -> Result<Option<Self>, String> {
        let Some(target) = target else {
            let alone = [("interval", interval), ("timeout", timeout), ("threshold", threshold)];
            return match alone.iter().find(|(_, value)| value.is_some()) {
                Some((name, _)) => {
                    Err(format!("live_{name} has no effect without live: give both"))
                }
                None => Ok(None),
            };
        };
        let target = Target::parse("live", target)?;
        let time = |text: Option<String>, default_ms, bounds, wrong: &str| match text {
            Some(text) => duration_ms(&text, bounds).ok_or(wrong.to_string()),
            None => Ok(default_ms),
        };
        let every_ms = "live_interval must be a time such as 10s, from 100ms to 24h";
        let every_ms = time(interval, 10_000, INTERVAL_MS, every_ms)?;
        let timeout_ms = "live_timeout must be a time such as 2s, at most 60s";
        let timeout_ms = time(timeout, 5_000, TIMEOUT_MS, timeout_ms)?;
        let threshold = match threshold {
            Some(text) => text.parse().ok().filter(|count| THRESHOLD.contains(count)),
            None => Some(3),
        };
        let threshold = threshold.ok_or("live_threshold must be a whole number from 1 to 100")?;
        Ok(Some(Self { target, every_ms, timeout_ms, threshold }))
    }
}

impl core::fmt::Display for Target {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Http(url) => f.write_str(url),
        }
    }
}

/// The way from a name back to itself, such as `a -> b -> a`, if there is one; `edges` are the names
/// that each name starts after.
pub fn circle(start: &str, edges: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(name) = queue.pop_front() {
        for next in edges.get(name).into_iter().flatten().copied() {
            if next == start {
                let mut path = alloc::vec![start, name];
                while let Some(before) = path.last().and_then(|last| came_from.get(last)) {
                    path.push(before);
                }
                path.reverse();
                return Some(path.join(" -> "));
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, name);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn checks(query: &str) -> Result<Checks, String> {
        Checks::parse(&InstanceUrl::parse(&format!("exec:sh?arg=-c&{query}")).expect("a URL"))
    }

    #[test]
    fn parameters_are_checks() {
        let all = "error=(?i)fatal&ready=http://127.0.0.1:80/health?x&after=db&after=a/b\
            &live=tcp:[::1]:5432&live_interval=1m&live_timeout=500ms&live_threshold=1";
        let target = Target::Tcp("[::1]:5432".into());
        let live = Live { target, every_ms: 60_000, timeout_ms: 500, threshold: 1 };
        let expected = Checks {
            ready: Some(Ready::Target(Target::Http("http://127.0.0.1:80/health?x".into()))),
            live: Some(live),
            error: Some("(?i)fatal".into()),
            ready_limit_ms: Some(READY_LIMIT_MS),
            after: vec!["db".into(), "a/b".into()],
            schedule: None,
            watch: Watch::default(),
            stderr: Stderr::Apart,
        };
        assert_eq!(checks(all), Ok(expected));
        assert_eq!(checks("stderr=joined").map(|checks| checks.stderr), Ok(Stderr::Joined));
        let ready = |text: &str| checks(&format!("ready={text}")).map(|checks| checks.ready);
        assert_eq!(ready("line:listening%20on"), Ok(Some(Ready::Line("listening on".into()))));
        assert_eq!(ready("after:5"), Ok(Some(Ready::After(5_000))));
        assert_eq!(ready("notify"), Ok(Some(Ready::Notify)));
        let limit = |text: &str| checks(text).map(|checks| checks.ready_limit_ms);
        assert_eq!(limit("ready=notify&ready_timeout=90s"), Ok(Some(90_000)));
        assert_eq!(limit("ready=notify&ready_timeout=off"), Ok(None));
        assert_eq!(limit("ready=after:5"), Ok(None));
        let other = InstanceUrl::parse("demo://a?ready=nonsense").expect("a URL");
        assert_eq!(Checks::parse(&other), Ok(Checks::default()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |query: &str| checks(query).expect_err(query);
        insta::assert_snapshot!(wrong("ready=maybe"), @"ready must be line:PATTERN, after:TIME, tcp:HOST:PORT, http://…, https://… or notify");
        insta::assert_snapshot!(wrong("ready=line:("), @"ready must be a pattern after line: unclosed group");
        insta::assert_snapshot!(wrong("error="), @"error must be a pattern: it is empty");
        insta::assert_snapshot!(wrong("live_timeout=1s"), @"live_timeout has no effect without live: give both");
        insta::assert_snapshot!(wrong("after=deadbeef"), @"after must be the alias of an instance, of at most 128 letters, digits and -._~/:@, not an id");
        insta::assert_snapshot!(wrong("after=a&after=a"), @"after=a is given twice: give it once");
        for bad in [
            "ready=tcp:x",
            "ready=tcp::1",
            "ready=tcp:h:0",
            "ready=http://",
            "ready=http://u:p@h",
            "ready=https://",
            "ready=https://u@h",
            "ready=httpx://h",
            "ready=notify:x",
            "ready=after:25h",
            "ready_timeout=1s",
            "ready=after:1s&ready_timeout=1s",
            "ready=notify&ready_timeout=0",
            "ready=notify&ready_timeout=x",
            "live=line:x",
            "live=tcp:h:1&live_interval=1ms",
            "live=tcp:h:1&live_timeout=2m",
            "live=tcp:h:1&live_threshold=0",
            "schedule=0 0 30 2 *",
            "schedule=@daily&schedule_tz=x y",
            "schedule_tz=UTC",
            "restart=always&schedule=@daily",
            "watch=src",
            "watch=/a&watch=/a",
            "watch_ignore=x",
            "watch=/a&watch_ignore=a/b",
            "after=a b",
            "after=",
        ] {
            let reason = checks(bad).expect_err(bad);
            let last = bad.rsplit('&').next().and_then(|pair| pair.split('=').next());
            assert!(reason.starts_with(last.expect("a name")), "{bad}: {reason}");
        }
        let many: Vec<String> = (0..=AFTER_MAX).map(|number| format!("after=n{number}")).collect();
        assert_eq!(checks(&many.join("&")), Err("after may be given 16 times at most".into()));
    }

    fn found(start: &str, edges: &[(&'static str, &[&'static str])]) -> Option<String> {
        let edges = edges.iter().map(|(name, after)| (*name, after.iter().copied().collect()));
        circle(start, &edges.collect())
    }

    #[test]
    fn a_circle_is_named_from_its_start() {
        assert_eq!(found("a", &[("a", &["a"])]).as_deref(), Some("a -> a"));
        assert_eq!(found("a", &[("a", &["b"]), ("b", &["a"])]).as_deref(), Some("a -> b -> a"));
        let long: &[(_, &[_])] = &[("a", &["x", "b"]), ("b", &["c"]), ("c", &["a"]), ("x", &[])];
        assert_eq!(found("a", long).as_deref(), Some("a -> b -> c -> a"));
        assert_eq!(found("a", &[("a", &["b"]), ("b", &["c", "b"])]), None);
    }
}
