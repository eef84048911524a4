//! Inputs of the machine of the control API: from the model to the newest version of the format,
//! and back. What only asks is not recorded.

use alloc::string::String;
use alloc::vec::Vec;

use crate::control::{ControlInput, RulesRequest, Ticket, masked_command, masked_rule, rule_of};
use crate::doors::control::DeleteRequest;
use crate::event::StoredId;
use crate::formats::v2::control::RuleV2;
use crate::formats::v2::machine::ControlInputV2;
use crate::formats::{FormatError, Masks};
use crate::ids::{InstanceId, StoreEpoch};
use crate::resource::Fact;
use crate::rules::{API_VERSION, RuleKind, RuleSpec};

/// The fact of a command by its number in a record.
type Word = fn(String) -> Fact;
const WORDS: [Word; 3] = [Fact::CommandReceived, Fact::CommandExecuted, Fact::CommandRejected];

impl ControlInputV2 {
    /// `None` for what is not recorded.
    pub(super) fn new(input: &ControlInput, masks: &mut Masks) -> Option<Self> {
        if input.only_asks() {
            return None;
        }
        Some(match input {
            ControlInput::Noted { ticket, instance, fact } => {
                let (word, command) = command_of(fact)?;
                Self::Noted(ticket.0, instance.0, word, masked_command(command, masks))
            }
            ControlInput::RulesRequested { ticket, request } => match request {
                RulesRequest::Apply(rules, replace, _) => {
                    let rules = rules.iter().map(|rule| masked_rule(rule, masks)).collect();
                    Self::Apply(ticket.0, rules, *replace)
                }
                RulesRequest::Delete(DeleteRequest { target, api_version, dry_run: _ }) => {
                    let target = masked_target(target, masks);
                    Self::Delete(ticket.0, target, masked_version(api_version, masks))
                }
                RulesRequest::Plan(..) | RulesRequest::PlanInForce => return None,
            },
            ControlInput::EventsKept { upto } => Self::Kept(upto.0),
            ControlInput::KeepFailed { epoch, refused, reason } => {
                Self::KeepFailed(*epoch, refused.map(|epoch| epoch.0), masks.prose(reason))
            }
            ControlInput::TimeAdvanced => Self::TimeAdvanced,
        })
    }

    pub(super) fn into_input(self) -> Result<ControlInput, FormatError> {
        Ok(match self {
            Self::Noted(ticket, instance, word, command) => {
                let word = WORDS.get(usize::from(word));
                let word = word.ok_or(FormatError::Unknown("a fact about a command"))?;
                let (ticket, instance) = (Ticket(ticket), InstanceId(instance));
                ControlInput::Noted { ticket, instance, fact: word(command) }
            }
            Self::Apply(ticket, rules, replace) => {
                let rules = read_rules(rules)?;
                let request = RulesRequest::Apply(rules, replace, false);
                ControlInput::RulesRequested { ticket: Ticket(ticket), request }
            }
            Self::Delete(ticket, target, api_version) => {
                let request =
                    RulesRequest::Delete(DeleteRequest { target, api_version, dry_run: false });
                ControlInput::RulesRequested { ticket: Ticket(ticket), request }
            }
            Self::Kept(upto) => ControlInput::EventsKept { upto: StoredId(upto) },
            Self::KeepFailed(epoch, refused, reason) => {
                ControlInput::KeepFailed { epoch, refused: refused.map(StoreEpoch), reason }
            }
            Self::TimeAdvanced => ControlInput::TimeAdvanced,
        })
    }
}

fn read_rules(rules: Vec<RuleV2>) -> Result<Vec<RuleSpec>, FormatError> {
    rules.into_iter().map(rule_of).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "clients note nothing else")]
fn command_of(fact: &Fact) -> Option<(u8, &str)> {
    match fact {
        Fact::CommandReceived(command) => Some((0, command)),
        Fact::CommandExecuted(command) => Some((1, command)),
        Fact::CommandRejected(command) => Some((2, command)),
        _ => None,
    }
}

/// A rule is seen; what is no rule may be anything, and is refused like its mask.
fn masked_target(target: &str, masks: &mut Masks) -> String {
    let is_rule = |(kind, _): (&str, &str)| {
        RuleKind::ALL.iter().any(|known| known.as_str().eq_ignore_ascii_case(kind))
    };
    match target.split_once('/').is_some_and(is_rule) {
        true => target.into(),
        false => masks.text(target),
    }
}

fn masked_version(version: &str, masks: &mut Masks) -> String {
    match version == API_VERSION {
        true => version.into(),
        false => masks.text(version),
    }
}
