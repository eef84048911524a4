//! Edits of the desired state of an instance, and the arithmetic of its CAS.
//!
//! All edits of one cause (a command, the end of a run) are one section: the CAS is incremented
//! once at its end if anything changed in it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::mem;

use super::desired::{Cas, Desired, Goal, Once};

/// Values by name, each as JSON.
pub type Values = BTreeMap<String, String>;

/// A change of whether and how an instance has to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toggle {
    /// It has to run.
    Enable,
    /// It has to stop and to stay so.
    Disable,
    /// It has to be restarted, or started.
    Restart,
    /// It is disabled after the run under way, or else the next one.
    RunOnceEnable,
    /// Takes that back.
    RunOnceDisable,
    /// It has to run, and is disabled after one run.
    EnableRunOnceEnable,
    /// It has to run, any number of times.
    EnableRunOnceDisable,
}

impl Toggle {
    /// Every toggle.
    pub const ALL: [Self; 7] = [
        Self::Enable,
        Self::Disable,
        Self::Restart,
        Self::RunOnceEnable,
        Self::RunOnceDisable,
        Self::EnableRunOnceEnable,
        Self::EnableRunOnceDisable,
    ];
}

/// A change of the values of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValuesEdit {
    /// These are taken in; without any, nothing changes.
    Merge(Values),
    /// These take the place of all.
    Replace(Values),
}

/// One section of changes: the CAS is incremented once at its end if anything changed in it.
///
/// An equal value is no change. A merge of at least one pair and a replacement always are.
#[derive(Debug)]
pub struct Section<'a> {
    desired: &'a mut Desired,
    changed: bool,
}

impl<'a> Section<'a> {
    /// Begins a section.
    pub const fn new(desired: &'a mut Desired) -> Self {
        Self { desired, changed: false }
    }

    /// Whether `cas` is 0, which always holds, or the present one.
    pub const fn admits(&self, cas: Cas) -> bool {
        cas.0 == 0 || cas.0 == self.desired.cas.0
    }

    /// Records that something besides [`Desired`] changed: an instance, its process id, its last
    /// ping.
    pub const fn note_change(&mut self) {
        self.changed = true;
    }

    /// Changes key-values.
    pub fn edit_values(&mut self, edit: &ValuesEdit) {
        match edit {
            ValuesEdit::Merge(values) if values.is_empty() => {}
            ValuesEdit::Merge(values) => {
                let pairs = values.iter().map(|(name, value)| (name.clone(), value.clone()));
                self.desired.values.extend(pairs);
                self.changed = true;
            }
            ValuesEdit::Replace(values) => {
                self.desired.values.clone_from(values);
                self.changed = true;
            }
        }
    }

    /// Toggles; `is_started` says whether there is an instance.
    pub fn toggle(&mut self, toggle: Toggle, is_started: bool) {
        let armed = match self.desired.once {
            Once::Consumed => Once::Consumed,
            Once::No | Once::Armed if is_started => Once::Consumed,
            Once::No | Once::Armed => Once::Armed,
        };
        match toggle {
            Toggle::Enable => self.set_disabled(false),
            Toggle::Disable => {
                self.set_disabled(true);
                self.set_restart(false);
                self.set_once(Once::No);
            }
            Toggle::Restart => {
                self.set_disabled(false);
                self.set_restart(true);
                self.set_once(Once::No);
            }
            Toggle::RunOnceEnable => self.set_once(armed),
            Toggle::RunOnceDisable => self.set_once(Once::No),
            Toggle::EnableRunOnceEnable => {
                self.set_disabled(false);
                self.set_once(armed);
            }
            Toggle::EnableRunOnceDisable => {
                self.set_disabled(false);
                self.set_once(Once::No);
            }
        }
    }

    /// Clears the requested restart: its signal was sent, or a start fulfills it.
    pub fn set_restart(&mut self, restart: bool) {
        self.changed |= mem::replace(&mut self.desired.restart, restart) != restart;
    }

    /// A start is tried: it fulfills a restart and uses up run-once.
    pub fn on_start(&mut self) {
        self.set_restart(false);
        if self.desired.once == Once::Armed {
            self.set_once(Once::Consumed);
        }
    }

    /// An instance ended, which is recorded: run-once disables, key-values go if `values_clear`.
    pub fn on_close(&mut self, values_clear: bool) {
        self.note_change();
        if self.desired.once == Once::Consumed {
            self.toggle(Toggle::Disable, false);
        }
        if values_clear {
            self.edit_values(&ValuesEdit::Replace(Values::new()));
        }
    }

    /// Ends the section; returns whether anything changed.
    pub const fn end(self) -> bool {
        if self.changed {
            self.desired.cas = Cas(self.desired.cas.0.wrapping_add(1));
        }
        self.changed
    }

    fn set_disabled(&mut self, disabled: bool) {
        let goal = if disabled { Goal::Down } else { Goal::Up };
        self.changed |= mem::replace(&mut self.desired.goal, goal) != goal;
    }

    fn set_once(&mut self, once: Once) {
        self.changed |= mem::replace(&mut self.desired.once, once) != once;
    }
}

/// The CAS of something new: 2 to 100001, from a random number, so that a client that held the
/// CAS of an earlier server without state does not match by accident.
pub const fn first_cas(random: u64) -> Cas {
    Cas(2 + random % 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::String;
    use proptest::prelude::*;

    /// The value `1` under each of these names.
    fn values(names: &[&str]) -> Values {
        names.iter().map(|&name| (name.into(), "1".into())).collect()
    }

    fn goal(disabled: bool) -> Goal {
        if disabled { Goal::Down } else { Goal::Up }
    }

    fn once() -> impl Strategy<Value = Once> {
        prop_oneof![Just(Once::No), Just(Once::Armed), Just(Once::Consumed)]
    }

    fn desired() -> impl Strategy<Value = Desired> {
        (any::<bool>(), any::<bool>(), once(), any::<bool>(), 2u64..100_002).prop_map(
            |(disabled, restart, once, has_values, cas)| {
                let values = if has_values { values(&["a"]) } else { Values::new() };
                Desired { goal: goal(disabled), restart, once, values, cas: Cas(cas) }
            },
        )
    }

    /// Every toggle from every state.
    #[test]
    fn the_table_of_toggles() {
        let mut table = String::new();
        for toggle in Toggle::ALL {
            for (once, is_started) in
                [(Once::No, false), (Once::No, true), (Once::Armed, false), (Once::Consumed, true)]
            {
                for disabled in [false, true] {
                    let goal = goal(disabled);
                    let mut desired = Desired { goal, once, cas: Cas(7), ..Desired::default() };
                    let before = format!("{goal:?} {once:?}");
                    let mut section = Section::new(&mut desired);
                    section.toggle(toggle, is_started);
                    section.end();
                    let Desired { goal, restart, once, cas, .. } = desired;
                    let started = if is_started { "started" } else { "stopped" };
                    let steps = cas.0 - 7;
                    table += &format!(
                        "{toggle:?} {started} {before} -> {goal:?} {once:?} restart:{restart} +{steps}\n"
                    );
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn merges_and_replacements_count_as_the_contract_says() {
        let pair = values(&["a"]);
        let cases = [
            (ValuesEdit::Merge(values(&[])), &["a"][..], 0),
            (ValuesEdit::Merge(values(&["a"])), &["a"], 1),
            (ValuesEdit::Merge(values(&["b"])), &["a", "b"], 1),
            (ValuesEdit::Replace(values(&["a"])), &["a"], 1),
            (ValuesEdit::Replace(values(&[])), &[], 1),
        ];
        for (edit, after, steps) in cases {
            let mut desired = Desired { values: pair.clone(), cas: Cas(5), ..Desired::default() };
            let mut section = Section::new(&mut desired);
            section.edit_values(&edit);
            assert_eq!(section.end(), steps == 1);
            assert_eq!(
                (&desired.values, desired.cas),
                (&values(after), Cas(5 + steps)),
                "{edit:?}"
            );
        }
    }

    #[test]
    fn run_once_disables_at_the_end_of_the_instance_that_used_it_up() {
        let mut desired = Desired { cas: Cas(2), values: values(&["a"]), ..Desired::default() };
        let mut section = Section::new(&mut desired);
        section.toggle(Toggle::EnableRunOnceEnable, false);
        section.end();
        let mut section = Section::new(&mut desired);
        section.on_start();
        section.end();
        assert_eq!((desired.once, desired.cas), (Once::Consumed, Cas(4)));
        let mut section = Section::new(&mut desired);
        section.on_close(false);
        section.end();
        let after =
            Desired { goal: Goal::Down, cas: Cas(5), values: values(&["a"]), ..Desired::default() };
        assert_eq!(desired, after);
        let mut section = Section::new(&mut desired);
        section.on_close(true);
        section.end();
        assert_eq!((desired.values.len(), desired.cas), (0, Cas(6)));
    }

    proptest! {
        /// Any number of changes in one section count once; none do not count.
        #[test]
        fn a_section_counts_at_most_once(
            mut desired in desired(),
            steps in proptest::collection::vec((0..7usize, any::<bool>()), 0..6),
        ) {
            let before = desired.clone();
            let mut section = Section::new(&mut desired);
            for (number, is_started) in steps {
                section.toggle(Toggle::ALL[number], is_started);
            }
            let changed = section.end();
            prop_assert_eq!(desired.cas.0, before.cas.0 + u64::from(changed));
            if !changed {
                prop_assert_eq!(desired, before);
            }
        }

        #[test]
        fn a_toggle_again_changes_nothing(mut desired in desired(), number in 0..7usize,
            is_started in any::<bool>())
        {
            let toggle = Toggle::ALL[number];
            for _ in 0..2 {
                let mut section = Section::new(&mut desired);
                section.toggle(toggle, is_started);
                section.end();
            }
            let before = desired.clone();
            let mut section = Section::new(&mut desired);
            section.toggle(toggle, is_started);
            prop_assert!(!section.end());
            prop_assert_eq!(desired, before);
        }

        #[test]
        fn only_the_present_cas_and_none_are_admitted(mut desired in desired(), cas in 0u64..100_010) {
            let present = desired.cas;
            let section = Section::new(&mut desired);
            prop_assert_eq!(section.admits(Cas(cas)), cas == 0 || Cas(cas) == present);
            prop_assert!((2..=100_001).contains(&first_cas(cas * 31).0));
        }
    }
}
