//! What most readers ask of an input, an effect or a command: its kind, and what it is about.
//!
//! A reader that asks here does not have to name every variant. A new variant is one word in its
//! list of kinds, and one arm in what it is about if it is about an instance.

use super::{Effect, Input};
use crate::command::Command;
use crate::event::Subject;
use crate::ids::{InstanceId, ProcessRef};
use crate::store::Record;

/// Gives an enum the names of its variants and their indices.
macro_rules! kinds {
    ($type:ident: $($variant:ident),* $(,)?) => {
        impl $type {
            /// The names of all kinds, in the order of [`Self::kind`].
            pub const KINDS: &[&str] = &[$(stringify!($variant)),*];

            /// Which kind it is: an index of [`Self::KINDS`].
            pub const fn kind(&self) -> usize {
                enum Kind { $($variant),* }
                match self {
                    $(Self::$variant { .. } => Kind::$variant as usize),*
                }
            }
        }
    };
}

kinds!(Input: RequestArrived, ProcessStarted, StartFailed, KillFailed, OutputRead, ProcessExited,
    RecordsPersisted, PersistFailed, Dialled, PidTold, PidFileRead, TrackedGone, VerbEnded,
    Configured, CheckEnded, ZoneRead, FilesChanged, WatchFailed,
    WebhooksConfigured, DeliveryEnded, TimeAdvanced, ShutdownRequested, StartLost,
    LeaseExpired);

kinds!(Effect: ShowMaster, ShowInstance, Publish, PublishLogs, CloseStreams, Respond, Persist,
    SaveTotals, Spawn, Adopt, Signal, Dial, AnnounceKey, ShowProcess, Track, ReadPidFile, RunVerb,
    ShowRun, Check, ReadZone, Watch, Unwatch, Deliver, ShowHook, RenewLeases, Finish);

kinds!(Command: SetAlias, Create, Amend, Replace, Remove, RotateKey, Dial, Desire, Act);

impl Input {
    /// The process that it is about, if it is about one.
    pub const fn process(&self) -> Option<ProcessRef> {
        match self {
            Self::ProcessStarted { process }
            | Self::PidTold { process, .. }
            | Self::TrackedGone { process, .. }
            | Self::StartFailed { process, .. }
            | Self::StartLost { process, .. }
            | Self::KillFailed { process, .. }
            | Self::OutputRead { process, .. }
            | Self::CheckEnded { process, .. }
            | Self::LeaseExpired { process }
            | Self::ProcessExited { process, .. } => Some(*process),
            Self::RequestArrived { .. }
            | Self::RecordsPersisted { .. }
            | Self::PersistFailed { .. }
            | Self::Dialled { .. }
            | Self::PidFileRead { .. }
            | Self::VerbEnded { .. }
            | Self::Configured { .. }
            | Self::ZoneRead { .. }
            | Self::FilesChanged { .. }
            | Self::WatchFailed { .. }
            | Self::WebhooksConfigured { .. }
            | Self::DeliveryEnded { .. }
            | Self::TimeAdvanced
            | Self::ShutdownRequested => None,
        }
    }

    /// The instance that it names, if it names one.
    pub const fn instance(&self) -> Option<InstanceId> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "others name a process or nothing")]
        match self {
            Self::RequestArrived { command, .. } => command.instance(),
            Self::PidFileRead { instance, .. }
            | Self::VerbEnded { instance, .. }
            | Self::FilesChanged { instance, .. }
            | Self::WatchFailed { instance, .. } => Some(*instance),
            _ => None,
        }
    }
}

impl Command {
    /// The instance that it is about, if it names one.
    pub const fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Amend { id, .. }
            | Self::Replace { id, .. }
            | Self::Remove { id, .. }
            | Self::Desire { id, .. } => Some(*id),
            Self::SetAlias(_)
            | Self::Create { .. }
            | Self::Act { .. }
            | Self::RotateKey(_)
            | Self::Dial(_) => None,
        }
    }
}

impl Effect {
    /// Calls `each` with every instance that it names, and `process` with the process if it names
    /// only that.
    pub fn about(&self, mut each: impl FnMut(InstanceId), process: impl FnOnce(ProcessRef)) {
        match self {
            Self::ShowInstance(view) => each(view.definition.id),
            Self::Publish(event) => match event.object.subject() {
                Subject::Instance(id) => each(id),
                Subject::Key => {}
            },
            Self::PublishLogs(run) => each(run.instance),
            Self::Deliver { delivery, .. } => each(delivery.instance),
            Self::Persist { record, .. } => record.instance().into_iter().for_each(each),
            Self::SaveTotals(totals) => totals.iter().for_each(|(id, _)| each(*id)),
            Self::Spawn { definition, .. }
            | Self::ReadPidFile { definition, .. }
            | Self::Watch { definition }
            | Self::RunVerb { definition, .. } => each(definition.id),
            Self::Adopt { instance, .. }
            | Self::Unwatch { instance }
            | Self::ShowProcess { instance, .. }
            | Self::ShowRun { instance, .. } => each(*instance),
            Self::Signal { process: named, .. }
            | Self::Track { process: named, .. }
            | Self::Check { process: named, .. } => {
                process(*named);
            }
            Self::ShowMaster(_)
            | Self::RenewLeases
            | Self::CloseStreams { .. }
            | Self::Respond { .. }
            | Self::Dial { .. }
            | Self::AnnounceKey(_)
            | Self::ReadZone { .. }
            | Self::ShowHook { .. }
            | Self::Finish => {}
        }
    }
}

impl Record {
    /// The instance that it is about, if it is about one.
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::PutInstance { definition, .. } => Some(definition.id),
            Self::RemoveInstance(id)
            | Self::SetDesired { id, .. }
            | Self::AddRun { id, .. }
            | Self::PutRuns { id, .. } => Some(*id),
            Self::PutMaster(_) | Self::ReserveEvents(_) => None,
        }
    }
}
