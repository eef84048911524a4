//! Reads on the main sockets: status, controllers, runtime, get, describe, probe (control contract
//! B 1.3, 1.4, C 1, D 4-7).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::Serialize;
use serde_json::{Value, json};

use super::CONTROL_API_VERSION;
use super::answer::Reply;
use super::controllers::ControllerWire;
use super::model::{ControlModel, Figures, ProcessEntry, RuleEntry};
use super::query::Query;
use super::runtime::{RuntimeStats, RuntimeWire};
use super::wire::{
    ConditionWire, Named, ResourceEventWire, StoredEventWire, conditions, is_empty, is_zero,
};
use crate::event::{EventSubject, StoredEvent, StoredFilter, StoredId, TopicPattern};
use crate::go::{ZERO_TIME, rfc3339_nano, to_json, to_json_indented};
use crate::ids::InstanceId;
use crate::resource::{PROCESS_API_VERSION, PROCESS_KIND, Phase};
use crate::rules::{API_VERSION, RuleKind, RuleRef, RuleStatus};
use crate::url::mask_url;

/// Events that one answer may hold.
const EVENTS_MAX: u64 = 1_000;

/// Bytes of events in one answer. Only events with much text reach it: a thousand of 4 KiB fit.
const EVENTS_MAX_BYTES: usize = 4 * 1024 * 1024;

/// By how many bytes a line of an event is indented in the answer.
const EVENT_INDENT: usize = 4;

/// What `/get` is asked for.
#[derive(Clone, Debug)]
pub struct GetQuery {
    subject: String,
    what: What,
    events_limit: usize,
    filter: StoredFilter,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Resources,
    Status,
    Controllers,
    Runtime,
    Events,
    Ledger,
    Kind(String),
    One(String, String),
}

impl GetQuery {
    pub(super) fn parse(query: &Query) -> Result<Self, Reply> {
        let limit = match query.number("limit", 100)? {
            0 => 50,
            limit => limit.min(EVENTS_MAX),
        };
        let events_limit = events_limit(query)?;
        let since = StoredId(query.number("since-id", 0)?);
        let subject = query.text("subject").trim().to_string();
        let what = What::parse(&subject)?;
        let resource = match query.given("resource") {
            Some(text) if what == What::Events => Some(split_resource(text)?),
            _ => None,
        };
        let text = |name: &str| query.given(name).map(str::to_string);
        let filter = StoredFilter {
            since,
            topic: query.given("topic").map(TopicPattern::parse),
            kind: text("kind"),
            name: text("name"),
            resource,
            limit: usize::try_from(limit).expect("at most EVENTS_MAX"),
            max_bytes: EVENTS_MAX_BYTES,
            ascending: query.text("order") == "asc",
        };
        Ok(Self { subject, what, events_limit, filter })
    }

    /// Whether the figures of the runtime are asked for, which the driver has to collect.
    pub fn needs_runtime(&self) -> bool {
        self.what == What::Runtime
    }
}

/// The bytes of an event in the answer.
fn shown_bytes(event: &StoredEvent) -> usize {
    let text = to_json_indented(&StoredEventWire::from(event));
    text.len() + EVENT_INDENT * text.lines().count()
}

fn events_limit(query: &Query) -> Result<usize, Reply> {
    let limit = query.number("events-limit", 10)?.min(EVENTS_MAX);
    Ok(usize::try_from(limit).expect("at most EVENTS_MAX"))
}

fn split_resource(text: &str) -> Result<(String, String), Reply> {
    let parts = text.split_once('/').filter(|(kind, name)| !kind.is_empty() && !name.is_empty());
    parts
        .map(|(kind, name)| (kind.to_string(), name.to_string()))
        .ok_or_else(|| Reply::bad("resource must be <Kind>/<name>"))
}

impl What {
    fn parse(subject: &str) -> Result<Self, Reply> {
        Ok(match subject.to_ascii_lowercase().as_str() {
            "" | "resources" | "all" => Self::Resources,
            "status" => Self::Status,
            "controller" | "controllers" => Self::Controllers,
            "runtime" | "rt" => Self::Runtime,
            "event" | "events" => Self::Events,
            "ledger" | "generation" | "generations" => Self::Ledger,
            _ => match subject.split_once('/') {
                None => Self::Kind(subject.to_string()),
                Some(("", _)) => return Err(Reply::bad("empty resource kind")),
                Some((_, "")) => return Err(Reply::bad("empty name")),
                Some((kind, name)) => Self::One(kind.to_string(), name.to_string()),
            },
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, T: Serialize> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Named<'a>,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
struct StatusBody {
    status: StatusWire,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusWire {
    phase: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    generation: u64,
    last_apply_time: String,
    #[serde(skip_serializing_if = "is_zero")]
    resource_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_phase_issues: Vec<IssueWire>,
    controllers: Vec<ControllerWire>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IssueWire {
    api_version: &'static str,
    kind: &'static str,
    name: String,
    phase: &'static str,
    #[serde(skip_serializing_if = "is_empty")]
    reason: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    message: String,
}

#[derive(Serialize)]
struct ControllersBody {
    items: Vec<ControllerWire>,
}

#[derive(Default, Serialize)]
struct GetBody<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<ResourceView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusWire>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<StoredEventWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Value>,
}

#[derive(Serialize)]
struct DescribeBody<'a> {
    resource: ResourceView<'a>,
}

#[derive(Serialize)]
struct ProbeBody<'a> {
    subject: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    target: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<CheckWire>,
}

#[derive(Serialize)]
struct CheckWire {
    name: String,
    status: &'static str,
    #[serde(skip_serializing_if = "is_empty")]
    detail: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceView<'a> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
    spec: SpecView<'a>,
    status: StatusView<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<ResourceEventWire<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SpecView<'a> {
    Process(Box<ProcessSpec<'a>>),
    Rule(&'a Value),
}

#[derive(Serialize)]
struct ProcessSpec<'a> {
    id: String,
    alias: &'a str,
    r#type: &'a str,
    url: String,
    restart: bool,
    tags: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum StatusView<'a> {
    Process(Box<ProcessStatus<'a>>),
    EventRule(EventRuleWire),
    Derived(DerivedWire),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProcessStatus<'a> {
    phase: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "is_empty")]
    message: &'a str,
    health: &'static str,
    since: String,
    id: String,
    conditions: Vec<ConditionWire>,
    observed: BTreeMap<&'static str, String>,
    updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventRuleWire {
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_fired_at: Option<String>,
    fire_count: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DerivedWire {
    phase: &'static str,
    asserted: bool,
    pending_transition: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_asserted_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_retracted_at: Option<String>,
}

/// The kinds of resources that there can be, in the order of their names.
const KINDS: [&str; 3] = ["DerivedEvent", "EventRule", PROCESS_KIND];

impl ControlModel {
    /// `GET /status`.
    pub fn status(&self) -> Reply {
        let body = StatusBody { status: self.status_wire() };
        envelope("Status", "openctrl", body)
    }

    fn status_wire(&self) -> StatusWire {
        let worst = self.processes.values().map(|entry| rank(entry)).max().unwrap_or_default();
        StatusWire {
            phase: match worst {
                4.. => "Error",
                3 => "Pending",
                2 => "Degraded",
                1 => "Unknown",
                0 => "Healthy",
            },
            generation: self.generation,
            last_apply_time: self.last_change.map_or_else(|| ZERO_TIME.to_string(), rfc3339_nano),
            resource_count: (self.processes.len() + self.rules.len()) as u64,
            resource_phase_issues: self.issues(),
            controllers: self.controllers.wire(),
        }
    }

    /// The worst first; all are of one kind, so names decide among equals.
    fn issues(&self) -> Vec<IssueWire> {
        let mut troubled: Vec<&Arc<ProcessEntry>> =
            self.by_name.values().filter_map(|id| self.processes.get(id)).collect();
        troubled.retain(|entry| rank(entry) > 0);
        troubled.sort_by_key(|entry| core::cmp::Reverse(rank(entry)));
        let issue = |entry: &Arc<ProcessEntry>| IssueWire {
            api_version: PROCESS_API_VERSION,
            kind: PROCESS_KIND,
            name: entry.name.to_string(),
            phase: entry.state.assessment().phase.as_str(),
            reason: entry.state.assessment().reason,
            message: entry.message.clone(),
        };
        troubled.into_iter().map(issue).collect()
    }

    /// `GET /controllers`.
    pub fn controllers_reply(&self) -> Reply {
        envelope("Controllers", "controllers", ControllersBody { items: self.controllers.wire() })
    }

    /// `GET /runtime`.
    pub fn runtime(stats: &RuntimeStats) -> Reply {
        Reply::main(&RuntimeWire::from(stats))
    }

    /// `GET /get`. `stats` is there if the query needs it.
    pub fn get(
        &self,
        query: &GetQuery,
        figures: Figures<'_>,
        stats: Option<&RuntimeStats>,
    ) -> Reply {
        let subject = query.subject.as_str();
        let (name, body) = match &query.what {
            What::Ledger => return Reply::not_configured("ledger"),
            What::Resources => {
                let name = if subject.is_empty() { "resources" } else { subject };
                (
                    name,
                    GetBody {
                        items: self.resources(None, query.events_limit, figures),
                        ..GetBody::default()
                    },
                )
            }
            What::Status => {
                let raw = Some(parsed(&self.status()));
                ("status", GetBody { status: Some(self.status_wire()), raw, ..GetBody::default() })
            }
            What::Controllers => {
                let raw = Some(parsed(&self.controllers_reply()));
                ("controllers", GetBody { raw, ..GetBody::default() })
            }
            What::Runtime => {
                let raw = stats.map(|stats| parsed(&Self::runtime(stats)));
                ("runtime", GetBody { raw, ..GetBody::default() })
            }
            What::Events => {
                let selected = self.log.select(&query.filter, shown_bytes);
                let events = selected.events.iter().map(|event| StoredEventWire::from(&***event));
                let raw = selected.more.then(|| json!({"more": true}));
                ("events", GetBody { events: events.collect(), raw, ..GetBody::default() })
            }
            What::Kind(typed) => match canonical_kind(typed) {
                None => return Reply::bad(&format!("{typed} not found")),
                Some(kind) => {
                    let items = self.resources(Some(kind), query.events_limit, figures);
                    (subject, GetBody { items, ..GetBody::default() })
                }
            },
            What::One(kind, name) => match self.resource(kind, name, query.events_limit, figures) {
                None => return Reply::bad(&format!("{kind}/{name} not found")),
                Some(view) => (subject, GetBody { items: Vec::from([view]), ..GetBody::default() }),
            },
        };
        envelope("GetResult", name, body)
    }

    /// `GET /describe`.
    pub(super) fn describe(
        &self,
        target: &str,
        events_limit: usize,
        figures: Figures<'_>,
    ) -> Reply {
        let (kind, name) = match What::parse(target) {
            Err(reply) => return reply,
            Ok(What::One(kind, name)) => (kind, name),
            Ok(_) => return Reply::bad("expected one resource"),
        };
        match self.resource(&kind, &name, events_limit, figures) {
            None => Reply::bad(&format!("{kind}/{name} not found")),
            Some(resource) => envelope("DescribeResult", target, DescribeBody { resource }),
        }
    }

    /// `GET /probe`.
    pub fn probe(&self, subject: &str, target: &str) -> Reply {
        if !subject.eq_ignore_ascii_case("process") {
            let detail = "unknown subject";
            let check = CheckWire { name: subject.to_string(), status: "fail", detail };
            let body = ProbeBody { subject, target: "", checks: Vec::from([check]) };
            return envelope("ProbeResult", subject, body);
        }
        let checks = if target.is_empty() {
            self.by_name.values().filter_map(|id| self.processes.get(id)).map(check).collect()
        } else {
            let missing = || CheckWire {
                name: format!("{PROCESS_KIND}/{target}"),
                status: "fail",
                detail: "not found",
            };
            Vec::from([self.find_process(target).map_or_else(missing, check)])
        };
        envelope("ProbeResult", subject, ProbeBody { subject, target, checks })
    }

    /// An instance with its newest events as JSON, as `/get` shows it; `None` without it.
    pub fn process_json(
        &self,
        id: InstanceId,
        events_limit: usize,
        figures: Figures<'_>,
    ) -> Option<String> {
        let entry = self.processes.get(&id)?;
        Some(to_json(&self.process_view(entry, events_limit, figures)))
    }

    /// Every resource, or those of one kind, in the order of kinds and names.
    fn resources(
        &self,
        kind: Option<&str>,
        events_limit: usize,
        figures: Figures<'_>,
    ) -> Vec<ResourceView<'_>> {
        let wanted = |known: &str| kind.is_none_or(|kind| kind == known);
        let rules = self
            .rules
            .iter()
            .filter(|(rule, _)| wanted(rule.kind.as_str()))
            .map(|(rule, entry)| self.rule_view(rule, entry, events_limit));
        let ids = self.by_name.values().filter(|_| wanted(PROCESS_KIND));
        let entries = ids.filter_map(|id| self.processes.get(id));
        rules.chain(entries.map(|entry| self.process_view(entry, events_limit, figures))).collect()
    }

    /// The kind in any letter case, the name exactly; an instance also by its id.
    fn resource(
        &self,
        kind: &str,
        name: &str,
        events_limit: usize,
        figures: Figures<'_>,
    ) -> Option<ResourceView<'_>> {
        let kind = canonical_kind(kind)?;
        if kind == PROCESS_KIND {
            return self
                .find_process(name)
                .map(|entry| self.process_view(entry, events_limit, figures));
        }
        let rule = RuleRef { kind: RuleKind::parse(kind)?, name: name.into() };
        let (rule, entry) = self.rules.get_key_value(&rule)?;
        Some(self.rule_view(rule, entry, events_limit))
    }

    fn events_of(&self, subject: &EventSubject, limit: usize) -> Vec<ResourceEventWire<'_>> {
        let newest = self.log.newest_of(subject, limit);
        newest.into_iter().map(|event| ResourceEventWire::from(&**event)).collect()
    }

    fn process_view<'a>(
        &'a self,
        entry: &'a ProcessEntry,
        events: usize,
        figures: Figures<'_>,
    ) -> ResourceView<'a> {
        let observed = figures(entry.id);
        let assessment = entry.state.assessment();
        let spec = ProcessSpec {
            id: entry.id.to_string(),
            alias: &entry.alias,
            r#type: &entry.scheme,
            url: mask_url(&entry.url),
            restart: entry.restart,
            tags: &entry.tags,
        };
        let updated = entry.state.updated().max(observed.last_checkpoint.unwrap_or_default());
        let status = ProcessStatus {
            phase: assessment.phase.as_str(),
            reason: assessment.reason,
            message: &entry.message,
            health: assessment.health.as_str(),
            since: rfc3339_nano(entry.state.since()),
            id: entry.id.to_string(),
            conditions: conditions(&entry.state.conditions(), self.not_durable),
            observed: observed.owned_texts(),
            updated_at: rfc3339_nano(updated),
        };
        ResourceView {
            api_version: PROCESS_API_VERSION,
            kind: PROCESS_KIND,
            name: &entry.name,
            spec: SpecView::Process(Box::new(spec)),
            status: StatusView::Process(Box::new(status)),
            events: self.events_of(&entry.subject(), events),
        }
    }

    fn rule_view<'a>(
        &'a self,
        rule: &'a RuleRef,
        entry: &'a RuleEntry,
        events: usize,
    ) -> ResourceView<'a> {
        let status = match entry.status {
            RuleStatus::Event(status) => StatusView::EventRule(EventRuleWire {
                phase: "Active",
                last_fired_at: status.last_fired.map(rfc3339_nano),
                fire_count: status.fire_count,
            }),
            RuleStatus::Derived(status) => StatusView::Derived(DerivedWire {
                phase: status.phase.as_str(),
                asserted: status.asserted,
                pending_transition: status.pending_transition(),
                last_asserted_at: status.last_asserted.map(rfc3339_nano),
                last_retracted_at: status.last_retracted.map(rfc3339_nano),
            }),
        };
        ResourceView {
            api_version: API_VERSION,
            kind: rule.kind.as_str(),
            name: &rule.name,
            spec: SpecView::Rule(&entry.source),
            status,
            events: self.events_of(&rule.subject(), events),
        }
    }
}

/// What `/describe` is asked for.
pub(super) fn parse_describe(query: &Query) -> Result<(String, usize), Reply> {
    let events_limit = events_limit(query)?;
    let target = query.text("target").trim();
    if target.is_empty() {
        return Err(Reply::bad("target is required"));
    }
    Ok((target.to_string(), events_limit))
}

/// What `/probe` is asked for.
pub(super) fn parse_probe(query: &Query) -> Result<(String, String), Reply> {
    let subject = query.text("subject").trim();
    if subject.is_empty() {
        return Err(Reply::bad("subject is required"));
    }
    Ok((subject.to_string(), query.text("target").trim().to_string()))
}

fn canonical_kind(typed: &str) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(typed))
}

fn rank(entry: &ProcessEntry) -> u8 {
    entry.state.assessment().phase.rank()
}

fn check(entry: &Arc<ProcessEntry>) -> CheckWire {
    let phase = entry.state.assessment().phase;
    let status = match phase {
        Phase::Running => "pass",
        Phase::Starting | Phase::Draining | Phase::Stopped => "warn",
        Phase::Error | Phase::Unhealthy => "fail",
    };
    CheckWire { name: format!("{PROCESS_KIND}/{}", entry.name), status, detail: phase.as_str() }
}

fn envelope(kind: &'static str, name: &str, body: impl Serialize) -> Reply {
    let metadata = Named { name };
    Reply::main(&Envelope { api_version: CONTROL_API_VERSION, kind, metadata, body })
}

fn parsed(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).expect("it was rendered here")
}
