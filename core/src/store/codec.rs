//! The state file as bytes: `magic | version | length | CRC-32 | body`.
//!
//! The body is bincode of the types in this file, which are apart from the model on purpose: the
//! model may change, a version of the format may not. This is the only place that knows bincode.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

use super::image::{Image, StoredInstance};
use super::record::SavedTotals;
use crate::counters::Totals;
use crate::ids::InstanceId;
use crate::instance::{Definition, Meta, Peer};
use crate::master::{ApiKey, MasterIdentity};
use crate::url::{InstanceUrl, InstanceUrlError};

/// The version that [`encode`] writes.
pub const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 8] = *b"OPENCTRL";
const HEADER_BYTES: usize = 8 + 2 + 8 + 4;

/// What decoding may allocate. Far above what the limit on instances allows in practice.
const BODY_MAX_BYTES: usize = 1 << 30;
const CONFIG: Configuration<LittleEndian, Varint, Limit<BODY_MAX_BYTES>> =
    bincode::config::standard().with_limit::<BODY_MAX_BYTES>();

/// Why bytes are not a state file.
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
    Body(String),
    /// An instance has a URL that no instance may have.
    Url(InstanceId, InstanceUrlError),
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
            Self::Body(reason) => write!(f, "its content cannot be read: {reason}"),
            Self::Url(id, error) => write!(f, "instance {id}: {error}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The state file that holds `image`.
pub fn encode(image: &Image) -> Vec<u8> {
    let body = bincode::encode_to_vec(ImageV1::from(image), CONFIG)
        .expect("plain data encodes, and the limit on instances keeps it below the size limit");
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&crc32fast::hash(&body).to_le_bytes());
    file.extend_from_slice(&body);
    file
}

/// Reads a state file.
///
/// # Errors
/// Anything but the very bytes of a state file is an error that says what is wrong with it.
pub fn decode(file: &[u8]) -> Result<Image, DecodeError> {
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
    let (length, rest) = split::<8>(rest).ok_or_else(header_missing)?;
    let (checksum, body) = split::<4>(rest).ok_or_else(header_missing)?;
    let length = u64::from_le_bytes(length);
    match length.cmp(&(body.len() as u64)) {
        core::cmp::Ordering::Greater => {
            return Err(DecodeError::Truncated(length - body.len() as u64));
        }
        core::cmp::Ordering::Less => return Err(DecodeError::Checksum),
        core::cmp::Ordering::Equal => {}
    }
    if crc32fast::hash(body) != u32::from_le_bytes(checksum) {
        return Err(DecodeError::Checksum);
    }
    let (image, _): (ImageV1, usize) = bincode::decode_from_slice(body, CONFIG)
        .map_err(|error| DecodeError::Body(alloc::format!("{error}")))?;
    image.try_into()
}

fn split<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(first, rest)| (*first, rest))
}

#[derive(Encode, Decode)]
struct ImageV1 {
    mid: String,
    alias: String,
    key: String,
    instances: Vec<InstanceV1>,
}

#[derive(Encode, Decode)]
struct InstanceV1 {
    id: u32,
    url: String,
    alias: String,
    restart: bool,
    peer: [String; 3],
    tags: Vec<(String, String)>,
    mode: i32,
    totals: [u64; 4],
}

impl From<&Image> for ImageV1 {
    fn from(image: &Image) -> Self {
        let MasterIdentity { mid, alias, key } = image.master.clone();
        Self {
            mid,
            alias,
            key: key.reveal().into(),
            instances: image.instances.values().map(InstanceV1::from).collect(),
        }
    }
}

impl From<&StoredInstance> for InstanceV1 {
    fn from(stored: &StoredInstance) -> Self {
        let Definition { id, url, alias, restart, meta } = stored.definition.as_ref().clone();
        let Totals { tcprx, tcptx, udprx, udptx } = stored.totals.totals;
        Self {
            id: id.0,
            url: url.as_str().into(),
            alias,
            restart,
            peer: [meta.peer.sid, meta.peer.kind, meta.peer.alias],
            tags: meta.tags.into_iter().collect(),
            mode: stored.totals.mode,
            totals: [tcprx, tcptx, udprx, udptx],
        }
    }
}

impl TryFrom<ImageV1> for Image {
    type Error = DecodeError;

    fn try_from(image: ImageV1) -> Result<Self, DecodeError> {
        let key = ApiKey::from_stored(image.key);
        let mut loaded = Self::new(MasterIdentity { mid: image.mid, alias: image.alias, key });
        for instance in image.instances {
            let id = InstanceId(instance.id);
            let url =
                InstanceUrl::parse(&instance.url).map_err(|error| DecodeError::Url(id, error))?;
            let [sid, kind, alias] = instance.peer;
            let tags = instance.tags.into_iter().collect();
            let definition = Arc::new(Definition {
                id,
                url,
                alias: instance.alias,
                restart: instance.restart,
                meta: Meta { peer: Peer { sid, kind, alias }, tags },
            });
            let [tcprx, tcptx, udprx, udptx] = instance.totals;
            let totals =
                SavedTotals { mode: instance.mode, totals: Totals { tcprx, tcptx, udprx, udptx } };
            loaded.instances.insert(id, StoredInstance { definition, totals });
        }
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Record;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn image() -> Image {
        let mut image = Image::new(MasterIdentity::from_random([1; 8], [2; 16]));
        image.master.alias = "edge".to_string();
        for id in 0..3 {
            let url = InstanceUrl::parse(&format!("managed://h{id}")).expect("a good URL");
            let mut definition = Definition::new(InstanceId(id), url, "a".to_string());
            definition.restart = id == 1;
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
        let file = encode(&image());
        let back = decode(&file).expect("a good file");
        assert_eq!(encode(&back), file);
        assert_eq!(format!("{:?}", back.instances), format!("{:?}", image().instances));
        assert_eq!(back.master.key.reveal(), image().master.key.reveal());
    }

    #[test]
    fn every_prefix_and_every_flipped_bit_is_refused() {
        let file = encode(&image());
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
        let before = encode(&changed);
        let put = Record::PutMaster(MasterIdentity::from_random([7; 8], [8; 16]));
        for record in
            [Record::RemoveInstance(InstanceId(1)), Record::RemoveInstance(InstanceId(9)), put]
        {
            let undo = changed.apply(&record);
            changed.apply(&undo);
            assert_eq!(encode(&changed), before);
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes: Vec<u8>) {
            prop_assert!(decode(&bytes).is_err());
        }
    }
}
