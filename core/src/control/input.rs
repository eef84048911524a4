//! The inputs of the machine besides the steps of the engine: facts in the past tense.

use alloc::string::String;
use alloc::vec::Vec;

use super::effect::Ticket;
use crate::doors::control::DeleteRequest;
use crate::event::StoredId;
use crate::ids::{InstanceId, StoreEpoch};
use crate::resource::Fact;
use crate::rules::RuleSpec;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum ControlInput {
    /// A client caused a fact about an instance. The answer comes when its event is durable, and is
    /// `false` if there is no such instance.
    Noted {
        /// Who is answered.
        ticket: Ticket,
        /// Which instance.
        instance: InstanceId,
        /// The fact.
        fact: Fact,
    },
    /// A request about rules arrived. A change is answered when it is durable.
    RulesRequested {
        /// Who is answered.
        ticket: Ticket,
        /// The request.
        request: RulesRequest,
    },
    /// Events up to this one are durable.
    EventsKept {
        /// The last of them.
        upto: StoredId,
    },
    /// Events of an epoch could not be made durable, and neither could some changes.
    KeepFailed {
        /// The epoch of the events.
        epoch: u32,
        /// The epoch of the changes, if there are any.
        refused: Option<StoreEpoch>,
        /// Why.
        reason: String,
    },
    /// The clock reached the time that [`super::Control::poll_timeout`] named.
    TimeAdvanced,
}

/// A request about rules.
#[derive(Clone, Debug)]
pub enum RulesRequest {
    /// `plan`: rules, and whether others are removed.
    Plan(Vec<RuleSpec>, bool),
    /// `plan` of the current rules.
    PlanInForce,
    /// `apply`: rules, whether others are removed, whether it is only tried.
    Apply(Vec<RuleSpec>, bool, bool),
    /// `delete`.
    Delete(DeleteRequest),
}

impl ControlInput {
    /// The instance that it names.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Noted { instance, .. } => Some(*instance),
            Self::RulesRequested { .. }
            | Self::EventsKept { .. }
            | Self::KeepFailed { .. }
            | Self::TimeAdvanced => None,
        }
    }

    /// Whether it only asks: it changes nothing, and its answer is its only effect.
    pub const fn only_asks(&self) -> bool {
        match self {
            Self::RulesRequested { request, .. } => match request {
                RulesRequest::Plan(..) | RulesRequest::PlanInForce => true,
                RulesRequest::Apply(_, _, is_tried) => *is_tried,
                RulesRequest::Delete(request) => request.dry_run,
            },
            Self::Noted { .. }
            | Self::EventsKept { .. }
            | Self::KeepFailed { .. }
            | Self::TimeAdvanced => false,
        }
    }
}
