//! Conditions to wait for, evaluated on the events of an instance. Does no I/O.

use super::instance::Instance;
use super::stream::Word;

/// The condition for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It runs.
    Running,
    /// It runs, after it was stopped.
    RunningAgain,
    /// It is stopped.
    Stopped,
}

/// How far an instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is there.
    Reached,
    /// It will not get there, and why.
    Failed(String),
}

/// One instance that is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    goal: Goal,
    was_stopped: bool,
    /// The last line of the master about a start that failed, or of the process.
    last_line: String,
}

impl Waiter {
    /// Waits from how the instance is before the request.
    pub(crate) fn new(goal: Goal, before: &Instance) -> Self {
        let was_stopped = before.status() == "stopped";
        Self { goal, was_stopped, last_line: String::new() }
    }

    /// Waits for another run of an instance that is replaced. The stream was opened before the
    /// request, so its first event shows the old process.
    pub(crate) const fn of_replaced() -> Self {
        Self { goal: Goal::RunningAgain, was_stopped: false, last_line: String::new() }
    }

    /// Takes in an event of the instance, which may have happened before the request.
    pub(crate) fn hear(&mut self, word: &Word) -> Option<Verdict> {
        match word.kind.as_str() {
            "log" => {
                self.last_line.clone_from(&word.line);
                None
            }
            "delete" => Some(Verdict::Failed("it was deleted meanwhile".to_owned())),
            _ => self.look(word.instance.status()),
        }
    }

    /// Whether it waits for a process to run.
    pub(crate) const fn is_start(&self) -> bool {
        matches!(self.goal, Goal::Running | Goal::RunningAgain)
    }

    /// Takes in an event of an instance that has reached its goal of running; why it does not any
    /// more, if so.
    pub(crate) fn falls(&mut self, word: &Word) -> Option<String> {
        let what = match (word.kind.as_str(), word.instance.status()) {
            ("log", _) => {
                self.last_line.clone_from(&word.line);
                return None;
            }
            ("delete", _) => return Some("it was deleted meanwhile".to_owned()),
            (_, "running") => return None,
            (_, "stopped") => "it exited at once",
            (_, _) => "it failed at once",
        };
        Some(match self.last_line.as_str() {
            "" => format!("{what}; see its logs"),
            line => format!("{what}: {line}"),
        })
    }

    /// After events were lost it may have been stopped in between.
    pub(crate) const fn forgive(&mut self) {
        self.was_stopped = true;
    }

    fn look(&mut self, status: &str) -> Option<Verdict> {
        self.was_stopped |= status == "stopped";
        match (self.goal, status) {
            (Goal::Stopped, "stopped") | (Goal::Running, "running") => Some(Verdict::Reached),
            (Goal::RunningAgain, "running") if self.was_stopped => Some(Verdict::Reached),
            (Goal::Running, "error") => Some(self.failed()),
            (Goal::RunningAgain, "error") if self.was_stopped => Some(self.failed()),
            _ => None,
        }
    }

    fn failed(&self) -> Verdict {
        Verdict::Failed(match self.last_line.as_str() {
            "" => "it is in error; see its logs".to_owned(),
            line => format!("it is in error: {line}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::document::Document;

    fn instance(status: &str) -> Instance {
        let json = format!(r#"{{"id":"00000001","status":"{status}"}}"#);
        Instance::new(Document::parse(json.as_bytes()).expect("JSON"))
    }

    /// The verdict after each of these events: statuses, or `log:` lines.
    fn verdict(goal: Goal, before: &str, events: &[&str]) -> Option<Verdict> {
        let mut waiter = Waiter::new(goal, &instance(before));
        events.iter().find_map(|event| {
            let (kind, line, status) = match event.split_once(':') {
                Some((kind, line)) => (kind, line, ""),
                None => ("update", "", *event),
            };
            waiter.hear(&Word {
                kind: kind.to_owned(),
                time: String::new(),
                instance: instance(status),
                line: line.to_owned(),
            })
        })
    }

    #[test]
    fn a_start_is_over_when_it_runs_or_fails() {
        let failed = |why: &str| Some(Verdict::Failed(why.to_owned()));
        assert_eq!(
            verdict(Goal::Running, "stopped", &["stopped", "running"]),
            Some(Verdict::Reached)
        );
        assert_eq!(
            verdict(Goal::Running, "stopped", &["log:cannot start: no file", "error"]),
            failed("it is in error: cannot start: no file")
        );
        assert_eq!(
            verdict(Goal::Running, "stopped", &["delete:"]),
            failed("it was deleted meanwhile")
        );
        assert_eq!(verdict(Goal::Stopped, "running", &["running", "error"]), None);
    }

    #[test]
    fn a_process_that_exits_soon_has_not_started() {
        let mut waiter = Waiter::new(Goal::Running, &instance("stopped"));
        let mut falls = |kind: &str, status: &str, line: &str| {
            let (kind, line, time) = (kind.to_owned(), line.to_owned(), String::new());
            waiter.falls(&Word { kind, time, instance: instance(status), line })
        };
        assert_eq!(falls("update", "running", ""), None);
        assert_eq!(falls("log", "running", "no port"), None);
        assert_eq!(falls("update", "error", ""), Some("it failed at once: no port".to_owned()));
    }

    #[test]
    fn a_restart_is_over_when_it_runs_after_it_was_stopped() {
        let restart = |before, events| verdict(Goal::RunningAgain, before, events);
        assert_eq!(restart("running", &["running", "error", "running"]), None);
        assert_eq!(restart("running", &["running", "stopped", "running"]), Some(Verdict::Reached));
        assert_eq!(restart("stopped", &["running"]), Some(Verdict::Reached));
        assert!(matches!(restart("error", &["stopped", "error"]), Some(Verdict::Failed(_))));
    }
}
