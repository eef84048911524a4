//! What connections ask of the machine of the control API, which lives in the loop.

use openctrl_core::control::RulesRequest;
use openctrl_core::doors::control::Reply;
use openctrl_core::ids::InstanceId;
use openctrl_core::resource::Fact;
use tokio::sync::oneshot;

/// Something that connections ask of the machine in the loop.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Publish a fact; says whether it is durable.
    Note(InstanceId, Fact, oneshot::Sender<bool>),
    /// Look at the rules, or change them.
    Rules(RulesRequest, oneshot::Sender<Reply>),
}
