//! What stands in a trace, as types of the format: apart from the model on purpose, for the model
//! may change and a version of the format may not. No type here has room for a key.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::items::{decode_items, encode_items};
use crate::codec::{Decode, Encode};
use crate::command::{Amend, AmendMeta, Caller, Command, DialOutcome, Door, Trust};
use crate::engine::Input;
use crate::expect::Expect;
use crate::formats::{
    Masks, action_number, into_peer, into_url, key_bytes, nth_action, peer_of, star_key,
};
use crate::ids::Revision;
use crate::ids::{
    Generation, InstanceId, KeyEpoch, ProcessRef, RecordSeq, RequestId, SlotId, StoreEpoch,
};
use crate::output::OutputBatch;
use crate::process::Exit;

#[derive(Clone, Copy, Encode, Decode)]
pub(crate) struct ProcessV1(u32, u64);

#[derive(Encode, Decode)]
pub(super) enum InputV1 {
    Request(u64, CallV1),
    Started(ProcessV1),
    StartFailed(ProcessV1, String),
    /// The items, see `items`, and the text of the lines.
    Output(ProcessV1, Vec<u8>, Option<Vec<u8>>),
    Exited(ProcessV1, ExitV1, bool),
    Persisted(u64),
    PersistFailed(u32, String),
    Dialled(u64, OutcomeV1),
    TimeAdvanced,
    Shutdown,
    /// A request with its caller, and the revisions that it expects; `Request` is one that the
    /// driver had admitted by itself, and that takes any.
    RequestOf(u64, CallerV1, Option<Vec<u64>>, CallV1),
}

#[derive(Encode, Decode)]
pub(super) struct CallerV1 {
    door: u8,
    trust: TrustV1,
}

#[derive(Encode, Decode)]
enum TrustV1 {
    Key(u32),
    Peer(u32, u32, u32),
    Open,
}

#[derive(Encode, Decode)]
pub(super) enum CallV1 {
    SetAlias(Option<String>),
    Create(String, String),
    Patch {
        id: u32,
        alias: Option<String>,
        action: Option<u8>,
        restart: Option<bool>,
        meta: Option<MetaV1>,
    },
    Replace(u32, String),
    Delete(u32),
    RotateKey(u32),
    Ping(String),
}

#[derive(Encode, Decode)]
pub(super) struct MetaV1 {
    peer: Option<[String; 3]>,
    tags: Option<Vec<(String, String)>>,
}

#[derive(Encode, Decode)]
pub(super) enum ExitV1 {
    Code(i32),
    Signal(i32),
}

#[derive(Encode, Decode)]
pub(super) enum OutcomeV1 {
    Connected(u64),
    Failed(String),
}

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

impl InputV1 {
    pub(super) fn new(input: &Input, has_text: bool, masks: &mut Masks) -> Self {
        match input {
            Input::RequestArrived { request, caller, command } => {
                let expected = expected_by(command);
                let call = CallV1::new(command, masks);
                Self::RequestOf(request.0, (*caller).into(), expected, call)
            }
            Input::ProcessStarted { process } => Self::Started((*process).into()),
            Input::StartFailed { process, reason } => {
                Self::StartFailed((*process).into(), masks.prose(reason))
            }
            Input::OutputRead { process, batch } => {
                let items = encode_items(&batch.items);
                Self::Output((*process).into(), items, has_text.then(|| batch.text().to_vec()))
            }
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
            Input::TimeAdvanced => Self::TimeAdvanced,
            Input::ShutdownRequested => Self::Shutdown,
        }
    }

    pub(super) fn into_input(self) -> Result<Input, String> {
        Ok(match self {
            Self::Request(request, call) => Input::RequestArrived {
                request: RequestId(request),
                caller: Caller { door: Door::V2, trust: Trust::Open },
                command: call.into_command(None)?,
            },
            Self::RequestOf(request, caller, expected, call) => Input::RequestArrived {
                request: RequestId(request),
                caller: caller.into_caller()?,
                command: call.into_command(expected)?,
            },
            Self::Started(process) => Input::ProcessStarted { process: process.into() },
            Self::StartFailed(process, reason) => {
                Input::StartFailed { process: process.into(), reason }
            }
            Self::Output(process, items, text) => {
                let (items, text) = (decode_items(&items)?, Bytes::from(text.unwrap_or_default()));
                let batch = Arc::new(OutputBatch::recorded(text, items));
                Input::OutputRead { process: process.into(), batch }
            }
            Self::Exited(process, exit, group_left) => {
                let exit = match exit {
                    ExitV1::Code(code) => Exit::Code(code),
                    ExitV1::Signal(signal) => Exit::Signal(signal),
                };
                Input::ProcessExited { process: process.into(), exit, group_left }
            }
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
            Self::TimeAdvanced => Input::TimeAdvanced,
            Self::Shutdown => Input::ShutdownRequested,
        })
    }
}

const DOORS: [Door; 3] = [Door::V2, Door::Patrol, Door::Control];

impl From<Caller> for CallerV1 {
    fn from(Caller { door, trust }: Caller) -> Self {
        let door = match door {
            Door::V2 => 0,
            Door::Patrol => 1,
            Door::Control => 2,
        };
        let trust = match trust {
            Trust::Key(epoch) => TrustV1::Key(epoch.0),
            Trust::Peer { uid, gid, pid } => TrustV1::Peer(uid, gid, pid),
            Trust::Open => TrustV1::Open,
        };
        Self { door, trust }
    }
}

impl CallerV1 {
    fn into_caller(self) -> Result<Caller, String> {
        let door = DOORS.get(usize::from(self.door)).copied();
        let trust = match self.trust {
            TrustV1::Key(epoch) => Trust::Key(KeyEpoch(epoch)),
            TrustV1::Peer(uid, gid, pid) => Trust::Peer { uid, gid, pid },
            TrustV1::Open => Trust::Open,
        };
        door.map(|door| Caller { door, trust }).ok_or_else(|| "an unknown door".into())
    }
}

fn expected_by(command: &Command) -> Option<Vec<u64>> {
    match command {
        Command::Amend { expect: Expect::OneOf(revisions), .. }
        | Command::Replace { expect: Expect::OneOf(revisions), .. }
        | Command::Remove { expect: Expect::OneOf(revisions), .. } => {
            Some(revisions.iter().map(|revision| revision.0).collect())
        }
        Command::Amend { .. }
        | Command::Replace { .. }
        | Command::Remove { .. }
        | Command::SetAlias(_)
        | Command::Create { .. }
        | Command::RotateKey(_)
        | Command::Dial(_) => None,
    }
}

impl CallV1 {
    fn new(command: &Command, masks: &mut Masks) -> Self {
        match command {
            Command::SetAlias(alias) => {
                Self::SetAlias(alias.as_ref().map(|alias| masks.text(alias)))
            }
            Command::Create { url, alias } => {
                Self::Create(masks.url(url.as_str()), masks.text(alias))
            }
            Command::Amend { id, expect: _, amend } => Self::Patch {
                id: id.0,
                alias: amend.alias.as_ref().map(|alias| masks.text(alias)),
                action: amend.action.map(action_number),
                restart: amend.restart,
                meta: amend.meta.as_ref().map(|meta| MetaV1::new(meta, masks)),
            },
            Command::Replace { id, expect: _, url } => Self::Replace(id.0, masks.url(url.as_str())),
            Command::Remove { id, expect: _ } => Self::Delete(id.0),
            Command::RotateKey(key) => Self::RotateKey(key_bytes(key)),
            Command::Dial(target) => Self::Ping(masks.url(target)),
        }
    }

    fn into_command(self, expected: Option<Vec<u64>>) -> Result<Command, String> {
        let expect = expected.map_or(Expect::Any, |expected| {
            Expect::OneOf(expected.into_iter().map(Revision).collect())
        });
        Ok(match self {
            Self::SetAlias(alias) => Command::SetAlias(alias),
            Self::Create(url, alias) => Command::Create { url: into_url(&url)?, alias },
            Self::Patch { id, alias, action, restart, meta } => {
                let action = action.map(nth_action).transpose()?;
                let meta = meta.map(MetaV1::into_meta);
                let amend = Box::new(Amend { alias, action, restart, meta });
                Command::Amend { id: InstanceId(id), expect, amend }
            }
            Self::Replace(id, url) => {
                Command::Replace { id: InstanceId(id), expect, url: into_url(&url)? }
            }
            Self::Delete(id) => Command::Remove { id: InstanceId(id), expect },
            Self::RotateKey(bytes) => Command::RotateKey(star_key(bytes)?),
            Self::Ping(target) => Command::Dial(target),
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
