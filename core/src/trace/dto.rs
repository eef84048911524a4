//! Inputs: from the model to the newest version of the format, and back. No key gets in.

use alloc::boxed::Box;
use alloc::sync::Arc;

use bytes::Bytes;

use super::found;
use super::items::{decode_items, encode_items};
use crate::access::Role;
use crate::command::{Amend, AmendMeta, Caller, Command, DialOutcome, Door, Trust};
use crate::engine::Input;
use crate::formats::v2::engine::ZoneV2;
use crate::formats::v2::presence::DesireV2;
use crate::formats::v2::traced::{
    CallerV2, CommandV2, DoorV2, EditV2, ExitV1, InputV2, MetaV1, OutcomeV1, ProcessV1, TrustV2,
};
use crate::formats::{
    FormatError, Masks, action_number, expect_of, expected_by, into_peer, into_url, key_bytes,
    nth_action, peer_of, star_key,
};
use crate::ids::{
    Generation, InstanceId, KeyEpoch, ProcessRef, RecordSeq, RequestId, SlotId, StoreEpoch,
};
use crate::instance::CheckKind;
use crate::occasion::Occasions;
use crate::output::OutputBatch;
use crate::process::Exit;
use crate::webhook::{DeliveryId, DeliveryResult, HookId};

impl From<ProcessRef> for ProcessV1 {
    fn from(process: ProcessRef) -> Self {
        Self(process.slot.0, process.generation.0)
    }
}

impl From<ProcessV1> for ProcessRef {
    fn from(ProcessV1(slot, generation): ProcessV1) -> Self {
        Self { slot: SlotId(slot), generation: Generation(generation) }
    }
}

impl InputV2 {
    pub(super) fn new(input: &Input, has_text: bool, masks: &mut Masks) -> Self {
        match input {
            Input::RequestArrived { request, caller, command } => {
                Self::Request(request.0, (*caller).into(), CommandV2::new(command, masks))
            }
            Input::ProcessStarted { process } => Self::Started((*process).into()),
            Input::StartFailed { process, reason } => {
                Self::StartFailed((*process).into(), masks.prose(reason))
            }
            Input::StartLost { process, may_have_run } => {
                Self::StartLost((*process).into(), *may_have_run)
            }
            Input::KillFailed { process, reason } => {
                Self::KillFailed((*process).into(), masks.prose(reason))
            }
            Input::OutputRead { process, batch } => {
                let items = encode_items(batch.stream, &batch.items);
                Self::Output((*process).into(), items, has_text.then(|| batch.text().to_vec()))
            }
            Input::LeaseExpired { process } => Self::LeaseExpired((*process).into()),
            Input::ProcessExited { process, exit, group_left } => {
                let exit = match *exit {
                    Exit::Code(code) => ExitV1::Code(code),
                    Exit::Signal(signal) => ExitV1::Signal(signal),
                };
                Self::Exited((*process).into(), exit, *group_left)
            }
            Input::RecordsPersisted { upto } => Self::Persisted(upto.0),
            Input::PersistFailed { epoch, reason } => {
                Self::PersistFailed(epoch.0, masks.prose(reason))
            }
            Input::Dialled { request, outcome } => {
                let outcome = match outcome {
                    DialOutcome::Connected { latency_ms } => OutcomeV1::Connected(*latency_ms),
                    DialOutcome::Failed(reason) => OutcomeV1::Failed(masks.prose(reason)),
                };
                Self::Dialled(request.0, outcome)
            }
            Input::CheckEnded { process, check, failure } => {
                let failure = failure.as_ref().map(|failure| masks.prose(failure));
                Self::CheckEnded((*process).into(), *check == CheckKind::Live, failure)
            }
            Input::PidTold { process, identity } => {
                Self::PidTold((*process).into(), (*identity).into())
            }
            Input::PidFileRead { instance, sighting } => found::pid_file_read(*instance, *sighting),
            Input::TrackedGone { process, identity } => {
                Self::TrackedGone((*process).into(), (*identity).into())
            }
            Input::VerbEnded { instance, verb, result } => {
                found::verb_ended(*instance, *verb, result, masks)
            }
            Input::Configured { set } => found::configured(set, masks),
            Input::ZoneRead { name, zone } => {
                let zone = zone.as_ref().map_or(ZoneV2::Missing, Into::into);
                Self::ZoneRead(name.clone(), zone)
            }
            Input::FilesChanged { instance, path } => {
                Self::FilesChanged(instance.0, masks.prose(path))
            }
            Input::WatchFailed { instance, reason } => {
                Self::WatchFailed(instance.0, masks.prose(reason))
            }
            Input::WebhooksConfigured { hooks } => {
                Self::WebhooksConfigured(hooks.iter().map(|hook| hook.bits()).collect())
            }
            Input::DeliveryEnded { hook, delivery, result } => {
                let result = match result {
                    DeliveryResult::Answered(status) => Ok(*status),
                    DeliveryResult::Failed(reason) => Err(masks.prose(reason)),
                };
                Self::DeliveryEnded(hook.0, delivery.0, result)
            }
            Input::TimeAdvanced => Self::TimeAdvanced,
            Input::ShutdownRequested => Self::Shutdown,
        }
    }

    pub(super) fn into_input(self) -> Result<Input, FormatError> {
        Ok(match self {
            Self::Request(request, caller, command) => Input::RequestArrived {
                request: RequestId(request),
                caller: caller.into(),
                command: command.into_command()?,
            },
            Self::Started(process) => Input::ProcessStarted { process: process.into() },
            Self::StartFailed(process, reason) => {
                Input::StartFailed { process: process.into(), reason }
            }
            Self::StartLost(process, may_have_run) => {
                Input::StartLost { process: process.into(), may_have_run }
            }
            Self::KillFailed(process, reason) => {
                Input::KillFailed { process: process.into(), reason }
            }
            Self::Output(process, items, text) => {
                let ((stream, items), text) = (decode_items(&items)?, text.unwrap_or_default());
                let batch = Arc::new(OutputBatch::recorded(stream, Bytes::from(text), items));
                Input::OutputRead { process: process.into(), batch }
            }
            Self::Exited(process, exit, group_left) => {
                let exit = match exit {
                    ExitV1::Code(code) => Exit::Code(code),
                    ExitV1::Signal(signal) => Exit::Signal(signal),
                };
                Input::ProcessExited { process: process.into(), exit, group_left }
            }
            Self::LeaseExpired(process) => Input::LeaseExpired { process: process.into() },
            Self::Persisted(upto) => Input::RecordsPersisted { upto: RecordSeq(upto) },
            Self::PersistFailed(epoch, reason) => {
                Input::PersistFailed { epoch: StoreEpoch(epoch), reason }
            }
            Self::Dialled(request, outcome) => {
                let outcome = match outcome {
                    OutcomeV1::Connected(latency_ms) => DialOutcome::Connected { latency_ms },
                    OutcomeV1::Failed(reason) => DialOutcome::Failed(reason),
                };
                Input::Dialled { request: RequestId(request), outcome }
            }
            Self::PidTold(process, identity) => {
                Input::PidTold { process: process.into(), identity: identity.into() }
            }
            Self::PidFileRead(instance, proven) => found::into_pid_file_read(instance, proven),
            Self::TrackedGone(process, identity) => {
                Input::TrackedGone { process: process.into(), identity: identity.into() }
            }
            Self::VerbEnded(instance, verb, failed) => {
                found::into_verb_ended(instance, verb, failed)?
            }
            Self::Configured(set) => found::into_configured(set)?,
            Self::CheckEnded(process, is_live, failure) => {
                let check = if is_live { CheckKind::Live } else { CheckKind::Ready };
                Input::CheckEnded { process: process.into(), check, failure }
            }
            Self::ZoneRead(name, zone) => Input::ZoneRead { name, zone: zone.into_zone() },
            Self::FilesChanged(instance, path) => {
                Input::FilesChanged { instance: InstanceId(instance), path }
            }
            Self::WatchFailed(instance, reason) => {
                Input::WatchFailed { instance: InstanceId(instance), reason }
            }
            Self::WebhooksConfigured(hooks) => Input::WebhooksConfigured {
                hooks: hooks.into_iter().map(Occasions::from_bits).collect(),
            },
            Self::DeliveryEnded(hook, delivery, result) => Input::DeliveryEnded {
                hook: HookId(hook),
                delivery: DeliveryId(delivery),
                result: result.map_or_else(DeliveryResult::Failed, DeliveryResult::Answered),
            },
            Self::TimeAdvanced => Input::TimeAdvanced,
            Self::Shutdown => Input::ShutdownRequested,
        })
    }
}

impl From<Caller> for CallerV2 {
    fn from(Caller { door, trust }: Caller) -> Self {
        let door = match door {
            Door::V2 => DoorV2::V2,
            Door::Patrol => DoorV2::Patrol,
            Door::Control => DoorV2::Control,
        };
        let trust = match trust {
            Trust::Key(epoch) => TrustV2::Key(epoch.0),
            Trust::Peer { uid, gid, pid } => TrustV2::Peer { uid, gid, pid },
            Trust::Open => TrustV2::Open,
            Trust::Token(role) => TrustV2::Token(role.number()),
        };
        Self { door, trust }
    }
}

impl From<CallerV2> for Caller {
    fn from(CallerV2 { door, trust }: CallerV2) -> Self {
        let door = match door {
            DoorV2::V2 => Door::V2,
            DoorV2::Patrol => Door::Patrol,
            DoorV2::Control => Door::Control,
        };
        let trust = match trust {
            TrustV2::Key(epoch) => Trust::Key(KeyEpoch(epoch)),
            TrustV2::Peer { uid, gid, pid } => Trust::Peer { uid, gid, pid },
            TrustV2::Open => Trust::Open,
            // A role of a later version is none that this one can replay: the least.
            TrustV2::Token(role) => Trust::Token(Role::from_number(role).unwrap_or(Role::Read)),
        };
        Self { door, trust }
    }
}

impl CommandV2 {
    fn new(command: &Command, masks: &mut Masks) -> Self {
        match command {
            Command::SetAlias(alias) => {
                Self::SetAlias(alias.as_ref().map(|alias| masks.text(alias)))
            }
            Command::Create { url, alias } => {
                Self::Create(masks.url(url.as_str()), masks.alias(alias))
            }
            Command::Amend { id, expect, amend } => {
                let Amend { alias, action, restart, meta, policy } = &**amend;
                Self::Amend {
                    id: id.0,
                    expected: expected_by(expect),
                    alias: alias.as_ref().map(|alias| masks.alias(alias)),
                    action: action.map(action_number),
                    restart: *restart,
                    meta: meta.as_ref().map(|meta| MetaV1::new(meta, masks).into()),
                    policy: policy.as_ref().map(|edit| EditV2::masked(edit, masks).into()),
                }
            }
            Command::Replace { id, expect, url } => {
                let url = masks.url(url.as_str());
                Self::Replace { id: id.0, expected: expected_by(expect), url }
            }
            Command::Remove { id, expect } => {
                Self::Remove { id: id.0, expected: expected_by(expect) }
            }
            Command::Act { ids, action } => {
                Self::Act(ids.iter().map(|id| id.0).collect(), action_number(*action))
            }
            Command::RotateKey(key) => Self::RotateKey(key_bytes(key)),
            Command::Desire { id, desire } => Self::Desire(id.0, DesireV2::masked(desire, masks)),
            Command::Dial(target) => Self::Dial(masks.url(target)),
        }
    }

    fn into_command(self) -> Result<Command, FormatError> {
        Ok(match self {
            Self::SetAlias(alias) => Command::SetAlias(alias),
            Self::Create(url, alias) => Command::Create { url: into_url(&url)?, alias },
            Self::Amend { id, expected, alias, action, restart, meta, policy } => {
                let action = action.map(nth_action).transpose()?;
                let meta = meta.map(|meta| meta.into_meta());
                let policy = policy.map(|edit| edit.into_edit()).transpose()?.map(Box::new);
                let amend = Box::new(Amend { alias, action, restart, meta, policy });
                Command::Amend { id: InstanceId(id), expect: expect_of(expected), amend }
            }
            Self::Replace { id, expected, url } => Command::Replace {
                id: InstanceId(id),
                expect: expect_of(expected),
                url: into_url(&url)?,
            },
            Self::Remove { id, expected } => {
                Command::Remove { id: InstanceId(id), expect: expect_of(expected) }
            }
            Self::Act(ids, action) => {
                let ids = ids.into_iter().map(InstanceId).collect();
                Command::Act { ids, action: nth_action(action)? }
            }
            Self::RotateKey(bytes) => Command::RotateKey(star_key(bytes)?),
            Self::Desire(id, desire) => {
                Command::Desire { id: InstanceId(id), desire: Box::new(desire.into_desire()?) }
            }
            Self::Dial(target) => Command::Dial(target),
        })
    }
}

impl MetaV1 {
    fn new(AmendMeta { peer, tags }: &AmendMeta, masks: &mut Masks) -> Self {
        Self {
            peer: peer.as_ref().map(|peer| peer_of(peer, masks)),
            tags: tags
                .as_ref()
                .map(|tags| tags.iter().map(|(key, tag)| (key.clone(), masks.text(tag))).collect()),
        }
    }

    fn into_meta(self) -> AmendMeta {
        let tags = self.tags.map(|tags| tags.into_iter().collect());
        AmendMeta { peer: self.peer.map(into_peer), tags }
    }
}
