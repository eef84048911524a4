//! Follows the phase and conditions of one instance through time: when each last changed, and
//! which events a change makes.

use alloc::vec::Vec;

use super::facts::Fact;
use super::phase::{Assessment, Condition, ConditionStatus, Situation};
use crate::time::Wall;

/// A condition with the time when its status last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedCondition {
    /// The condition.
    pub condition: Condition,
    /// When its status last changed.
    pub since: Wall,
}

/// The stored status of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceState {
    situation: Situation,
    assessment: Assessment,
    since: Wall,
    changed: [Wall; 3],
    updated: Wall,
    /// Whether the current process was ready once.
    was_ready: bool,
}

impl ResourceState {
    /// The first status, and the event that it makes.
    pub const fn new(situation: Situation, time: Wall) -> (Self, Fact) {
        let assessment = situation.assess();
        let (changed, was_ready) = ([time; 3], false);
        let state = Self { situation, assessment, since: time, changed, updated: time, was_ready };
        let phase = assessment.phase;
        (state, Fact::StatusChanged { previous: None, phase, fields: "health,id,phase,reason" })
    }

    /// Another process started: it can become ready for the first time.
    pub const fn begin_process(&mut self) {
        self.was_ready = false;
    }

    /// Applies the current activity of the instance. Returns the events of the changes, in order.
    pub fn observe(&mut self, situation: Situation, time: Wall) -> Vec<Fact> {
        let (old, new) = (self.assessment, situation.assess());
        self.situation = situation;
        let mut facts = Vec::new();
        if old == new {
            return facts;
        }
        self.assessment = new;
        self.updated = time;
        let statuses = old.conditions.iter().zip(&new.conditions).zip(&mut self.changed);
        for ((old, new), changed) in statuses {
            if old.status != new.status {
                *changed = time;
            }
        }
        if old.phase != new.phase {
            self.since = time;
        }
        if new.conditions[0].status == ConditionStatus::True && !self.was_ready {
            self.was_ready = true;
            facts.push(Fact::Ready);
        }
        if old.health != new.health {
            facts.push(Fact::HealthChanged(old.health, new.health));
        }
        let changes = (old.health != new.health, old.phase != new.phase, old.reason != new.reason);
        let fields = match changes {
            (false, false, false) => return facts,
            (true, true, true) => "health,phase,reason",
            (true, true, false) => "health,phase",
            (true, false, true) => "health,reason",
            (false, true, true) => "phase,reason",
            (true, false, false) => "health",
            (false, true, false) => "phase",
            (false, false, true) => "reason",
        };
        facts.push(Fact::StatusChanged { previous: Some(old.phase), phase: new.phase, fields });
        facts
    }

    /// What the table was asked last.
    pub const fn situation(&self) -> Situation {
        self.situation
    }

    /// The times of its phase, of its conditions and of its last change, and whether the current
    /// process was ready once.
    pub const fn times(&self) -> ([Wall; 5], bool) {
        let [first, second, third] = self.changed;
        ([self.since, first, second, third, self.updated], self.was_ready)
    }

    /// The status with this situation and these times.
    pub const fn of(situation: Situation, times: [Wall; 5], was_ready: bool) -> Self {
        let [since, first, second, third, updated] = times;
        let (assessment, changed) = (situation.assess(), [first, second, third]);
        Self { situation, assessment, since, changed, updated, was_ready }
    }

    /// The current phase and conditions.
    pub const fn assessment(&self) -> &Assessment {
        &self.assessment
    }

    /// Since when it has its phase.
    pub const fn since(&self) -> Wall {
        self.since
    }

    /// When anything of it last changed.
    pub const fn updated(&self) -> Wall {
        self.updated
    }

    /// Ready, Healthy and Progressing.
    pub fn conditions(&self) -> [TimedCondition; 3] {
        let [ready, healthy, progressing] = self.assessment.conditions;
        let timed = |condition, since| TimedCondition { condition, since };
        let [first, second, third] = self.changed;
        [timed(ready, first), timed(healthy, second), timed(progressing, third)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::phase::{Activity, Phase, Trouble};
    use super::*;
    use alloc::format;

    fn at(seconds: u64) -> Wall {
        Wall::from_micros(seconds * 1_000_000)
    }

    fn situation(activity: Activity) -> Situation {
        Situation { activity, ..Situation::STOPPED }
    }

    #[test]
    fn a_life_makes_these_events() {
        let (mut state, first) = ResourceState::new(Situation::STOPPED, at(0));
        let mut lines = format!("{first:?}\n");
        let failed = Situation { trouble: Trouble::Killed, ..situation(Activity::Failed) };
        let steps = [
            situation(Activity::Starting),
            situation(Activity::Running),
            Situation { checkpoint_seen: true, ..situation(Activity::Running) },
            Situation { trouble: Trouble::ErrorLogged, ..situation(Activity::Failing) },
            Situation { trouble: Trouble::FellSilent, ..situation(Activity::Failing) },
            situation(Activity::Running),
            Situation { restart_due: true, ..failed },
            failed,
            situation(Activity::Ending),
            situation(Activity::Stopped),
        ];
        for (second, step) in steps.into_iter().enumerate() {
            let facts = state.observe(step, at(second as u64 + 1));
            lines += &format!("{:?}: {facts:?}\n", state.assessment().phase);
        }
        insta::assert_snapshot!(lines);
    }

    #[test]
    fn times_move_with_what_they_are_of() {
        let (mut state, _) = ResourceState::new(situation(Activity::Running), at(0));
        state.observe(Situation { checkpoint_seen: true, ..situation(Activity::Running) }, at(1));
        let healthy = state.conditions()[1];
        assert_eq!((healthy.condition.reason, healthy.since), ("CheckpointSeen", at(0)));
        assert_eq!((state.since(), state.updated()), (at(0), at(1)));
        state.observe(situation(Activity::Failing), at(2));
        let changed: Vec<Wall> = state.conditions().iter().map(|timed| timed.since).collect();
        assert_eq!(changed, [at(2), at(2), at(0)]);
        assert_eq!((state.since(), state.assessment().phase), (at(2), Phase::Unhealthy));
    }

    #[test]
    fn each_process_is_ready_once() {
        let (mut state, _) = ResourceState::new(Situation::STOPPED, at(0));
        let ready = |state: &mut ResourceState, activity| {
            state.observe(situation(activity), at(1)).contains(&Fact::Ready)
        };
        assert!(ready(&mut state, Activity::Running));
        assert!(!ready(&mut state, Activity::Failing));
        assert!(!ready(&mut state, Activity::Running));
        assert!(!ready(&mut state, Activity::Failed));
        state.begin_process();
        assert!(ready(&mut state, Activity::Running));
    }
}
