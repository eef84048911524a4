//! Phase, health and conditions of an instance: the table of control contract A, as a function of
//! its activity and its error.

/// The activity of an instance: a row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Activity {
    /// A process is being started.
    Starting,
    /// A process runs, and nothing is wrong.
    Running,
    /// A process runs, and something is wrong.
    Failing,
    /// There is no process, because it failed.
    Failed,
    /// The process is being stopped.
    Ending,
    /// There is no process, and none is desired.
    Stopped,
}

impl Activity {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Running, Self::Failing, Self::Failed, Self::Ending, Self::Stopped];
}

/// The current or last error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// The process printed an error.
    ErrorLogged,
    /// The process printed no checkpoint for too long.
    FellSilent,
    /// The process exited without a request, with a status other than 0.
    Exited,
    /// A signal killed the process.
    Killed,
    /// The process could not be started.
    StartFailed,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ErrorLogged, Self::FellSilent, Self::Exited, Self::Killed, Self::StartFailed];
}

/// All that the table asks about an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Situation {
    /// Its activity.
    pub activity: Activity,
    /// Its error; used only if the activity is a failure.
    pub trouble: Trouble,
    /// Whether a restart is due.
    pub restart_due: bool,
    /// Whether the current process printed a checkpoint.
    pub checkpoint_seen: bool,
}

/// The phase of a Process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the contract")]
pub enum Phase {
    Starting,
    Running,
    Unhealthy,
    Error,
    Draining,
    Stopped,
}

/// The phase of the daemon that represents an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the contract")]
pub enum DaemonPhase {
    Starting,
    Running,
    Blocked,
    Draining,
    Stopped,
}

/// How well an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the contract")]
pub enum Health {
    Ok,
    Degraded,
    Failed,
    Unknown,
}

/// The types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// It works.
    Ready,
    /// Nothing is wrong with it.
    Healthy,
    /// It will change without a request.
    Progressing,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the words are those of the contract")]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// A condition without its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Which.
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: &'static str,
}

/// A row of the table, filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Assessment {
    /// The phase.
    pub phase: Phase,
    /// How well it is.
    pub health: Health,
    /// The phase of its daemon.
    pub daemon_phase: DaemonPhase,
    /// `status.reason`.
    pub reason: &'static str,
    /// Ready, Healthy and Progressing.
    pub conditions: [Condition; 3],
}

impl Situation {
    /// An instance that does not run and never failed.
    pub const STOPPED: Self = Self {
        activity: Activity::Stopped,
        trouble: Trouble::Exited,
        restart_due: false,
        checkpoint_seen: false,
    };

    /// Looks it up in the table.
    pub const fn assess(self) -> Assessment {
        use ConditionStatus::{False, True, Unknown};
        let Self { activity, trouble, restart_due, checkpoint_seen } = self;
        let word = trouble.as_str();
        let back_off = if restart_due { (True, "BackOff") } else { (False, "Settled") };
        let settled = (False, "Settled");
        let checkpoints = if checkpoint_seen { "CheckpointSeen" } else { "NoCheckpoints" };
        let (phase, health, daemon_phase, ready, healthy, progressing) = match activity {
            Activity::Starting => {
                let is = "Starting";
                let (phase, daemon) = (Phase::Starting, DaemonPhase::Starting);
                (phase, Health::Unknown, daemon, (False, is), (Unknown, is), (True, is))
            }
            Activity::Running => {
                let (phase, daemon) = (Phase::Running, DaemonPhase::Running);
                (phase, Health::Ok, daemon, (True, "Running"), (True, checkpoints), settled)
            }
            Activity::Failing => {
                let (phase, daemon) = (Phase::Unhealthy, DaemonPhase::Running);
                (phase, Health::Failed, daemon, (False, word), (False, word), back_off)
            }
            Activity::Failed => {
                let ready = if restart_due { "BackOff" } else { word };
                let (phase, daemon) = (Phase::Error, DaemonPhase::Blocked);
                (phase, Health::Failed, daemon, (False, ready), (False, word), back_off)
            }
            Activity::Ending => {
                let is = "Stopping";
                let (phase, daemon) = (Phase::Draining, DaemonPhase::Draining);
                (phase, Health::Degraded, daemon, (False, is), (Unknown, is), (True, is))
            }
            Activity::Stopped => {
                let (phase, daemon) = (Phase::Stopped, DaemonPhase::Stopped);
                let healthy = (Unknown, "NotRunning");
                (phase, Health::Unknown, daemon, (False, "Stopped"), healthy, settled)
            }
        };
        let is_start_failed =
            matches!(activity, Activity::Failed) && matches!(trouble, Trouble::StartFailed);
        let reason = if is_start_failed { healthy.1 } else { ready.1 };
        let conditions = [
            Condition { kind: ConditionType::Ready, status: ready.0, reason: ready.1 },
            Condition { kind: ConditionType::Healthy, status: healthy.0, reason: healthy.1 },
            Condition {
                kind: ConditionType::Progressing,
                status: progressing.0,
                reason: progressing.1,
            },
        ];
        Assessment { phase, health, daemon_phase, reason, conditions }
    }
}

impl Trouble {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ErrorLogged => "ErrorLogged",
            Self::FellSilent => "FellSilent",
            Self::Exited => "Exited",
            Self::Killed => "Killed",
            Self::StartFailed => "StartFailed",
        }
    }
}

impl Phase {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Unhealthy => "Unhealthy",
            Self::Error => "Error",
            Self::Draining => "Draining",
            Self::Stopped => "Stopped",
        }
    }

    /// How bad it is: the worst phase of all resources is that of the whole.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Running | Self::Stopped => 0,
            Self::Starting | Self::Draining => 3,
            Self::Unhealthy | Self::Error => 4,
        }
    }
}

impl DaemonPhase {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Blocked => "Blocked",
            Self::Draining => "Draining",
            Self::Stopped => "Stopped",
        }
    }
}

impl Health {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl ConditionType {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
        }
    }
}

impl ConditionStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;

    const ACTIVITIES: [Activity; 6] = [
        Activity::Starting,
        Activity::Running,
        Activity::Failing,
        Activity::Failed,
        Activity::Ending,
        Activity::Stopped,
    ];

    #[test]
    fn the_table_is_that_of_the_contract() {
        let mut lines = String::new();
        for activity in ACTIVITIES {
            let troubles: &[Trouble] = match activity {
                Activity::Failing => &[Trouble::ErrorLogged, Trouble::FellSilent],
                Activity::Failed => &[Trouble::Exited, Trouble::Killed, Trouble::StartFailed],
                Activity::Starting | Activity::Running | Activity::Ending | Activity::Stopped => {
                    &[Trouble::Exited]
                }
            };
            for trouble in troubles.iter().copied() {
                for restart_due in [false, true] {
                    let checkpoint_seen = restart_due;
                    let situation = Situation { activity, trouble, restart_due, checkpoint_seen };
                    let row = situation.assess();
                    let conditions = row.conditions.map(|condition| {
                        format!("{} {}", condition.status.as_str(), condition.reason)
                    });
                    lines += &format!(
                        "{activity:?} {trouble:?} due={restart_due} checkpoint={checkpoint_seen}: \
                         {} rank {} {} {} reason {} | {}\n",
                        row.phase.as_str(),
                        row.phase.rank(),
                        row.health.as_str(),
                        row.daemon_phase.as_str(),
                        row.reason,
                        conditions.join(" | "),
                    );
                }
            }
        }
        insta::assert_snapshot!(lines);
    }
}
