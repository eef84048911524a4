//! Reads the state file of the Go master, so that its instances and its key can be taken over.
//!
//! Owns: the gob format, as far as a state can be written in it, and what becomes of its fields.
//! Does not own: when a file is imported, and writing gob, which nobody does.
//!
//! The format has no checksum and is not made for hostile input, so the reader is strict: a count
//! is believed only as far as the bytes that are left can bear it out, before anything is
//! allocated for it, and what the Go master cannot have written is refused.

#[cfg(test)]
mod damage_tests;
mod error;
#[cfg(test)]
mod fixture_tests;
mod import;
mod reader;
mod schema;
mod value;

pub use error::GobError;

use super::image::Image;
use reader::Reader;
use schema::{Schema, TypeId};
use value::Values;

/// The state in a file of the Go master: a gob stream of one map from ids to instances
/// (Contract §11).
///
/// Fields are found by name; unknown ones are skipped and missing ones are zero. Numbers that the
/// model has no room for become the nearest one it has room for. What describes a process of the
/// past (status, ping, pool, connections) is left out: instances come back stopped.
///
/// The master's id and alias may be empty. The key is as it was, whatever it looks like.
///
/// # Errors
/// A file that is damaged, of something else, without a key or with an entry that no master may
/// have is refused whole. No error repeats a URL or the key.
pub fn decode_gob(file: &[u8]) -> Result<Image, GobError> {
    let mut stream = Reader::new(file);
    let mut schema = Schema::new();
    let (id, message) = loop {
        let mut message = stream.message()?;
        let offset = message.offset();
        let id = message.int()?;
        if id >= 0 {
            break (TypeId(id), message);
        }
        let defined = id.checked_neg().ok_or(GobError::format(offset, "no type has such an id"))?;
        schema.define(TypeId(defined), &mut message)?;
    };
    let image = import::image(Values::new(message, &schema), id)?;
    stream.expect_end("more bytes follow the value")?;
    Ok(image)
}
