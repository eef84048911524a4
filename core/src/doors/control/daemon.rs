//! The managed socket of one instance: healthz, status, events, command results (control contract
//! B 2).

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Serialize;

use super::DAEMON_API_VERSION;
use super::answer::Reply;
use super::model::{ControlModel, Observed, ProcessEntry};
use super::query::Query;
use super::wire::{
    ConditionWire, DaemonEventWire, DaemonWire, ResourceWire, conditions, is_empty, is_false,
    is_zero,
};
use crate::command::{InstanceAction, Refusal};
use crate::event::{PageQuery, StoredEvent, StoredId, TopicPattern};
use crate::go::{parse_duration, rfc3339_nano, to_json};
use crate::ids::InstanceId;
use crate::resource::{PROCESS_API_VERSION, PROCESS_KIND, Phase};

/// The longest wait for an event, in milliseconds.
pub const WAIT_MAX_MS: u64 = 30_000;

/// Events in one answer.
const EVENTS_MAX: usize = 1_000;

/// Bytes of events in one answer.
const EVENTS_MAX_BYTES: usize = 1024 * 1024;

/// What `/v1/events` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsQuery {
    /// Only events after this one.
    pub since: StoredId,
    /// How long to wait for one, in milliseconds.
    pub wait_ms: u64,
    /// Only events with such a topic.
    pub topic: Option<TopicPattern>,
    /// Whether only the newest cursor is asked for.
    pub tail: bool,
}

#[derive(Serialize)]
struct HealthWire {
    status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DaemonStatusWire<'a> {
    api_version: &'static str,
    kind: &'static str,
    daemon: DaemonWire<'a>,
    #[serde(skip_serializing_if = "is_zero")]
    generation: u64,
    phase: &'static str,
    health: &'static str,
    since: &'a str,
    conditions: &'a [ConditionWire],
    resources: [ResourceStatusWire<'a>; 1],
    observed: &'a BTreeMap<&'static str, Cow<'a, str>>,
}

#[derive(Serialize)]
struct ResourceStatusWire<'a> {
    resource: ResourceWire<'a>,
    phase: &'static str,
    health: &'static str,
    since: &'a str,
    conditions: &'a [ConditionWire],
    observed: &'a BTreeMap<&'static str, Cow<'a, str>>,
}

#[derive(Serialize)]
struct EventsWire<'a> {
    #[serde(skip_serializing_if = "is_empty")]
    cursor: &'a str,
    events: Vec<DaemonEventWire<'a>>,
    #[serde(skip_serializing_if = "is_false")]
    more: bool,
    #[serde(skip_serializing_if = "is_false")]
    gap: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CommandWire<'a> {
    api_version: &'static str,
    kind: &'static str,
    command: &'a str,
    accepted: bool,
    message: &'a str,
}

impl EventsQuery {
    /// Lenient: what cannot be read counts as absent.
    pub(super) fn parse(query: &Query) -> Self {
        let tail = query.text("tail") == "true";
        Self {
            since: StoredId(query.text("since").parse().unwrap_or_default()),
            wait_ms: if tail { 0 } else { wait_ms(query.text("wait")) },
            topic: query.given("topic").map(TopicPattern::parse),
            tail,
        }
    }

    const fn page(&self, instance: InstanceId) -> PageQuery<'_> {
        PageQuery {
            instance,
            since: self.since,
            topic: self.topic.as_ref(),
            limit: EVENTS_MAX,
            max_bytes: EVENTS_MAX_BYTES,
        }
    }
}

/// A Go duration, or bare seconds; 0 for anything else, and no more than [`WAIT_MAX_MS`].
fn wait_ms(text: &str) -> u64 {
    let seconds = || text.parse::<u64>().ok().map(|seconds| seconds.saturating_mul(1_000));
    let duration = || {
        let nanos = u64::try_from(parse_duration(text)?).ok()?;
        Some(nanos.div_ceil(1_000_000))
    };
    seconds().or_else(duration).unwrap_or_default().min(WAIT_MAX_MS)
}

impl ControlModel {
    /// `GET /v1/healthz`: always 200.
    pub fn healthz(entry: &ProcessEntry) -> Reply {
        Reply::managed(200, &HealthWire { status: entry.state.assessment().health.as_str() })
    }

    /// `GET /v1/status`.
    pub fn daemon_status(&self, entry: &ProcessEntry, figures: &Observed) -> Reply {
        let assessment = entry.state.assessment();
        let (name, since) = (entry.daemon_name(), rfc3339_nano(entry.state.since()));
        let health = assessment.health.as_str();
        // Both are shown twice.
        let conditions = &conditions(&entry.state.conditions(), self.not_durable)[..];
        let observed = &figures.texts();
        let resource = ResourceStatusWire {
            resource: ResourceWire::of(PROCESS_API_VERSION, PROCESS_KIND, &entry.name),
            phase: assessment.phase.as_str(),
            health,
            since: &since,
            conditions,
            observed,
        };
        let status = DaemonStatusWire {
            api_version: DAEMON_API_VERSION,
            kind: "DaemonStatus",
            daemon: DaemonWire::of(&name, crate::event::PROCESS_DAEMON_KIND, &entry.name),
            generation: entry.generation,
            phase: assessment.daemon_phase.as_str(),
            health,
            since: &since,
            conditions,
            resources: [resource],
            observed,
        };
        Reply::managed(200, &status)
    }

    /// Whether `GET /v1/events` has something to answer now; otherwise it may wait.
    pub fn has_events(&self, instance: InstanceId, query: &EventsQuery) -> bool {
        query.tail || self.log.has_news(&query.page(instance))
    }

    /// `GET /v1/events`, with what there is now.
    pub fn events(&self, instance: InstanceId, query: &EventsQuery) -> Reply {
        if query.tail {
            let head = self.log.managed_head(instance);
            let cursor = if head == StoredId(0) { query.since } else { head };
            return events_reply(cursor, &[], false, false);
        }
        let length = |event: &StoredEvent| event_line(event).len();
        let page = self.log.page(&query.page(instance), length);
        let events: Vec<&StoredEvent> = page.events.iter().map(|event| &**event).collect();
        events_reply(page.cursor, &events, page.more, page.gap)
    }
}

fn events_reply(cursor: StoredId, events: &[&StoredEvent], more: bool, gap: bool) -> Reply {
    let cursor = if cursor == StoredId(0) { String::new() } else { cursor.to_string() };
    let events = events.iter().map(|event| DaemonEventWire::from(*event)).collect();
    Reply::managed(200, &EventsWire { cursor: &cursor, events, more, gap })
}

/// The action of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandPlan {
    /// There is no such command.
    Unknown,
    /// It is accepted, and nothing is to be done.
    Nothing,
    /// The instance is asked to do something.
    Act(InstanceAction),
}

/// What `command` asks of an instance. `renew` looks, and never touches the process: figures are
/// always the current ones. `reload` has no effect on an instance that is stopped.
pub fn plan_command(command: &str, entry: &ProcessEntry) -> CommandPlan {
    match command {
        "renew" => CommandPlan::Nothing,
        "reload" if entry.state.assessment().phase == Phase::Stopped => CommandPlan::Nothing,
        "reload" => CommandPlan::Act(InstanceAction::Restart),
        "start" => CommandPlan::Act(InstanceAction::Start),
        "stop" => CommandPlan::Act(InstanceAction::Stop),
        _ => CommandPlan::Unknown,
    }
}

/// Why the engine refused a command, in words.
pub fn refusal_text(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotAdmitted => "not admitted".to_string(),
        Refusal::TakesRole(role) => format!("this takes the role {}", role.as_str()),
        Refusal::NoInstance => "the instance was deleted".to_string(),
        Refusal::Configured => {
            "the instance is defined in a configuration file; change it there".to_string()
        }
        Refusal::SameUrl => "nothing to change".to_string(),
        Refusal::Circle { path } => format!("after makes a circle: {path}"),
        Refusal::TooLarge { bytes, limit } => {
            format!("the instance would have {bytes} bytes, at most {limit} are allowed")
        }
        Refusal::Crowded => "too many actions on many instances are under way".to_string(),
        Refusal::Busy => "too many requests wait for the instance to stop".to_string(),
        Refusal::Full { limit } => format!("at most {limit} instances are allowed"),
        Refusal::NotDurable { reason } => format!("the change cannot be saved: {reason}"),
        Refusal::CannotEnd => "its process cannot be killed".to_string(),
        Refusal::ShuttingDown => "the master is shutting down".to_string(),
    }
}

/// An event as one line of JSON, line feed included: for jsonl files.
pub fn event_line(event: &StoredEvent) -> String {
    to_json(&DaemonEventWire::from(event))
}

/// The answer to a command: 200 if it was accepted, else 400.
pub fn command_result(command: &str, accepted: bool, message: &str) -> Reply {
    let result = CommandWire {
        api_version: DAEMON_API_VERSION,
        kind: "CommandResult",
        command,
        accepted,
        message,
    };
    Reply::managed(if accepted { 200 } else { 400 }, &result)
}
