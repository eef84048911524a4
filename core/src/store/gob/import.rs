//! Converts the entries and fields of the state of a Go master.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

use super::error::GobError;
use super::reader::FieldNumbers;
use super::schema::{Field, Type, TypeId};
use super::value::Values;
use crate::counters::{SavedTotals, Totals};
use crate::ids::{InstanceId, KEY_INSTANCE_ID};
use crate::instance::{Definition, Meta, Peer};
use crate::master::{ApiKey, MasterIdentity};
use crate::store::image::{Image, StoredInstance};
use crate::url::{InstanceUrl, InstanceUrlError};

/// The minimum size of an entry: the length of its id and the end of its struct.
const ENTRY_MIN_BYTES: usize = 2;

/// The fewest bytes that a tag has: two lengths.
const TAG_MIN_BYTES: usize = 2;

/// The tags.
const TEXT_MAP: &str = "a map from text to text";

/// The longest id that an error repeats, in bytes. A damaged file can have any text in place of an
/// id, and a key or a URL is longer.
const SHOWN_MAX_BYTES: usize = 12;

/// The state that `values`, a map from ids to instances, holds.
pub(super) fn image(mut values: Values<'_, '_>, id: TypeId) -> Result<Image, GobError> {
    let fields = entry_fields(&values, id)?;
    let start = values.reader().clone();
    // A value that is no struct is sent like the first field of one.
    if values.reader().uint()? != 0 {
        return Err(start.error("no value follows its type"));
    }
    let mut master = None;
    let mut instances = BTreeMap::new();
    for _ in 0..values.reader().count(ENTRY_MIN_BYTES)? {
        let start = values.reader().clone();
        let id = values.reader().text()?;
        let entry = Entry::read(&mut values, fields)?;
        let is_double = if id == KEY_INSTANCE_ID {
            master.replace(entry.into_master()?).is_some()
        } else {
            let parsed = InstanceId::parse(id);
            let id = parsed.ok_or(GobError::BadId { offset: start.offset(), shown: shown(id) })?;
            instances.insert(id, entry.into_instance(id)?).is_some()
        };
        if is_double {
            return Err(start.error("an id has two entries"));
        }
    }
    values.reader().expect_end("more bytes follow the last entry")?;
    let mut image = Image::new(master.ok_or(GobError::NoKey)?);
    image.instances = instances;
    Ok(image)
}

/// The fields of an entry, if type `id` is a map from text to a struct with a URL.
fn entry_fields<'s, 'a>(values: &Values<'s, 'a>, id: TypeId) -> Result<&'s [Field<'a>], GobError> {
    if let Type::Map { key, element } = values.type_of(id)?
        && let Type::Text = values.type_of(*key)?
        && let Type::Struct(fields) = values.type_of(*element)?
        && fields.iter().any(|field| field.name == "URL")
    {
        return Ok(fields);
    }
    Err(values.error("the value is not a map from ids to instances with a URL"))
}

/// The used fields of one entry, as written.
#[derive(Default)]
struct Entry<'a> {
    id: &'a str,
    alias: &'a str,
    url: &'a str,
    config: &'a str,
    restart: bool,
    meta: Meta,
    mode: i32,
    totals: Totals,
}

impl<'a> Entry<'a> {
    fn read<'s>(values: &mut Values<'s, 'a>, fields: &'s [Field<'a>]) -> Result<Self, GobError> {
        let mut entry = Self::default();
        let totals = &mut entry.totals;
        let mut numbers = FieldNumbers::default();
        while let Some(&Field { name, id }) = values.field(&mut numbers, fields)? {
            match name {
                "ID" => entry.id = values.text("ID", id)?,
                "Alias" => entry.alias = values.text("Alias", id)?,
                "URL" => entry.url = values.text("URL", id)?,
                "Config" => entry.config = values.text("Config", id)?,
                "Restart" => entry.restart = values.bool("Restart", id)?,
                "Meta" => entry.meta = meta(values, id)?,
                "Mode" => entry.mode = mode(values.number("Mode", id)?),
                "TCPRX" => totals.tcprx = counter(values.number("TCPRX", id)?),
                "TCPTX" => totals.tcptx = counter(values.number("TCPTX", id)?),
                "UDPRX" => totals.udprx = counter(values.number("UDPRX", id)?),
                "UDPTX" => totals.udptx = counter(values.number("UDPTX", id)?),
                _ => values.skip(id)?,
            }
        }
        Ok(entry)
    }

    fn into_master(self) -> Result<MasterIdentity, GobError> {
        if self.url.is_empty() {
            return Err(GobError::NoKey);
        }
        Ok(MasterIdentity {
            mid: self.config.to_owned(),
            alias: self.alias.to_owned(),
            key: ApiKey::from_stored(self.url.to_owned()),
        })
    }

    fn into_instance(self, id: InstanceId) -> Result<StoredInstance, GobError> {
        if !self.id.is_empty() && InstanceId::parse(self.id) != Some(id) {
            return Err(GobError::OtherId(id));
        }
        // The error of the URL repeats a part of it, so it stays here.
        let url = InstanceUrl::parse(self.url).map_err(|error| match error {
            InstanceUrlError::Malformed { shown: _, fault } => GobError::BadUrl(id, fault),
            InstanceUrlError::MasterScheme => GobError::MasterUrl(id),
        })?;
        let mut definition = Definition::new(id, url, self.alias.to_owned());
        definition.meta = self.meta;
        definition.set_restarts(self.restart);
        let totals = SavedTotals::from_totals(self.mode, self.totals);
        Ok(StoredInstance { totals, ..StoredInstance::new(Arc::new(definition)) })
    }
}

fn meta<'s>(values: &mut Values<'s, '_>, id: TypeId) -> Result<Meta, GobError> {
    let fields = values.structure("Meta", id)?;
    let mut meta = Meta::default();
    let mut numbers = FieldNumbers::default();
    while let Some(&Field { name, id }) = values.field(&mut numbers, fields)? {
        match name {
            "Peer" => meta.peer = peer(values, id)?,
            "Tags" => meta.tags = tags(values, id)?,
            _ => values.skip(id)?,
        }
    }
    Ok(meta)
}

fn peer(values: &mut Values<'_, '_>, id: TypeId) -> Result<Peer, GobError> {
    let fields = values.structure("Peer", id)?;
    let mut peer = Peer::default();
    let mut numbers = FieldNumbers::default();
    while let Some(&Field { name, id }) = values.field(&mut numbers, fields)? {
        match name {
            "SID" => peer.sid = values.text("SID", id)?.to_owned(),
            "Type" => peer.kind = values.text("Type", id)?.to_owned(),
            "Alias" => peer.alias = values.text("Alias", id)?.to_owned(),
            _ => values.skip(id)?,
        }
    }
    Ok(peer)
}

fn tags(values: &mut Values<'_, '_>, id: TypeId) -> Result<BTreeMap<String, String>, GobError> {
    let Type::Map { key, element } = values.type_of(id)? else {
        return Err(values.field_type("Tags", TEXT_MAP));
    };
    let (Type::Text, Type::Text) = (values.type_of(*key)?, values.type_of(*element)?) else {
        return Err(values.field_type("Tags", TEXT_MAP));
    };
    let mut tags = BTreeMap::new();
    for _ in 0..values.reader().count(TAG_MIN_BYTES)? {
        let start = values.reader().clone();
        let name = values.reader().text()?.to_owned();
        let value = values.reader().text()?.to_owned();
        if tags.insert(name, value).is_some() {
            return Err(start.error("a tag has two values"));
        }
    }
    Ok(tags)
}

/// The nearest mode that the model can represent. The next checkpoint reports it again, so an
/// invalid one is no reason to refuse the file.
fn mode(number: i128) -> i32 {
    number.clamp(i32::MIN.into(), i32::MAX.into()).try_into().expect("it was clamped")
}

/// As for the mode: a total below zero, which no version can have counted, becomes 0.
fn counter(number: i128) -> u64 {
    number.clamp(0, u64::MAX.into()).try_into().expect("it was clamped")
}

fn shown(id: &str) -> String {
    if id.len() <= SHOWN_MAX_BYTES {
        format!("{id:?}")
    } else {
        format!("a text of {} bytes", id.len())
    }
}
