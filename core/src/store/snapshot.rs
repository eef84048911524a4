//! Encodes the snapshot file: `magic | version | generation | length | CRC-32 of generation and
//! body | body`.
//!
//! This frame is the same in every version so far; `formats` determines the body. The snapshot of
//! generation n is followed by the journal of generation n.

use alloc::vec::Vec;
use core::fmt;

use super::dto::{decode_image, encode_image};
use super::image::Image;
use crate::formats::{FormatError, Version};

/// The version that is written to snapshots and journals.
pub const FORMAT_VERSION: u16 = Version::NEWEST.number();

const MAGIC: [u8; 8] = *b"OPENCTRL";
const HEADER_BYTES: usize = 8 + 2 + 8 + 8 + 4;

/// The usual size of an entry, with room to spare.
const ENTRY_BYTES: usize = 192;

/// Why bytes are not a snapshot.
#[derive(Debug)]
pub enum DecodeError {
    /// They do not start like one.
    NotAStateFile,
    /// They have a version that this program does not know.
    Version(u16),
    /// They are truncated; the number of missing bytes.
    Truncated(u64),
    /// The checksum is wrong: the file is damaged.
    Checksum,
    /// The checksum is right and the content is not.
    Body(FormatError),
}

impl DecodeError {
    /// Whether a newer program wrote them, so that they are not damaged.
    pub const fn is_newer(&self) -> bool {
        match self {
            Self::Version(version) => *version > FORMAT_VERSION,
            Self::Body(error) => error.is_newer(),
            Self::NotAStateFile | Self::Truncated(_) | Self::Checksum => false,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAStateFile => f.write_str("it is not a state file of OpenCtrl"),
            Self::Version(version) => write!(
                f,
                "it has format version {version}; this program knows up to {FORMAT_VERSION}: use a newer one"
            ),
            Self::Truncated(missing) => write!(f, "it is cut off: {missing} bytes are missing"),
            Self::Checksum => f.write_str("it is damaged: its checksum is wrong"),
            Self::Body(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Body(error) => Some(error),
            Self::NotAStateFile | Self::Version(_) | Self::Truncated(_) | Self::Checksum => None,
        }
    }
}

/// The snapshot of `generation` that holds `image`.
pub fn encode(image: &Image, generation: u64) -> Vec<u8> {
    let expected = HEADER_BYTES + (1 + image.instances.len()) * ENTRY_BYTES;
    let mut file = Vec::with_capacity(expected);
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    file.extend_from_slice(&generation.to_le_bytes());
    file.extend_from_slice(&[0; 8 + 4]);
    encode_image(&mut file, image);
    // Known once the body is there.
    let (header, body) = file.split_at_mut(HEADER_BYTES);
    header[18..26].copy_from_slice(&(body.len() as u64).to_le_bytes());
    header[26..].copy_from_slice(&checksum(generation, body).to_le_bytes());
    file
}

/// Reads a snapshot of any known version, and its generation.
///
/// # Errors
/// Any deviation from the bytes of a snapshot is an error that describes it.
pub fn decode(file: &[u8]) -> Result<(Image, u64), DecodeError> {
    let Opened { version, generation, body } = open(file)?;
    Ok((decode_image(version, body).map_err(DecodeError::Body)?, generation))
}

/// A snapshot whose checksum is right.
pub(super) struct Opened<'a> {
    pub(super) version: Version,
    pub(super) generation: u64,
    pub(super) body: &'a [u8],
}

/// Checks the frame of a snapshot.
pub(super) fn open(file: &[u8]) -> Result<Opened<'_>, DecodeError> {
    let (magic, rest) = split::<8>(file).ok_or(DecodeError::NotAStateFile)?;
    if magic != MAGIC {
        return Err(DecodeError::NotAStateFile);
    }
    let header_missing = || DecodeError::Truncated((HEADER_BYTES - file.len()) as u64);
    let (version, rest) = split::<2>(rest).ok_or_else(header_missing)?;
    let number = u16::from_le_bytes(version);
    let version = Version::known(number).ok_or(DecodeError::Version(number))?;
    let (generation, rest) = split::<8>(rest).ok_or_else(header_missing)?;
    let (length, rest) = split::<8>(rest).ok_or_else(header_missing)?;
    let (expected, body) = split::<4>(rest).ok_or_else(header_missing)?;
    let (generation, length) = (u64::from_le_bytes(generation), u64::from_le_bytes(length));
    if length > body.len() as u64 {
        return Err(DecodeError::Truncated(length - body.len() as u64));
    }
    if length < body.len() as u64 || checksum(generation, body) != u32::from_le_bytes(expected) {
        return Err(DecodeError::Checksum);
    }
    Ok(Opened { version, generation, body })
}

fn checksum(generation: u64, body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&generation.to_le_bytes());
    hasher.update(body);
    hasher.finalize()
}

/// The first `N` bytes and the rest.
pub(super) fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(first, rest)| (*first, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::{Counter, Counters, SavedTotals};
    use crate::ids::{EventId, InstanceId, RunId};
    use crate::instance::{Cas, Definition, Desired, Goal};
    use crate::master::MasterIdentity;
    use crate::store::{Entry, Record, arbitrary};
    use crate::url::InstanceUrl;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::sync::Arc;
    use proptest::prelude::*;

    fn image() -> Image {
        let mut image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
        image.master.alias = "edge".to_string();
        image.next_event = EventId(1025);
        for id in 0..3 {
            let url = InstanceUrl::parse(&format!("managed://h{id}")).expect("a good URL");
            let mut definition = Definition::new(InstanceId(id), url, "a".to_string());
            definition.set_restarts(id == 1);
            definition.meta.tags.insert("k".to_string(), "v".to_string());
            definition.meta.peer.kind = "t".to_string();
            definition
                .setup
                .edit(|setup| drop(setup.env.insert("TOKEN".to_string(), "hush".to_string())));
            let tcprx = Counter { base: u64::MAX, reset_point: 3, last_raw: 7 };
            let counters = Counters { tcprx, ..Counters::default() };
            let totals = SavedTotals { mode: -1, counters, run: Some(RunId(id.into())) };
            let goal = if id == 2 { Goal::Down } else { Goal::Up };
            let desired = Desired { goal, cas: Cas(id.into()), ..Desired::default() };
            let (definition, desired) = (Arc::new(definition), Arc::new(desired));
            image.apply(&Record::PutInstance { definition, desired, totals });
        }
        image
    }

    #[test]
    fn what_is_written_is_read_back() {
        let file = encode(&image(), 7);
        let (back, generation) = decode(&file).expect("a good file");
        assert_eq!(generation, 7);
        assert_eq!(encode(&back, 7), file);
        assert_eq!(format!("{:?}", back.instances), format!("{:?}", image().instances));
        assert_eq!(back.master.key.reveal(), image().master.key.reveal());
        assert_eq!(back.next_event, image().next_event);
        let env = |image: &Image| image.instances[&InstanceId(1)].definition.setup.env.clone();
        assert_eq!(env(&back), env(&image()));
    }

    #[test]
    fn every_prefix_and_every_flipped_bit_is_refused() {
        let file = encode(&image(), 7);
        for length in 0..file.len() {
            assert!(decode(&file[..length]).is_err(), "a prefix of {length} bytes was read");
        }
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&damaged).is_err(), "flipped bit {bit} was not noticed");
        }
        let mut longer = file;
        longer.push(0);
        assert!(decode(&longer).is_err());
    }

    #[test]
    fn what_a_newer_program_wrote_is_refused_by_name() {
        let mut newer = encode(&image(), 7);
        newer[8] = 3;
        let error = decode(&newer).expect_err("version 3");
        assert!(error.is_newer());
        assert!(error.to_string().contains("format version 3; this program knows up to 2"));

        let body = [&encode(&image(), 7)[HEADER_BYTES..], &[3, 0, 0, 0, 99, 2, 0]].concat();
        let mut file = encode(&image(), 7)[..HEADER_BYTES].to_vec();
        file[18..26].copy_from_slice(&(body.len() as u64).to_le_bytes());
        file[26..30].copy_from_slice(&checksum(7, &body).to_le_bytes());
        file.extend_from_slice(&body);
        let error = decode(&file).expect_err("an entry of kind 99");
        assert!(error.is_newer());
        assert!(error.to_string().contains("kind 99, version 2"), "{error}");
    }

    proptest! {
        #[test]
        fn any_state_comes_back(entries in prop::collection::vec(arbitrary::entry(), 0..8)) {
            let mut image = image();
            entries.iter().for_each(|entry| image.apply_entry(entry));
            let file = encode(&image, 7);
            let (back, _) = decode(&file).expect("what was encoded");
            prop_assert_eq!(encode(&back, 7), file);
            prop_assert_eq!(back.instances.len(), image.instances.len());
            for (one, other) in image.instances.values().zip(back.instances.values()) {
                prop_assert_eq!(&one.definition, &other.definition);
                prop_assert_eq!(&one.desired, &other.desired);
                prop_assert_eq!(one.totals, other.totals);
            }
        }

        #[test]
        fn undoing_records_restores_the_state(
            entries in prop::collection::vec(arbitrary::entry(), 0..8),
        ) {
            let mut changed = image();
            let before = encode(&changed, 7);
            let records = entries.iter().filter_map(|entry| match entry {
                Entry::Change(record) => Some(record),
                Entry::Caused(record, _) => Some(record),
                Entry::Totals(_) | Entry::Kept(_) | Entry::Tokens(_) => None,
            });
            let undo: Vec<Record> = records.map(|record| changed.apply(record)).collect();
            undo.iter().rev().for_each(|undo| drop(changed.apply(undo)));
            prop_assert_eq!(encode(&changed, 7), before);
        }

        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
