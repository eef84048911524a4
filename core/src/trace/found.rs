//! Inputs that only instances of a Patrol configuration have: from the model to the newest version
//! of the format, and back.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::engine::{Input, Sighting, VerbResult};
use crate::formats::v2::definition::{DefinitionV2, DesiredV2};
use crate::formats::v2::presence::IdentityV2;
use crate::formats::v2::traced::InputV2;
use crate::formats::{FormatError, Masks};
use crate::ids::InstanceId;
use crate::instance::{Definition, Desired, VerbKind};

pub(super) fn pid_file_read(instance: InstanceId, sighting: Sighting) -> InputV2 {
    let proven = match sighting {
        Sighting::Proven(identity) => Some(identity.into()),
        Sighting::Nothing => None,
    };
    InputV2::PidFileRead(instance.0, proven)
}

pub(super) fn verb_ended(
    instance: InstanceId,
    verb: VerbKind,
    result: &VerbResult,
    masks: &mut Masks,
) -> InputV2 {
    let failed = match result {
        VerbResult::Done => None,
        VerbResult::Failed(reason) => Some(masks.prose(reason)),
    };
    InputV2::VerbEnded(instance.0, verb as u8, failed)
}

pub(super) fn configured(set: &[(Definition, Desired)], masks: &mut Masks) -> InputV2 {
    let masked = |(definition, desired): &(Definition, Desired)| {
        (DefinitionV2::masked(definition, masks), DesiredV2::masked(desired, masks))
    };
    InputV2::Configured(set.iter().map(masked).collect())
}

pub(super) fn into_pid_file_read(instance: u32, proven: Option<IdentityV2>) -> Input {
    let sighting = proven.map_or(Sighting::Nothing, |proven| Sighting::Proven(proven.into()));
    Input::PidFileRead { instance: InstanceId(instance), sighting }
}

pub(super) fn into_verb_ended(
    instance: u32,
    verb: u8,
    failed: Option<String>,
) -> Result<Input, FormatError> {
    let verb = VerbKind::ALL.get(usize::from(verb)).copied();
    let verb = verb.ok_or(FormatError::Unknown("a command of a service"))?;
    let result = failed.map_or(VerbResult::Done, VerbResult::Failed);
    Ok(Input::VerbEnded { instance: InstanceId(instance), verb, result })
}

pub(super) fn into_configured(set: Vec<(DefinitionV2, DesiredV2)>) -> Result<Input, FormatError> {
    let read = |(definition, desired): (DefinitionV2, DesiredV2)| {
        Ok((definition.into_definition()?, desired.into()))
    };
    let set = set.into_iter().map(read).collect::<Result<Vec<_>, FormatError>>()?;
    Ok(Input::Configured { set: Arc::new(set) })
}
