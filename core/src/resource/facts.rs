//! The facts about instances that become stored events, and the event of each (control contract A
//! "Topics").

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;

use super::phase::{Health, Phase};
use crate::event::{Attributes, DaemonRef, Draft, EventSubject, ResourceRef, Severity, Text};
use crate::go::{format_duration, rfc3339_nano};
use crate::ids::InstanceId;
use crate::time::Wall;

/// The kind of resource that an instance is.
pub const PROCESS_KIND: &str = "Process";

/// Its group and version.
pub const PROCESS_API_VERSION: &str = "openctrl/v1alpha1";

/// Which instance an event is about, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: InstanceId,
    /// Its name now.
    pub name: Arc<str>,
}

/// How a process exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// Something that happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It was created.
    Created,
    /// Its definition changed: the fields, sorted.
    Updated(String),
    /// It has another name; the one it had.
    Renamed(Arc<str>),
    /// It was deleted.
    Deleted,
    /// A process started; its id, if it is known.
    Started(Option<i32>),
    /// The process became ready, for the first time.
    Ready,
    /// The process exited on request, or with exit code 0.
    Stopped(Ending),
    /// The process exited in another way.
    Crashed(Ending),
    /// The process could not be started, and why.
    StartFailed(String),
    /// A restart is due: when, and after how many milliseconds.
    RestartScheduled(Wall, u64),
    /// Its health changed: from, to.
    HealthChanged(Health, Health),
    /// Its stored status changed.
    StatusChanged {
        /// The phase it had; `None` for the first status.
        previous: Option<Phase>,
        /// The phase it has.
        phase: Phase,
        /// The fields that changed, sorted.
        fields: &'static str,
    },
    /// A command arrived.
    CommandReceived(String),
    /// It was carried out.
    CommandExecuted(String),
    /// It was not.
    CommandRejected(String),
}

impl Fact {
    /// The event of this fact about `identity`.
    pub fn draft(self, identity: &Identity) -> Draft {
        let is_status = matches!(self, Self::StatusChanged { .. });
        let mut attributes = Attributes::new();
        let mut put = |name: &'static str, value: String| {
            attributes.insert(Cow::Borrowed(name), value);
        };
        let ending = |ending: Ending| match ending {
            Ending::Code(code) => ("exitCode", code.to_string()),
            Ending::Signal(signal) => ("signal", signal.to_string()),
        };
        let (topic, severity, reason, message): (_, _, _, Text) = match self {
            Self::Created => {
                ("openctrl.instance.created", Severity::Info, "Created", "created".into())
            }
            Self::Updated(fields) => {
                let message = format!("changed {fields}").into();
                put("changedFields", fields);
                ("openctrl.instance.updated", Severity::Info, "Updated", message)
            }
            Self::Renamed(previous) => {
                put("name", identity.name.to_string());
                put("previousName", previous.to_string());
                let message = format!("was {previous}").into();
                ("openctrl.instance.renamed", Severity::Info, "Renamed", message)
            }
            Self::Deleted => {
                ("openctrl.instance.deleted", Severity::Info, "Deleted", "deleted".into())
            }
            Self::Started(pid) => {
                if let Some(pid) = pid {
                    put("pid", pid.to_string());
                }
                let topic = "routerd.daemon.lifecycle.started";
                (topic, Severity::Info, "Started", "process started".into())
            }
            Self::Ready => {
                let topic = "routerd.daemon.lifecycle.ready";
                (topic, Severity::Info, "Ready", "process is ready".into())
            }
            Self::Stopped(how) => {
                let (name, value) = ending(how);
                put(name, value);
                let topic = "routerd.daemon.lifecycle.stopped";
                (topic, Severity::Info, "Stopped", "process stopped".into())
            }
            Self::Crashed(how) => {
                let (name, value) = ending(how);
                let (reason, message) = match how {
                    Ending::Code(code) => ("Exited", format!("process exited with code {code}")),
                    Ending::Signal(number) => {
                        ("Killed", format!("process ended by signal {number}"))
                    }
                };
                put(name, value);
                ("routerd.daemon.lifecycle.crashed", Severity::Error, reason, message.into())
            }
            Self::StartFailed(why) => {
                let topic = "openctrl.instance.start.failed";
                (topic, Severity::Error, "StartFailed", why.into())
            }
            Self::RestartScheduled(at, delay_ms) => {
                put("nextRestart", rfc3339_nano(at));
                let nanos = i64::try_from(delay_ms).unwrap_or(i64::MAX).saturating_mul(1_000_000);
                let delay = format_duration(nanos);
                let message = format!("restart in {delay}").into();
                put("delay", delay);
                let topic = "openctrl.instance.restart.scheduled";
                (topic, Severity::Info, "BackOff", message)
            }
            Self::HealthChanged(previous, health) => {
                put("health", health.as_str().into());
                put("previousHealth", previous.as_str().into());
                let severity = match health {
                    Health::Failed => Severity::Warning,
                    Health::Ok | Health::Degraded | Health::Unknown => Severity::Info,
                };
                let message = format!("health is {}", health.as_str()).into();
                ("routerd.daemon.health.changed", severity, "HealthChanged", message)
            }
            Self::StatusChanged { previous, phase, fields } => {
                put("changedFields", fields.into());
                put("phase", phase.as_str().into());
                put("previousPhase", previous.map_or("<nil>", Phase::as_str).into());
                let message = format!("phase is {}", phase.as_str()).into();
                ("routerd.resource.status.changed", Severity::Info, "StatusChanged", message)
            }
            Self::CommandReceived(command) => {
                put("command", command);
                let topic = "routerd.daemon.command.received";
                (topic, Severity::Info, "CommandReceived", "command received".into())
            }
            Self::CommandExecuted(command) => {
                put("command", command);
                let topic = "routerd.daemon.command.executed";
                (topic, Severity::Info, "CommandExecuted", "command executed".into())
            }
            Self::CommandRejected(command) => {
                put("command", command);
                let topic = "routerd.daemon.command.rejected";
                (topic, Severity::Warning, "CommandRejected", "command rejected".into())
            }
        };
        Draft {
            topic: topic.into(),
            daemon: if is_status { store_daemon() } else { process_daemon(&identity.name) },
            resource: Some(ResourceRef {
                api_version: PROCESS_API_VERSION.into(),
                kind: PROCESS_KIND.into(),
                name: Cow::Owned(identity.name.to_string()),
            }),
            subject: Some(EventSubject::Process(identity.id)),
            severity,
            reason: reason.into(),
            message,
            attributes,
        }
    }
}

/// The daemon that represents an instance.
fn process_daemon(name: &str) -> DaemonRef {
    DaemonRef {
        name: Cow::Owned(format!("openctrl-process-{name}")),
        kind: crate::event::PROCESS_DAEMON_KIND.into(),
        instance: Cow::Owned(name.to_string()),
    }
}

/// The daemon that keeps statuses.
fn store_daemon() -> DaemonRef {
    DaemonRef { name: "openctrl".into(), kind: "openctrl".into(), instance: "store".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_has_its_event() {
        let identity = Identity { id: InstanceId(1), name: "web".into() };
        let facts = [
            Fact::Created,
            Fact::Updated("restart,tags".into()),
            Fact::Renamed("old".into()),
            Fact::Deleted,
            Fact::Started(Some(7)),
            Fact::Started(None),
            Fact::Ready,
            Fact::Stopped(Ending::Code(0)),
            Fact::Crashed(Ending::Code(3)),
            Fact::Crashed(Ending::Signal(9)),
            Fact::StartFailed("no such file".into()),
            Fact::RestartScheduled(Wall::from_micros(1_500_000), 1_500),
            Fact::HealthChanged(Health::Unknown, Health::Ok),
            Fact::HealthChanged(Health::Ok, Health::Failed),
            Fact::StatusChanged { previous: None, phase: Phase::Starting, fields: "phase" },
            Fact::StatusChanged {
                previous: Some(Phase::Starting),
                phase: Phase::Running,
                fields: "health,phase,reason",
            },
            Fact::CommandReceived("renew".into()),
            Fact::CommandExecuted("renew".into()),
            Fact::CommandRejected("no/such".into()),
        ];
        let mut lines = String::new();
        for fact in facts {
            let draft = fact.draft(&identity);
            lines += &format!(
                "{} {} {} {:?} {:?} by {}/{}\n",
                draft.topic,
                draft.severity.as_str(),
                draft.reason,
                draft.message,
                draft.attributes,
                draft.daemon.kind,
                draft.daemon.instance,
            );
        }
        insta::assert_snapshot!(lines);
    }
}
