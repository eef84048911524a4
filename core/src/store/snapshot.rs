//! The snapshot file as bytes: `magic | version | generation | length | CRC-32 of the rest | body`.
//!
//! What the body holds is `dto`'s. A snapshot of generation n is followed by the journal of
//! generation n.

use alloc::vec::Vec;
use core::fmt;

use super::dto::{BodyError, decode_image, encode_image};
use super::image::Image;

/// The version that [`encode`] writes.
pub const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"OPENCTRL";
const HEADER_BYTES: usize = 8 + 2 + 8 + 8 + 4;

/// Why bytes are not a snapshot.
#[derive(Debug)]
pub enum DecodeError {
    /// They do not start like one.
    NotAStateFile,
    /// They are of a version that this program does not know.
    Version(u16),
    /// They end too early: so many bytes are missing.
    Truncated(u64),
    /// The checksum is wrong: the file is damaged.
    Checksum,
    /// The checksum is right and the content is not.
    Body(BodyError),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAStateFile => f.write_str("it is not a state file of OpenCtrl"),
            Self::Version(version) => write!(
                f,
                "it has format version {version}; this program knows {FORMAT_VERSION}: use a newer one"
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
    let body = encode_image(image);
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    file.extend_from_slice(&generation.to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&checksum(generation, &body).to_le_bytes());
    file.extend_from_slice(&body);
    file
}

/// Reads a snapshot, and which generation it is.
///
/// # Errors
/// Anything but the very bytes of a snapshot is an error that says what is wrong with it.
pub fn decode(file: &[u8]) -> Result<(Image, u64), DecodeError> {
    let (magic, rest) = split::<8>(file).ok_or(DecodeError::NotAStateFile)?;
    if magic != MAGIC {
        return Err(DecodeError::NotAStateFile);
    }
    let header_missing = || DecodeError::Truncated((HEADER_BYTES - file.len()) as u64);
    let (version, rest) = split::<2>(rest).ok_or_else(header_missing)?;
    let version = u16::from_le_bytes(version);
    if version != FORMAT_VERSION {
        return Err(DecodeError::Version(version));
    }
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
    Ok((decode_image(body).map_err(DecodeError::Body)?, generation))
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
    use crate::counters::SavedTotals;
    use crate::counters::Totals;
    use crate::ids::InstanceId;
    use crate::instance::Definition;
    use crate::master::MasterIdentity;
    use crate::store::Record;
    use crate::url::InstanceUrl;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::sync::Arc;
    use proptest::prelude::*;

    fn image() -> Image {
        let mut image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
        image.master.alias = "edge".to_string();
        for id in 0..3 {
            let url = InstanceUrl::parse(&format!("managed://h{id}")).expect("a good URL");
            let mut definition = Definition::new(InstanceId(id), url, "a".to_string());
            definition.set_restarts(id == 1);
            definition.meta.tags.insert("k".to_string(), "v".to_string());
            definition.meta.peer.kind = "t".to_string();
            let totals = Totals { tcprx: u64::MAX, ..Totals::default() };
            let totals = SavedTotals { mode: -1, totals };
            image.apply(&Record::PutInstance { definition: Arc::new(definition), totals });
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
    fn undoing_a_record_restores_the_image() {
        let mut changed = image();
        let before = encode(&changed, 7);
        let put = Record::PutMaster(MasterIdentity::from_random([7; 8], [8; 16]));
        for record in
            [Record::RemoveInstance(InstanceId(1)), Record::RemoveInstance(InstanceId(9)), put]
        {
            let undo = changed.apply(&record);
            changed.apply(&undo);
            assert_eq!(encode(&changed, 7), before);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
