//! A change of the desired state of an instance, and the instance's own report, as one command.

use alloc::boxed::Box;

use crate::instance::{Beat, Cas, RunShown, Toggle, Values, ValuesEdit};

/// A change of the desired state of an instance. A report in it always takes effect; the rest only
/// if the CAS is the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desire {
    /// The expected CAS; 0 expects nothing.
    pub expect: Cas,
    /// The change of the values.
    pub values: ValuesEdit,
    /// Whether and how it has to run.
    pub toggle: Option<Toggle>,
    /// The instance reports.
    pub beat: Option<Beat>,
    /// Whether the answer is the instance after the change, for the v2 API.
    pub shows_instance: bool,
}

impl Desire {
    /// Only a toggle, whatever the CAS. The client is shown the instance.
    pub fn toggled(toggle: Toggle) -> Self {
        let values = ValuesEdit::Merge(Values::new());
        Self { expect: Cas(0), values, toggle: Some(toggle), beat: None, shows_instance: true }
    }
}

/// The result of a [`Desire`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DesireDone {
    /// The instance just before.
    pub before: Box<RunShown>,
    /// Whether the CAS was not the expected one.
    pub is_stale: bool,
}
