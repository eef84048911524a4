//! Snapshots and entries: from the model to the newest version of the format, and back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::image::{Image, StoredInstance};
use super::record::{Entry, Record};
use crate::access::{Role, Token, TokenChange, TokenDigest, TokenName};
use crate::counters::SavedTotals;
use crate::formats::v2::definition::{DefinitionV2, DesiredV2};
use crate::formats::v2::stored::{
    self, EntryV2, MasterV1, PutInstanceV2, RunV2, TokenV2, TotalsV2,
};
use crate::formats::{FormatError, Version, counter_words, counters_of};
use crate::ids::{EventId, InstanceId, RunId};
use crate::instance::{Definition, Desired, PastRun};
use crate::master::{ApiKey, MasterIdentity};
use crate::time::Wall;

/// Appends the body of a snapshot.
pub(super) fn encode_image(out: &mut Vec<u8>, image: &Image) {
    let Image { master, next_event, instances, control, tokens } = image;
    let master = EntryV2::PutMaster(master.into());
    let events = EntryV2::ReserveEvents(next_event.0);
    let instances = instances.iter().flat_map(|(id, stored)| {
        let StoredInstance { definition, desired, runs, totals } = stored;
        let put = EntryV2::PutInstance(instance(definition, desired, *totals));
        let has_runs = !runs.is_empty();
        core::iter::once(put).chain(has_runs.then(|| runs_of(*id, runs)))
    });
    let control =
        control.was_used().then(|| control.stored(|id| image.instances.contains_key(&id)));
    let control = control.map(EntryV2::Control);
    let tokens = tokens.values().map(|token| EntryV2::PutToken(token.into()));
    let entries = [master, events].into_iter().chain(instances).chain(control);
    stored::encode_image(out, entries.chain(tokens));
}

/// The state that the body of a snapshot holds: its first entry is the master.
pub(super) fn decode_image(version: Version, body: &[u8]) -> Result<Image, FormatError> {
    let mut entries = version.image(body)?.into_iter();
    let Some(EntryV2::PutMaster(master)) = entries.next() else {
        return Err(FormatError::Missing("the master"));
    };
    let mut image = Image::new(master.into());
    for entry in entries {
        if let EntryV2::Control(control) = entry {
            image.control = control.try_into()?;
        } else {
            image.apply_entry(&entry.try_into()?);
        }
    }
    Ok(image)
}

/// Appends the body of a record of a journal.
pub(super) fn encode_entry(out: &mut Vec<u8>, entry: &Entry) {
    EntryV2::from(entry).encode(out);
}

pub(super) fn decode_entry(version: Version, body: &[u8]) -> Result<Entry, FormatError> {
    version.entry(body)?.try_into()
}

impl From<&Record> for EntryV2<'_> {
    fn from(record: &Record) -> Self {
        match record {
            Record::PutInstance { definition, desired, totals } => {
                Self::PutInstance(instance(definition, desired, *totals))
            }
            Record::RemoveInstance(id) => Self::RemoveInstance(id.0),
            Record::SetDesired { id, desired } => Self::SetDesired(id.0, (&**desired).into()),
            Record::AddRun { id, run, most } => {
                Self::AddRun(id.0, Box::new((&**run).into()), *most)
            }
            Record::PutRuns { id, runs } => runs_of(*id, runs),
            Record::PutMaster(master) => Self::PutMaster(master.into()),
            Record::ReserveEvents(upto) => Self::ReserveEvents(upto.0),
        }
    }
}

impl<'a> From<&'a Entry> for EntryV2<'a> {
    fn from(entry: &'a Entry) -> Self {
        match entry {
            Entry::Change(record) => record.into(),
            Entry::Caused(record, kept) => Self::Caused(Box::new(record.into()), (&**kept).into()),
            Entry::Kept(kept) => Self::Kept((&**kept).into()),
            Entry::Totals(totals) => {
                Self::Totals(totals.iter().map(|(id, saved)| (id.0, (*saved).into())).collect())
            }
            Entry::Tokens(change) => match &**change {
                TokenChange::Put(token) => Self::PutToken(token.into()),
                TokenChange::Remove(name) => Self::RemoveToken(name.as_str().into()),
            },
        }
    }
}

impl TryFrom<EntryV2<'_>> for Entry {
    type Error = FormatError;

    fn try_from(entry: EntryV2<'_>) -> Result<Self, FormatError> {
        Ok(Self::Change(match entry {
            EntryV2::PutInstance(instance) => {
                let PutInstanceV2 { definition, desired, totals } = *instance;
                let definition = definition.into_definition()?;
                let totals = totals.read().map_err(|error| error.of(definition.id))?;
                let desired = Arc::new(desired.into());
                Record::PutInstance { definition: Arc::new(definition), desired, totals }
            }
            EntryV2::RemoveInstance(id) => Record::RemoveInstance(InstanceId(id)),
            EntryV2::SetDesired(id, desired) => {
                Record::SetDesired { id: InstanceId(id), desired: Arc::new(desired.into()) }
            }
            EntryV2::AddRun(id, run, most) => {
                Record::AddRun { id: InstanceId(id), run: Arc::new((*run).into()), most }
            }
            EntryV2::PutRuns(id, runs) => {
                let runs = runs.into_iter().map(|run| Arc::new(run.into())).collect();
                Record::PutRuns { id: InstanceId(id), runs: Arc::new(runs) }
            }
            EntryV2::PutMaster(master) => Record::PutMaster(master.into()),
            EntryV2::ReserveEvents(upto) => Record::ReserveEvents(EventId(upto)),
            EntryV2::Totals(totals) => return totals_of(totals).map(Self::Totals),
            EntryV2::Kept(kept) => return Ok(Self::Kept(Box::new(kept.try_into()?))),
            EntryV2::PutToken(token) => {
                return Ok(Self::Tokens(Box::new(TokenChange::Put(token.try_into()?))));
            }
            EntryV2::RemoveToken(name) => {
                return Ok(Self::Tokens(Box::new(TokenChange::Remove(token_name(&name)?))));
            }
            EntryV2::Caused(change, kept) => {
                let Self::Change(record) = Self::try_from(*change)? else {
                    return Err(FormatError::Contradiction("events are caused by no change"));
                };
                return Ok(Self::Caused(record, Box::new(kept.try_into()?)));
            }
            EntryV2::Control(_) => {
                return Err(FormatError::Contradiction("only a snapshot has all of the events"));
            }
        }))
    }
}

fn instance(definition: &Definition, desired: &Desired, totals: SavedTotals) -> Box<PutInstanceV2> {
    let (definition, desired) = (DefinitionV2::from(definition), DesiredV2::from(desired));
    Box::new(PutInstanceV2 { definition, desired, totals: totals.into() })
}

fn runs_of(id: InstanceId, runs: &VecDeque<Arc<PastRun>>) -> EntryV2<'static> {
    EntryV2::PutRuns(id.0, runs.iter().map(|run| (&**run).into()).collect())
}

fn totals_of(totals: Vec<(u32, TotalsV2)>) -> Result<Vec<(InstanceId, SavedTotals)>, FormatError> {
    let read = |(id, totals): (u32, TotalsV2)| {
        let id = InstanceId(id);
        Ok((id, totals.read().map_err(|error| error.of(id))?))
    };
    totals.into_iter().map(read).collect()
}

impl From<&Token> for TokenV2 {
    fn from(token: &Token) -> Self {
        Self {
            name: token.name.as_str().into(),
            role: token.role.number(),
            digest: token.digest.0,
            created: token.created.as_micros(),
            expires: token.expires.map(Wall::as_micros),
            last_used: token.last_used.map(Wall::as_micros),
        }
    }
}

impl TryFrom<TokenV2> for Token {
    type Error = FormatError;

    fn try_from(token: TokenV2) -> Result<Self, FormatError> {
        Ok(Self {
            name: token_name(&token.name)?,
            role: Role::from_number(token.role).ok_or(FormatError::Unknown("a role"))?,
            digest: TokenDigest(token.digest),
            created: Wall::from_micros(token.created),
            expires: token.expires.map(Wall::from_micros),
            last_used: token.last_used.map(Wall::from_micros),
        })
    }
}

fn token_name(text: &str) -> Result<TokenName, FormatError> {
    TokenName::parse(text).ok_or(FormatError::Unknown("the name of a token"))
}

impl From<&MasterIdentity> for MasterV1 {
    fn from(master: &MasterIdentity) -> Self {
        let MasterIdentity { mid, alias, key } = master.clone();
        Self { mid, alias, key: key.reveal().into() }
    }
}

impl From<MasterV1> for MasterIdentity {
    fn from(master: MasterV1) -> Self {
        let MasterV1 { mid, alias, key } = master;
        Self { mid, alias, key: ApiKey::from_stored(key) }
    }
}

impl From<&PastRun> for RunV2 {
    fn from(run: &PastRun) -> Self {
        let PastRun { id, pid, started, last_seen, stopped, .. } = *run;
        let PastRun { disabled, restart, once, shutdown, exit_code, ref values, .. } = *run;
        Self {
            id: id.0,
            pid,
            time: [started, stopped].map(Wall::as_micros),
            last_seen: last_seen.map(Wall::as_micros),
            flags: [disabled, restart, once, shutdown],
            exit_code,
            values: values.clone().into_iter().collect(),
        }
    }
}

impl From<RunV2> for PastRun {
    fn from(run: RunV2) -> Self {
        let RunV2 { id, pid, time, last_seen, flags, exit_code, values } = run;
        let [started, stopped] = time.map(Wall::from_micros);
        let [disabled, restart, once, shutdown] = flags;
        let (last_seen, values) = (last_seen.map(Wall::from_micros), values.into_iter().collect());
        let id = RunId(id);
        Self {
            id,
            pid,
            started,
            last_seen,
            stopped,
            disabled,
            restart,
            once,
            shutdown,
            exit_code,
            values,
        }
    }
}

impl From<SavedTotals> for TotalsV2 {
    fn from(saved: SavedTotals) -> Self {
        let run = saved.run.map(|run| run.0);
        Self { mode: saved.mode, counters: counter_words(&saved.counters), run }
    }
}

impl TotalsV2 {
    fn read(self) -> Result<SavedTotals, FormatError> {
        let (counters, run) = (counters_of(self.counters)?, self.run.map(RunId));
        Ok(SavedTotals { mode: self.mode, counters, run })
    }
}
