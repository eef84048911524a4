//! Encodes plain data as bytes, for state files and traces.
//!
//! This is the only module that uses bincode, which is no longer maintained. It encodes the types
//! of a format, which are separate from the model and named by their version. The formats add
//! headers, lengths and checksums.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
pub(crate) use bincode::{Decode, Encode};

/// Limit on what decoding allocates. Far above what the limit on instances allows.
const BODY_MAX_BYTES: usize = 1 << 30;
const CONFIG: Configuration<LittleEndian, Varint, Limit<BODY_MAX_BYTES>> =
    bincode::config::standard().with_limit::<BODY_MAX_BYTES>();

/// The bytes are not a valid encoding of the type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Malformed {}

/// The bytes of `dto`.
pub(crate) fn encode(dto: impl Encode) -> Vec<u8> {
    let mut body = Vec::new();
    encode_onto(&mut body, dto);
    body
}

/// Appends the bytes of `dto`.
pub(crate) fn encode_onto(body: &mut Vec<u8>, dto: impl Encode) {
    bincode::encode_into_writer(dto, Onto(body), CONFIG).expect("plain data always encodes");
}

/// Reads a body that is one `T` and nothing else.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode<T: Decode<()>>(body: &[u8]) -> Result<T, Malformed> {
    let (dto, rest) = decode_first(body)?;
    if rest.is_empty() { Ok(dto) } else { Err(Malformed("there are bytes after its end".into())) }
}

/// Reads the `T` at the start of `bytes`, and returns what follows it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode_first<T: Decode<()>>(bytes: &[u8]) -> Result<(T, &[u8]), Malformed> {
    let (dto, length) =
        bincode::decode_from_slice(bytes, CONFIG).map_err(|error| Malformed(error.to_string()))?;
    Ok((dto, &bytes[length..]))
}

struct Onto<'a>(&'a mut Vec<u8>);

impl Writer for Onto<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}
